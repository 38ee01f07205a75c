"""Effect sizes: how large a difference is, to report together with every p-value.

Lower is better in all functions. Notation: x and y are samples of m and n values.
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
from metaopt.stats.checks import (
    MOST_DRAWN,
    as_flag,
    as_floats,
    as_function,
    as_level,
    as_number,
    as_pairs,
    as_sample,
    as_seed,
    as_whole,
)
from metaopt.stats.extremes import median, unit_of, with_room

# Vargha and Delaney (2000), table 1: distances of A from 1/2.
MAGNITUDES = ((0.21, "large"), (0.14, "medium"), (0.06, "small"))
TABLE = 1_000_000  # pairs whose wins are in memory at once
RESAMPLED = 10**9  # values in all resamples together; they are in memory at once


def a12(x: Any, y: Any) -> float:
    """Probability that a value of x is better (lower) than a value of y; ties count half.

    The measure of stochastic superiority, P(X < Y) + P(X = Y) / 2. The original assumes that higher
    is better; here lower is better: 1 means that all of x lie below all of y, 0.5 no tendency, 0
    that all of x lie above. The order of values within a sample does not matter.

    Args:
        x: first sample, shape (m,); a failed run may be +inf.
        y: second sample, shape (n,).

    Returns:
        A12, between 0 and 1.

    Raises:
        StatisticsError: a sample is empty, not one-dimensional, or holds NaN.

    Source: Vargha and Delaney (2000, eq. 14).

    Example:
        >>> from metaopt.stats import a12
        >>> a12([0.1, 0.2, 0.5], [0.3, 0.4])  # 4 of 6 pairs have the lower value in x
        0.6666666666666666
    """
    x, y = as_sample(x, "x", infinite=True), np.sort(as_sample(y, "y", infinite=True))
    upto, below = np.searchsorted(y, x, side="right"), np.searchsorted(y, x, side="left")
    halves = 2 * (len(y) - upto) + (upto - below)  # twice the values of y that each x beats
    return int(halves.sum()) / (2 * len(x) * len(y))


def magnitude(a: float) -> str:
    """Name the size of an A12: negligible, small (0.56), medium (0.64) or large (0.71).

    The same distances from 0.5 apply below 0.5.

    Args:
        a: an A12, between 0 and 1.

    Returns:
        "negligible", "small", "medium" or "large".

    Raises:
        StatisticsError: `a` is not a number between 0 and 1.

    Source: Vargha and Delaney (2000, table 1).
    """
    a = as_number(a, "a", "an A12, a number between 0 and 1", 0.0, 1.0)
    distance = abs(a - 0.5) + 1e-12  # 0.56 - 0.5 is below 0.06 due to rounding
    return next((word for least, word in MAGNITUDES if distance >= least), "negligible")


def cliffs_delta(x: Any, y: Any) -> float:
    """Probability that a value of x is better (lower) than one of y, minus the reverse.

    P(X < Y) - P(X > Y) = 2 A12 - 1. The sign follows the convention of `a12`: above 0, x is better.

    Args:
        x: first sample, shape (m,); a failed run may be +inf.
        y: second sample, shape (n,).

    Returns:
        Cliff's delta, from -1 to 1; 0 means no tendency.

    Raises:
        StatisticsError: a sample is empty, not one-dimensional, or holds NaN.

    Source: Cliff (1993).
    """
    return 2 * a12(x, y) - 1


def shift(x: Any, y: Any) -> float:
    """Typical difference x - y of unpaired samples; below 0, x is better (lower).

    The Hodges-Lehmann estimator of the rank-sum test: the median of all m n differences x_i - y_j.
    For pairs use `median_difference`.

    Args:
        x: first sample, shape (m,), finite.
        y: second sample, shape (n,), finite.

    Returns:
        The estimated shift, in the units of the samples.

    Raises:
        StatisticsError: a sample is empty, not one-dimensional, or a value is not finite.

    Source: Hodges and Lehmann (1963).
    """
    (x, y), unit = with_room(as_sample(x, "x"), as_sample(y, "y"))
    return unit * float(np.median(x[:, None] - y))


def median_difference(x: Any, y: Any) -> float:
    """Typical difference x - y of paired samples; below 0, x is better (lower).

    The Hodges-Lehmann estimator of the signed-rank test: the median of the means (d_i + d_j) / 2
    over all pairs of differences with i <= j.

    Args:
        x, y: paired samples, shape (n,), finite.

    Returns:
        The estimated difference, in the units of the samples.

    Raises:
        StatisticsError: lengths differ, there is no pair, or a value is not finite.

    Source: Hodges and Lehmann (1963).
    """
    (x, y), unit = with_room(*as_pairs(x, y))
    d = x - y
    i, j = np.triu_indices(len(d))
    return unit * float(np.median((d[i] + d[j]) / 2))


@dataclass(frozen=True)
class Interval:
    """A confidence interval of an estimate.

    Attributes:
        estimate: value of the statistic on the data.
        low: lower bound.
        high: upper bound.
        level: confidence level, between 0 and 1.
        method: description of the method.
    """

    estimate: float
    low: float
    high: float
    level: float
    method: str


def bootstrap(
    x: Any,
    statistic: Callable[..., Any] = median,
    level: float = 0.95,
    n: int = 2000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of a statistic of one sample.

    The percentile interval is used and not BCa, because the acceleration of BCa is erratic for a
    median: the jackknife sees only the few middle values. With fewer than about 10 values the
    interval is too short. Equal values give an interval of length 0. Global random generators are
    not used.

    Args:
        x: sample, shape (m,), finite, at least 2 values.
        statistic: maps a sample to a number; the median by default. A function with a parameter
            `axis` is called once for all resamples.
        level: confidence level, between 0 and 1.
        n: number of resamples.
        seed: of the resampling; the same seed gives the same interval.

    Returns:
        The statistic with its interval.

    Raises:
        StatisticsError: `x` has fewer than 2 values or a value that is not finite, `statistic` is
            no function, raises an exception or does not return one finite number per sample, or
            `level`, `n` or `seed` is not valid.

    Source: Efron (1979).
    """
    x = as_sample(x, "x", least=2)
    level, n, rng = as_level(level), _as_resamples(n, len(x)), _generator(seed)
    as_function(statistic, "statistic", "numpy.mean")
    estimate = float(_on_rows(statistic, x[None, :])[0])
    estimates = _on_rows(statistic, x[rng.integers(len(x), size=(n, len(x)))])
    return _percentiles(estimate, estimates, level, f"percentile bootstrap, n={n}")


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
    """Percentile bootstrap interval of an effect of two samples.

    If all of x are better than all of y, A12 is 1 in every resample and the interval has length 0.
    This is a limit of the bootstrap at the border of the range, not certainty.

    Args:
        x: first sample, shape (m,), at least 2 values.
        y: second sample, shape (n,), at least 2 values.
        effect: maps x and y to a number: `a12`, `cliffs_delta`, `shift`, `median_difference`.
        paired: resample pairs (x_i, y_i), for samples of one length; False resamples each sample
            separately.
        level: confidence level, between 0 and 1.
        n: number of resamples.
        seed: of the resampling; the same seed gives the same interval.

    Returns:
        The effect with its interval.

    Raises:
        StatisticsError: a sample has fewer than 2 values or NaN, or an infinity where `effect` is
            not `a12` or `cliffs_delta`, pairs differ in length, `effect` is no function, raises an
            exception or does not return a finite number, or `paired`, `level`, `n` or `seed` is not
            valid.

    Source: Efron and Tibshirani (1993, chapter 8).
    """
    infinite = effect is a12 or effect is cliffs_delta  # only the order counts for these effects
    x, y = (as_sample(v, k, least=2, infinite=infinite) for v, k in ((x, "x"), (y, "y")))
    if as_flag(paired, "paired"):
        x, y = as_pairs(x, y, infinite=infinite)
    level, n, rng = as_level(level), _as_resamples(n, len(x) + len(y)), _generator(seed)
    of_two = as_function(effect, "effect", "stats.shift")
    (estimate,) = as_sample([of_two(x, y)], "the values of effect")
    rows = rng.integers(len(x), size=(n, len(x)))
    columns = rows if paired else rng.integers(len(y), size=(n, len(y)))
    if infinite and x.size * y.size <= TABLE:
        chances = _a12_of(x, y, rows, columns)
        estimates = chances if effect is a12 else 2 * chances - 1
    else:
        found = [of_two(x[i], y[j]) for i, j in zip(rows, columns, strict=True)]
        estimates = as_sample(found, "the values of effect")
    method = f"percentile bootstrap of {'pairs' if paired else 'both samples'}, n={n}"
    return _percentiles(float(estimate), estimates, level, method)


