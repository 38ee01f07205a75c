"""The table of results at several budgets in the report of a comparison."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from metaopt import plots, stats
from metaopt.core.text import counted, estimate, percent
from metaopt.core.types import FloatArray
from metaopt.plots import arrays
from metaopt.report.document import Block, Cell, Table, cell

if TYPE_CHECKING:
    from metaopt.analysis.comparison import ComparisonData
    from metaopt.problems.problem import Problem

SHARES = (0.25, 0.5, 1.0)  # of the trials of a run


def blocks(c: ComparisonData) -> Iterator[Block]:
    """Yield the table: medians with intervals after a part of the trials, and the area."""
    budgets = sorted({max(1, round(share * c.n_trials)) for share in SHARES})
    if len(budgets) < 2:
        return
    looks, rows, levels = plots.styles(c.strategies), list[tuple[Cell, ...]](), set[float]()
    for p in c.problems:
        curves, areas = arrays.costs(c, p), _areas(c, p)
        for j, label in enumerate(c.strategies):
            cells, reached = _at(curves[:, j], budgets, p)
            levels |= reached
            area = None if areas is None else float(np.median(areas[:, j]))
            name = cell(label, color=looks[label].color)
            rows.append((cell(p.name), name, *cells, cell(area, ".3f")))
    held = (
        f", with an interval that holds it with at least {percent(min(levels))}" if levels else ""
    )
    caption = (
        f"Results at several budgets: the median over repeats of the best value so far{held}. Area"
        f" is the median of the area under the curve of the best value so far, from 0 (the best"
        f" known value from the first trial on) to 1 (never better than a typical first trial);"
        f" lower is better."
    )
    header = ("problem", "strategy", *(f"after {counted(n, 'trial')}" for n in budgets), "area")
    yield Table("budgets", caption, header, tuple(rows))


def _areas(c: ComparisonData, p: Problem) -> FloatArray | None:
    """Area under the curve of each run, (repeats, strategies); None without a common scale."""
    ends = arrays.scale(c, p)
    return None if ends is None else stats.area(arrays.costs(c, p), *ends)


def _at(curves: FloatArray, budgets: list[int], p: Problem) -> tuple[list[Cell], set[float]]:
    """The cells of one strategy, from curves (repeats, trials), and the levels of its intervals."""
    cells, levels = [], set()
    for n in budgets:
        known = p.sign * curves[:, min(n, curves.shape[1]) - 1]
        known = known[np.isfinite(known)]
        if not len(known):
            cells.append(Cell("", None))
            continue
        found = stats.median_interval(known)
        text = f"{found.estimate:.3g}"
        if found.level:
            levels.add(found.level)
            text = estimate(found.estimate, found.low, found.high)
        cells.append(Cell(text, found.estimate))
    return cells, levels
