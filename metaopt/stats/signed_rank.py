"""Two treatments on the same blocks: the signed-rank test.

Notation: d_i = x_i - y_i over n pairs; r_i is the rank of |d_i| among all n; W+ and W- are the
sums of the ranks of positive and of negative differences; m pairs have d_i != 0.
Under the null hypothesis each d_i != 0 is positive with probability 1/2, independently of the rest.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from metaopt.core.types import FloatArray
from metaopt.stats.checks import as_level, as_pairs, as_whole
from metaopt.stats.extremes import EPS, with_room

# The exact distribution takes O(m^3) steps, all inside numpy: about 5 ms at 200 pairs. There the
# relative error of the normal approximation of p is below 2 %.
EXACT_PAIRS = 200


@dataclass(frozen=True)
class Wilcoxon:
    """Result of the signed-rank test.

    Attributes:
        statistic: the smaller of W+ and W- (Wilcoxon's T).
        p: two-sided p-value.
        n: number of pairs, including those without a difference.
        zeros: number of pairs without a difference.
        method: how p was computed.
        plus: W+, the sum of the ranks of the pairs in which x is higher.
        minus: W-, the sum of the ranks of the pairs in which x is lower.
    """

    statistic: float
    p: float
    n: int
    zeros: int
    method: str
    plus: float = 0.0
    minus: float = 0.0

    @property
    def sign(self) -> int:
        """The direction of the difference x - y: -1 if x is lower, 1 if it is higher, else 0."""
        return (self.plus > self.minus) - (self.plus < self.minus)


def wilcoxon(x: Any, y: Any) -> Wilcoxon:
    """Test whether paired samples differ in location; two-sided.

    The signed-rank test. Pairs without a difference are ranked and then left out (Pratt 1959); tied
    differences get the mean of their ranks. Up to 200 nonzero differences, p is exact, also with
    ties: the permutation distribution over all signs of the given ranks. With more, p is the normal
    approximation with the conditional variance and continuity correction. Differences that are
    equal except for rounding errors of the inputs count as tied: 0.3 - 0.2 ties with 0.2 - 0.1. If
    all differences are 0, p is 1.

    Args:
        x, y: paired samples, shape (n,), finite: for example the costs of two strategies on n
            problems.

    Returns:
        The test; see `median_difference` and `a12` for the size of the effect.

    Raises:
        StatisticsError: lengths differ, there is no pair, or a value is not finite.

    Source: Wilcoxon (1945); zeros after Pratt (1959).

    Example:
        >>> from metaopt.stats import wilcoxon
        >>> x = [0.31, 0.28, 0.35, 0.30, 0.27, 0.33]
        >>> y = [0.36, 0.34, 0.42, 0.38, 0.36, 0.43]
        >>> wilcoxon(x, y).p  # x is lower in all 6 pairs
        0.03125
    """
    return of_signed_ranks(signed_ranks(x, y), "signed-rank test")


def signed_ranks(x: Any, y: Any) -> FloatArray:
    """Ranks of |d_i| with the sign of d_i, shape (n,); 0 for a pair without a difference.

    Raises:
        StatisticsError: lengths differ, there is no pair, or a value is not finite.
    """
    (x, y), _ = with_room(*as_pairs(x, y))
    d = x - y
    # Each input may be off by half a unit in its last place, and so may the subtraction.
    slack = EPS * (np.abs(x) + np.abs(y))
    nonzero = np.abs(d) > slack
    ranks = _ranks(np.where(nonzero, np.abs(d), 0.0), slack)
    return np.where(nonzero, np.copysign(ranks, d), 0.0)


def of_signed_ranks(ranks: FloatArray, name: str) -> Wilcoxon:
    """Make the test from the signed ranks of all pairs, shape (n,), also of several strata."""
    plus, minus = float(ranks[ranks > 0].sum()), float(np.abs(ranks[ranks < 0]).sum())
    statistic, signed = min(plus, minus), np.abs(ranks[ranks != 0])
    exact = len(signed) <= EXACT_PAIRS
    p = _exact(statistic, signed) if exact else _normal(statistic, signed)
    n, zeros = len(ranks), len(ranks) - len(signed)
    how = "exact permutation distribution" if exact else "normal approximation"
    kept = f", {zeros} without a difference (Pratt)" if zeros else ""
    return Wilcoxon(statistic, p, n, zeros, f"{name}, {how}, {n} pairs{kept}", plus, minus)


def _ranks(size: FloatArray, slack: FloatArray) -> FloatArray:
    """Ranks 1..n of `size`; values within the rounding errors of their neighbours are tied."""
    order = np.argsort(size, kind="stable")
    apart = np.diff(size[order]) > slack[order][1:] + slack[order][:-1]
    group = np.concatenate([[0], np.cumsum(apart)])
    last = np.cumsum(np.bincount(group))  # the largest rank in each group
    mean = last - (np.bincount(group) - 1) / 2
    ranks = np.empty(len(size))
    ranks[order] = mean[group]
    return ranks


def _exact(statistic: float, ranks: FloatArray) -> float:
    """P(W+ <= t or W+ >= sum - t) over all 2^m signs."""
    twice = np.sort(np.rint(2 * ranks).astype(np.int64))
    return min(1.0, 2 * float(_below(twice.tobytes())[round(2 * statistic)]))


@lru_cache(maxsize=64)
def _below(twice: bytes) -> FloatArray:
    """P(2 W+ <= 0, 1, 2, ...) for doubled ranks, kept: without ties they are always the same."""
    below: FloatArray = np.cumsum(signed_rank_chances(np.frombuffer(twice, np.int64) / 2))
    return below


def signed_rank_chances(ranks: FloatArray) -> FloatArray:
    """P(2 W+ = 0, 1, 2, ...) over all 2^m signs of `ranks`, (m,); adds one pair after the other."""
    steps = np.rint(2 * ranks).astype(np.int64)  # mean ranks are multiples of one half
    chance = np.zeros(int(steps.sum()) + 1)
    chance[0] = 1.0
    for step in steps:
        chance *= 0.5
        chance[step:] += chance[:-step].copy()
    return chance


def _normal(statistic: float, ranks: FloatArray) -> float:
    mean, deviation = ranks.sum() / 2, math.sqrt(float((ranks**2).sum())) / 2
    z = max(0.0, float(mean - statistic) - 0.5) / deviation
    return math.erfc(z / math.sqrt(2))


def smallest_p(n: int) -> float:
    """Return 2^(1 - n), the smallest two-sided p-value that n pairs can attain.

    A sign-based test on 5 pairs never gives less than 0.0625, whatever the data are: check before
    the experiment.

    Args:
        n: number of pairs.

    Returns:
        The smallest p-value.

    Raises:
        StatisticsError: n is not a positive whole number.
    """
    return math.ldexp(1.0, 1 - as_whole(n, "n"))


def fewest_pairs(level: float = 0.05, comparisons: int = 1) -> int:
    """Return the smallest number of pairs at which a sign-based test can reject at `level`.

    With several comparisons the smallest p-value must pass the first step of Holm's correction,
    level / comparisons. 6 pairs at level 0.05; 8 for four comparisons.

    Args:
        level: family-wise level, between 0 and 1.
        comparisons: number of hypotheses tested together.

    Returns:
        The number of pairs.

    Raises:
        StatisticsError: `level` is not between 0 and 1, or `comparisons` is not a positive whole
            number.
    """
    least = as_level(level) / as_whole(comparisons, "comparisons")
    return next(n for n in itertools.count(1) if smallest_p(n) <= least)