def _as_resamples(n: Any, size: int) -> int:
    """The number of resamples of `size` values each."""
    most = min(MOST_DRAWN, RESAMPLED // size)
    return as_whole(n, "n", most=max(1, most))


def _generator(seed: Any) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(as_seed(seed)))


def _percentiles(estimate: float, estimates: FloatArray, level: float, method: str) -> Interval:
    unit, tail = unit_of(estimates), (1 - level) / 2
    low, high = (np.quantile(estimates / unit, [tail, 1 - tail]) * unit).tolist()
    return Interval(estimate, low, high, level, method)


def _a12_of(
    x: FloatArray, y: FloatArray, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> FloatArray:
    """A12 of every resample, shape (n,), from one table of pairwise wins."""
    wins = 2.0 * (x[:, None] < y) + (x[:, None] == y)  # doubled, so that sums are exact
    chosen_x, chosen_y = _counts(rows, len(x)), _counts(columns, len(y))
    out: FloatArray = ((chosen_x @ wins) * chosen_y).sum(axis=1) / (2 * x.size * y.size)
    return out


def _counts(rows: NDArray[np.int64], n: int) -> FloatArray:
    """How often each of n values occurs in each resample, shape (resamples, n)."""
    places = rows + n * np.arange(len(rows))[:, None]
    return np.bincount(places.ravel(), minlength=n * len(rows)).reshape(-1, n).astype(np.float64)


def _on_rows(statistic: Callable[..., Any], rows: FloatArray) -> FloatArray:
    """Value of `statistic` for every row, shape (n,)."""
    try:
        vectorised = "axis" in inspect.signature(statistic).parameters
    except (TypeError, ValueError):  # some built-ins have no signature
        vectorised = False
    of_one = as_function(statistic, "statistic", "numpy.mean")
    found = of_one(rows, axis=-1) if vectorised else [of_one(row) for row in rows]
    values = as_floats(found, "the values of statistic")
    if values.shape != (len(rows),):
        raise StatisticsError(
            f"the statistic must return one number per sample, got shape {values.shape[1:]}"
        )
    return values
