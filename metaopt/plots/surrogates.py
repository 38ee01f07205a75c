"""Predictions of a study's model along lines and planes through the best configurations."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from metaopt.core.errors import StrategyError, UnknownNameError
from metaopt.core.types import FloatArray
from metaopt.plots.style import drawable, wants_log
from metaopt.space import Space
from metaopt.strategy.registry import make_strategy
from metaopt.trials.records import Result, best_first, completed

if TYPE_CHECKING:
    from metaopt.storage.study_view import StudyView

LARGEST = 700.0  # exp of a larger number overflows
FALLBACK = "bayes"  # the strategy whose model is fitted if the study's own has none


class Logged:
    """A surrogate of the logarithm of the value, negated if the study maximises."""

    def __init__(self, model: Any) -> None:
        self.predict = model.predict


def model_of(study: StudyView) -> Any | None:
    """The surrogate of the study's strategy, else one fitted to its trials, else None.

    A surrogate has `predict(configs)`, which returns mean and standard deviation; lower is better.
    If figures show the values on a logarithmic axis, their logarithms are fitted (`Logged`).
    """
    own = getattr(study.strategy, "model", None)
    if own is not None and hasattr(own, "predict"):
        return own
    try:
        strategy = make_strategy(FALLBACK, study.strategy.space)
    except (StrategyError, UnknownNameError):  # the package of our strategies is not installed
        return None
    values = [r.value for r in completed(study.trials)]
    logged = wants_log(np.array(values, dtype=np.float64))
    sign = 1 if study.direction == "minimize" else -1
    for record in study.trials:
        if record.result is not None:
            strategy.observe(record.params, _to_minimise(record.result, sign, logged))
    model = getattr(strategy, "model", None)
    return Logged(model) if model is not None and logged else model


def _to_minimise(result: Result, sign: int, logged: bool) -> Result:
    if not logged:
        return result if sign > 0 else result.negated()
    curve = tuple((step, sign * math.log(y)) for step, y in result.curve if y > 0)
    value = None if result.value is None else sign * math.log(result.value)
    return replace(result, value=value, curve=curve)


class Base:
    """Coordinates of the best configuration in which given parameters are active.

    A parameter that is not active there gets the coordinate of the best configuration in which it
    is active, so that it has a sensible value if a change of its parent activates it.
    """

    def __init__(self, study: StudyView) -> None:
        self.space: Space = study.strategy.space
        self._sign = 1 if study.direction == "minimize" else -1
        best = best_first(study.trials, study.direction)
        self._U, self._A = self.space.encode([r.params for r in best])

    def through(self, *names: str) -> FloatArray | None:
        """Coordinates (d,), or None if no complete trial has all of `names` active."""
        at = [self.space.names.index(name) for name in names]
        fit = np.flatnonzero(self._A[:, at].all(axis=1))
        if not len(fit):
            return None
        u: FloatArray = self._U[fit[0]].copy()
        for j in np.flatnonzero(~self._A[fit[0]]):
            active = np.flatnonzero(self._A[:, j])
            if len(active):
                u[j] = self._U[active[0], j]
        return u

    def predict(
        self, model: Any, base: FloatArray, moves: dict[str, FloatArray]
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Mean - std, mean, and mean + std of m points, (m,) each, with the user's sign.

        `moves` maps names of parameters to coordinates, (m,); the others are those of `base`. NaN
        if one of these parameters is not active or the configuration is forbidden.
        """
        m = len(next(iter(moves.values())))
        U = np.repeat(base[None], m, axis=0)
        for name, u in moves.items():
            U[:, self.space.names.index(name)] = u
        configs = self.space.decode(U)
        ok = np.array([all(n in c for n in moves) and self.space.contains(c) for c in configs])
        mean, sd = np.full(m, np.nan), np.full(m, np.nan)
        if ok.any():
            mean[ok], sd[ok] = model.predict([c for c, k in zip(configs, ok, strict=True) if k])
        if not isinstance(model, Logged):
            mean, sd = drawable(mean), drawable(sd)
        center = self._sign * mean
        low, high = center - sd, center + sd
        if isinstance(model, Logged):
            low, center, high = (np.exp(np.clip(z, -LARGEST, LARGEST)) for z in (low, center, high))
        return drawable(low), drawable(center), drawable(high)


def grid(space: Space, name: str, n: int) -> tuple[FloatArray, list[Any]]:
    """Ascending coordinates of a parameter, (m,), and its values there: all, or n if more."""
    p = space[name]
    if p.count is not None and p.count <= n:
        assert p.cells is not None
        u = p.cells.unit(np.arange(p.count))
    else:
        u = np.linspace(0, 1, n)
    return u, p.from_unit(u)
