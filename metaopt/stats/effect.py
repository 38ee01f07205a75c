"""How large a difference is: beside every p-value, a number that one can act on.

Lower is better throughout. Notation: x and y are samples of m and n values.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from metaopt.stats.errors import FloatArray, StatisticsError, as_floats, as_pairs, as_sample

# Vargha and Delaney (2000), table 1: distances of A from 1/2.
MAGNITUDES = ((0.21, "large"), (0.14, "medium"), (0.06, "small"))


def a12(x: Any, y: Any) -> float:
    """Probability that a value of x, (m,), is better (lower) than one of y, (n,), ties half.

    The measure of stochastic superiority of Vargha and Delaney (2000, eq. 14), P(X < Y) + P(X = Y)
    / 2, turned round since they have higher as better: 1 means that all of x lie below all of y,
    0.5 no tendency, 0 that all lie above. The order within a sample plays no part; a failed run
    may be +inf.

    Raises:
        StatisticsError: a sample is empty, not one-dimensional, or holds NaN.
    """
    x, y = as_sample(x, "x", infinite=True), np.sort(as_sample(y, "y", infinite=True))
    upto, below = np.searchsorted(y, x, side="right"), np.searchsorted(y, x, side="left")
    halves = 2 * (len(y) - upto) + (upto - below)  # twice the members of y that each x beats
    return int(halves.sum()) / (2 * len(x) * len(y))


def magnitude(a: float) -> str:
    """Name the size of an A12: negligible, small (0.56), medium (0.64) or large (0.71).

    The thresholds of Vargha and Delaney (2000), the same on both sides of 0.5.

    Raises:
        StatisticsError: `a` is no probability.
    """
    if not 0 <= a <= 1:
        raise StatisticsError(f"A12 lies between 0 and 1, got {a!r}")
    distance = abs(a - 0.5) + 1e-12  # 0.56 - 0.5 falls short of 0.06 by rounding
    return next((word for least, word in MAGNITUDES if distance >= least), "negligible")


def median_difference(x: Any, y: Any) -> float:
    """Typical difference x - y of paired samples, both (n,); below 0 where x is better (lower).

    The estimator that belongs to the signed-rank test (Hodges and Lehmann 1963): the median of
    the means (d_i + d_j) / 2 over all pairs of differences, i <= j.

    Raises:
        StatisticsError: lengths differ, there is no pair, or a value is not finite.
    """
    x, y = as_pairs(x, y)
    d = x - y
    i, j = np.triu_indices(len(d))
    return float(np.median((d[i] + d[j]) / 2))


@dataclass(frozen=True)
class Interval:
    """A confidence interval: the estimate, its bounds and the level, with the method in words."""

    estimate: float
    low: float
    high: float
    level: float
    method: str


def bootstrap(
    x: Any,
    statistic: Callable[..., Any] = np.median,
    level: float = 0.95,
    n: int = 2000,
    seed: int = 0,
) -> Interval:
    """Percentile interval of a statistic of x, shape (m,), from n resamples (Efron 1979).

    `statistic` maps a sample to a number; one that knows `axis` is called once for all resamples.
    Percentile and not BCa, whose acceleration is erratic for a median: the jackknife sees only the
    few middle values. With fewer than about 10 values the interval is too short; 2 are required.
    Equal values give an interval of no length. The same seed gives the same interval, and no
    global generator is touched.

    Raises:
        StatisticsError: x has fewer than 2 values or one that is not finite; level or n is wrong.
    """
    x = as_sample(x, "x", least=2)
    if not 0 < level < 1:
        raise StatisticsError(f"level must lie between 0 and 1, such as 0.95, got {level!r}")
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise StatisticsError(f"n must be a positive number of resamples, got {n!r}")
    rng = np.random.Generator(np.random.PCG64(seed))
    estimates = _on_rows(statistic, x[rng.integers(len(x), size=(int(n), len(x)))])
    tail = (1 - level) / 2
    low, high = np.quantile(estimates, [tail, 1 - tail])
    estimate = float(_on_rows(statistic, x[None, :])[0])
    return Interval(estimate, float(low), float(high), level, f"percentile bootstrap, n={n}")


def _on_rows(statistic: Callable[..., Any], rows: FloatArray) -> FloatArray:
    """Value of `statistic` on every row, shape (n,)."""
    try:
        vectorised = "axis" in inspect.signature(statistic).parameters
    except (TypeError, ValueError):  # some built-ins have no signature
        vectorised = False
    values = statistic(rows, axis=-1) if vectorised else [statistic(row) for row in rows]
    values = as_floats(values, "the statistic's values")
    if values.shape != (len(rows),):
        raise StatisticsError(
            f"the statistic must return one number per sample, got shape {values.shape[1:]}"
        )
    return values
