"""The common style of all figures: colours, axes and their scales.

The colour, line and marker of a strategy depend on its position in `colors`, the fixed order of all
labels of a comparison. So it looks the same in every figure, also if other strategies are missing.
Figures are built without pyplot and change no global setting. matplotlib is imported when the first
figure is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from metaopt.core.errors import StatisticsError, did_you_mean
from metaopt.plots.arguments import as_texts
from metaopt.stats.checks import numeric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

from metaopt.core.types import FloatArray

# Six colours of Okabe and Ito (2008). Their black is invisible on a dark page and their yellow on a
# white one: both are replaced by the two medium colours that differ most from the other six for
# all kinds of colour vision.
PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8040E0", "#704060",
)  # fmt: skip
LINES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D")
INK = "#333333"  # text and axes; `svg` replaces it by the text colour of the page
PAPER = "#FEFEFE"  # behind text that lines cross; `svg` replaces it by the page's background
FAINT = 0.15  # opacity of grid lines, on white and on black pages
SCALE = "viridis"  # colour map of values: perceptually uniform, safe for colour-blind readers
LOG_FACTOR = 10  # for smaller ratios, a linear axis still separates the smallest values
CROWD = 500  # with more trials than this, marks are rasterised to keep SVG and PDF files small


FARTHEST = 1e150  # matplotlib computes ticks and margins far beyond the values


@dataclass(frozen=True)
class Style:
    """How one label is drawn; from the 9th label on, colours repeat with another line and marker.

    Attributes:
        color: as a hex code, such as "#0072B2".
        line: line style of matplotlib: "-", "--", ":" or "-.".
        marker: marker of matplotlib: "o", "s", "^" or "D".
    """

    color: str
    line: str
    marker: str


def styles(labels: Iterable[str], colors: Sequence[str] | None = None) -> dict[str, Style]:
    """Return the style of each label, which depends on its position in `colors`.

    Args:
        labels: the labels to draw.
        colors: all labels of the comparison in a fixed order; default: `labels`.

    Returns:
        The style of each of `labels`.

    Raises:
        StatisticsError: a label is not in `colors` or no text, there are no labels, or there are
            more than 32.
    """
    labels = as_texts(labels, "labels")
    order = labels if colors is None else as_texts(colors, "colors")
    if not labels:
        raise StatisticsError("a figure needs at least one label, got none")
    if len(order) > len(PALETTE) * len(LINES):
        raise StatisticsError(f"at most 32 labels have different styles, got {len(order)}")
    for label in labels:
        if label not in order:
            hint = did_you_mean(label, order)
            raise StatisticsError(f"colors must list every label, {label!r} is missing{hint}")
    at = {label: order.index(label) for label in labels}
    n = len(PALETTE)
    return {k: Style(PALETTE[i % n], LINES[i // n], MARKERS[i // n]) for k, i in at.items()}


def wants_log(values: FloatArray) -> bool:
    """Return whether the axis of these values should be logarithmic.

    It should if all values are above 0 and the largest is at least 10 times the smallest.

    Args:
        values: the values to show, shape (n,); NaN and infinities are ignored.

    Returns:
        Whether to use a logarithmic axis.

    Raises:
        StatisticsError: `values` is no array of numbers.
    """
    values = numeric(values, "values")
    finite = values[np.isfinite(values)]
    if not len(finite) or finite.min() <= 0:
        return False
    return bool(finite.max() / LOG_FACTOR >= finite.min())


def drawable(values: FloatArray) -> FloatArray:
    """Return values as they can be drawn: at most 1e150 in size, and 0 below 1e-150.

    Infinities stay.
    """
    size = np.abs(values)
    near = np.where(np.isfinite(size), np.clip(values, -FARTHEST, FARTHEST), values)
    drawn: FloatArray = np.where(size < 1 / FARTHEST, 0.0, near)
    return drawn


def panels(
    width: float, height: float, lines: int = 1, columns: int = 1
) -> tuple[Figure, list[Axes]]:
    """Make a figure, sizes in inches, with `lines` x `columns` styled axes, listed row by row."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    made = [figure.add_subplot(lines, columns, i + 1) for i in range(lines * columns)]
    for axes in made:
        dress(axes)
    return figure, made


def dress(axes: Axes) -> None:
    """Apply the common style to axes."""
    axes.grid(True, color=INK, alpha=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(which="both", colors=INK)
    axes.tick_params(labelsize=9)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)


def log_axis(axes: Axes, which: Literal["x", "y"], shown: FloatArray) -> None:
    """Make an axis logarithmic, with enough tick labels also if its range is small."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    finite = shown[np.isfinite(shown)]
    if finite.max() < 100 * finite.min():  # ticks at powers of ten only would be too few
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def limit(axes: Axes, shown: FloatArray) -> None:
    """Set the range of the value axis to the finite values of `shown`, plus a margin."""
    finite = shown[np.isfinite(shown)]
    if len(finite) and finite.min() < finite.max():
        margin = 0.05 * (finite.max() - finite.min())
        axes.set_ylim(finite.min() - margin, finite.max() + margin)


def grid_of(n: int, columns: int = 3) -> tuple[int, int]:
    """Number of lines and columns of a grid for n panels."""
    columns = max(1, min(columns, n))
    return math.ceil(n / columns), columns


def robust(axes: Axes, values: FloatArray, direction: str, *, tell: bool = True) -> None:
    """Scale a value axis so that a few very bad values do not flatten the rest.

    The axis is logarithmic by the rule of `wants_log`. Otherwise it is linear and ends at most five
    interquartile ranges beyond the worse quartile; if `tell`, a note states how many values lie
    beyond its end.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return
    if wants_log(known):
        log_axis(axes, "y", known)
        margin = (known.max() / known.min()) ** 0.05
        axes.set_ylim(known.min() / margin, known.max() * margin)
        return
    sign = 1 if direction == "minimize" else -1
    costs = sign * known
    q1, q3 = np.quantile(costs, [0.25, 0.75])
    end = min(float(costs.max()), float(q3 + 5 * (q3 - q1)))
    if not costs.min() < end:
        return
    margin = 0.05 * (end - costs.min())
    ends = sorted((sign * (costs.min() - margin), sign * (end + margin)))
    axes.set_ylim(*ends)
    beyond = int((costs > end).sum())
    if beyond and tell:
        axes.annotate(
            f"worse values beyond the axis: {beyond}", (1, 1), xycoords="axes fraction",
            xytext=(0, 2), textcoords="offset points", ha="right", va="bottom", fontsize=8,
            color=INK,
        )  # fmt: skip


def whole_numbers(most: int = 8) -> Any:
    """A locator with ticks at integers only, about `most` of them."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(most, integer=True)
