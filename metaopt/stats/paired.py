"""Two treatments on the same blocks, beside the signed-rank test: paired t and sign test.

Notation: d_i = x_i - y_i over n pairs; D and S are the mean and the standard deviation (n - 1
below) of the d_i. Differences that are rounding only count as 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from metaopt.stats.checks import as_level, as_pairs, deviation, differences


@dataclass(frozen=True)
class TTest:
    """Outcome of a t test on paired differences.

    Attributes:
        statistic: t, the mean difference over its standard error.
        p: two-sided p-value.
        n: number of differences.
        df: degrees of freedom.
        difference: mean of x - y.
        low: lower bound of its confidence interval.
        high: upper bound.
        level: confidence level of that interval.
        method: in words.
    """

    statistic: float
    p: float
    n: int
    df: int
    difference: float
    low: float
    high: float
    level: float
    method: str


def student(mean: float, error: float, n: int, level: float, method: str) -> TTest:
    """Turn a mean difference and its standard error, on n - 1 degrees of freedom, into a test.

    An error of 0 comes with a mean of 0 only (see `errors.deviation`): no evidence, p is 1.
    """
    from scipy.special import stdtr, stdtrit

    t = mean / error if error > 0 else 0.0
    p = min(1.0, 2 * float(stdtr(n - 1, -abs(t))))
    reach = float(stdtrit(n - 1, (1 + level) / 2)) * error
    return TTest(t, p, n, n - 1, mean, mean - reach, mean + reach, level, method)


def paired_t(x: Any, y: Any, level: float = 0.95) -> TTest:
    """Test whether paired samples x and y, both (n,), differ in their mean; two-sided.

    Student (1908): t = D / (S / sqrt(n)) with n - 1 degrees of freedom, exact for independent,
    normal differences. Scores of overlapping training sets are not independent: there it rejects
    far too often (Dietterich 1998), and `corrected_t` or `repeated_kfold_t` is meant. Without any
    difference, p is 1.

    Raises:
        StatisticsError: lengths differ, there are fewer than 2 pairs, a value is not finite, or all
            differences are equal and not 0.
    """
    level = as_level(level)
    x, y = as_pairs(x, y, least=2)
    d, slack = differences(x, y)
    error = deviation(d, slack) / math.sqrt(len(d))
    return student(float(d.mean()), error, len(d), level, f"paired t test, {len(d)} pairs")


@dataclass(frozen=True)
class SignTest:
    """Outcome of the sign test.

    Attributes:
        statistic: the smaller of wins and losses.
        p: two-sided p-value, exact.
        n: number of pairs, ties included.
        wins: pairs in which x is lower, hence better.
        losses: pairs in which y is lower.
        method: in words.
    """

    statistic: int
    p: float
    n: int
    wins: int
    losses: int
    method: str


def sign_test(x: Any, y: Any) -> SignTest:
    """Test whether x beats y as often as the reverse; paired samples, both (n,); two-sided.

    Arbuthnott (1710), exact binomial; ties are left out. It asks nothing of the differences, not
    even that they can be compared across pairs, and has less power for it. A failed run may be
    +inf. Without any difference, p is 1.

    Raises:
        StatisticsError: lengths differ, there is no pair, or a value is NaN.
    """
    from scipy.special import bdtr

    x, y = as_pairs(x, y, infinite=True)
    finite = np.isfinite(x) & np.isfinite(y)
    d, _ = differences(np.where(finite, x, 0.0), np.where(finite, y, 0.0))
    apart = (d != 0) | (~finite & (x != y))
    wins, losses = int((apart & (x < y)).sum()), int((apart & (x > y)).sum())
    few, m = min(wins, losses), wins + losses
    p = min(1.0, 2 * float(bdtr(few, m, 0.5))) if m else 1.0
    method = f"sign test, exact, {wins} wins, {losses} losses, {len(x) - m} ties"
    return SignTest(few, p, len(x), wins, losses, method)
