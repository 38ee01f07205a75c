"""Bayesian optimization with a Gaussian process (Jones et al. 1998).

Two phases alternate. The global phase models all observations and searches the whole space. The
local phase (`trust_region`, only if there are continuous parameters) models the neighbourhood of
the best point by a quadratic and a kernel and searches a trust region (Eriksson et al. 2019). Both
maximise the log expected improvement (Ament et al. 2023).

Notation: U (n, d) coordinates of the told points, A (n, d) mask of active parameters, failed (n,);
w outcomes after `transforms`; theta hyperparameters of a model as in `gp`.

State: theta of each model, the number of points that it was fitted to, and the radius of the trust
region. Everything else is recomputed from the told history at each ask.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from metaopt.core.types import Curve, FloatArray
from metaopt.space import Config, Space
from metaopt.space.encoding import BoolArray
from metaopt.strategy.base import Strategy
from metaopt.trials.records import Json, Status
from metaopt_strategies.bayes import trust_region
from metaopt_strategies.bayes.acquisition import Acquisition
from metaopt_strategies.bayes.acquisition_search import ANCHORS, Box, maximise
from metaopt_strategies.bayes.features import Features
from metaopt_strategies.bayes.gp import Prior
from metaopt_strategies.bayes.kernels import Trend
from metaopt_strategies.bayes.model import Model, Offer, believe
from metaopt_strategies.bayes.surrogate import Surrogate
from metaopt_strategies.bayes.threads import one_thread
from metaopt_strategies.bayes.transforms import OutcomeTransform
from metaopt_strategies.bayes.warm_starts import Fits

PHASE = "local"  # note of the proposals of the local phase
GLOBAL = ((1.0, 1.0),)  # outcome transform of the global phase
LATE = 100  # trials after which the local phase has the larger share
NOISY = 0.15  # relative noise (see `Surrogate.noise`) from which `recommend` asks the model


class Bayes(Strategy):
    """Gaussian-process Bayesian optimization with log expected improvement.

    Best for expensive objectives and budgets of up to some hundred trials. Supports conditional
    parameters, failing trials, noisy objectives and several pending trials. It has no options
    beyond `space`, `seed` and `budget`. The initial design has one point more than parameters,
    between 6 and 12 points, and at most a third of the budget.

    Example:
        >>> from metaopt import Float, Space
        >>> from metaopt_strategies.bayes import Bayes
        >>> strategy = Bayes(Space(x=Float(-1, 1), y=Float(-1, 1)), seed=0, budget=30)
        >>> for _ in range(30):
        ...     (proposal,) = strategy.ask()
        ...     x, y = proposal.config["x"], proposal.config["y"]
        ...     strategy.tell(proposal, (x - 0.3) ** 2 + (y + 0.2) ** 2)
        >>> strategy.best.value < 1e-3
        True

    Source: Jones et al. (1998); log expected improvement: Ament et al. (2023); length scales:
    Hvarfner et al. (2024); trust region: Eriksson et al. (2019).
    """

    name = "bayes"
    rank_based = False

    def __init__(self, space: Space, seed: int = 0, budget: int | None = None) -> None:
        super().__init__(space, seed, budget)
        self._columns = Features(space)
        self._trend = Trend(self._columns)
        self._prior = Prior.standard(len(self._columns.groups))
        self._U: list[FloatArray] = []
        self._A: list[BoolArray] = []
        self._failed: list[bool] = []
        self._lowest = np.inf
        self._radius = trust_region.START
        self._fits = Fits()

    # -- methods that the base class calls -------------------------------------------------------

    def _initial_points(self) -> int:
        d = len(self._columns.columns)
        n = int(np.clip(d + 1, 6, 12))
        return n if self.budget is None else max(min(n, self.budget // 3), 2)

    def _tell(self, config: Config, note: Json, value: float, status: Status, curve: Curve) -> None:
        U, A = self.space.encode([config])
        self._U.append(U[0])
        self._A.append(A[0])
        self._failed.append(status == "failed")
        if note == PHASE:
            self._radius = trust_region.resize(self._radius, value < self._lowest)
        if status == "complete":
            self._lowest = min(self._lowest, value)

    def _state(self) -> Json:
        return {"fits": self._fits.to_json(), "radius": self._radius}

    def _restore(self, state: Json) -> None:
        self._fits, self._radius = Fits.from_json(state["fits"]), state["radius"]

    def _ask(self, rng: np.random.Generator) -> tuple[Config, Json]:
        if not len(self._columns.groups):
            return self.space.decode(np.full((1, len(self.space)), 0.5))[0], None
        if self._wants_centre():
            centre = self.space.decode(np.full((1, len(self.space)), 0.5))[0]
            if self._is_free(centre):
                return centre, None
        turn = PHASE if self._is_local() else None
        with one_thread():
            first: Config | None = None
            for u in self._points(rng, turn):
                config = self.space.decode(u[None])[0]
                first = config if first is None else first
                if self._is_free(config):
                    return config, turn
        return first if first is not None else self.space.sample(rng)[0], turn

    # -- choosing a point ------------------------------------------------------------------------

    def _is_local(self) -> bool:
        """Whether the next proposal comes from the local phase.

        If all parameters are continuous, every second proposal does. The local phase moves only
        continuous parameters, so with others its share is multiplied by their fraction. While
        trials are pending the share is halved, because the local model learns nothing between
        them. After LATE trials it is three quarters, because the global phase then rarely finds a
        better point.
        """
        known = len(self._failed) - sum(self._failed)
        k, d = len(self._columns.continuous), len(self._columns.columns)
        if not k or known < k + 2:
            return False
        n, waiting = len(self._failed), len(self.pending())
        quarters = 1 if waiting else 3 if n >= LATE else 2
        n, k, d = n + waiting, quarters * k, 4 * d
        return (n * k) // d < ((n + 1) * k) // d

    def _wants_centre(self) -> bool:
        """Whether the centre of the space should be proposed, if it is new.

        No random design contains it. Users choose ranges around the values that they expect to be
        good, and the centre is on average the point nearest to all others.
        """
        early = len(self._failed) <= 2 * self._initial_points()
        return early and bool(len(self._columns.numbers))

    def _is_free(self, config: Config) -> bool:
        return not self.space.is_forbidden(config) and self.is_new(config)

    def _points(self, rng: np.random.Generator, turn: Json) -> Iterator[FloatArray]:
        """Yield candidate points, shape (d,) each, best first; `turn` is the phase."""
        failed = np.array(self._failed, dtype=bool)
        if (~failed).sum() < 2:
            yield from self._far(rng)
            return
        U, A = np.array(self._U), np.array(self._A)
        y = np.array(self.imputed())
        P, PA = self.space.encode([config for config, _ in self.pending()])
        seen = {u.tobytes() for u in U} | {u.tobytes() for u in P}
        feasible = self._feasible(U, A, failed) if failed.any() else None
        # Points without an outcome: conditioning on them removes the model's uncertainty nearby.
        unknown = np.concatenate([P, U[failed]]), np.concatenate([PA, A[failed]])
        U, A, y = U[~failed], A[~failed], y[~failed]
        box = Box.whole(len(self.space))
        if turn == PHASE:
            c = U[int(np.argmin(y))]
            near = trust_region.neighbourhood(U, c, trust_region.size(len(self._columns.numbers)))
            U, A, y = U[near], A[near], y[near]
            model = self._local_model(U, c)
            w = self._fits.fit("local", model, (U, A, y), len(failed), trust_region.SHAPES)
        else:
            model = Model(self._columns, self._trend, self._prior)
            w = self._fits.fit("global", model, (U, A, y), len(failed), GLOBAL)
        # Under noise, the best points are chosen by the model, not by their observed values.
        order = model.held[
            np.argsort(model.posterior.pessimistic_at_data(), kind="stable")[:ANCHORS]
        ]
        if turn == PHASE:
            box = trust_region.region(self._columns, U[order[0]], self._radius, model.theta)
        best = believe(model, (U, A, w), unknown, len(P))
        acquisition = Acquisition(model, best, feasible)
        yield from maximise(acquisition, self._columns, (U[order], A[order]), seen, rng, box)

    def _feasible(self, U: FloatArray, A: BoolArray, failed: BoolArray) -> Model:
        """Return a model of the label +1 for success, -1 for failure."""
        label = np.where(failed, -1.0, 1.0)
        model = Model(self._columns, self._trend, self._prior)
        self._fits.fit("feasible", model, (U, A, label - label.mean()), len(failed))
        model.offset = float(label.mean())
        return model

    def _local_model(self, U: FloatArray, c: FloatArray) -> Model:
        numbers = self._columns.numbers
        R = trust_region.radius_of(U, c, numbers)
        trend = trust_region.Quadratic(numbers, c, R)
        prior = Prior.rich(len(self._columns.groups), len(U) > trend.q)
        return Model(self._columns, trend, prior, zoom=1.0 / R)

    def _far(self, rng: np.random.Generator) -> Iterator[FloatArray]:
        """Yield points far from all tried ones; used while fewer than two outcomes are known."""
        U, _, allowed = self._columns.snap(rng.random((300, len(self.space))))
        U = U[allowed]
        tried = np.array([*self._U, *self.space.encode([c for c, _ in self.pending()])[0]])
        if not len(tried):
            yield from U
            return
        away = np.array([np.square(tried - u).sum(axis=1).min() for u in U])
        yield from U[np.argsort(-away, kind="stable")]

    # -- the model, for users --------------------------------------------------------------------

    @property
    def model(self) -> Surrogate | None:
        """The global model of all observations; None while fewer than two outcomes are known."""
        failed = np.array(self._failed, dtype=bool)
        if (~failed).sum() < 2 or not len(self._columns.groups):
            return None
        U, A = np.array(self._U)[~failed], np.array(self._A)[~failed]
        y = np.array(self.imputed())[~failed]
        outcome = OutcomeTransform.fit(y)
        model = Model(self._columns, self._trend, self._prior)
        last = self._fits.last.get("global")
        with one_thread():
            w = outcome.forward(y)
            model.fit(U, A, [Offer(w, warm=None if last is None else last.theta)], fresh=True)
            model.condition(U, A, w)
        return Surrogate(self.space, model, outcome, y)

    def recommend(self) -> Config | None:
        """Return the told configuration to use; None if no trial is complete.

        Without noise, it is the best observed one. With noise, it is the one with the smallest
        posterior mean plus one standard deviation (Huang et al. 2006). On 8 noisy functions its
        true regret was 0.8 to 0.9 times that of the best observed one.
        """
        if self.best is None:
            return None
        known = [o for o in self.observations if o.status != "failed"]
        model = self.model
        if model is None or model.noise() < NOISY:
            return dict(self.best.config)
        mean, sd = model.predict([o.config for o in known])
        chosen = [
            (m, o)
            for m, o in zip((mean + sd).tolist(), known, strict=True)
            if o.status == "complete"
        ]
        return dict(min(chosen, key=lambda pair: pair[0])[1].config)
