"""Final values and mean ranks of strategies, from arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.plots import figure_text, style
from metaopt.plots.arguments import as_table, as_text
from metaopt.plots.style import INK, Style, styles, wants_log
from metaopt.stats.checks import as_sample, as_whole, is_real, numeric, shown
from metaopt.stats.extremes import median

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def ranks(
    means: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]] | None = None,
    *,
    colors: Sequence[str] | None = None,
    title: str = "",
    xlabel: str = "mean rank (lower is better)",
) -> Figure:
    """Draw the mean rank of each label as a dot, best on top, with its interval as a line.

    Args:
        means: mean rank of each label; 1 is best.
        intervals: lower and upper end of the interval of a label; labels without one get no line.
        colors: all labels of the comparison in a fixed order, which decides the colour of each;
            default: the order of `means`.
        title: of the figure; none if empty.
        xlabel: label of the horizontal axis.

    Returns:
        The figure, with one row per label.

    Raises:
        StatisticsError: there is nothing to draw, a mean is not finite, or another argument is not
            valid.
    """
    means = as_table(means, "means", "mean ranks")
    intervals = as_table({} if intervals is None else intervals, "intervals", "intervals")
    as_text(title, "title"), as_text(xlabel, "xlabel")
    looks = styles(means, colors)
    for label, mean in means.items():
        if not is_real(mean) or not math.isfinite(mean):
            raise StatisticsError(f"the mean rank of {label!r} must be finite, got {shown(mean)}")
    for label, ends in intervals.items():
        if as_sample(ends, f"the interval of {label!r}").size != 2:
            raise StatisticsError(f"the interval of {label!r} must be a pair, got {shown(ends)}")
    order = sorted(means, key=lambda label: means[label])
    figure, (axes,) = style.panels(6.4 + figure_text.room_for(order), 1.1 + 0.36 * len(order))
    for y, label in enumerate(order):
        look = looks[label]
        if label in intervals:
            axes.plot(intervals[label], [y, y], color=look.color, lw=2.2, alpha=0.55, zorder=2)
        axes.plot([means[label]], [y], look.marker, color=look.color, ms=8, label=label, zorder=3)
        write_right_of(axes, y, f"{means[label]:.2f}")
    drawn = [*means.values(), *(v for pair in intervals.values() for v in pair)]
    margin = 0.05 * max(1.0, max(drawn) - min(drawn))
    axes.set_xlim(min(1.0, min(drawn)) - margin, max(len(order), *drawn) + margin)
    figure_text.rows(axes, order)
    axes.set_xlabel(xlabel)
    figure_text.title(axes, title)
    return figure


def values(
    finals: Mapping[str, Mapping[str, Any]],
    *,
    colors: Sequence[str] | None = None,
    columns: int = 3,
    xlabel: str = "final value",
) -> Figure:
    """Draw the final value of each repeat as a point and the median as a bar, by problem.

    There is one panel per problem; its value axis is logarithmic by the rule of `wants_log`.

    Args:
        finals: for each problem, the values of each label, shape (repeats,); NaN for a repeat
            without a value. The number of NaN is written at the right of the row.
        colors: all labels of the comparison in a fixed order, which decides the order of the rows
            and the colour of each; default: the order of the labels in `finals`.
        columns: largest number of panels side by side.
        xlabel: label of the value axis.

    Returns:
        The figure, with one panel per problem.

    Raises:
        StatisticsError: there is nothing to draw, a sample is not one-dimensional, or another
            argument is not valid.
    """
    finals = {
        problem: {
            label: _sample(sample, f"the values of {label!r}")
            for label, sample in as_table(panel, f"the values on {problem!r}", "samples").items()
        }
        for problem, panel in as_table(finals, "finals", "values by problem").items()
    }
    columns, _ = as_whole(columns, "columns", most=100), as_text(xlabel, "xlabel")
    labels = list(dict.fromkeys(label for panel in finals.values() for label in panel))
    looks = styles(labels, colors)
    labels.sort(key=(list(colors) if colors is not None else labels[:]).index)
    lines, columns = style.grid_of(len(finals), columns)
    figure, panels = style.panels(
        2.0 + figure_text.room_for(labels) + 2.6 * columns,
        (0.9 + 0.28 * len(labels)) * lines,
        lines,
        columns,
    )
    for axes in panels[len(finals) :]:
        axes.set_visible(False)
    for at, (axes, (problem, panel)) in enumerate(zip(panels, finals.items(), strict=False)):
        samples: dict[str, FloatArray] = dict(panel)
        for y, label in enumerate(labels):
            if label in samples:
                _strip(axes, y, samples[label], label, looks[label])
        shown = np.concatenate(list(samples.values()))
        if wants_log(shown):
            style.log_axis(axes, "x", shown)
        figure_text.rows(axes, labels if at % columns == 0 else [""] * len(labels))
        figure_text.title(axes, problem if columns == 1 else figure_text.cut(problem, 24))
        if at + columns >= len(finals):
            axes.set_xlabel(xlabel)
    return figure


def _sample(values: Any, name: str) -> FloatArray:
    sample = numeric(values, name, "numbers or None")
    if sample.ndim != 1 or not len(sample):
        raise StatisticsError(f"{name} must be one value per repeat, got shape {sample.shape}")
    return style.drawable(sample)


def write_right_of(axes: Axes, y: float, text: str, size: float = 9) -> None:
    """Write text at the right of row `y`."""
    how = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "fontsize": size}
    figure_text.note(axes, text, (1, y), xytext=(6, 0), **how)


def _strip(axes: Axes, y: int, sample: FloatArray, label: str, look: Style) -> None:
    """Draw one row: a point per repeat, spread vertically by number, and a bar at the median."""
    finite = np.isfinite(sample)
    spread = y + np.linspace(-0.24, 0.24, len(sample)) if len(sample) > 1 else np.array([float(y)])
    axes.plot(
        sample[finite], spread[finite], look.marker, color=look.color, ms=4.5, alpha=0.6,
        markeredgewidth=0, label=label, zorder=3,
    )  # fmt: skip
    if finite.any():
        middle = float(median(sample[finite]))
        axes.plot([middle, middle], [y - 0.36, y + 0.36], color=INK, lw=1.8, zorder=4)
    if not finite.all():
        write_right_of(axes, y, f"{np.count_nonzero(~finite)} failed", 7)
