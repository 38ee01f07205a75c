"""Convergence curves from arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.plots import figure_text, style
from metaopt.plots.arguments import as_table, as_text
from metaopt.plots.style import styles, wants_log
from metaopt.stats import Band, band, best_so_far
from metaopt.stats.checks import as_number, as_sample, shown
from metaopt.stats.extremes import LARGEST

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def curves(
    repeats: Mapping[str, Any],
    *,
    at: Sequence[float] | None = None,
    colors: Sequence[str] | None = None,
    direction: str = "minimize",
    optimum: float | None = None,
    title: str = "",
    xlabel: str = "trials",
    ylabel: str | None = None,
) -> Figure:
    """Draw the best value so far against the number of trials: median and quartile band.

    The value axis is logarithmic by the rule of `wants_log`. A linear axis does not show the range
    of the first tenth of the trials, so that a bad start does not flatten the rest.

    Args:
        repeats: for each label, the values of its trials, shape (repeats, trials), or rows of
            unequal length; either raw values or the best so far; None or NaN for failed trials.
        at: horizontal position of each trial, shape (trials,); default: 1, 2, 3, ...
        colors: all labels of the comparison in a fixed order, which decides the colour of each;
            default: the order of `repeats`.
        direction: "minimize" or "maximize".
        optimum: the best possible value; if given, the distance to it is drawn.
        title: of the figure; none if empty.
        xlabel: label of the horizontal axis.
        ylabel: label of the value axis; default: "best value so far" or "distance to optimum".

    Returns:
        The figure, with one curve per label.

    Raises:
        StatisticsError: there is nothing to draw, the rows are not sequences of numbers, `at` has
            another length than a curve, or another argument is not valid.
    """
    repeats = as_table(repeats, "repeats", "curves")
    for text, name in ((title, "title"), (xlabel, "xlabel"), (ylabel, "ylabel")):
        if text is not None or name != "ylabel":
            as_text(text, name)
    if optimum is not None:
        optimum = as_number(optimum, "optimum", "a finite number or None", -math.inf)
    if at is not None:
        at = as_sample(at, "at").tolist()
    looks = styles(repeats, colors)
    figure, (axes,) = style.panels(6.4 + figure_text.room_for(looks), 4.0)
    ends: dict[str, tuple[float, float]] = {}
    drawn = []
    for label, rows in repeats.items():
        b = _band(rows, direction, optimum)
        look = looks[label]
        x = np.arange(1, len(b.median) + 1) if at is None else np.array(at)
        if len(x) != len(b.median):
            raise StatisticsError(
                f"at must have one entry per trial, {len(b.median)} for {label!r}, got {len(x)}"
            )
        axes.fill_between(x, b.lower, b.upper, color=look.color, alpha=0.13, linewidth=0)
        axes.plot(x, b.median, look.line, color=look.color, lw=1.8, label=label, zorder=3)
        known = np.flatnonzero(np.isfinite(b.median))
        if len(known):
            ends[label] = (float(x[known[-1]]), float(b.median[known[-1]]))
        drawn += [b.lower, b.median, b.upper]
    if at is None:
        axes.set_xlim(1, max(2, *map(len, drawn)))
    else:
        axes.set_xlim(min(at), max(at))
    if wants_log(np.concatenate(drawn)):
        style.log_axis(axes, "y", np.concatenate(drawn))
    else:
        style.limit(axes, np.concatenate([curve[len(curve) // 10 :] for curve in drawn]))
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel or ("best value so far" if optimum is None else "distance to optimum"))
    figure_text.title(axes, title)
    figure_text.label_ends(axes, ends, looks)
    return figure


def _band(rows: Iterable[Any], direction: str, optimum: float | None) -> Band:
    if isinstance(rows, (str, bytes, Mapping)) or not isinstance(rows, Iterable):
        raise StatisticsError(f"the curves of a label must be a list of rows, got {shown(rows)}")
    best = [best_so_far(row, direction) for row in rows]
    if optimum is None:
        return band([style.drawable(row) for row in best], direction)
    sign = -1.0 if direction == "maximize" else 1.0
    with np.errstate(over="ignore"):
        apart = [np.clip(sign * (row - optimum), -LARGEST, LARGEST) for row in best]
    return band([style.drawable(row) for row in apart])
