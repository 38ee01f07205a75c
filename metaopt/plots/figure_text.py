"""Texts in figures: labels that do not overlap, and legends that cover no data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metaopt.core.types import FloatArray
from metaopt.plots import style
from metaopt.stats.checks import as_number, as_sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABEL_GAP = 0.058  # distance of labels, as a share of the axes' height: one line and a margin
CHARACTER = 0.085  # width in inches, at the font size of labels
LONGEST = 28  # longer labels are shortened to this number of characters


def title(axes: Axes, text: str) -> None:
    """Write a title at the left unless it is empty; `$` in a name does not start a formula."""
    if text:
        axes.set_title(text, loc="left", fontsize=10.5, color=style.INK, parse_math=False)


def cut(label: str, longest: int = LONGEST) -> str:
    """Shorten a label to `longest` characters in its middle: the end often holds a version."""
    if len(label) <= longest:
        return label
    tail = longest // 3
    return f"{label[: longest - tail - 1]}…{label[-tail:]}"


def rows(axes: Axes, labels: Sequence[str]) -> None:
    """Set up one row per label, the first at the top."""
    axes.set_yticks(range(len(labels)), [cut(label) for label in labels], parse_math=False)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def label_ends(
    axes: Axes, ends: Mapping[str, tuple[float, float]], looks: Mapping[str, style.Style]
) -> None:
    """Write each label at the right, as close to the end of its curve as the others allow."""
    order = sorted(ends, key=lambda label: ends[label][1])
    axes.autoscale_view()  # otherwise pending axis limits would move the ends later
    to_axes = axes.transData + axes.transAxes.inverted()
    wanted = np.array([to_axes.transform(ends[label])[1] for label in order])
    if axes.yaxis_inverted():
        order, wanted = order[::-1], wanted[::-1]
    for label, y in zip(order, spread_apart(wanted, LABEL_GAP), strict=True):
        axes.annotate(
            cut(label), ends[label], (1.05, y), xycoords="data", textcoords="axes fraction",
            va="center", fontsize=9, color=style.INK, annotation_clip=False, parse_math=False,
            arrowprops={
                "arrowstyle": "-", "color": looks[label].color, "linewidth": 1.2,
                "linestyle": looks[label].line, "relpos": (0, 0.5), "shrinkA": 2, "shrinkB": 0,
            },
        )  # fmt: skip


def spread_apart(wanted: FloatArray, gap: float) -> FloatArray:
    """Move positions as little as possible (least squares) so that they are `gap` apart.

    Isotonic regression of the positions less i * gap: neighbours in the wrong order are pooled,
    then the result is clipped to [0, 1].

    Args:
        wanted: positions in ascending order, shape (n,).
        gap: smallest distance between neighbours; reduced to 1 / (n - 1) if n do not fit.

    Returns:
        The new positions in the same order, between 0 and 1, shape (n,).

    Raises:
        StatisticsError: `wanted` is no sample of finite numbers, or `gap` is below 0.

    Source: pool adjacent violators, Ayer et al. (1955).
    """
    wanted = as_sample(wanted, "wanted", least=0)
    gap, n = as_number(gap, "gap", "a distance of at least 0", 0.0), len(wanted)
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


def note(axes: Axes, text: str, at: tuple[float, float], **how: Any) -> None:
    """Write small text in the colour of the axes; `how` is passed to `annotate`."""
    axes.annotate(
        text, at, color=style.INK, parse_math=False, **{"fontsize": 9, "va": "center", **how}
    )


def legend(figure: Figure, **how: Any) -> None:
    """Draw one legend for all axes, above them, where it covers no data."""
    found: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(cut(label), handle)
    if found:
        column = 0.55 + CHARACTER * max(map(len, found))
        columns = max(1, int(figure.get_size_inches()[0] / column))
        figure.legend(
            found.values(), found.keys(), loc="outside upper left", frameon=False, fontsize=9,
            ncols=min(columns, len(found)), labelcolor=style.INK, handlelength=1.8,
            columnspacing=1.4, **how,
        )  # fmt: skip


def room_for(labels: Iterable[str], sides: int = 1) -> float:
    """Extra width in inches for labels at `sides` sides of the axes; short labels need none."""
    longest = max((len(cut(label)) for label in labels), default=0)
    return sides * CHARACTER * max(0, longest - 10)
