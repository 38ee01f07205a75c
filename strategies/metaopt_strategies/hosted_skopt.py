"""scikit-optimize's model-based optimizer as a strategy: a reference for other such strategies.

Notation: U (n, d) coordinates in [0, 1]; y (n,) told values; z (n,) the same after a robust
rescaling (`tame`).

Expected improvement (Jones, Schonlau and Welch 1998) under a Gaussian process with Matern 5/2
kernel; pending points are told with the best value so far, the "constant liar" CL-min (Ginsbourger,
Le Riche and Carraro 2010).

scikit-optimize's state cannot be stored as JSON. So its optimizer is rebuilt from the told history
at each ask, with one fit. This changes no result with the acquisition functions offered here, which
have no memory; "gp_hedge" has one, and is not offered.
"""

from __future__ import annotations

import functools
import threading
from types import ModuleType
from typing import Any

import numpy as np

from metaopt.core.errors import StrategyError
from metaopt.core.seeds import global_random_kept
from metaopt.core.types import FloatArray
from metaopt.space import Config, Space
from metaopt.strategy.base import Strategy
from metaopt.trials.records import Json
from metaopt_strategies.rebind import numpy_state

ESTIMATORS = ("GP", "RF", "ET")  # "GBRT" does not run with current scikit-learn
ACQUISITIONS = ("EI", "LCB", "PI")
# The spread of values is this quantile of their distances from the median. The median distance
# would shrink as proposals concentrate near the optimum, and exploration would shrink with it.
TYPICAL = 0.75
LINEAR = 3.0  # values are rescaled linearly up to so many spreads from the median
CANDIDATES = 256  # random points from which a proposal that is not new is replaced

# Around each fit, scikit-optimize changes the number of BLAS threads and the warning filters, which
# are global to the process. So only one fit runs at a time.
_one_fit = threading.Lock()


