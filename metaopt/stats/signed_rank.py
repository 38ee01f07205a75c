"""Two treatments on the same blocks: the signed-rank test.

Notation: d_i = x_i - y_i over n pairs; r_i is the rank of |d_i| among all n; W+ and W- are the
sums of the ranks of positive and of negative differences; m pairs have d_i != 0.
Under the null hypothesis the sign of every d_i != 0 is a fair coin, independent of the others.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.stats.checks import as_level, as_pairs, as_whole

# The exact distribution takes O(m^3) steps, all inside numpy: some 5 ms at 200 pairs, where the
# normal approximation is off by less than 2 % of p.
EXACT_PAIRS = 200


@dataclass(frozen=True)
class Wilcoxon:
    """Outcome of the signed-rank test.

    Attributes:
        statistic: the smaller of W+ and W- (Wilcoxon's T).
        p: two-sided p-value.
        n: number of pairs, those without a difference included.
        zeros: number of pairs without a difference.
        method: how p was computed, in words.
    """

    statistic: float
    p: float
    n: int
    zeros: int
    method: str


def wilcoxon(x: Any, y: Any) -> Wilcoxon:
    """Test whether paired samples x and y, both (n,), differ in location; two-sided.

    The signed-rank test of Wilcoxon (1945). Pairs without a difference are ranked and then left
    out (Pratt 1959), tied differences share the mean of their ranks, and p is exact given those
    ranks: the permutation distribution over all signs, up to 200 pairs, and with ties too. Beyond
    it is the normal approximation with the conditional variance and continuity correction.
    Values that differ by no more than the rounding of their inputs count as equal, so that 0.3 -
    0.2 ties with 0.2 - 0.1. Without any difference, p is 1.

    Raises:
        StatisticsError: lengths differ, there is no pair, or a value is not finite.
    """
    x, y = as_pairs(x, y)
    d = x - y
    # Each input may be off by half a unit in its last place, and so may the subtraction.
    slack = np.finfo(np.float64).eps * (np.abs(x) + np.abs(y))
    nonzero = np.abs(d) > slack
    ranks = _ranks(np.where(nonzero, np.abs(d), 0.0), slack)
    plus, minus = float(ranks[nonzero & (d > 0)].sum()), float(ranks[nonzero & (d < 0)].sum())
    statistic, signed = min(plus, minus), ranks[nonzero]
    exact = len(signed) <= EXACT_PAIRS
    p = _exact(statistic, signed) if exact else _normal(statistic, signed)
    zeros = len(d) - len(signed)
    how = "exact permutation distribution" if exact else "normal approximation"
    kept = f", {zeros} without a difference (Pratt)" if zeros else ""
    return Wilcoxon(statistic, p, len(d), zeros, f"signed-rank test, {how}, {len(d)} pairs{kept}")


def _ranks(size: FloatArray, slack: FloatArray) -> FloatArray:
    """Ranks 1..n of `size`, averaged over ties, which reach as far as the `slack` of neighbours."""
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
    return min(1.0, 2 * float(signed_rank_chances(ranks)[: round(2 * statistic) + 1].sum()))


def signed_rank_chances(ranks: FloatArray) -> FloatArray:
    """P(2 W+ = 0, 1, 2, ...) over all 2^m signs of `ranks`, (m,), adding one pair after another."""
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

    A sign-based test on 5 pairs never goes below 0.0625, whatever they show; ask before running.

    Raises:
        StatisticsError: n is not a positive whole number.
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise StatisticsError(f"n must be a positive number of pairs, got {n!r}")
    return math.ldexp(1.0, 1 - int(n))


def fewest_pairs(level: float = 0.05, comparisons: int = 1) -> int:
    """Return the smallest n at which a sign-based test of n pairs can reject at all at `level`.

    With several `comparisons`, the smallest p-value is to pass Holm's first step, level / m. 6
    pairs at 0.05; 8 for four comparisons.

    Raises:
        StatisticsError: `level` is not between 0 and 1, or `comparisons` is no positive number.
    """
    least = as_level(level) / as_whole(comparisons, "comparisons")
    return next(n for n in itertools.count(1) if smallest_p(n) <= least)
