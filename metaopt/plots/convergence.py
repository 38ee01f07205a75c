"""Curves over a run: arrays in, a figure out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metaopt.plots import figure_text, style
from metaopt.plots.style import styles, wants_log
from metaopt.stats import Band, band, best_so_far

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

    `repeats` maps each label to values of the shape (repeats, trials), or rows of unequal length:
    as they came or already accumulated, None or NaN for failed trials. `at`, (trials,), is where
    the columns stand, 1, 2, ... by default. With `optimum` the distance to it is drawn. The value
    axis is logarithmic by the rule of `wants_log`; a linear one shows the range from one tenth of
    the columns on, so that a bad start does not flatten the rest.

    Raises:
        StatisticsError: there is nothing to draw, or the rows are not sequences of numbers.
    """
    looks = styles(repeats, colors)
    figure, (axes,) = style.panels(6.4 + figure_text.room_for(looks), 4.0)
    ends: dict[str, tuple[float, float]] = {}
    drawn = []
    for label, rows in repeats.items():
        b = _band(rows, direction, optimum)
        look = looks[label]
        x = np.arange(1, len(b.median) + 1) if at is None else np.asarray(at, dtype=np.float64)
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
    best = [best_so_far(row, direction) for row in rows]
    if optimum is None:
        return band(best, direction)
    sign = -1.0 if direction == "maximize" else 1.0
    return band([sign * (row - optimum) for row in best])
