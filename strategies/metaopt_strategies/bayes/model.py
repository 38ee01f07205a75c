"""A Gaussian process over the points of a space: columns, trend, kernel and fit put together.

Notation: U (n, d), A (n, d) as in `columns`; w (n,) standardised outcomes; theta as in `gp`.

Cost: the posterior holds at most `HELD` points (the better half by value and an even stride
through the rest), so that time and memory are bounded; hyper-parameters are fitted to `FITTED`
points chosen in the same way. From 2,000 observations on, searches with 1,000 points held ended as
well as with all and took a third of the time; with 500 they ended 1.1 times as far off,
with 250 on one problem of three far behind (`studies/benchmark_strategies.py subset`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from metaopt.core.types import FloatArray
from metaopt.space.encoding import BoolArray
from metaopt.space.values import IntArray
from metaopt_strategies.bayes.features import Columns
from metaopt_strategies.bayes.gp import Likelihood, Pairs, Posterior, Prior, fit
from metaopt_strategies.bayes.kernels import Features

Pull = Callable[[FloatArray, FloatArray], FloatArray]

HELD = 1000
FITTED = 250
RACE, REST = 10, 20  # iterations of every start, and of the best of several after that


def subset(w: FloatArray, size: int) -> IntArray:
    """At most `size` indices in ascending order: half of them the best, the rest evenly spread."""
    if len(w) <= size:
        return np.arange(len(w))
    order = np.argsort(w, kind="stable")
    best, rest = order[: size // 2], np.sort(order[size // 2 :])
    spread = rest[np.linspace(0, len(rest) - 1, size - len(best)).astype(np.int64)]
    return np.sort(np.r_[best, spread])


@dataclass(frozen=True)
class Offer:
    """Outcomes to be fitted, one transform of several; evidences compare after the Jacobian."""

    w: FloatArray
    log_jacobian: float = 0.0
    warm: FloatArray | None = None  # theta of the last fit


class Model:
    """A process; `theta` comes with `fit` (or is set), the posterior with `condition`."""

    def __init__(
        self,
        columns: Columns,
        trend: Features,
        prior: Prior,
        zoom: float = 1.0,
    ) -> None:
        self.columns, self.trend, self.prior = columns, trend, prior
        self.theta: FloatArray
        self.offset = 0.0  # added to means
        # Numbers are magnified by `zoom`, so that length scales are relative to a neighbourhood.
        self._zoom = np.ones(columns.p)
        self._zoom[columns.plain_z] = zoom
        self.posterior: Posterior

    def _features(self, U: FloatArray, A: BoolArray) -> tuple[FloatArray, FloatArray]:
        return self.columns.features(U, A) * self._zoom, self.trend.features(U, A)

    def fit(self, U: FloatArray, A: BoolArray, offers: Sequence[Offer], fresh: bool) -> int:
        """Find theta; of several `offers` for the same points, take that of the largest evidence.

        Each is fitted from where it was fitted last and, if `fresh`, from the prior's starts too;
        of all these fits, the best goes on. Returns the index of the offer taken.
        """
        some = subset(offers[0].w, FITTED)
        Z, Phi = self._features(U[some], A[some])
        pairs = Pairs(Z, self.columns.groups, Phi)
        runs = []
        for i, offer in enumerate(offers):
            likelihood = Likelihood(pairs, offer.w[some], self.prior)
            starts = [] if offer.warm is None else [offer.warm]
            if fresh or offer.warm is None:
                starts += self.prior.starts
            for start in starts:
                theta, loss = fit(likelihood, start, RACE)
                runs.append((loss - offer.log_jacobian, i, theta, likelihood))
        _, i, self.theta, likelihood = min(runs, key=lambda run: run[0])
        if len(runs) > 1:
            self.theta, _ = fit(likelihood, self.theta, REST)
        return i

    def condition(self, U: FloatArray, A: BoolArray, w: FloatArray) -> None:
        """Take the data in, at the present theta; `held` tells which rows the posterior holds."""
        self.held = subset(w, HELD)
        U, A = U[self.held], A[self.held]
        Z, Phi = self._features(U, A)
        self.posterior = Posterior(self.theta, Z, self.columns.groups, Phi, w[self.held])

    def predict(self, U: FloatArray, A: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Posterior mean and sd (m,)."""
        mu, sd = self.posterior.predict(*self._features(U, A))
        return mu + self.offset, sd

    def slopes(self, U: FloatArray, A: BoolArray) -> tuple[FloatArray, FloatArray, Pull]:
        """Mean, sd (m,) and what turns derivatives by them (m,) into ones by U (m, d)."""
        mu, sd, pull_features = self.posterior.predict_with_slopes(*self._features(U, A))

        def pull(by_mean: FloatArray, by_sd: FloatArray) -> FloatArray:
            by_z, by_phi = pull_features(by_mean, by_sd)
            by_z *= self._zoom
            return self.columns.pull_back(U, A, by_z) + self.trend.pull_back(U, A, by_phi)

        return mu + self.offset, sd, pull


def believe(
    model: Model,
    data: tuple[FloatArray, BoolArray, FloatArray],
    unknown: tuple[FloatArray, BoolArray],
    pending: int,
) -> float:
    """Add points without outcome at the model's mean; return the incumbent's mean.

    Kriging believer (Ginsbourger et al. 2010) for the first `pending` of them. The others failed:
    that teaches no value, but that looking there again is useless, and they must not look good.
    `data` are U, A, w of the points with outcomes.
    """
    posterior = model.posterior
    best = float(posterior.at_data()[int(np.argmin(posterior.pessimistic_at_data()))])
    (U, A, w), (X, XA) = data, unknown
    if not len(X):
        return best
    mean = model.predict(X, XA)[0]
    mean[pending:] = np.maximum(mean[pending:], best)
    model.condition(np.concatenate([U, X]), np.concatenate([A, XA]), np.r_[w, mean])
    return min(best, float(mean.min()))
