"""A comparison of models as tables and words: for the terminal (rich) and as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metaopt.report import escape, tables
from metaopt.seeds import global_random_kept

if TYPE_CHECKING:
    from metaopt.models import ModelComparison, ModelPair

SURE = 0.95  # probability from which a practical difference or equality is called so

Table = tuple[list[str], list[list[str]]]


def sentences(c: ModelComparison, level: float) -> list[str]:
    """The finding, its uncertainty and its limits."""
    failed = [
        f"{label} failed ({why}) and takes no part in the tests." for label, why in c.errors.items()
    ]
    best = next((k for k in c.ranking if k not in c.errors), None)
    if best is None or not c.pairs:
        return [*failed, "Fewer than 2 models were scored on all folds: no test was made."]
    mean = c.scores[best].mean()
    out = [
        f"Over {c.repeats} x {c.folds} folds, {best} has the highest mean {c.scoring}, {mean:.4g}."
    ]
    reference = best if c.control is None else c.control
    told = [p for p in c.pairs if reference in (p.first, p.second)]
    out += [_word(p, reference, level) for p in told]
    others = [p for p in c.pairs if p not in told and p.p < level]
    if others:
        listed = ", ".join(f"{p.first} above {p.second}" for p in others)
        out.append(f"Of the other pairs these differ beyond chance: {listed}.")
    out += failed
    out.append(
        f"The finding holds for this data set of {c.samples} samples and these models; training"
        f" sets overlap, which the tests allow for."
    )
    return out


def _word(p: ModelPair, reference: str, level: float) -> str:
    other = p.second if p.first == reference else p.first
    side = "above" if p.first == reference else "below"
    t = p.test
    gap = f"{abs(t.difference):.3g}"
    reach = (t.high - t.low) / 2
    size = f"{gap} ± {reach:.2g}"
    if p.p < level:
        text = f"{reference} scores {size} {side} {other}, beyond chance ({_p(p.p)})"
    else:
        text = f"{reference} and {other} are not shown to differ ({size}, {_p(p.p)})"
    return f"{text}{_practical(p)}."


def _practical(p: ModelPair) -> str:
    found = p.posterior
    if found is None:
        return ""
    if found.equivalent >= SURE:
        return f"; they are practically equal with probability {found.equivalent:.2f}"
    better, chance = (
        (p.first, found.above) if found.above >= found.below else (p.second, found.below)
    )
    return (
        f"; {better} is better by more than {found.rope:g} with probability {chance:.2f}, and they"
        f" are practically equal with {found.equivalent:.2f}"
    )


def _p(p: float) -> str:
    return f"p = {p:.2g}" if p >= 0.001 else "p < 0.001"


def models_table(c: ModelComparison) -> Table:
    """One row a model, by mean score."""
    header = ["model", f"mean {c.scoring}", "sd over folds", "lowest", "highest", "seconds a fold"]
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


def pairs_table(c: ModelComparison) -> Table:
    """One row a pair: the difference with its interval, p by Holm, and, with a region of practical
    equivalence, the probabilities that it lies above, within and below that region.
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
            f"{p.p:.3f}" if p.p >= 0.001 else "< 0.001",
        ]
        if p.posterior is not None:
            q = p.posterior
            row += [f"{x:.2f}" for x in (q.above, q.equivalent, q.below)]
        rows.append(row)
    return header, rows


def methods(c: ModelComparison) -> str:
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


def markdown(c: ModelComparison) -> str:
    """Tables, findings and methods."""
    title, found = (escape.markdown(t) for t in (", ".join(c.scores), c.conclusion()))
    parts = [f"# Comparison of {title}", found, _grid(models_table(c))]
    if c.pairs:
        parts.append(_grid(pairs_table(c)))
    parts += ["## Methods", methods(c)]
    return "\n\n".join(parts) + "\n"


def _grid(table: Table) -> str:
    header, rows = table
    rule = "|" + " --- |" * len(header)
    return "\n".join([tables.markdown_row(header), rule, *map(tables.markdown_row, rows)])


def show(c: ModelComparison) -> None:
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
    console.print(Padding(Text(c.conclusion()), (0, 2, 1, 0)))
