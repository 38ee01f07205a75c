"""How large a difference is: beside every p-value, a number that one can act on.

Lower is better throughout. Notation: x and y are samples of m and n values.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.stats.checks import as_floats, as_level, as_pairs, as_sample, as_whole

# Vargha and Delaney (2000), table 1: distances of A from 1/2.
MAGNITUDES = ((0.21, "large"), (0.14, "medium"), (0.06, "small"))
TABLE = 1_000_000  # pairs whose outcomes are held at once


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


def cliffs_delta(x: Any, y: Any) -> float:
    """Chance that a value of x, (m,), beats (is lower than) one of y, (n,), less the reverse.

    Cliff (1993): P(X < Y) - P(X > Y) = 2 A12 - 1, from -1 to 1, 0 for no tendency. Its sign is
    turned round like that of `a12`, so that above 0 x is the better.

    Raises:
        StatisticsError: a sample is empty, not one-dimensional, or holds NaN.
    """
    return 2 * a12(x, y) - 1


def shift(x: Any, y: Any) -> float:
    """Typical distance x - y of unpaired samples, (m,) and (n,); below 0 where x is better (lower).

    The estimator that belongs to the rank-sum test (Hodges and Lehmann 1963): the median of all m n
    differences x_i - y_j. For pairs there is `median_difference`.

    Raises:
        StatisticsError: a sample is empty, not one-dimensional, or a value is not finite.
    """
    x, y = as_sample(x, "x"), as_sample(y, "y")
    return float(np.median(x[:, None] - y))


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
    level = as_level(level)
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise StatisticsError(f"n must be a positive number of resamples, got {n!r}")
    rng = np.random.Generator(np.random.PCG64(seed))
    estimates = _on_rows(statistic, x[rng.integers(len(x), size=(int(n), len(x)))])
    tail = (1 - level) / 2
    low, high = np.quantile(estimates, [tail, 1 - tail])
    estimate = float(_on_rows(statistic, x[None, :])[0])
    return Interval(estimate, float(low), float(high), level, f"percentile bootstrap, n={n}")


def bootstrap_two(
    x: Any,
    y: Any,
    effect: Callable[[Any, Any], float] = a12,
    *,
    paired: bool = False,
    level: float = 0.95,
    n: int = 2000,
    seed: int = 0,
) -> Interval:
    """Percentile interval of an effect of two samples, (m,) and (n,), from `n` resamples.

    `effect` maps x and y to a number: `a12`, `cliffs_delta`, `shift`, `median_difference`. Samples
    are resampled each on its own, or `paired`, (n,) both, by pairs (Efron and Tibshirani 1993,
    chapter 8). Where all of x beats all of y, A12 is 1 in every resample and the interval has no
    length: that shows how little a bootstrap knows at the border, not certainty.

    Raises:
        StatisticsError: a sample has fewer than 2 values or NaN, pairs differ in length, or level
            or n is wrong.
    """
    infinite = effect in (a12, cliffs_delta)  # where only the order counts
    x, y = (as_sample(v, k, least=2, infinite=infinite) for v, k in ((x, "x"), (y, "y")))
    if paired:
        x, y = as_pairs(x, y, infinite=infinite)
    level, n = as_level(level), as_whole(n, "n")
    rng = np.random.Generator(np.random.PCG64(seed))
    rows = rng.integers(len(x), size=(n, len(x)))
    columns = rows if paired else rng.integers(len(y), size=(n, len(y)))
    if infinite and x.size * y.size <= TABLE:
        chances = _a12_of(x, y, rows, columns)
        estimates = chances if effect is a12 else 2 * chances - 1
    else:
        estimates = np.array([effect(x[i], y[j]) for i, j in zip(rows, columns, strict=True)])
    tail = (1 - level) / 2
    low, high = np.quantile(estimates, [tail, 1 - tail])
    method = f"percentile bootstrap of {'pairs' if paired else 'both samples'}, n={n}"
    return Interval(float(effect(x, y)), float(low), float(high), level, method)


def _a12_of(
    x: FloatArray, y: FloatArray, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> FloatArray:
    """A12 of every resample, shape (n,): a sum over one table of who beats whom."""
    wins = 2.0 * (x[:, None] < y) + (x[:, None] == y)  # twice, so that sums are exact
    chosen_x, chosen_y = _counts(rows, len(x)), _counts(columns, len(y))
    out: FloatArray = ((chosen_x @ wins) * chosen_y).sum(axis=1) / (2 * x.size * y.size)
    return out


def _counts(rows: NDArray[np.int64], n: int) -> FloatArray:
    """How often each of n values is in each resample, shape (resamples, n)."""
    places = rows + n * np.arange(len(rows))[:, None]
    return np.bincount(places.ravel(), minlength=n * len(rows)).reshape(-1, n).astype(np.float64)


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