class HostedSkopt(Strategy):
    """Bayesian optimization by scikit-optimize: expected improvement of a Gaussian process.

    Args:
        base_estimator: the model: "GP" (Gaussian process, the default), "RF" (random forest) or
            "ET" (extra trees).
        acq_func: the acquisition function: "EI" (expected improvement, the default), "LCB" (lower
            confidence bound) or "PI" (probability of improvement).
        n_initial_points: points of the initial design, at least 1. None (the default): 10, but at
            most a third of the budget (at least 3) and half of the configurations of the space.

    Raises:
        StrategyError: an option is outside its range.

    Source: Jones, Schonlau and Welch (1998).
    """

    name = "skopt"

    def __init__(
        self,
        space: Space,
        seed: int = 0,
        budget: int | None = None,
        *,
        base_estimator: str = "GP",
        acq_func: str = "EI",
        n_initial_points: int | None = None,
    ) -> None:
        for name, value, known in (
            ("base_estimator", base_estimator, ESTIMATORS),
            ("acq_func", acq_func, ACQUISITIONS),
        ):
            if value not in known:
                raise StrategyError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        n = n_initial_points
        if n is not None and (not isinstance(n, int) or isinstance(n, bool) or n < 1):
            raise StrategyError(
                f"n_initial_points must be None or an integer of at least 1, got {n!r}"
            )
        super().__init__(
            space,
            seed,
            budget,
            base_estimator=base_estimator,
            acq_func=acq_func,
            n_initial_points=n_initial_points,
        )
        self._model, self._acquisition = base_estimator, acq_func
        default = min(10, max(3, (budget or 100) // 3), max(1.0, space.size.count / 2))
        self._initial = int(default) if n is None else n
        self._free = [j for j, p in enumerate(space.parameters.values()) if p.count != 1]

    def _initial_points(self) -> int:
        return self._initial

    def _ask(self, rng: np.random.Generator) -> tuple[Config, Json]:
        if not self._free or not self.observations:
            return self.space.sample(rng)[0], None
        from threadpoolctl import threadpool_limits

        with _one_fit:
            _skopt()  # import it first: a BLAS that is not loaded yet cannot be limited
            with threadpool_limits(limits=1):
                return self._chosen(rng), None

    def _chosen(self, rng: np.random.Generator) -> Config:
        optimizer = self._fitted(rng)
        # `optimizer.ask()` would return the same point. But if that is not new, it would warn and
        # return a random one; this is handled here instead.
        x = optimizer.space.inverse_transform(optimizer.next_xs_[0].reshape(1, -1))[0]
        config = self._configs([x])[0]
        if self.space.is_forbidden(config) or not self.is_new(config):
            return self._best_new(config, optimizer, rng) or config
        return config

    def _fitted(self, rng: np.random.Generator) -> Any:
        """Return an `Optimizer` that was told all points, pending ones with the best value."""
        configs = [o.config for o in self.observations] + [c for c, _ in self.pending()]
        z = tame(np.array(self.imputed())).tolist()
        z += [min(z)] * (len(configs) - len(z))
        optimizer = _skopt().Optimizer(
            self._dimensions(),
            base_estimator=self._model,
            n_initial_points=0,
            acq_func=self._acquisition,
            acq_optimizer="auto",
            random_state=numpy_state(rng),
            model_queue_size=1,
        )
        optimizer.tell(self._points(configs), z)
        return optimizer

    def _dimensions(self) -> list[Any]:
        """Return numbers as Real(0, 1), categories as string ids; constants are left out."""
        space = _skopt().space
        parameters = [self.space.parameters[self.space.names[j]] for j in self._free]
        return [
            space.Categorical([str(k) for k in range(p.count or 0)])
            if p.kind == "categorical"
            else space.Real(0.0, 1.0)
            for p in parameters
        ]

    def _points(self, configs: list[Config]) -> list[list[Any]]:
        """Return points in scikit-optimize's form; inactive parameters are at 0.5."""
        U, _ = self.space.encode(configs)
        columns = []
        for j in self._free:
            p = self.space.parameters[self.space.names[j]]
            if p.kind == "categorical" and p.cells is not None:
                columns.append([str(k) for k in p.cells.index(U[:, j]).tolist()])
            else:
                columns.append(U[:, j].tolist())
        return [list(point) for point in zip(*columns, strict=True)]

    def _configs(self, points: list[list[Any]]) -> list[Config]:
        U = np.full((len(points), len(self.space)), 0.5)
        for i, j in enumerate(self._free):
            p = self.space.parameters[self.space.names[j]]
            column = [point[i] for point in points]
            if p.kind == "categorical" and p.cells is not None:
                U[:, j] = p.cells.unit(np.array([int(k) for k in column]))
            else:
                U[:, j] = column
        return self.space.decode(U)

    def _best_new(self, config: Config, optimizer: Any, rng: np.random.Generator) -> Config | None:
        """Return the best new configuration among neighbours and random ones, if there is one.

        "Best" is by the acquisition function. This is needed because many points of the model's
        continuous space are the same configuration of a discrete space.
        """
        acquisition = _skopt().acquisition

        near = [] if self.space.is_forbidden(config) else [config]
        near += [] if self.best is None else [self.best.config]
        some = [c for one in near for c in self.space.neighbours(one, rng, 0.1)]
        some = [c for c in some + self.space.sample(rng, CANDIDATES) if self.is_new(c)]
        if not some:
            return None
        X = optimizer.space.transform(self._points(some))
        model, best = optimizer.models[-1], np.min(optimizer.yi)
        if self._acquisition == "LCB":
            return some[int(np.argmin(acquisition.gaussian_lcb(X, model)))]
        score = acquisition.gaussian_ei if self._acquisition == "EI" else acquisition.gaussian_pi
        return some[int(np.argmax(score(X, model, best)))]


@functools.cache
def _skopt() -> ModuleType:
    """Import scikit-optimize; the caller must hold the lock.

    One of its dependencies draws a number from the module `random` during import.
    """
    with global_random_kept():
        import skopt
        import skopt.acquisition
        import skopt.space
    module: ModuleType = skopt
    return module


def tame(y: FloatArray) -> FloatArray:
    """Rescale values robustly: in units of their spread around the median, with logarithmic tails.

    The order of the values stays the same, up to rounding. A single loss of 1e300 does not make all
    others look equal, and the minimal improvement of 0.01 of the acquisition functions means a
    hundredth of a typical difference.

    Args:
        y: values, shape (n,).

    Returns:
        The rescaled values, shape (n,).
    """
    half = y / 2 - np.median(y / 2)  # halved, so that no difference overflows
    spread = np.quantile(np.abs(half), TYPICAL) or np.max(np.abs(half))
    if spread == 0:
        return np.zeros(len(y))
    with np.errstate(over="ignore"):
        z = np.clip(half / spread, -1e300, 1e300)
    far = np.maximum(np.abs(z) / LINEAR, 1.0)
    tails: FloatArray = np.sign(z) * LINEAR * (1.0 + np.log(far))
    return np.where(far > 1.0, tails, z)
