"""Bayesian comparison of two: how probable it is that one is practically better.

Notation: d = x - y are n paired differences; the region of practical equivalence (rope) is [-r, r],
in the units of the scores; `below`, `equivalent` and `above` are the posterior probabilities that
the difference lies under, in and over it. Below means that x is lower: better for errors and
losses, worse for accuracies.

A p-value cannot say that two treatments are equal, these probabilities can (Benavoli, Corani,
Demsar and Zaffalon 2017). They hang on r, which is to be chosen before the data are seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.stats.checks import as_fraction, as_pairs, as_whole, deviation, differences
from metaopt.stats.corrected_t import corrected_error

CHUNK = 4_000_000  # numbers held at once while sampling


@dataclass(frozen=True)
class Posterior:
    """What is known of a difference after the data.

    Attributes:
        below: probability that x - y lies below the region of practical equivalence.
        equivalent: probability that it lies within.
        above: probability that it lies above.
        rope: half the width of that region.
        difference: posterior median of the difference, or the Hodges-Lehmann estimate.
        error: largest Monte Carlo standard error of the probabilities, 0 where they are exact.
        n: number of differences.
        method: in words.
    """

    below: float
    equivalent: float
    above: float
    rope: float
    difference: float
    error: float
    n: int
    method: str

    def verdict(self, level: float = 0.95) -> str:
        """Return the region whose probability reaches `level`, else "open"."""
        chances = {"below": self.below, "equivalent": self.equivalent, "above": self.above}
        return next((word for word, chance in chances.items() if chance >= level), "open")


def correlated_t(x: Any, y: Any, rope: float, test_fraction: float) -> Posterior:
    """Posterior of the difference of two models from n scores on resampled data, both (n,).

    The Bayesian correlated t test of Corani and Benavoli (2015): with an uninformative
    prior and a correlation of `test_fraction` between scores, the mean difference is Student with
    n - 1 degrees of freedom about the mean of d, with the standard error of `corrected_t`, whose
    p-value is twice the smaller of `below` and `above` at `rope` 0. For k folds, repeated or not,
    `test_fraction` is 1 / k. Without any difference all mass is at 0.

    Raises:
        StatisticsError: lengths differ, there are fewer than 2 pairs, a value is not finite, all
            differences are equal and not 0, `rope` is below 0, or `test_fraction` is wrong.
    """
    from scipy.special import stdtr

    x, y = as_pairs(x, y, least=2)
    rope, fraction = _as_rope(rope), as_fraction(test_fraction)
    d, slack = differences(x, y)
    n, mean = len(d), float(d.mean())
    error = corrected_error(deviation(d, slack), n, fraction)
    if error == 0:
        below, above = (0.5, 0.5) if rope == 0 else (0.0, 0.0)
    else:
        below = float(stdtr(n - 1, (-rope - mean) / error))
        above = float(stdtr(n - 1, (mean - rope) / error))
    inside = max(0.0, 1.0 - below - above) if rope > 0 else 0.0
    method = f"Bayesian correlated t test, {n} scores, test fraction {fraction:.3g}, rope {rope:g}"
    return Posterior(below, inside, above, rope, mean, 0.0, n, method)


def bayes_signed_rank(
    x: Any, y: Any, rope: float, prior: float = 0.5, samples: int = 50_000, seed: int = 0
) -> Posterior:
    """Posterior of the difference of two treatments over n blocks (problems), both (n,).

    The Bayesian signed-rank test (Benavoli et al. 2014; 2017): a Dirichlet process on
    d whose prior of strength `prior` sits at 0, so that weights w over (0, d_1, ..., d_n) are
    Dirichlet(prior, 1, ..., 1). The mean of two draws from it lies below, in or above the rope with
    chances that w decides, ties counting half to both sides; a probability here is the share of
    `samples` w's in which that region is the most probable. So with a true difference it tends to
    1, as n grows, for the region where most of the means of two differences lie.

    Raises:
        StatisticsError: lengths differ, there is no pair, a value is not finite, `rope` is below
            0, `prior` not above 0, or `samples` not a positive whole number.
    """
    x, y = as_pairs(x, y)
    rope, samples = _as_rope(rope), as_whole(samples, "samples")
    if isinstance(prior, bool) or not isinstance(prior, (int, float)) or not 0 < prior < math.inf:
        raise StatisticsError(f"prior must be a strength above 0, such as 0.5, got {prior!r}")
    d, slack = differences(x, y)
    z = np.concatenate([[0.0], d])
    sums = z[:, None] + z
    # A sum at the border of the rope belongs half to it; rounding must not decide.
    above = _heaviside(sums - 2 * rope, 2 * slack)
    below = _heaviside(-sums - 2 * rope, 2 * slack)
    wins = _winners(below, above, prior, samples, seed, rope)
    low, inside, high = (wins / samples).tolist()
    # A share of 0 or 1 is known no better than to one sample.
    error = math.sqrt(max(1 / samples, *(p * (1 - p) for p in (low, inside, high))) / samples)
    i, j = np.triu_indices(len(d))
    median = float(np.median((d[i] + d[j]) / 2))
    method = f"Bayesian signed-rank test, {len(d)} pairs, rope {rope:g}, {samples} samples"
    return Posterior(low, inside, high, rope, median, error, len(d), method)


def _as_rope(rope: Any) -> float:
    number = isinstance(rope, (int, float, np.number)) and not isinstance(rope, bool)
    if not number or not 0 <= rope < math.inf:
        raise StatisticsError(
            f"rope must be the largest difference that does not matter, at least 0, got {rope!r}"
        )
    return float(rope)


def _heaviside(values: FloatArray, slack: float) -> FloatArray:
    return np.where(np.abs(values) <= slack, 0.5, (values > 0).astype(np.float64))


def _winners(
    below: FloatArray, above: FloatArray, prior: float, samples: int, seed: int, rope: float
) -> NDArray[np.float64]:
    """How often each region (below, in, above) is the most probable, shape (3,)."""
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
        best = regions >= regions.max(axis=0) - 1e-12  # equal chances share the sample
        wins += (best / best.sum(axis=0)).sum(axis=1)
    return wins
