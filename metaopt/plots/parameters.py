"""All parameters of a study in one figure: parallel coordinates and parameter importance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metaopt.core.errors import StudyError
from metaopt.core.types import FloatArray
from metaopt.importance import METHODS, Importance, parameter_importance
from metaopt.plots import figure_text, scales, style
from metaopt.plots.arguments import as_texts, of_study
from metaopt.plots.final_values import write_right_of
from metaopt.plots.style import INK, PALETTE
from metaopt.plots.trials import complete, value_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from metaopt.space.parameter import Parameter
    from metaopt.storage.study_view import StudyView

BOX = {"facecolor": style.PAPER, "alpha": 0.8, "edgecolor": "none", "pad": 0.6}
GREY = "#8C8C8C"  # visible on white and on black pages
ABSENT = -0.13  # height of a line at a parameter that its trial does not have


@of_study
def parallel_coordinates(study: StudyView, names: Iterable[str] | None = None) -> Figure:
    """Draw each complete trial as a line through its parameters to its value; light is good.

    Each parameter has its own axis with its own scale. The line of a trial without the parameter
    passes below that axis, at the dash. The best trial is drawn thick.

    Args:
        study: the study to draw.
        names: the parameters to draw; None for all that have more than one value.

    Returns:
        The figure.

    Raises:
        StudyError: no trial is complete, or no parameter has more than one value.
        UnknownNameError: there is no such parameter.
    """
    from matplotlib.collections import LineCollection
    from matplotlib.colors import Normalize

    records, space = complete(study), study.strategy.space
    wanted = scales.chosen(space, names)
    U, A = space.encode([r.params for r in records])
    at = [space.names.index(name) for name in wanted]
    y = np.array([value_of(r) for r in records])
    heights, ticks = _heights(y, study.direction)
    Y = np.column_stack([np.where(A[:, at], U[:, at], ABSENT), heights])
    x = np.arange(len(wanted) + 1)
    figure, (axes,) = style.panels(max(6.4, 1.35 * len(x)), 4.2)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    worst_first = np.argsort(-heights if study.direction == "minimize" else heights, kind="stable")
    good = 1 - heights if study.direction == "minimize" else heights
    lines = LineCollection(
        [np.column_stack([x, Y[i]]) for i in worst_first], cmap=style.SCALE,
        norm=Normalize(0, 1), array=good[worst_first], linewidths=1.1,
        alpha=0.75 if len(records) < 150 else 0.4, label="trials",
        rasterized=len(records) > style.CROWD,
    )  # fmt: skip
    axes.add_collection(lines)
    best = records.index(study.best)
    axes.plot(x, Y[best], color=PALETTE[1], lw=2.4, label=f"best (trial {study.best.number})")
    for j, name in enumerate(wanted):
        _ruler(axes, j, space[name], bool((~A[:, at[j]]).any()))
    for height, text in ticks:
        figure_text.note(
            axes, text, (x[-1], height), xytext=(5, 0), textcoords="offset points", fontsize=8
        )
    axes.plot([x[-1]] * 2, [0, 1], color=INK, lw=1, label="_axis", zorder=3)
    labels = [figure_text.cut(name, 16) for name in wanted] + ["value"]
    slanted = sum(map(len, labels)) > 9 * len(labels)
    how: dict[str, Any] = (
        {"rotation": 25, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
    )
    axes.set_xticks(x, labels, parse_math=False, **how)
    axes.set_yticks([])
    axes.tick_params(length=0)
    axes.set_xlim(-0.35, len(wanted) + 0.45)
    axes.set_ylim(ABSENT - 0.05 if not A[:, at].all() else -0.04, 1.04)
    figure_text.legend(figure)
    return figure


def _heights(y: FloatArray, direction: str) -> tuple[FloatArray, list[tuple[float, str]]]:
    """Heights of values in [0, 1], (n,), and the heights and texts of the tick labels."""
    sign = 1 if direction == "minimize" else -1
    q1, q3 = np.quantile(sign * y, [0.25, 0.75])
    log = style.wants_log(y)
    end = float((sign * y).max() if log else min((sign * y).max(), q3 + 5 * (q3 - q1)))
    low, high = sorted((float(sign * (sign * y).min()), sign * end))
    if low == high:
        return np.full(len(y), 0.5), [(0.5, f"{low:.3g}")]
    marks = np.geomspace(low, high, 5) if log else np.linspace(low, high, 5)
    change = np.log if log else np.asarray
    scaled = (change(np.clip(y, low, high)) - change(low)) / (change(high) - change(low))
    words = [f"{m:.3g}" for m in marks]
    if sign * end < (sign * y).max() * sign or end < (sign * y).max():
        words[-1 if sign > 0 else 0] += " or worse"
    return scaled, list(zip(np.linspace(0, 1, 5).tolist(), words, strict=True))


def _ruler(axes: Axes, j: int, p: Parameter, absent: bool) -> None:
    """Draw the axis of one parameter with some of its values."""
    axes.plot([j, j], [0, 1], color=INK, lw=1, label="_axis", zorder=3)
    if p.cells is not None and p.cells.count <= scales.MOST_TICKS:
        u = p.cells.unit(np.arange(p.cells.count))
    else:
        u = np.linspace(0, 1, 5)
    for height, value in zip(u.tolist(), p.from_unit(u), strict=True):
        text = f"{value:.3g}" if isinstance(value, float) else figure_text.cut(str(value), 9)
        axes.plot([j - 0.025, j], [height] * 2, color=INK, lw=1, label="_tick", zorder=3)
        figure_text.note(
            axes, text, (j, height), xytext=(-4, 0), textcoords="offset points", ha="right",
            fontsize=8, zorder=6, bbox=BOX,
        )  # fmt: skip
    if absent:
        figure_text.note(
            axes, "–", (j, ABSENT), xytext=(-4, 0), textcoords="offset points", ha="right",
        )  # fmt: skip


@of_study
def importances(study: StudyView, methods: Sequence[str] = METHODS) -> Figure:
    """Draw the importance of each parameter as bars, one panel per method.

    The bar of a parameter is pale if its share is not distinguishable from 0; thin lines are the
    intervals of fANOVA. Two more bars show what parameters explain only together, and, in grey,
    what is not explained.

    Args:
        study: the study to draw.
        methods: "fanova", "ped-anova" or both, as in `metaopt.parameter_importance`; the first
            one decides the order of the rows, the largest share on top.

    Returns:
        The figure, with one panel per method.

    Raises:
        StudyError: fewer than 10 complete trials, equal values in all of them, or no such method.

    Source: fANOVA: Hutter et al. (2014); PED-ANOVA: Watanabe et al. (2023).
    """
    wanted = as_texts(methods, "methods")
    if not wanted:
        raise StudyError(f"methods must name at least one of {', '.join(METHODS)}, got none")
    return draw_importances({m: parameter_importance(study, m) for m in wanted})  # type: ignore[arg-type]


TITLES = {
    "fanova": ("over the whole space (fANOVA)", "share of the variance\nof the observed values"),
    "ped-anova": ("for the best tenth (PED-ANOVA)", "share in what separates\nthe best trials"),
}
TOGETHER, UNEXPLAINED = "interactions", "not explained"
PALE = 0.35  # opacity of shares that are not distinguishable from 0


def draw_importances(found: Mapping[str, Importance]) -> Figure:
    """Draw importances that are already computed, by method."""
    order = list(next(iter(found.values())))
    more = [TOGETHER] * (len(order) > 1) + [UNEXPLAINED]
    rows = order + (more if any(f.r2 is not None for f in found.values()) else [])
    width = 1.2 + figure_text.room_for(rows) + 3.1 * len(found)
    figure, panels = style.panels(max(4.6, width), 1.3 + 0.34 * len(rows), 1, len(found))
    for at, (axes, importance) in enumerate(zip(panels, found.values(), strict=True)):
        _bars(axes, importance, order, more)
        figure_text.rows(axes, rows if at == 0 else [""] * len(rows))
        axes.grid(visible=False, axis="y")
        title, label = TITLES[importance.method]
        figure_text.title(axes, title)
        axes.set_xlabel(label)
    return figure


def _bars(axes: Axes, found: Importance, order: list[str], more: list[str]) -> None:
    """Draw the shares of one method, row by row, with intervals and what is left over."""
    shares = [found[name] for name in order]
    opacity = [1.0 if name in found.beyond_chance else PALE for name in order]
    bars = axes.barh(range(len(order)), shares, color=PALETTE[0], height=0.62, label=found.method)
    for bar, alpha in zip(bars, opacity, strict=True):
        bar.set_alpha(alpha)
    ends = [found.intervals[name] for name in order if name in found.intervals]
    for y, pair in enumerate(ends):
        axes.plot(pair, [y, y], color=INK, lw=1.0, label="_interval", solid_capstyle="butt")
    if found.interactions is not None and found.unexplained is not None:
        left = [found.interactions, found.unexplained][-len(more) :]
        colors = [PALETTE[5], GREY][-len(more) :]
        at = range(len(order), len(order) + len(more))
        axes.barh(at, left, color=colors, height=0.62, label="left over")
        shares += left
    for y, value in enumerate(shares):
        write_right_of(axes, y, f"{value:.2f}")
    longest = max([*shares, *(high for _, high in ends)])
    axes.set_xlim(0, 1.05 * longest if longest > 0 else 1)
