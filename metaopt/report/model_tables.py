"""A comparison of models as tables and words: for the terminal (rich) and as Markdown."""

from __future__ import annotations

import numpy as np

from metaopt.analysis import model_conclusions
from metaopt.analysis.model_comparison import ModelComparisonData
from metaopt.core.seeds import global_random_kept
from metaopt.core.text import p_cell
from metaopt.report import escape, formats

Table = tuple[list[str], list[list[str]]]


def models_table(c: ModelComparisonData) -> Table:
    """One row per model, sorted by mean score."""
    header = [
        "model",
        f"mean {c.scoring}",
        "sd over folds",
        "lowest",
        "highest",
        "seconds per fold",
    ]
    rows = []
    for label in c.ranking:
        s, seconds = c.scores[label], c.seconds[label]
        if np.isnan(s).all():
            rows.append([label, "failed", "", "", "", ""])
            continue
        mean = f"{np.nanmean(s):.4g}" + (
            f" ({int(np.isnan(s).sum())} failed)" if np.isnan(s).any() else ""
        )
        spread = "" if np.isfinite(s).sum() < 2 else f"{np.nanstd(s, ddof=1):.2g}"
        lowest, highest = f"{np.nanmin(s):.4g}", f"{np.nanmax(s):.4g}"
        rows.append([label, mean, spread, lowest, highest, f"{np.nanmedian(seconds):.2g}"])
    return header, rows


def pairs_table(c: ModelComparisonData) -> Table:
    """One row per pair: the difference with its interval and p adjusted by Holm's method.

    With a region of practical equivalence, also the probabilities that the difference lies above,
    within and below that region.
    """
    header = ["pair", "difference", "95 % interval", "p"]
    if c.rope is not None:
        header += ["P(>)", f"P(within {c.rope:g})", "P(<)"]
    rows = []
    for p in c.pairs:
        t = p.test
        row = [
            f"{p.first} - {p.second}",
            f"{t.difference:.3g}",
            f"[{t.low:.2g}, {t.high:.2g}]",
            p_cell(p.p),
        ]
        if p.posterior is not None:
            q = p.posterior
            row += [f"{x:.2f}" for x in (q.above, q.equivalent, q.below)]
        rows.append(row)
    return header, rows


def methods(c: ModelComparisonData) -> str:
    """A paragraph for a paper, with its sources."""
    plan = c.plan
    text = (
        f"{len(c.scores)} models were scored ({c.scoring}) by {c.repeats} repetitions of"
        f" {c.folds}-fold cross-validation on the same folds (seed {c.seed}). {plan.why}"
        f" Correction: {plan.correction}."
    )
    if c.rope is not None:
        text += f" Differences within {c.rope:g} count as practically equal."
    return f"{text} Sources: {'; '.join(plan.citations)}."


def markdown(c: ModelComparisonData) -> str:
    """Tables, findings and methods."""
    title, found = (
        escape.markdown(t) for t in (", ".join(c.scores), " ".join(model_conclusions.sentences(c)))
    )
    parts = [f"# Comparison of {title}", found, _grid(models_table(c))]
    if c.pairs:
        parts.append(_grid(pairs_table(c)))
    parts += ["## Methods", methods(c)]
    return "\n\n".join(parts) + "\n"


def _grid(table: Table) -> str:
    header, rows = table
    rule = "|" + " --- |" * len(header)
    return "\n".join([formats.markdown_row(header), rule, *map(formats.markdown_row, rows)])


def show(c: ModelComparisonData) -> None:
    """Print tables and findings."""
    with global_random_kept():
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.padding import Padding
        from rich.table import Table as Grid
        from rich.text import Text

    console = Console()
    for header, rows in (models_table(c), pairs_table(c)):
        if not rows:
            continue
        grid = Grid(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for i, name in enumerate(header):
            grid.add_column(name, justify="left" if i == 0 else "right", overflow="fold")
        for row in rows:
            grid.add_row(*(Text(cell) for cell in row))
        console.print(grid)
    console.print(Padding(Text(" ".join(model_conclusions.sentences(c))), (0, 2, 1, 0)))
