"""Intervals of the probability of being better (lower), which keep their level with few values.

Intervals of medians and of differences in location are in `location_intervals`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.stats.checks import as_choice, as_floats, as_level, as_pairs, as_sample
from metaopt.stats.effect import Interval, a12
from metaopt.stats.extremes import EPS, differences, with_room
from metaopt.stats.signed_rank import _ranks

A12_METHODS = ("conservative", "newcombe")
ROUNDING = 1e-9  # numbers of wins that differ by less are equal
STEPS = 40  # of a bisection of the probabilities from 0 to 1


def a12_interval(x: Any, y: Any, level: float = 0.95, method: str = "conservative") -> Interval:
    """Probability that a value of x is better (lower) than one of y, with its interval.

    "conservative": for a given probability, the A12 varies most if the values of one sample are
    equal (Birnbaum and Klose 1957). Then it is the share of the m or n values of the other sample
    that win, so the binomial distribution gives limits, here with half the probability of the
    observed share (mid-p). The interval is the union of those for m and for n. It keeps its level
    also for skewed and heavy-tailed values, very different spreads and ties. If a sample holds
    equal values only, the observed share counts in full, as in the exact interval of `wins`. If one
    sample varies very little beside the other, the level holds only on average over the true
    probabilities, as for all mid-p limits.

    "newcombe": all probabilities from which the estimate is less than z standard deviations away,
    each with the standard deviation under exponential distributions. It is shorter, most of all for
    samples of unequal sizes. But it is too short near 0 and 1 for skewed and heavy-tailed values,
    and everywhere for very different spreads.

    Unlike the bootstrap, both have a positive length when all of x lie below all of y.

    Args:
        x: first sample, shape (m,), independent of y; a failed run may be +inf.
        y: second sample, shape (n,).
        level: confidence level, between 0 and 1.
        method: "conservative" or "newcombe".

    Returns:
        The A12 (see `a12`) with its interval.

    Raises:
        StatisticsError: a sample is empty, not one-dimensional, or holds NaN, `level` is not
            between 0 and 1, or `method` is neither of the two.

    Source: Birnbaum and Klose (1957), Clopper and Pearson (1934); Newcombe (2006, part 2, method
    5).
    """
    x, y = as_sample(x, "x", infinite=True), as_sample(y, "y", infinite=True)
    estimate, m, n, level = a12(x, y), len(x), len(y), as_level(level)
    if as_choice(method, "method", A12_METHODS) == "newcombe":
        how, (low, high) = "Newcombe's method 5", _newcombe_limits(estimate, m, n, level)
    else:
        how, fixed = "binomial interval under the largest variance", is_fixed(x, y)
        low, high = binomial_limits(estimate, (m, n), level, exact=fixed)
    return Interval(estimate, low, high, level, f"{how}, {m} and {n} values")


def binomial_limits(
    estimate: float, sizes: Sequence[int], level: float, *, exact: bool
) -> tuple[float, float]:
    """Limits of a probability whose estimate varies at most as a share of n wins, for n in `sizes`.

    They are the widest of those of the sizes. The observed number of wins counts half, or in full
    if `exact`; an estimate may lie between two numbers.
    """

    def lowest(share: float) -> float:
        found = [share]
        for n in sizes:
            least = math.ceil(share * n - ROUNDING)
            most = least if exact else math.floor(share * n + ROUNDING) + 1
            found.append(_lowest_chance(least, most, n, (1 - level) / 2))
        return min(found)

    return lowest(estimate), 1 - lowest(1 - estimate)


@lru_cache(maxsize=4096)
def _lowest_chance(least: int, most: int, n: int, tail: float) -> float:
    """The chance of a win at which `tail` = (P(K >= least) + P(K >= most)) / 2 for K wins of n."""
    from scipy.special import bdtrc

    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        if bdtrc(least - 1, n, middle) + bdtrc(most - 1, n, middle) > 2 * tail:
            high = middle
        else:
            low = middle
    return low


def is_fixed(x: FloatArray, y: FloatArray) -> bool:
    """Whether x or y, shape (..., n), holds equal values only, such as a deterministic strategy."""
    same = [(values == values[..., :1]).all(axis=-1) for values in (x, y)]
    return bool((same[0] | same[1]).all())


def _newcombe_limits(estimate: float, m: int, n: int, level: float) -> tuple[float, float]:
    """The lowest and the highest probability that the estimate does not contradict."""
    from scipy.special import ndtri

    z, other = float(ndtri((1 + level) / 2)), (m + n) / 2 - 1

    def near(theta: float) -> bool:
        pairs = 1 + other * (1 - theta) / (2 - theta) + other * theta / (1 + theta)
        return abs(estimate - theta) <= z * math.sqrt(theta * (1 - theta) * pairs / (m * n))

    return _farthest(near, estimate, 0.0), _farthest(near, estimate, 1.0)


def _farthest(holds: Callable[[float], bool], start: float, border: float) -> float:
    """The number between start, where the condition holds, and border up to which it holds."""
    if holds(border):
        return border
    for _ in range(STEPS):
        middle = (start + border) / 2
        start, border = (middle, border) if holds(middle) else (start, middle)
    return start


def wins(x: Any, y: Any, level: float = 0.95) -> Interval:
    """Share of pairs in which x is better (lower), ties counting half, with an exact interval.

    Estimates the probability that x is better than y in the same block, such as the same seed. The
    interval inverts the binomial test; a half count lies between its neighbours. With several
    problems it is that of the mean over these problems: the counts are added up, which is
    conservative where the probabilities of the problems differ.

    Args:
        x, y: paired samples, shape (n,) or (problems, repeats); a failed run may be +inf.
        level: confidence level, between 0 and 1.

    Returns:
        The share with its interval.

    Raises:
        StatisticsError: the shapes differ or are others, there is no pair, a value is NaN, or
            `level` is not between 0 and 1.

    Source: Clopper and Pearson (1934); several problems: Hoeffding (1956).
    """
    from scipy.special import betaincinv

    x, y = as_floats(x, "x", infinite=True), as_floats(y, "y", infinite=True)
    level = as_level(level)
    if x.shape != y.shape or x.ndim not in (1, 2) or not x.size:
        raise StatisticsError(
            f"x and y must be paired, both of shape (n,) or (problems, repeats), got shapes"
            f" {x.shape} and {y.shape}"
        )
    d, _ = _order(x.ravel(), y.ravel())
    n, tail = len(d), (1 - level) / 2
    won = float((d < 0).sum() + 0.5 * (d == 0).sum())
    low = float(betaincinv(won, n - won + 1, tail)) if won else 0.0
    high = float(betaincinv(won + 1, n - won, 1 - tail)) if won < n else 1.0
    return Interval(won / n, low, high, level, f"Clopper-Pearson interval, {n} pairs")


def _order(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Differences x - y and their rounding errors, shape (n,) each.

    Rounding errors become 0; a pair with one infinity has the largest difference, and equal
    infinities are a tie.
    """
    (x, y), _ = with_room(x, y)
    finite = np.isfinite(x) & np.isfinite(y)
    a, b = np.where(finite, x, 0.0), np.where(finite, y, 0.0)
    d, _ = differences(a, b)
    largest = 2 * float(np.abs(d).max()) + 1
    infinite = largest * (1.0 * (x > y) - 1.0 * (x < y))
    return np.where(finite, d, infinite), EPS * (np.abs(a) + np.abs(b))


