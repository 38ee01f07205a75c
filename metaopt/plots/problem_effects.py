"""The effect of each strategy against the control by problem, as a forest plot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metaopt import stats
from metaopt.core.errors import StudyError
from metaopt.core.text import counted
from metaopt.plots import figure_text, style
from metaopt.plots.arguments import of_comparison
from metaopt.plots.style import INK, Style, styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from metaopt.analysis.comparison import ComparisonData

COLUMNS = 3  # panels side by side
ROW = 0.24  # height of a row in inches
FARTHEST = 4.0  # intervals beyond it, of very few problems, would squeeze all others
SUMMARY = ("mean", "next problem")


def why_no_effects(c: ComparisonData) -> str:
    """Say what is missing for effects by problem; empty if nothing is."""
    if len(c.strategies) < 2:
        return "there is only one strategy"
    if len(c.problems) < 2 or c.repeats < 2:
        counts = f"{counted(len(c.problems), 'problem')} and {counted(c.repeats, 'repeat')}"
        return f"there is no more than {counts}, and at least 2 of each are needed"
    if c.shared_seeds:
        return "the problems share their seeds, so they are not independent"
    return ""


def effects_of(c: ComparisonData) -> dict[str, stats.OverProblems]:
    """The effects of each strategy against the control, by label; a run without a value loses.

    Raises:
        StudyError: fewer than 2 problems, repeats or strategies, or problems share their seeds.
    """
    missing = why_no_effects(c)
    if missing:
        raise StudyError(f"effects by problem cannot be estimated: {missing}")
    scores = np.array([c.scores(p.name) for p in c.problems])
    found = stats.hierarchical(scores, c.strategies.index(c.control))
    return {c.strategies[x.treatment]: x for x in found}


@of_comparison
def effects_by_problem(comparison: ComparisonData) -> Figure:
    """Draw the effect of each strategy against the control on each problem, and over problems.

    One panel per strategy. Hollow marks are the effects by a problem's own repeats; filled marks
    with their 95 % intervals are those of the hierarchical model (`stats.hierarchical`). The two
    last rows are the mean effect over problems of this kind, and the prediction interval of the
    effect on the next problem. Below 0, the strategy is better than the control.

    Args:
        comparison: result of `metaopt.compare`.

    Returns:
        The figure, with one panel per strategy.

    Raises:
        StudyError: fewer than 2 problems, repeats or strategies, or problems share their seeds.

    Source: prediction intervals in forest plots: Higgins, Thompson and Spiegelhalter (2009).
    """
    found, looks = effects_of(comparison), styles(comparison.strategies)
    names = [*(p.name for p in comparison.problems), *SUMMARY]
    lines, columns = style.grid_of(len(found), COLUMNS)
    figure, panels = style.panels(
        1.5 + figure_text.room_for(names) + 2.4 * columns,
        (1.05 + ROW * len(names)) * lines,
        lines,
        columns,
    )
    ends = _ends(found)
    for axes in panels[len(found) :]:
        axes.set_visible(False)
    for at, (axes, (label, effects)) in enumerate(zip(panels, found.items(), strict=False)):
        _forest(axes, effects, looks[label])
        figure_text.rows(axes, names if at % columns == 0 else [""] * len(names))
        figure_text.title(axes, label if columns == 1 else figure_text.cut(label, 24))
        axes.set_xlim(*ends)
        if at + columns >= len(found):
            axes.set_xlabel("effect in standard deviations\n(below 0: better)")
    return figure


def _forest(axes: Axes, found: stats.OverProblems, look: Style) -> None:
    """Draw one panel: the problems from top to bottom, then the mean and the next problem."""
    problems = len(found.effects)
    axes.axvline(0.0, color=INK, lw=1, zorder=1)
    axes.axhline(problems - 0.5, color=INK, lw=0.8, ls=":", zorder=1)
    for y, (raw, effect) in enumerate(zip(found.observed, found.effects, strict=True)):
        axes.plot([effect.low, effect.high], [y, y], color=look.color, lw=1.4, zorder=2)
        axes.plot(
            [raw], [y], look.marker, color=look.color, ms=6, mfc="none", mew=0.8, label="_observed",
            zorder=3,
        )  # fmt: skip
        axes.plot([effect.estimate], [y], look.marker, color=look.color, ms=4, zorder=4)
    mean, ahead = found.mean, found.next_problem
    axes.plot([mean.low, mean.high], [problems] * 2, color=look.color, lw=3.2, zorder=2)
    axes.plot(
        [mean.estimate], [problems], "D", color=look.color, ms=7, label="_mean", zorder=3
    )  # fmt: skip
    axes.plot(
        [ahead.low, ahead.high], [problems + 1] * 2, "|-", color=look.color, lw=1.4, ms=8,
        label="_next", zorder=2,
    )  # fmt: skip


def _ends(found: dict[str, stats.OverProblems]) -> tuple[float, float]:
    """Range of the axis: all effects, and their intervals as far as `FARTHEST`."""
    shown = [0.0]
    for x in found.values():
        rows = [*x.effects, x.mean, x.next_problem]
        bounds = [*(row.low for row in rows), *(row.high for row in rows)]
        shown += [*x.observed, *np.clip(bounds, -FARTHEST, FARTHEST).tolist()]
    margin = 0.04 * max(max(shown) - min(shown), 0.5)
    return min(shown) - margin, max(shown) + margin
