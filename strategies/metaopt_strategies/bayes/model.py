"""A Gaussian process over the points of a space: combines features, trend, kernel and fit.

Notation: U (n, d), A (n, d) as in `features`; w (n,) standardised outcomes; theta as in `gp`.

Cost: to bound time and memory, the posterior is conditioned on at most `HELD` points: half of them
the best ones, half an even selection of the others. Hyperparameters are fitted to `FITTED` points
chosen in the same way. After 2,000 observations, a posterior of 1,000 points gave results as good
as one of all points in a third of the time. With 500 points the final regret was 1.1 times as
large; with 250 it was far worse on one problem of three (`studies/benchmark_strategies.py subset`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from metaopt.core.types import FloatArray
from metaopt.space.encoding import BoolArray
from metaopt.space.values import IntArray
from metaopt_strategies.bayes.features import Features
from metaopt_strategies.bayes.gp import GPPosterior, Likelihood, Pairs, Prior, fit
from metaopt_strategies.bayes.kernels import TrendFeatures

Pull = Callable[[FloatArray, FloatArray], FloatArray]

HELD = 1000
FITTED = 250
RACE, REST = 10, 20  # iterations from every start, and further ones from the best result


def subset(w: FloatArray, size: int) -> IntArray:
    """Return at most `size` indices in ascending order: half the best, half an even selection."""
    if len(w) <= size:
        return np.arange(len(w))
    order = np.argsort(w, kind="stable")
    best, rest = order[: size // 2], np.sort(order[size // 2 :])
    spread = rest[np.linspace(0, len(rest) - 1, size - len(best)).astype(np.int64)]
    return np.sort(np.r_[best, spread])


@dataclass(frozen=True)
class Offer:
    """Outcomes under one of several candidate transforms.

    Attributes:
        w: standardised outcomes, shape (n,).
        log_jacobian: log |dw/dy| summed over the points; added to the log evidence, so that
            evidences under different transforms are comparable.
        warm: theta of the last fit; None if there is none.
    """

    w: FloatArray
    log_jacobian: float = 0.0
    warm: FloatArray | None = None


class Model:
    """A Gaussian process; `fit` sets `theta`, `condition` computes the posterior.

    Args:
        columns: features of the kernel.
        trend: features in which the trend is linear.
        prior: prior on theta.
        zoom: factor on numeric features; makes length scales relative to a neighbourhood.
    """

    def __init__(
        self,
        columns: Features,
        trend: TrendFeatures,
        prior: Prior,
        zoom: float = 1.0,
    ) -> None:
        self.columns, self.trend, self.prior = columns, trend, prior
        self.theta: FloatArray
        self.offset = 0.0  # added to means
        self._zoom = np.ones(columns.p)
        self._zoom[columns.plain_z] = zoom
        self.posterior: GPPosterior

    def _features(self, U: FloatArray, A: BoolArray) -> tuple[FloatArray, FloatArray]:
        return self.columns.features(U, A) * self._zoom, self.trend.features(U, A)

    def fit(self, U: FloatArray, A: BoolArray, offers: Sequence[Offer], fresh: bool) -> int:
        """Fit theta to each of the `offers` and keep the one with the largest evidence.

        Each fit starts from the theta of its last fit and, if `fresh` or if there was none, also
        from the starting points of the prior. Only the best of all these fits is continued.

        Args:
            U, A: points and their mask of active parameters, shape (n, d).
            offers: candidate outcomes for the same points.
            fresh: whether to start from the prior, too.

        Returns:
            The index of the chosen offer.
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
        """Compute the posterior for the current theta; `held` are the rows that it uses."""
        self.held = subset(w, HELD)
        U, A = U[self.held], A[self.held]
        Z, Phi = self._features(U, A)
        self.posterior = GPPosterior(self.theta, Z, self.columns.groups, Phi, w[self.held])

    def predict(self, U: FloatArray, A: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Return posterior mean and standard deviation, shape (m,) each."""
        mu, sd = self.posterior.predict(*self._features(U, A))
        return mu + self.offset, sd

    def slopes(self, U: FloatArray, A: BoolArray) -> tuple[FloatArray, FloatArray, Pull]:
        """Return mean, sd, shape (m,) each, and `pull`, their vector-Jacobian product.

        `pull` maps derivatives with respect to mean and sd, (m,) each, to derivatives with respect
        to U, (m, d).
        """
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
    """Condition the model on points without outcome, as if they had its predicted mean.

    Pending points: the "kriging believer" (Ginsbourger et al. 2010). Failed points have no value,
    but must not be proposed again, so they count as no better than the incumbent.

    Args:
        model: the fitted and conditioned model.
        data: U, A, w of the points with outcomes.
        unknown: U, A of the points without; the pending ones first, then the failed ones.
        pending: number of pending points.

    Returns:
        The posterior mean at the incumbent, or at a pending point if that is lower.
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
