"""All parameters of a study in one figure: parallel coordinates and parameter importance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metaopt.core.types import FloatArray
from metaopt.importance import METHODS, parameter_importance
from metaopt.plots import figure_text, scales, style
from metaopt.plots.final_values import write_right_of
from metaopt.plots.style import INK, PALETTE
from metaopt.plots.trials import complete

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from metaopt.space.parameter import Parameter
    from metaopt.storage.study_view import StudyView

BOX = {"facecolor": style.PAPER, "alpha": 0.8, "edgecolor": "none", "pad": 0.6}
ABSENT = -0.13  # height of a line at a parameter that its trial does not have


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
    y = np.array([r.value for r in records], dtype=np.float64)
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


def importances(study: StudyView, methods: Sequence[str] = METHODS) -> Figure:
    """Draw the importance of each parameter as bars, one panel per method.

    Args:
        study: the study to draw.
        methods: "fanova", "ped-anova" or both, as in `metaopt.parameter_importance`; the first
            one decides the order of the rows, the most important parameter on top.

    Returns:
        The figure, with one panel per method.

    Raises:
        StudyError: fewer than 10 complete trials, equal values in all of them, or no such method.

    Source: fANOVA: Hutter et al. (2014); PED-ANOVA: Watanabe et al. (2023).
    """
    return draw_importances({m: parameter_importance(study, m) for m in methods})  # type: ignore[arg-type]


TITLES = {
    "fanova": ("over the whole space (fANOVA)", "share of the variance"),
    "ped-anova": ("for the best tenth (PED-ANOVA)", "share of importance"),
}


def draw_importances(found: dict[str, dict[str, float]]) -> Figure:
    """Draw importances that are already computed, by method and parameter."""
    order = list(next(iter(found.values())))
    width = 1.2 + figure_text.room_for(order) + 3.1 * len(found)
    figure, panels = style.panels(max(4.6, width), 1.0 + 0.34 * len(order), 1, len(found))
    for at, (axes, (method, shares)) in enumerate(zip(panels, found.items(), strict=True)):
        values = [shares[name] for name in order]
        axes.barh(range(len(order)), values, color=PALETTE[0], height=0.62, label=method)
        for y, value in enumerate(values):
            write_right_of(axes, y, f"{value:.2f}")
        axes.set_xlim(0, max(0.05, 1.05 * max(values)))
        figure_text.rows(axes, order if at == 0 else [""] * len(order))
        axes.grid(visible=False, axis="y")
        title, label = TITLES[method]
        figure_text.title(axes, title)
        axes.set_xlabel(label)
    return figure
