"""Figures of comparisons: arrays in, a matplotlib figure out.

One style for all. A strategy's colour, line and marker follow from its position in `colors`, the
fixed order of all labels of a comparison, so that it looks alike in every figure, also where
others are missing. Figures are built without pyplot, change no global setting, and are written by
`save`. matplotlib is loaded by the first figure.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from metaopt.errors import did_you_mean
from metaopt.stats import Band, StatisticsError, band, best_so_far

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = NDArray[np.float64]

# Okabe and Ito (2008), told apart by all kinds of colour vision; yellow, faint on white, is last.
PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442",
)  # fmt: skip
LINES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D")
INK, GRID = "#333333", "#DDDDDD"
LOG_FACTOR = 10  # below it a linear axis still shows the smallest values apart
LABEL_GAP = 0.058  # of the height of a figure of curves: a line of text and some air

# rc_context changes and restores process-wide settings; two threads must not interleave there.
_SAVING = threading.Lock()


@dataclass(frozen=True)
class Style:
    """How one label is drawn: beyond 8 labels, colours return with another line and marker."""

    color: str
    line: str
    marker: str


def styles(labels: Iterable[str], colors: Sequence[str] | None = None) -> dict[str, Style]:
    """Return the style of each of `labels` by its position in `colors` (default: in `labels`).

    Raises:
        StatisticsError: a label is not in `colors`, there are none, or more than 32 in all.
    """
    labels = list(labels)
    order = labels if colors is None else list(colors)
    if not labels:
        raise StatisticsError("a figure needs at least one label, got none")
    if len(order) > len(PALETTE) * len(LINES):
        raise StatisticsError(f"at most 32 labels can be told apart, got {len(order)}")
    for label in labels:
        if label not in order:
            hint = did_you_mean(label, order)
            raise StatisticsError(f"colors must list every label, {label!r} is missing{hint}")
    at = {label: order.index(label) for label in labels}
    n = len(PALETTE)
    return {k: Style(PALETTE[i % n], LINES[i // n], MARKERS[i // n]) for k, i in at.items()}


def wants_log(values: FloatArray) -> bool:
    """Tell whether a value axis is logarithmic: all values above 0, spanning a factor of 10.

    NaN and infinities are left out of account.
    """
    finite = values[np.isfinite(values)]
    if not len(finite) or finite.min() <= 0:
        return False
    return bool(finite.max() / finite.min() >= LOG_FACTOR)


def curves(
    repeats: Mapping[str, Any],
    *,
    colors: Sequence[str] | None = None,
    direction: str = "minimize",
    optimum: float | None = None,
    title: str = "",
    ylabel: str | None = None,
) -> Figure:
    """Draw the best value so far against the number of trials: median and quartile band.

    `repeats` maps each label to values of the shape (repeats, trials), or rows of unequal length:
    as they came or already accumulated, None or NaN for failed trials. With `optimum` the distance
    to it is drawn. The value axis is logarithmic by the rule of `wants_log`; a linear one shows
    the range from one tenth of the trials on, so that a bad start does not flatten the rest.

    Raises:
        StatisticsError: there is nothing to draw, or the rows are not sequences of numbers.
    """
    looks = styles(repeats, colors)
    figure, (axes,) = _figure(6.4, 4.0)
    ends: dict[str, tuple[float, float]] = {}
    drawn = []
    for label, rows in repeats.items():
        b = _band(rows, direction, optimum)
        trials, look = np.arange(1, len(b.median) + 1), looks[label]
        axes.fill_between(trials, b.lower, b.upper, color=look.color, alpha=0.13, linewidth=0)
        axes.plot(trials, b.median, look.line, color=look.color, lw=1.8, label=label, zorder=3)
        known = np.flatnonzero(np.isfinite(b.median))
        if len(known):
            ends[label] = (float(trials[known[-1]]), float(b.median[known[-1]]))
        drawn += [b.lower, b.median, b.upper]
    length = max(map(len, drawn))
    axes.set_xlim(1, max(2, length))
    if wants_log(np.concatenate(drawn)):
        _log(axes, "y", np.concatenate(drawn))
    else:
        _limit(axes, np.concatenate([curve[length // 10 :] for curve in drawn]))
    axes.set_xlabel("trials")
    axes.set_ylabel(ylabel or ("best value so far" if optimum is None else "distance to optimum"))
    _title(axes, title)
    _label_ends(axes, ends, looks)
    return figure


def ranks(
    means: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]] | None = None,
    *,
    colors: Sequence[str] | None = None,
    title: str = "",
    xlabel: str = "mean rank (lower is better)",
) -> Figure:
    """Draw the mean rank of each label as a dot, best on top, with its interval as a line.

    Raises:
        StatisticsError: there is nothing to draw, or a mean is not finite.
    """
    looks = styles(means, colors)
    for label, mean in means.items():
        if not math.isfinite(mean):
            raise StatisticsError(f"the mean rank of {label!r} must be finite, got {mean!r}")
    order = sorted(means, key=lambda label: means[label])
    figure, (axes,) = _figure(6.4, 1.1 + 0.36 * len(order))
    for y, label in enumerate(order):
        look = looks[label]
        if intervals and label in intervals:
            axes.plot(intervals[label], [y, y], color=look.color, lw=2.2, alpha=0.55, zorder=2)
        axes.plot([means[label]], [y], look.marker, color=look.color, ms=8, label=label, zorder=3)
        axes.annotate(
            f"{means[label]:.2f}", (1, y), (6, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="center", fontsize=9, color=INK,
        )  # fmt: skip
    shown = [*means.values(), *(v for pair in (intervals or {}).values() for v in pair)]
    room = 0.05 * max(1.0, max(shown) - min(shown))
    axes.set_xlim(min(1.0, min(shown)) - room, max(len(order), *shown) + room)
    _rows(axes, order)
    axes.set_xlabel(xlabel)
    _title(axes, title)
    return figure


def values(
    finals: Mapping[str, Mapping[str, Any]],
    *,
    colors: Sequence[str] | None = None,
    columns: int = 3,
    xlabel: str = "final value",
) -> Figure:
    """Draw the final value of every repeat as a point and the median as a bar, a panel a problem.

    `finals` maps each problem to label -> values of the repeats, shape (repeats,); NaN for a
    repeat without a value, counted beside its row. Rows follow `colors` (default: the
    order of the labels). Each axis is logarithmic by the rule of `wants_log`.

    Raises:
        StatisticsError: there is nothing to draw.
    """
    labels = list(dict.fromkeys(label for panel in finals.values() for label in panel))
    looks = styles(labels, colors)
    labels.sort(key=(list(colors) if colors is not None else labels[:]).index)
    columns = min(columns, len(finals))
    lines = math.ceil(len(finals) / columns)
    figure, panels = _figure(
        2.0 + 2.6 * columns, (0.9 + 0.28 * len(labels)) * lines, lines, columns
    )
    for axes in panels[len(finals) :]:
        axes.set_visible(False)
    for at, (axes, (problem, panel)) in enumerate(zip(panels, finals.items(), strict=False)):
        samples = {k: np.asarray(v, dtype=np.float64) for k, v in panel.items()}
        for y, label in enumerate(labels):
            if label in samples:
                _strip(axes, y, samples[label], label, looks[label])
        shown = np.concatenate(list(samples.values()))
        if wants_log(shown):
            _log(axes, "x", shown)
        _rows(axes, labels if at % columns == 0 else [""] * len(labels))
        _title(axes, problem)
        if at + columns >= len(finals):
            axes.set_xlabel(xlabel)
    return figure


def save(figure: Figure, path: str | Path) -> tuple[Path, Path]:
    """Write the figure as `path`.png (160 dpi) and `path`.svg and return both paths.

    The same figure gives the same files: no dates, and ids of the SVG from a fixed salt. Missing
    folders are made.
    """
    import matplotlib

    png, svg = Path(f"{path}.png"), Path(f"{path}.svg")
    png.parent.mkdir(parents=True, exist_ok=True)
    with _SAVING, matplotlib.rc_context({"svg.hashsalt": "metaopt"}):
        figure.savefig(png, dpi=160)
        figure.savefig(svg, metadata={"Date": None})
    return png, svg


# -- the parts they share ------------------------------------------------------------------------


def _figure(width: float, height: float, lines: int = 1, columns: int = 1) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    panels = [figure.add_subplot(lines, columns, i + 1) for i in range(lines * columns)]
    for axes in panels:
        axes.grid(True, color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(INK)
        axes.tick_params(colors=INK, labelsize=9)
        axes.xaxis.label.set_color(INK)
        axes.yaxis.label.set_color(INK)
    return figure, panels


def _title(axes: Axes, title: str) -> None:
    if title:
        axes.set_title(title, loc="left", fontsize=10.5, color=INK)


def _rows(axes: Axes, labels: Sequence[str]) -> None:
    """One row per label, the first on top."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _strip(axes: Axes, y: int, sample: FloatArray, label: str, look: Style) -> None:
    """Draw one row: a point per repeat, spread in their order, and the bar of the median."""
    finite = np.isfinite(sample)
    spread = y + np.linspace(-0.24, 0.24, len(sample)) if len(sample) > 1 else np.array([float(y)])
    axes.plot(
        sample[finite], spread[finite], look.marker, color=look.color, ms=4.5, alpha=0.6,
        markeredgewidth=0, label=label, zorder=3,
    )  # fmt: skip
    if finite.any():
        middle = float(np.median(sample[finite]))
        axes.plot([middle, middle], [y - 0.36, y + 0.36], color=INK, lw=1.8, zorder=4)
    if not finite.all():
        text = f"{np.count_nonzero(~finite)} failed"
        axes.annotate(
            text, (1, y), (3, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="center", fontsize=7, color=INK,
        )  # fmt: skip


def _band(rows: Iterable[Any], direction: str, optimum: float | None) -> Band:
    best = [best_so_far(row, direction) for row in rows]
    if optimum is None:
        return band(best, direction)
    sign = -1.0 if direction == "maximize" else 1.0
    return band([sign * (row - optimum) for row in best])


def _log(axes: Axes, which: Literal["x", "y"], shown: FloatArray) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    finite = shown[np.isfinite(shown)]
    if finite.max() < 100 * finite.min():  # one or two powers of ten would be too few ticks
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _limit(axes: Axes, shown: FloatArray) -> None:
    finite = shown[np.isfinite(shown)]
    if len(finite) and finite.min() < finite.max():
        room = 0.05 * (finite.max() - finite.min())
        axes.set_ylim(finite.min() - room, finite.max() + room)


def _label_ends(
    axes: Axes, ends: Mapping[str, tuple[float, float]], looks: Mapping[str, Style]
) -> None:
    """Write each label at the right, level with its curve's end or as near as others leave room."""
    order = sorted(ends, key=lambda label: ends[label][1])
    axes.autoscale_view()  # without it, limits that are still to be computed would move the ends
    to_axes = axes.transData + axes.transAxes.inverted()
    wanted = np.array([to_axes.transform(ends[label])[1] for label in order])
    for label, y in zip(order, spread_apart(wanted, LABEL_GAP), strict=True):
        axes.annotate(
            label, ends[label], (1.05, y), xycoords="data", textcoords="axes fraction",
            va="center", fontsize=9, color=INK, annotation_clip=False,
            arrowprops={
                "arrowstyle": "-", "color": looks[label].color, "linewidth": 1.2,
                "linestyle": looks[label].line, "relpos": (0, 0.5), "shrinkA": 2, "shrinkB": 0,
            },
        )  # fmt: skip


def spread_apart(wanted: FloatArray, gap: float) -> FloatArray:
    """Move ascending positions, shape (n,), as little as possible until `gap` apart, in [0, 1].

    Least squares: positions less i * gap must not fall, so neighbours that do are pooled (Ayer et
    al. 1955), then clipped. Where n labels find no room, the gap shrinks to 1 / (n - 1).
    """
    n = len(wanted)
    gap = min(gap, 1 / max(1, n - 1))
    pools: list[tuple[float, int]] = []  # mean and size
    for i, y in enumerate(wanted.tolist()):
        mean, size = y - i * gap, 1
        while pools and pools[-1][0] >= mean:
            other, more = pools.pop()
            mean, size = (mean * size + other * more) / (size + more), size + more
        pools.append((mean, size))
    flat = np.repeat([mean for mean, _ in pools], [size for _, size in pools])
    apart: FloatArray = np.clip(flat, 0.0, 1.0 - gap * (n - 1)) + gap * np.arange(n)
    return apart
