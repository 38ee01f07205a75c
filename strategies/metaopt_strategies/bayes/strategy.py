"""Bayesian optimization with a Gaussian process: the strategy around the models.

Two phases take turns. The global phase models all that is known and looks everywhere. The local
phase (`local`, where there are continuous parameters) models the neighbourhood of the best point
by a quadratic and a kernel and looks within a trust region.

Notation: U (n, d) coordinates of what was told, A (n, d) mask of active parameters, failed (n,);
w outcomes after `transforms`; theta hyper-parameters of a model after `gp`.

State: theta of each model with the number of points it was fitted to, and the trust region. All
else is recomputed from the told history at each ask.
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
from metaopt_strategies.bayes.features import Columns
from metaopt_strategies.bayes.gp import Prior
from metaopt_strategies.bayes.kernels import Trend
from metaopt_strategies.bayes.model import Model, Offer, believe
from metaopt_strategies.bayes.surrogate import Surrogate
from metaopt_strategies.bayes.threads import one_thread
from metaopt_strategies.bayes.transforms import Outcome
from metaopt_strategies.bayes.warm_starts import Fits

PHASE = "local"  # the note of a proposal of the local phase
GLOBAL = ((1.0, 1.0),)  # the shape of the global outcome transform
LATE = 100  # trials from which the local phase has the larger share
NOISY = 0.15  # standard deviation of the noise, of that of the outcomes, from which it counts


class Bayes(Strategy):
    """Gaussian-process Bayesian optimization with log expected improvement."""

    name = "bayes"
    rank_based = False

    def __init__(self, space: Space, seed: int = 0, budget: int | None = None) -> None:
        super().__init__(space, seed, budget)
        self._columns = Columns(space)
        self._trend = Trend(self._columns)
        self._prior = Prior.standard(len(self._columns.groups))
        self._U: list[FloatArray] = []
        self._A: list[BoolArray] = []
        self._failed: list[bool] = []
        self._lowest = np.inf
        self._radius = trust_region.START
        self._fits = Fits()

    # -- the contract ----------------------------------------------------------------------------

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

    # -- the idea --------------------------------------------------------------------------------

    def _is_local(self) -> bool:
        """Whether it is the local phase's turn: every other ask if all parameters are continuous.

        It cannot move categories, so its share is that of the parameters that it can move. Where
        several are asked at once it has half of that: its model learns nothing between them. After
        LATE trials it has three asks of four: the global phase rarely finds a better point then.
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
        """Whether the middle of the space, which no random design holds, is still worth a look.

        People put ranges around what they expect to be good, and no other point is nearer to all.
        """
        early = len(self._failed) <= 2 * self._initial_points()
        return early and bool(len(self._columns.numbers))

    def _is_free(self, config: Config) -> bool:
        return not self.space.is_forbidden(config) and self.is_new(config)

    def _points(self, rng: np.random.Generator, turn: Json) -> Iterator[FloatArray]:
        """Points worth asking for, the best first."""
        failed = np.array(self._failed, dtype=bool)
        if (~failed).sum() < 2:
            yield from self._far(rng)
            return
        U, A = np.array(self._U), np.array(self._A)
        y = np.array(self.imputed())
        P, PA = self.space.encode([config for config, _ in self.pending()])
        seen = {u.tobytes() for u in U} | {u.tobytes() for u in P}
        feasible = self._feasible(U, A, failed) if failed.any() else None
        # Points whose outcome is not known: they end what the model says of their surroundings.
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
        # Under noise the best points are those that the model holds for the best.
        order = model.held[
            np.argsort(model.posterior.pessimistic_at_data(), kind="stable")[:ANCHORS]
        ]
        if turn == PHASE:
            box = trust_region.region(self._columns, U[order[0]], self._radius, model.theta)
        best = believe(model, (U, A, w), unknown, len(P))
        acquisition = Acquisition(model, best, feasible)
        yield from maximise(acquisition, self._columns, (U[order], A[order]), seen, rng, box)

    def _feasible(self, U: FloatArray, A: BoolArray, failed: BoolArray) -> Model:
        """A model of the label of success, +1 or -1."""
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
        """While no outcome is known: points far from all that were tried."""
        U, _, allowed = self._columns.snap(rng.random((300, len(self.space))))
        U = U[allowed]
        tried = np.array([*self._U, *self.space.encode([c for c, _ in self.pending()])[0]])
        if not len(tried):
            yield from U
            return
        away = np.array([np.square(tried - u).sum(axis=1).min() for u in U])
        yield from U[np.argsort(-away, kind="stable")]

    # -- what it knows ---------------------------------------------------------------------------

    @property
    def model(self) -> Surrogate | None:
        """The global model of all that was told; None while fewer than two outcomes are known."""
        failed = np.array(self._failed, dtype=bool)
        if (~failed).sum() < 2 or not len(self._columns.groups):
            return None
        U, A = np.array(self._U)[~failed], np.array(self._A)[~failed]
        y = np.array(self.imputed())[~failed]
        outcome = Outcome.fit(y)
        model = Model(self._columns, self._trend, self._prior)
        last = self._fits.last.get("global")
        with one_thread():
            w = outcome.forward(y)
            model.fit(U, A, [Offer(w, warm=None if last is None else last.theta)], fresh=True)
            model.condition(U, A, w)
        return Surrogate(self.space, model, outcome, y)

    def recommend(self) -> Config | None:
        """The configuration to use: under noise the model's choice among those that were told.

        That is the one of least posterior mean plus one sd (Huang et al. 2006): over 8 functions
        with noise its true regret was 0.8 to 0.9 of the best observation's.
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
