"""The critical-difference diagram (Demsar 2006, figure 1)."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from metaopt import stats
from metaopt.core.errors import StatisticsError
from metaopt.plots import figure_text, style
from metaopt.plots.arguments import as_texts, of_comparison
from metaopt.plots.arrays import rank_blocks
from metaopt.plots.style import INK, styles
from metaopt.stats import CriticalDifference
from metaopt.stats.checks import as_result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from metaopt.analysis.comparison import ComparisonData

ROW, BAR = 0.26, 0.14  # heights in inches: of a label's row, and of a bar
PAIRS = 12  # the largest number of pairs that are written under a diagram


@of_comparison
def critical_difference(
    comparison: ComparisonData,
    problem: str | None = None,
    level: float = 0.05,
    test: str | None = None,
) -> Figure:
    """Draw mean ranks, with bars that join strategies that do not differ significantly.

    The mean ranks are those of the standings: over the repeats of one problem, or over the repeats
    of all problems.

    Args:
        comparison: result of `metaopt.compare`.
        problem: name of a problem; None for all problems.
        level: significance level, between 0 and 1.
        test: None for the planned test of all pairs (`Comparison.pairwise`), which judges two
            strategies by their own values; or "nemenyi" or "conover", which judge them by their
            ranks among all, as in `stats.critical_groups`.

    Returns:
        The critical-difference diagram.

    Raises:
        StatisticsError: fewer than 2 repeats or strategies, too few repeats for the planned test
            to reject, no such test, or an invalid level.
        StudyError: problems share their seeds (a comparison of an earlier version) and no problem
            was named.
        UnknownNameError: there is no such problem.

    Source: Demsar (2006, figure 1).
    """
    ranks = rank_blocks(comparison, problem)
    if test is not None:
        found = stats.critical_groups(ranks, level, test)
    else:
        found = stats.groups_of(ranks.mean(axis=0), comparison.pairwise(problem), level)
    return cd_diagram(found, comparison.strategies)


def cd_diagram(
    found: CriticalDifference, labels: Sequence[str], colors: Sequence[str] | None = None
) -> Figure:
    """Draw a critical-difference diagram from the result of `stats.critical_groups`.

    Ranks increase to the right, so the best label is at the left. A bar joins a group in which no
    two labels differ significantly; such pairs that no bar can show are listed below.

    Args:
        found: result of `stats.critical_groups`.
        labels: name of each column of the scores, shape (k,).
        colors: all labels of the comparison in a fixed order, which decides the colour of each;
            default: `labels`.

    Returns:
        The diagram.

    Raises:
        StatisticsError: the number of labels is not the number of columns, or an argument is of
            another type.

    Source: Demsar (2006, figure 1).
    """
    found = as_result(found, "found", CriticalDifference)
    labels = as_texts(labels, "labels")
    if len(labels) != len(found.ranks):
        raise StatisticsError(f"expected {len(found.ranks)} labels, got {len(labels)}")
    k = len(labels)
    looks = styles(labels, colors)
    lower = _levels([(found.ranks[g[0]], found.ranks[g[-1]]) for g in found.groups])
    left = (k + 1) // 2
    depth = BAR * (max(lower, default=0) + 1.6)
    text = _unbarred(found, labels)
    above = 0.62 if found.difference is not None else 0.3
    height = above + depth + ROW * left + 0.19 * text.count("\n") + (0.25 if text else 0)
    figure, (axes,) = style.panels(6.8 + figure_text.room_for(labels, 2), height + 0.15)
    axes.grid(visible=False)
    axes.set_xlim(1, k)
    axes.set_ylim(height - above, -above)  # inches below the axis of ranks
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.xaxis.set_visible(False)
    _scale(axes, k)
    for i, column in enumerate(found.order):
        on_left = i < left
        row = i if on_left else k - 1 - i
        _pointer(axes, labels[column], found.ranks[column], depth + ROW * row, on_left, k, looks)
    for group, at in zip(found.groups, lower, strict=True):
        ends = [found.ranks[group[0]], found.ranks[group[-1]]]
        slack = 0.012 * (k - 1)
        axes.plot(
            [ends[0] - slack, ends[1] + slack], [BAR * (at + 1)] * 2, color=INK, lw=3.4,
            solid_capstyle="round", label="_group", zorder=4, clip_on=False,
        )  # fmt: skip
    if found.difference is not None:
        _difference(axes, found.difference, k)
    if text:
        figure_text.note(axes, text, (0, 0), xycoords="axes fraction", va="bottom", fontsize=8.5)
    return figure


def _levels(spans: list[tuple[float, float]]) -> list[int]:
    """For each bar, the first row in which it touches no earlier bar."""
    ends: list[float] = []
    rows = []
    for start, end in spans:
        row = next((r for r, last in enumerate(ends) if last < start - 1e-9), len(ends))
        ends[row : row + 1] = [end]
        rows.append(row)
    return rows


def _scale(axes: Axes, k: int) -> None:
    axes.plot([1, k], [0, 0], color=INK, lw=1.2, label="_scale", clip_on=False)
    for rank in range(1, k + 1):
        axes.plot([rank, rank], [0, -0.06], color=INK, lw=1.2, label="_scale", clip_on=False)
        figure_text.note(
            axes, f"{rank}", (rank, -0.09), ha="center", va="bottom", annotation_clip=False
        )


def _pointer(
    axes: Axes,
    label: str,
    rank: float,
    y: float,
    on_left: bool,
    k: int,
    looks: dict[str, style.Style],
) -> None:
    """Draw the line from a rank on the axis to its label at the side."""
    look, side = looks[label], 1 if on_left else k
    out = (-1 if on_left else 1) * 0.02 * (k - 1)
    axes.plot(
        [rank, rank, side + out], [0, y, y], look.line, color=look.color, lw=1.5, label=label,
        clip_on=False, zorder=2,
    )  # fmt: skip
    axes.plot([rank], [0], look.marker, color=look.color, ms=6, label="_mark", clip_on=False)
    name = figure_text.cut(label)
    text = f"{name}  {rank:.2f}" if on_left else f"{rank:.2f}  {name}"
    figure_text.note(
        axes, text, (side + out, y), xytext=(-4 if on_left else 4, 0), textcoords="offset points",
        ha="right" if on_left else "left", annotation_clip=False,
    )  # fmt: skip


def _difference(axes: Axes, difference: float, k: int) -> None:
    end = min(1 + difference, float(k))
    axes.plot([1, end], [-0.42, -0.42], "|-", color=INK, lw=1.4, label="_cd", clip_on=False)
    more = "" if end == 1 + difference else " (beyond the axis)"
    figure_text.note(axes, f"critical difference {difference:.2f}{more}", (1, -0.46), va="bottom")


def _unbarred(found: CriticalDifference, labels: Sequence[str]) -> str:
    pairs = [
        f"{figure_text.cut(labels[i], 18)} – {figure_text.cut(labels[j], 18)}"
        for i, j in found.unbarred
    ]
    if not pairs:
        return ""
    more = f" and {len(pairs) - PAIRS} more" if len(pairs) > PAIRS else ""
    text = "Also not significantly different, without a bar: " + ", ".join(pairs[:PAIRS]) + more
    return "\n".join(textwrap.wrap(text + ".", 92))
