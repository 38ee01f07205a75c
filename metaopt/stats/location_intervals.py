"""Intervals of medians and of differences in location, which keep their level with few values.

`Interval.level` is the level that an interval attains: at least the one asked for, unless so few
values allow no such interval. Intervals of the probability of being better are in
`superiority_intervals`.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.stats.checks import as_level, as_pairs, as_sample
from metaopt.stats.effect import Interval, median_difference, shift
from metaopt.stats.extremes import EPS, median, with_room
from metaopt.stats.rank_sum import EXACT_VALUES
from metaopt.stats.signed_rank import EXACT_PAIRS, signed_rank_chances

ROUNDING = 1e-12  # probabilities that differ by less are equal


def median_interval(x: Any, level: float = 0.95) -> Interval:
    """Median of a sample, with the exact interval between two of the ordered values.

    The interval reaches from the r-th lowest to the r-th highest value. It covers the median of the
    population with a probability that follows from the binomial distribution, whatever the
    distribution of the values; r is the largest that reaches `level`. With fewer than 6 values no r
    reaches 0.95; then the interval holds all values, and its level is lower: 0.75 for 3 values.

    Args:
        x: sample, shape (n,); a failed run may be +inf.
        level: confidence level asked for, between 0 and 1.

    Returns:
        The median with its interval, in the units of the sample, and the level attained.

    Raises:
        StatisticsError: `x` is empty, not one-dimensional, or holds NaN, its median lies between
            -inf and +inf, or `level` is not between 0 and 1.

    Source: Thompson (1936).
    """
    from scipy.special import bdtr

    x, level = np.sort(as_sample(x, "x", infinite=True)), as_level(level)
    n = len(x)
    middle = x[(n - 1) // 2], x[n // 2]
    if middle[0] == -math.inf and middle[1] == math.inf:
        raise StatisticsError("x has no median: half of the values are -inf and half are +inf")
    tail = bdtr(np.arange((n + 1) // 2), n, 0.5)  # P(at most r - 1 values lie below the median)
    r, attained = _dropped(tail, level)
    method = f"order statistics {r + 1} and {n - r} of {n}"
    return Interval(float(median(x)), float(x[r]), float(x[-1 - r]), attained, method)


def median_difference_interval(x: Any, y: Any, level: float = 0.95) -> Interval:
    """Typical difference x - y of pairs, with the interval of the signed-rank test.

    The interval reaches from the (k+1)-th lowest to the (k+1)-th highest mean (d_i + d_j) / 2 of
    differences with i <= j; k is the largest number whose two-sided p-value is at most 1 - level.
    So 0 lies outside exactly when p of `wilcoxon` is at most 1 minus the level attained. With ties
    or zeros k is the same, and the ends belong to the interval, so it is not too short; with such a
    p it may then end in 0. With fewer than 6 pairs no interval reaches 0.95, and it holds all
    means. The level holds for differences with a symmetric distribution.

    Args:
        x, y: paired samples, shape (n,), finite.
        level: confidence level asked for, between 0 and 1.

    Returns:
        The estimate of `median_difference` with its interval, in the units of the samples, and the
        level attained.

    Raises:
        StatisticsError: lengths differ, there is no pair, a value is not finite, or `level` is not
            between 0 and 1.

    Source: Hollander and Wolfe (1999, section 3.3).
    """
    estimate, level = median_difference(x, y), as_level(level)
    (x, y), unit = with_room(*as_pairs(x, y))
    n, d, slack = len(x), x - y, EPS * (np.abs(x) + np.abs(y))
    i, j = np.triu_indices(n)
    means, slack = (d[i] + d[j]) / 2, (slack[i] + slack[j]) / 2
    means = np.sort(np.where(np.abs(means) > slack, means, 0.0))  # as the zeros of `wilcoxon`
    if n <= EXACT_PAIRS:
        k, attained = _dropped(_signed_rank_tail(n), level)
    else:
        k, attained = _dropped_normal(len(means) / 2, len(means) * (2 * n + 1) / 12, level)
    how = f"signed-rank interval, {n} pairs, mean differences"
    return _ordered(estimate, means, unit, k, attained, how)


def shift_interval(x: Any, y: Any, level: float = 0.95) -> Interval:
    """Typical difference x - y of unpaired samples, with the interval of the rank-sum test.

    The interval reaches from the (k+1)-th lowest to the (k+1)-th highest difference x_i - y_j, with
    k as in `median_difference_interval`: 0 lies outside exactly when p of `rank_sum` is at most 1
    minus the level attained, and with ties it may then end in 0. The level holds for distributions
    that differ in location only.

    Args:
        x: first sample, shape (m,), finite.
        y: second sample, shape (n,), finite.
        level: confidence level asked for, between 0 and 1.

    Returns:
        The estimate of `shift` with its interval, in the units of the samples, and the level
        attained.

    Raises:
        StatisticsError: a sample is empty, not one-dimensional, or a value is not finite, or
            `level` is not between 0 and 1.

    Source: Hollander and Wolfe (1999, section 4.3).
    """
    estimate, level = shift(x, y), as_level(level)
    (x, y), unit = with_room(as_sample(x, "x"), as_sample(y, "y"))
    m, n = len(x), len(y)
    d = np.sort((x[:, None] - y).ravel())
    if m + n <= EXACT_VALUES:
        k, attained = _dropped(_rank_sum_tail(min(m, n), max(m, n)), level)
    else:
        k, attained = _dropped_normal(m * n / 2, m * n * (m + n + 1) / 12, level)
    how = f"rank-sum interval, {m} and {n} values, differences"
    return _ordered(estimate, d, unit, k, attained, how)


def _ordered(
    estimate: float, steps: FloatArray, unit: float, k: int, level: float, how: str
) -> Interval:
    """The interval between two of the ordered steps, which are in units of `unit`."""
    low, high = unit * float(steps[k]), unit * float(steps[-1 - k])
    method = f"{how} {k + 1} and {len(steps) - k} of {len(steps)}"
    return Interval(estimate, min(estimate, low), max(estimate, high), level, method)


def _dropped(tail: FloatArray, level: float) -> tuple[int, float]:
    """Number k of ordered values to drop at each end, and the level of the interval of the rest.

    That interval misses the true value at one end with probability tail[k], which rises with k.
    """
    k = max(0, int((2 * tail <= 1 - level + ROUNDING).sum()) - 1)
    return k, max(0.0, 1 - 2 * float(tail[k]))


def _dropped_normal(mean: float, variance: float, level: float) -> tuple[int, float]:
    """The same by the normal approximation with continuity correction."""
    from scipy.special import ndtr, ndtri

    deviation = math.sqrt(variance)
    k = max(0, math.floor(mean - 0.5 - float(ndtri((1 + level) / 2)) * deviation))
    return k, 1 - 2 * float(ndtr((k + 0.5 - mean) / deviation))


@lru_cache(maxsize=256)
def _signed_rank_tail(n: int) -> FloatArray:
    """P(W+ <= 0, 1, 2, ...) for n pairs without ties."""
    tail: FloatArray = np.cumsum(signed_rank_chances(np.arange(1.0, n + 1))[::2])
    return tail


@lru_cache(maxsize=256)
def _rank_sum_tail(m: int, n: int) -> FloatArray:
    """P(U <= 0, 1, 2, ...), up to the middle, for m and n values without ties."""
    ways = np.zeros(m * n // 2 + 1)  # the generating function is a Gaussian binomial coefficient
    ways[0] = 1.0
    for i in range(1, m + 1):  # times (1 - q^(n + i)) / (1 - q^i)
        ways[n + i :] -= ways[: max(0, len(ways) - n - i)].copy()
        for start in range(i):
            ways[start::i] = np.cumsum(ways[start::i])
    tail: FloatArray = np.cumsum(ways) / math.comb(m + n, m)
    return tail