def rank_biserial(x: Any, y: Any, level: float = 0.95) -> Interval:
    """Matched-pairs rank-biserial correlation, with its interval; above 0, x is better (lower).

    r = (W- - W+) / (W- + W+), the effect size of the signed-rank test: the share of the rank sum
    that speaks for x minus the share against it; 1 if x is lower in all pairs. Zeros are treated as
    by `wilcoxon`. It estimates 2 P(d_1 + d_2 < 0) - 1 for the differences of two pairs.

    For a given P, the rank sum varies most if the pairs won have either the smallest or the largest
    differences (Ahlswede and Katona 1978). In both cases it depends on the number of wins alone, so
    the binomial distribution gives limits for P, here with half the probability of the observed
    value (mid-p). The interval is their union, which keeps its level also for skewed and
    heavy-tailed differences. It is wider than `wilcoxon` suggests, because that test takes the
    differences as symmetric under its null hypothesis.

    Args:
        x, y: paired samples, shape (n,); a failed run may be +inf, and its pair then has the
            largest difference.
        level: confidence level, between 0 and 1.

    Returns:
        The correlation, from -1 to 1, with its interval; 0 if all differences are 0.

    Raises:
        StatisticsError: lengths differ, there is no pair, a value is NaN, or `level` is not between
            0 and 1.

    Source: Kerby (2014); extreme distributions: Ahlswede and Katona (1978).
    """
    x, y = as_pairs(x, y, infinite=True)
    level = as_level(level)
    d, slack = _order(x, y)
    ranks = _ranks(np.abs(d), slack)
    won, lost, used = float(ranks[d < 0].sum()), float(ranks[d > 0].sum()), np.sort(ranks[d != 0])
    method = f"mid-p interval under the two extreme distributions, {len(used)} of {len(d)} pairs"
    if not len(used):
        return Interval(0.0, -1.0, 1.0, level, method)
    low, high = _limits(won, lost, used, (1 - level) / 2)
    return Interval((won - lost) / (won + lost), 2 * low - 1, 2 * high - 1, level, method)


def _limits(won: float, lost: float, ranks: FloatArray, tail: float) -> tuple[float, float]:
    """Limits of P(d_1 + d_2 < 0) from the rank sums of the pairs won and lost.

    With a probability s of a win, P is s^2 if the pairs won have the smallest differences, and
    1 - (1 - s)^2 if they have the largest. The upper limit is the lower one of the pairs lost.
    """

    def lowest(total: float) -> float:
        chances = []
        for steps in (ranks, ranks[::-1]):
            sums = np.concatenate([[0.0], np.cumsum(steps)])  # by number of pairs
            least, most = (int(np.searchsorted(sums, total, side)) for side in ("left", "right"))
            chances.append(_lowest_chance(least, most, len(ranks), tail))
        return float(min(chances[0] ** 2, 1 - (1 - chances[1]) ** 2))

    return lowest(won), 1 - lowest(lost)
