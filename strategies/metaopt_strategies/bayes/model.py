"""A Gaussian process over the points of a space: columns, trend, kernel and fit put together.

Notation: U (n, d), A (n, d) as in `columns`; w (n,) standardised outcomes; theta as in `gp`.

Cost: the posterior holds at most `HELD` points (the better half by value and an even stride
through the rest), so that time and memory are bounded; hyper-parameters are fitted to `FITTED`
points chosen in the same way, which loses little because they are few and well determined by then.
"""

from __future__ import annotations

import math

import numpy as np

from metaopt.space.encoding import BoolArray
from metaopt.space.parameters import FloatArray, IntArray
from metaopt_strategies.bayes.columns import Columns
from metaopt_strategies.bayes.gp import Likelihood, Posterior, Prior, fit
from metaopt_strategies.bayes.kernels import Features, Kernel, matern52

HELD = 1000
FITTED = 250
WARM, COLD = 10, 30  # iterations of a fit from the last optimum, and from the prior's mean


def subset(w: FloatArray, size: int) -> IntArray:
    """At most `size` indices in ascending order: half of them the best, the rest evenly spread."""
    if len(w) <= size:
        return np.arange(len(w))
    order = np.argsort(w, kind="stable")
    best, rest = order[: size // 2], np.sort(order[size // 2 :])
    spread = rest[np.linspace(0, len(rest) - 1, size - len(best)).astype(np.int64)]
    return np.sort(np.r_[best, spread])


class Model:
    """A fitted process; `theta` None until `fit`, data none until `condition`."""

    def __init__(
        self,
        columns: Columns,
        trend: Features,
        prior: Prior,
        kernel: Kernel = matern52,
        zoom: float = 1.0,
    ) -> None:
        self.columns, self.trend, self.prior, self.kernel = columns, trend, prior, kernel
        self.theta: FloatArray | None = None
        self.loss = math.inf  # negative log posterior of theta
        self.offset = 0.0  # added to means
        # Numbers are magnified by `zoom`, so that length scales are relative to a neighbourhood.
        self._zoom = np.ones(columns.p)
        self._zoom[columns.plain_z] = zoom
        self.posterior: Posterior

    def _features(self, U: FloatArray, A: BoolArray) -> tuple[FloatArray, FloatArray]:
        return self.columns.features(U, A) * self._zoom, self.trend.features(U, A)

    def fit(
        self, U: FloatArray, A: BoolArray, w: FloatArray, warm: FloatArray | None, cold: bool
    ) -> FloatArray:
        """Find theta from the last optimum (`warm`) and, if `cold`, from the prior's mean too."""
        some = subset(w, FITTED)
        U, A, w = U[some], A[some], w[some]
        Z, Phi = self._features(U, A)
        likelihood = Likelihood(Z, self.columns.groups, Phi, w, self.prior, self.kernel)
        found = []
        if warm is not None:
            found.append(fit(likelihood, warm, WARM))
        if cold or warm is None:
            found += [fit(likelihood, start, COLD) for start in self.prior.starts]
        self.theta, self.loss = min(found, key=lambda pair: pair[1])
        return self.theta

    def condition(self, U: FloatArray, A: BoolArray, w: FloatArray) -> None:
        """Take the data in, at the present theta; `held` tells which rows the posterior holds."""
        assert self.theta is not None
        self.held = subset(w, HELD)
        U, A = U[self.held], A[self.held]
        Z, Phi = self._features(U, A)
        self.posterior = Posterior(
            self.theta, Z, self.columns.groups, Phi, w[self.held], self.kernel
        )

    def predict(self, U: FloatArray, A: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Posterior mean and sd (m,)."""
        mu, sd = self.posterior.predict(*self._features(U, A))
        return mu + self.offset, sd

    def slopes(
        self, U: FloatArray, A: BoolArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Mean, sd (m,) and their derivatives by the coordinates (m, d)."""
        mu, sd, s = self.posterior.predict_with_slopes(*self._features(U, A))
        back, trend = self.columns.pull_back, self.trend.pull_back
        by_mu = back(U, A, s.mean_z * self._zoom) + trend(U, A, s.mean_phi)
        by_sd = back(U, A, s.sd_z * self._zoom) + trend(U, A, s.sd_phi)
        return mu + self.offset, sd, by_mu, by_sd


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
    best = float(model.posterior.at_data().min())
    (U, A, w), (X, XA) = data, unknown
    if not len(X):
        return best
    mean = model.predict(X, XA)[0]
    mean[pending:] = np.maximum(mean[pending:], best)
    model.condition(np.concatenate([U, X]), np.concatenate([A, XA]), np.r_[w, mean])
    return min(best, float(mean.min()))
