"""The table of overtuning in the report of a comparison."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from metaopt import plots, stats
from metaopt.core.text import estimate, percent
from metaopt.plots.overtuning_figure import overtuning_of, relative
from metaopt.report.document import Block, Cell, Table, Words, cell

if TYPE_CHECKING:
    from metaopt.analysis.comparison import ComparisonData

HEADER = (
    "problem", "strategy", "runs", "runs with overtuning", "relative overtuning",
    "test value lost", "runs without gain",
)  # fmt: skip


def blocks(c: ComparisonData) -> Iterator[Block]:
    """Yield the table and how to read it; nothing without a hidden test value of every trial."""
    looks = plots.styles(c.strategies)
    rows, levels = [], []
    for p in c.problems:
        for label, found in overtuning_of(c, p).items():
            if found:
                middle = _middle(found)
                levels += [] if middle is None else [middle.level]
                rows.append((cell(p.name), *_row(label, looks[label].color, found, middle)))
    if not rows:
        return
    caption = "Overtuning: a better validation value that meant a worse hidden test value."
    if levels:
        caption += (
            f" Medians over runs; an interval covers the true median with at least"
            f" {percent(min(levels))}."
        )
    yield Table("overtuning", caption, HEADER, tuple(rows))
    yield Words(
        "The search follows the validation value and never sees the test value. Test value lost is"
        " how much worse, by the test value, the final configuration is than the best of the"
        " configurations that led by validation on the way. Relative overtuning divides this by"
        " what the search had gained on the first configuration: 0 means that nothing was lost, 1"
        " that all was lost again, more than 1 that the run ended worse than it began (Schneider et"
        " al. 2025). It does not exist for runs without gain, in which no such configuration had a"
        " better test value than the first; they are not in its median."
    )


def _middle(found: list[stats.Overtuning]) -> stats.Interval | None:
    known = relative(found)
    return stats.median_interval(known) if len(known) else None


def _row(
    label: str, color: str, found: list[stats.Overtuning], middle: stats.Interval | None
) -> tuple[Cell, ...]:
    lost = np.array([x.absolute for x in found])
    share = float((lost > 0).mean())
    between = "" if middle is None else estimate(middle.estimate, middle.low, middle.high)
    return (
        cell(label, color=color),
        cell(len(found)),
        Cell(f"{share:.0%}", share),
        Cell(between, None if middle is None else middle.estimate),
        cell(float(np.median(lost)), ".3g"),
        cell(sum(bool(np.isnan(x.relative)) for x in found)),
    )
