"""Axes of parameters: positions of the values, scale, ticks and labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from metaopt.core.errors import StudyError, unknown_name
from metaopt.core.types import FloatArray
from metaopt.plots import figure_text, style
from metaopt.plots.arguments import as_texts
from metaopt.space import Space
from metaopt.space.parameter import Parameter

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_TICKS = 8  # largest number of ticks on the axis of a parameter with listed values


def chosen(space: Space, names: Iterable[str] | None) -> list[str]:
    """The parameters to draw: those in `names`, else all that have more than one value.

    Raises:
        UnknownNameError: there is no such parameter; the message suggests a similar name.
        StudyError: there is no parameter to draw.
    """
    if isinstance(names, str):
        names = [names]
    free = [n for n in space.names if space[n].count != 1]
    wanted = as_texts(names, "names") if names is not None else free
    for name in wanted:
        if name not in space.names:
            raise unknown_name("parameter", name, space.names)
    if not wanted:
        raise StudyError("no parameter of the space has more than one value: nothing to draw")
    return wanted


def is_listed(p: Parameter) -> bool:
    """Whether values are drawn at equal distances with their names, not on a numeric scale."""
    return p.kind in ("categorical", "ordinal", "constant")


def places(p: Parameter, values: Sequence[Any]) -> FloatArray:
    """Positions of values on the parameter's axis, (n,)."""
    found = [float(p.index(v)) for v in values] if is_listed(p) else [float(v) for v in values]
    return np.array(found)


def axis(axes: Axes, which: Literal["x", "y"], name: str, p: Parameter) -> None:
    """Set the scale, range, ticks and label of an axis to those of a parameter."""
    own = axes.xaxis if which == "x" else axes.yaxis
    own.set_label_text(figure_text.cut(name), parse_math=False)
    if is_listed(p):
        assert p.count is not None
        shown = np.unique(np.linspace(0, p.count - 1, min(p.count, MOST_TICKS)).round())
        values = p.take(shown.astype(np.int64))
        own.set_ticks(shown, [figure_text.cut(str(v), 10) for v in values], parse_math=False)
        own.grid(visible=False)
        if which == "x" and sum(len(t.get_text()) for t in own.get_ticklabels()) > 22:
            axes.tick_params(axis="x", labelrotation=30)
            for label in own.get_ticklabels():
                label.set(ha="right", rotation_mode="anchor")
        axes.set(**{f"{which}lim": (-0.5, p.count - 0.5)})
        return
    low, high = float(p.low), float(p.high)  # type: ignore[attr-defined]
    if p.log:  # type: ignore[attr-defined]
        style.log_axis(axes, which, np.array([low, high]))
        margin = (high / low) ** 0.03
        axes.set(**{f"{which}lim": (low / margin, high * margin)})
    else:
        margin = 0.03 * (high - low)
        axes.set(**{f"{which}lim": (low - margin, high + margin)})
        if p.kind == "int":
            own.set_major_locator(style.whole_numbers(5))
