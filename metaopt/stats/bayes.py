"""Bayesian comparison of two treatments: the probability that one is practically better.

Notation: d = x - y are n paired differences; the region of practical equivalence (rope) is [-r, r],
in the units of the scores; `below`, `equivalent` and `above` are the posterior probabilities that
the difference lies below, inside and above it. Below means that x is lower: better for errors and
losses, worse for accuracies.

A p-value cannot show that two treatments are equal; these probabilities can (Benavoli, Corani,
Demsar and Zaffalon 2017). They depend on r, which must be chosen before looking at the data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaopt.core.types import FloatArray
from metaopt.stats.checks import (
    MOST_DRAWN,
    as_fraction,
    as_level,
    as_number,
    as_pairs,
    as_seed,
    as_whole,
)
from metaopt.stats.corrected_t import corrected_error
from metaopt.stats.extremes import deviation, scaled_differences

CHUNK = 4_000_000  # numbers in memory at once while sampling


@dataclass(frozen=True)
class Posterior:
    """Posterior probabilities of a difference x - y.

    Attributes:
        below: probability that x - y lies below the region of practical equivalence (rope).
        equivalent: probability that it lies inside the rope.
        above: probability that it lies above the rope.
        rope: half the width of the rope, in the units of the scores.
        difference: posterior median of the difference for `correlated_t`, the Hodges-Lehmann
            estimate for `bayes_signed_rank`.
        error: largest Monte Carlo standard error of the three probabilities; 0 if they are exact.
        n: number of differences.
        method: description of the method.
        next_block: for `bayes_signed_rank`, the posterior predictive probabilities that the
            difference on one more block lies below, inside and above the rope; else None.
    """

    below: float
    equivalent: float
    above: float
    rope: float
    difference: float
    error: float
    n: int
    method: str
    next_block: tuple[float, float, float] | None = None

    def verdict(self, level: float = 0.95) -> str:
        """Return the region whose probability reaches `level`, or "open" if none does.

        Args:
            level: required probability, between 0 and 1.

        Returns:
            "below", "equivalent", "above" or "open".

        Raises:
            StatisticsError: `level` is not between 0 and 1.
        """
        level = as_level(level)
        chances = {"below": self.below, "equivalent": self.equivalent, "above": self.above}
        return next((word for word, chance in chances.items() if chance >= level), "open")


def correlated_t(x: Any, y: Any, rope: float, test_fraction: float) -> Posterior:
    """Posterior of the difference of two models from scores on resampled data.

    The Bayesian correlated t test. With an uninformative prior and a correlation of `test_fraction`
    between scores, the mean difference has a Student t posterior with n - 1 degrees of freedom,
    centred at the mean of d, with the standard error of `corrected_t`. For `rope` = 0 the p-value
    of `corrected_t` is twice the smaller of `below` and `above`. If all differences are 0, the
    whole probability is at 0.

    Args:
        x, y: scores of two models on the same splits in the same order, shape (n,), finite.
        rope: half the width of the region of practical equivalence, at least 0, in the units of the
            scores.
        test_fraction: share of the data in each test set, between 0 and 1; 1 / k for k folds,
            repeated or not.

    Returns:
        The posterior probabilities, exact.

    Raises:
        StatisticsError: lengths differ, there are fewer than 2 pairs, a value is not finite, all
            differences are equal and not 0, `rope` is below 0 or not finite, or `test_fraction` is
            not between 0 and 1.

    Source: Corani and Benavoli (2015).
    """
    from scipy.special import stdtr

    x, y = as_pairs(x, y, least=2)
    rope, fraction = _as_rope(rope), as_fraction(test_fraction)
    d, slack, unit = scaled_differences(x, y)
    n, mean, reach = len(d), float(d.mean()), rope / unit
    error = corrected_error(deviation(d, slack, unit), n, fraction)
    if error == 0:
        below, above = (0.5, 0.5) if rope == 0 else (0.0, 0.0)
    else:
        below = float(stdtr(n - 1, (-reach - mean) / error))
        above = float(stdtr(n - 1, (mean - reach) / error))
    inside = max(0.0, 1.0 - below - above) if rope > 0 else 0.0
    method = f"Bayesian correlated t test, {n} scores, test fraction {fraction:.3g}, rope {rope:g}"
    return Posterior(below, inside, above, rope, mean * unit, 0.0, n, method)


def bayes_signed_rank(
    x: Any, y: Any, rope: float, prior: float = 0.5, samples: int = 50_000, seed: int = 0
) -> Posterior:
    """Posterior of the difference of two treatments over n blocks, such as problems.

    The Bayesian signed-rank test: a Dirichlet process on d with a prior of strength `prior` at 0,
    so that the weights w of (0, d_1, ..., d_n) are Dirichlet(prior, 1, ..., 1). For each w, the
    mean of two draws lies below, inside or above the rope with known probabilities; a mean at the
    border counts half for each side. `below`, `equivalent` and `above` are the shares of sampled w
    in which that region is the most probable. As n grows, one of them tends to 1: the region that
    holds most means of two differences. So they are not the probabilities of the next difference;
    these are in `next_block`: the shares of the differences, with the prior as `prior` more at 0.

    Args:
        x, y: scores of two treatments on the same blocks, shape (n,), finite.
        rope: half the width of the region of practical equivalence, at least 0, in the units of the
            scores.
        prior: strength of the prior, above 0, in number of observations at 0.
        samples: number of sampled weight vectors w.
        seed: of the sampling; the same seed gives the same posterior.

    Returns:
        The posterior probabilities with their Monte Carlo error.

    Raises:
        StatisticsError: lengths differ, there is no pair, a value is not finite, `rope` is below 0
            or not finite, `prior` is not above 0, `samples` is not a positive whole
            number, or `seed` is not a whole number of at least 0.

    Source: Benavoli et al. (2014; 2017).
    """
    x, y = as_pairs(x, y)
    rope, samples = _as_rope(rope), as_whole(samples, "samples", most=MOST_DRAWN)
    prior = as_number(prior, "prior", "a strength above 0, such as 0.5", math.ulp(0.0))
    seed = as_seed(seed)
    d, slack, unit = scaled_differences(x, y)
    z, reach = np.concatenate([[0.0], d]), rope / unit
    sums = z[:, None] + z
    # A sum at the border of the rope counts half for each side, also if rounding moved it.
    above = _heaviside(sums - 2 * reach, 2 * slack)
    below = _heaviside(-sums - 2 * reach, 2 * slack)
    wins = _winners(below, above, prior, samples, seed, rope)
    low, inside, high = (wins / samples).tolist()
    # A simulated share of 0 or 1 has an estimated error of 0: bound it from below by one sample.
    error = math.sqrt(max(1 / samples, *(p * (1 - p) for p in (low, inside, high))) / samples)
    i, j = np.triu_indices(len(d))
    median = unit * float(np.median((d[i] + d[j]) / 2))
    method = f"Bayesian signed-rank test, {len(d)} pairs, rope {rope:g}, {samples} samples"
    ahead = _next_block(z, reach, prior, slack)
    return Posterior(low, inside, high, rope, median, error, len(d), method, ahead)


def _next_block(
    z: FloatArray, rope: float, prior: float, slack: float
) -> tuple[float, float, float]:
    """Predictive probabilities of one more difference; z is 0 of weight `prior` and the d."""
    weights = np.concatenate([[prior], np.ones(len(z) - 1)])
    above = float(weights @ _heaviside(z - rope, slack) / weights.sum())
    below = float(weights @ _heaviside(-z - rope, slack) / weights.sum())
    return below, max(0.0, 1 - below - above), above


def _as_rope(rope: Any) -> float:
    return as_number(rope, "rope", "the largest difference that does not matter, at least 0", 0.0)


def _heaviside(values: FloatArray, slack: float) -> FloatArray:
    return np.where(np.abs(values) <= slack, 0.5, (values > 0).astype(np.float64))


def _winners(
    below: FloatArray, above: FloatArray, prior: float, samples: int, seed: int, rope: float
) -> NDArray[np.float64]:
    """How often each region (below, inside, above) is the most probable, shape (3,)."""
    rng = np.random.Generator(np.random.PCG64(seed))
    weights = np.ones(len(below))
    weights[0] = prior
    size, wins = max(1, CHUNK // len(below)), np.zeros(3)
    for start in range(0, samples, size):
        w = rng.dirichlet(weights, min(size, samples - start))
        low = ((w @ below) * w).sum(axis=1)
        high = ((w @ above) * w).sum(axis=1)
        inside = 1 - low - high if rope > 0 else np.full(len(w), -1.0)
        regions = np.stack([low, inside, high])
        best = regions >= regions.max(axis=0) - 1e-12  # regions with equal chances share
        wins += (best / best.sum(axis=0)).sum(axis=1)
    return wins
