"""The multiple comparison matrix: every pair of strategies by their own values alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from metaopt.core.errors import StudyError
from metaopt.core.types import FloatArray
from metaopt.plots import figure_text, style
from metaopt.plots.arguments import of_comparison
from metaopt.plots.scores import DIVERGING
from metaopt.stats.extremes import differences
from metaopt.stats.hierarchical import standard_differences

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from metaopt.analysis.comparison import ComparisonData

MOST = 8  # with more strategies, they are compared with the control only
STRONG = 2.0  # effect, in standard deviations, with the strongest colour


@dataclass(frozen=True)
class Cell:
    """One strategy against another.

    Attributes:
        effect: standardised difference, averaged over problems; below 0, the first is better.
        counts: numbers of repeats that the first won, tied and lost.
        p: p-value of the planned test of the two, not adjusted; None without a test.
        sure: whether the adjusted p-value is at most the level of the comparison.
    """

    effect: float
    counts: tuple[int, int, int]
    p: float | None
    sure: bool

    @property
    def text(self) -> str:
        """The lines of the cell."""
        rows = [f"{self.effect + 0.0:+.2f}".replace("-", "−"), " / ".join(map(str, self.counts))]
        if self.p is not None:
            rows.append("p < 0.001" if self.p < 0.001 else f"p = {self.p:.3f}")
        return "\n".join(rows)


def why_no_matrix(c: ComparisonData) -> str:
    """Say what is missing for the matrix; empty if nothing is."""
    if len(c.strategies) < 2:
        return "there is only one strategy"
    if c.repeats < 2:
        return "there is only one repeat"
    return "no run has a value" if all(np.isnan(c.values(p.name)).all() for p in c.problems) else ""


def cells_of(c: ComparisonData) -> dict[tuple[str, str], Cell]:
    """The cells of the matrix by labels of row and column, rows and columns by mean rank.

    Raises:
        StudyError: fewer than 2 strategies or repeats, or no run has a value.
    """
    missing = why_no_matrix(c)
    if missing:
        raise StudyError(f"strategies cannot be compared in a matrix: {missing}")
    ranks = {s.label: s.rank for s in c.analyses[-1].standings}
    order = sorted(c.strategies, key=lambda s: ranks[s])
    columns = order if len(order) <= MOST else [c.control]
    table = np.array([c.scores(p.name) for p in c.problems])
    scores = {s: table[:, :, j] for j, s in enumerate(c.strategies)}
    tests = _tests(c)
    return {
        (row, column): _cell(
            scores[row], scores[column], tests.get(frozenset((row, column))), c.level
        )
        for row in order
        for column in columns
        if row != column
    }


def _tests(c: ComparisonData) -> dict[frozenset[str], tuple[float, float]]:
    """The p-value of each pair and the adjusted one; empty if no test could reject."""
    if not c.plan_of_pairs().enough:
        return {}
    found = c.pairwise().pairs
    return {
        frozenset((c.strategies[x.first], c.strategies[x.second])): (x.p, x.p_adjusted)
        for x in found
    }


def _cell(x: FloatArray, y: FloatArray, test: tuple[float, float] | None, level: float) -> Cell:
    d, _ = differences(x, y)
    counts = int((d < 0).sum()), int((d == 0).sum()), int((d > 0).sum())
    effect = float(standard_differences(x, y).mean())
    p, adjusted = (None, 1.0) if test is None else test
    return Cell(effect, counts, p, adjusted <= level)


@of_comparison
def comparison_matrix(comparison: ComparisonData) -> Figure:
    """Draw the multiple comparison matrix, the best strategy on top.

    A cell compares the strategy of its row with that of its column: the standardised difference of
    their final values (below 0, the row is better; see `stats.hierarchical`), the numbers of
    repeats won, tied and lost, and the p-value of the planned test of the two. No cell changes if a
    strategy is added, except that a pair is bold if its p-value is significant after Shaffer's
    correction for all pairs. With more than 8 strategies, the control is the only column.

    Args:
        comparison: result of `metaopt.compare`.

    Returns:
        The figure.

    Raises:
        StudyError: fewer than 2 strategies or repeats, or no run has a value.

    Source: Ismail-Fawaz et al. (2023).
    """
    cells = cells_of(comparison)
    rows, columns = (list(dict.fromkeys(key[at] for key in cells)) for at in (0, 1))
    if len(columns) > 1:
        columns = rows  # each in the same order
    names = {s: figure_text.cut(s, 18) for s in rows + columns}
    longest = max(len(line) for cell in cells.values() for line in cell.text.split("\n"))
    wide, high = 0.2 + 0.068 * longest, 0.24 + 0.15 * cells[rows[0], columns[-1]].text.count("\n")
    room = figure_text.room_for(names.values())
    figure, (axes,) = style.panels(
        max(1.2 + room + wide * len(columns), 3.4), 1.5 + 0.7 * room + (high + 0.1) * len(rows)
    )
    _fill(axes, cells, rows, columns)
    axes.set_yticks(range(len(rows)), [names[s] for s in rows], parse_math=False)
    how: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(columns)), [names[s] for s in columns], parse_math=False, **how)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("row against column")
    return figure


def _fill(
    axes: Axes, cells: dict[tuple[str, str], Cell], rows: list[str], columns: list[str]
) -> None:
    """Colour the cells by their effects, and write their texts."""
    axes.grid(visible=False)
    table = np.full((len(rows), len(columns)), np.nan)
    for (row, column), cell in cells.items():
        at = rows.index(row), columns.index(column)
        table[at] = -cell.effect
        axes.text(
            at[1], at[0], cell.text, ha="center", va="center", fontsize=8, linespacing=1.25,
            fontweight="bold" if cell.sure else "normal",
            color="#FFFFFF" if abs(cell.effect) > 0.64 * STRONG else "#111111",
        )  # fmt: skip
    edges = [np.arange(n + 1) - 0.5 for n in (len(columns), len(rows))]
    axes.pcolormesh(
        *edges, np.ma.masked_invalid(table), cmap=DIVERGING, vmin=-STRONG, vmax=STRONG,
        edgecolors="face", linewidth=0.4,
    )  # fmt: skip
    axes.set_ylim(len(rows) - 0.5, -0.5)
