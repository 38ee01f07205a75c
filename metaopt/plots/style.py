"""One style for all figures: colours, axes and their scales.

A strategy's colour, line and marker follow from its position in `colors`, the fixed order of all
labels of a comparison, so that it looks alike in every figure, also where others are missing.
Figures are built without pyplot and change no global setting; matplotlib is loaded by the first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from metaopt.core.errors import StatisticsError, did_you_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

from metaopt.core.types import FloatArray

# Six of Okabe and Ito (2008); their black and yellow, which vanish on a dark and on a white page,
# are replaced by the two mid-tones that lie farthest from the six for all kinds of colour vision.
PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8040E0", "#704060",
)  # fmt: skip
LINES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D")
INK = "#333333"  # text and axes; `svg` lets a page choose it
PAPER = "#FEFEFE"  # behind text that lines cross; `svg` lets a page choose it
FAINT = 0.15  # opacity of ink for a grid, faint on white and on black
SCALE = "viridis"  # of values: even steps of lightness, for all kinds of colour vision
LOG_FACTOR = 10  # below it a linear axis still shows the smallest values apart
CROWD = 500  # trials from which their marks become an image in an SVG or PDF, which stays small


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


def panels(
    width: float, height: float, lines: int = 1, columns: int = 1
) -> tuple[Figure, list[Axes]]:
    """Make a figure (inches) of lines x columns styled axes, line by line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    made = [figure.add_subplot(lines, columns, i + 1) for i in range(lines * columns)]
    for axes in made:
        dress(axes)
    return figure, made


def dress(axes: Axes) -> None:
    """Give axes the style of all figures."""
    axes.grid(True, color=INK, alpha=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(which="both", colors=INK)
    axes.tick_params(labelsize=9)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)


def log_axis(axes: Axes, which: Literal["x", "y"], shown: FloatArray) -> None:
    """Make an axis logarithmic, with numbers that can be read where it spans little."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    finite = shown[np.isfinite(shown)]
    if finite.max() < 100 * finite.min():  # one or two powers of ten would be too few ticks
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def limit(axes: Axes, shown: FloatArray) -> None:
    """Let the value axis show the finite values of `shown`, with some room."""
    finite = shown[np.isfinite(shown)]
    if len(finite) and finite.min() < finite.max():
        room = 0.05 * (finite.max() - finite.min())
        axes.set_ylim(finite.min() - room, finite.max() + room)


def grid_of(n: int, columns: int = 3) -> tuple[int, int]:
    """Lines and columns for n panels."""
    columns = max(1, min(columns, n))
    return math.ceil(n / columns), columns


def robust(axes: Axes, values: FloatArray, direction: str, *, tell: bool = True) -> None:
    """Scale a value axis so that a few very bad values do not flatten the rest.

    Logarithmic by the rule of `wants_log`, linear else; then the axis ends five interquartile
    ranges beyond the worse quartile, and a note tells how many values lie beyond it.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return
    if wants_log(known):
        log_axis(axes, "y", known)
        room = (known.max() / known.min()) ** 0.05
        axes.set_ylim(known.min() / room, known.max() * room)
        return
    sign = 1 if direction == "minimize" else -1
    costs = sign * known
    q1, q3 = np.quantile(costs, [0.25, 0.75])
    end = min(float(costs.max()), float(q3 + 5 * (q3 - q1)))
    if not costs.min() < end:
        return
    room = 0.05 * (end - costs.min())
    ends = sorted((sign * (costs.min() - room), sign * (end + room)))
    axes.set_ylim(*ends)
    beyond = int((costs > end).sum())
    if beyond and tell:
        axes.annotate(
            f"{beyond} worse beyond the axis", (1, 1), xycoords="axes fraction", xytext=(0, 2),
            textcoords="offset points", ha="right", va="bottom", fontsize=8, color=INK,
        )  # fmt: skip


def whole_numbers(most: int = 8) -> Any:
    """Ticks at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(most, integer=True)
