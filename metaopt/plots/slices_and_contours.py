"""The value against one or two parameters: the trials and the prediction of a model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from metaopt.core.errors import StudyError
from metaopt.core.types import FloatArray
from metaopt.plots import figure_text, scales, style
from metaopt.plots.arguments import of_study
from metaopt.plots.style import PALETTE
from metaopt.plots.surrogates import Base, grid, model_of
from metaopt.plots.trials import complete, value_of
from metaopt.stats.checks import as_whole, shown
from metaopt.trials.records import TrialRecord, best_first

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from metaopt.storage.study_view import StudyView

LINE, PLANE = 101, 41  # points of a slice, and along each side of a contour
DOTS, MEAN, BEST = PALETTE[0], PALETTE[1], PALETTE[2]


@of_study
def slices(
    study: StudyView, names: Iterable[str] | None = None, *, model: Any = None, columns: int = 3
) -> Figure:
    """Draw the value against each parameter: complete trials as dots, the model as line and band.

    The line is the mean that the model predicts along the parameter; all other parameters are
    those of the best configuration in which this one is active. The band is one standard deviation
    on both sides.

    Args:
        study: the study to draw.
        names: the parameters to draw; None for all that have more than one value.
        model: an object with ``predict(configs) -> mean, std``, in which lower is better; None for
            the strategy's own model, else a model of `bayes` fitted to the trials; False for none.
        columns: largest number of panels side by side.

    Returns:
        The figure, with one panel per parameter.

    Raises:
        StudyError: no trial is complete, or no parameter has more than one value.
        UnknownNameError: there is no such parameter.
    """
    records, space = complete(study), study.strategy.space
    wanted = scales.chosen(space, names)
    columns = as_whole(columns, "columns", most=100)
    model = model_of(study) if model is None else _as_model(model)
    base, best = Base(study), study.best
    lines, columns = style.grid_of(len(wanted), columns)
    figure, panels = style.panels(0.6 + 2.7 * columns, 2.4 * lines + 0.3, lines, columns)
    y = np.array([value_of(r) for r in records])
    for at, axes in enumerate(panels):
        if at >= len(wanted):
            axes.set_visible(False)
            continue
        name = wanted[at]
        _dots(axes, records, name, space[name], y, best)
        if model:
            _line(axes, base, model, name)
        scales.axis(axes, "x", name, space[name])
        style.robust(axes, y, study.direction, tell=at == columns - 1)
        if at % columns == 0:
            axes.set_ylabel("value")
        else:
            axes.tick_params(axis="y", labelleft=False)
    figure_text.legend(figure)
    return figure


def _as_model(model: Any) -> Any:
    if model is not False and not callable(getattr(model, "predict", None)):
        raise StudyError(
            f"model must be an object with predict(configs) -> mean, std, or None, got"
            f" {shown(model)}"
        )
    return model


def _dots(
    axes: Axes, records: list[TrialRecord], name: str, p: Any, y: FloatArray, best: TrialRecord
) -> None:
    on = [i for i, r in enumerate(records) if name in r.params]
    x = scales.places(p, [records[i].params[name] for i in on])
    if scales.is_listed(p):  # jitter, so that dots do not hide each other
        x = x + 0.3 * (np.modf(np.array(on) * 0.618034)[0] - 0.5)
    size = 4.0 if len(records) < 150 else 2.5
    how: dict[str, Any] = {"ls": "none", "mew": 0}
    crowd = len(records) > style.CROWD
    axes.plot(
        x, y[on], "o", color=DOTS, ms=size, alpha=0.75, label="trials", rasterized=crowd, **how
    )
    if name in best.params:
        i = on.index(records.index(best))
        axes.plot(
            [x[i]], [y[records.index(best)]], "*", color=BEST, ms=12, label="best", zorder=5, **how
        )


def _line(axes: Axes, base: Base, model: Any, name: str) -> None:
    through = base.through(name)
    if through is None:
        return
    u, values = grid(base.space, name, LINE)
    x = scales.places(base.space[name], values)
    low, mean, high = base.predict(model, through, {name: u})
    if scales.is_listed(base.space[name]):
        axes.errorbar(
            x, mean, [mean - low, high - mean], fmt="_", color=MEAN, ms=14, capsize=3, lw=1.4,
            zorder=4, label="model, ± one sd",
        )  # fmt: skip
        return
    axes.fill_between(x, low, high, color=MEAN, alpha=0.18, linewidth=0)
    axes.plot(x, mean, color=MEAN, lw=1.6, label="model, ± one sd", zorder=4)


@of_study
def contours(study: StudyView, first: str, second: str, *, model: Any = None) -> Figure:
    """Draw the model's mean and its uncertainty over two parameters, with the complete trials.

    All other parameters are those of the best configuration in which both are active. The left
    panel shows the mean, the right one the standard deviation: where it is large, the mean is
    uncertain.

    Args:
        study: the study to draw.
        first: parameter on the horizontal axis.
        second: parameter on the vertical axis.
        model: an object with ``predict(configs) -> mean, std``, in which lower is better; None for
            the strategy's own model, else a model of `bayes` fitted to the trials.

    Returns:
        The figure, with two panels.

    Raises:
        StudyError: no trial is complete, `first` is `second`, no complete trial has both active,
            or there are too few trials for a model.
        UnknownNameError: there is no such parameter.
    """
    records, space = complete(study), study.strategy.space
    wanted = scales.chosen(space, [first, second])
    if first == second:
        raise StudyError(f"contours need two parameters, got {first!r} twice")
    model = model_of(study) if model is None else _as_model(model)
    base = Base(study)
    if not model:
        raise StudyError("contours need a model, but there are too few complete trials to fit one")
    through = base.through(*wanted)
    if through is None:
        raise StudyError(f"no complete trial has both {first!r} and {second!r} active")
    (u, xs), (v, ys) = (grid(space, name, PLANE) for name in wanted)
    plane = np.meshgrid(u, v)
    moves = {name: c.ravel() for name, c in zip(wanted, plane, strict=True)}
    low, mean, high = base.predict(model, through, moves)
    sd = (high - low) / 2
    places = [scales.places(space[n], z) for n, z in zip(wanted, (xs, ys), strict=True)]
    both = [r for r in records if first in r.params and second in r.params]
    figure, panels = style.panels(9.2, 4.0, 1, 2)
    for axes, z, label in zip(panels, (mean, sd), ("mean", "standard deviation"), strict=True):
        z = z.reshape(plane[0].shape)
        low_is_good = study.direction == "minimize" and label == "mean"
        _surface(figure, axes, places, z, label, low_is_good)
        _marks(axes, study, both, wanted)
        scales.axis(axes, "x", first, space[first])
        scales.axis(axes, "y", second, space[second])
        axes.grid(visible=False)
        axes.set_title(f"model: {label}", loc="left", fontsize=10.5, color=style.INK)
    figure_text.legend(figure)
    return figure


def _marks(axes: Axes, study: StudyView, records: list[TrialRecord], names: list[str]) -> None:
    """Draw the trials as dots and the best of them as a star."""
    space, crowd = study.strategy.space, len(records) > style.CROWD
    x, y = (scales.places(space[n], [r.params[n] for r in records]) for n in names)
    axes.plot(
        x, y, "o", color="#FFFFFF", mec="#000000", mew=0.6, ms=2 if crowd else 3.5, ls="none",
        label="trials", rasterized=crowd,
    )  # fmt: skip
    best = best_first(records, study.direction)[0]
    x, y = (scales.places(space[n], [best.params[n]]) for n in names)
    axes.plot(x, y, "*", color=MEAN, mec="#FFFFFF", mew=0.7, ms=14, ls="none", label="best")


def _surface(
    figure: Figure, axes: Axes, places: list[FloatArray], z: FloatArray, label: str, flip: bool
) -> None:
    """Draw a colour map: light is good for the mean, dark is certain for the deviation."""
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import LogLocator

    shown = np.ma.masked_invalid(z)
    log = style.wants_log(z)
    how: dict[str, Any] = {"cmap": style.SCALE + ("_r" if flip else "")}
    how |= {"norm": LogNorm()} if log else {}
    if min(z.shape) < 3 or any(len(p) < 12 for p in places):
        # Cells get edges of their own colour, else browsers show thin lines between them.
        how |= {"shading": "nearest", "edgecolors": "face", "linewidth": 0.9}
        drawn: Any = axes.pcolormesh(*places, shown, **how)
    else:
        levels = np.geomspace(shown.min(), shown.max(), 15) if log else 14
        drawn = axes.contourf(*places, shown, levels=levels, **how)
    bar = figure.colorbar(drawn, ax=axes, pad=0.02, format="%.3g")
    if log:
        bar.set_ticks(LogLocator(subs=(1, 2, 5) if np.nanmax(z) < 100 * np.nanmin(z) else (1,)))
        bar.minorticks_off()
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=style.INK, labelsize=8)
    bar.ax.set_label("_colours")
