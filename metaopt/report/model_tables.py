"""A comparison of models as tables and words: for the terminal (rich) and as Markdown."""

from __future__ import annotations

import numpy as np

from metaopt.analysis import model_conclusions
from metaopt.analysis.model_comparison import ModelComparisonData
from metaopt.core.seeds import global_random_kept
from metaopt.core.text import p_cell, percent
from metaopt.report import escape, formats
from metaopt.report.model_methods import paragraph
from metaopt.stats.references import references

Table = tuple[list[str], list[list[str]]]

WIDE = 100  # columns of a terminal in which all columns of a table have room


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
    header = ["pair", "difference", "interval", "level", "p"]
    if c.rope is not None:
        header += ["P(>)", f"P(within {c.rope:g})", "P(<)"]
    rows = []
    for p in c.pairs:
        t = p.test
        ends = ["", ""] if t is None else [f"[{t.low:.3g}, {t.high:.3g}]", percent(t.level)]
        row = [
            f"{p.first} - {p.second}",
            f"{p.difference:.3g}",
            *ends,
            "no variation" if t is None else p_cell(p.p),
        ]
        if p.posterior is not None:
            q = p.posterior
            row += [f"{x:.2f}" for x in (q.above, q.equivalent, q.below)]
        elif c.rope is not None:
            row += ["", "", ""]
        rows.append(row)
    return header, rows


def markdown(c: ModelComparisonData) -> str:
    """Tables, findings and methods."""
    title, found = (
        escape.markdown(t) for t in (", ".join(c.scores), " ".join(model_conclusions.sentences(c)))
    )
    parts = [f"# Comparison of {title}", found, _grid(models_table(c))]
    if c.pairs:
        parts.append(_grid(pairs_table(c)))
    how = paragraph(c)
    sources = "\n".join(f"- {escape.markdown(references()[key].full)}" for key in how.keys)
    parts += [
        "## Methods",
        escape.markdown(how.plain()),
        *(["Sources:", sources] if sources else []),
    ]
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
        shown = [i for i, name in enumerate(header) if name != "level" or console.width >= WIDE]
        for i in shown:
            grid.add_column(header[i], justify="left" if i == 0 else "right", overflow="fold")
        for row in rows:
            grid.add_row(*(Text(row[i]) for i in shown))
        console.print(grid)
    console.print(Padding(Text(" ".join(model_conclusions.sentences(c))), (0, 2, 1, 0)))
