"""Two treatments on the same blocks: the paired t test and the sign test.

Notation: d_i = x_i - y_i over n pairs; D and S are the mean and the standard deviation (ddof=1) of
the d_i. Differences that are only rounding errors count as 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.stats.checks import as_level, as_pairs
from metaopt.stats.extremes import deviation, differences, scaled_differences


@dataclass(frozen=True)
class TTest:
    """Result of a t test on paired differences.

    Attributes:
        statistic: t, the mean difference divided by its standard error.
        p: two-sided p-value.
        n: number of differences.
        df: degrees of freedom.
        difference: mean of x - y.
        low: lower bound of the confidence interval of `difference`.
        high: upper bound.
        level: confidence level of that interval.
        method: description of the method.
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

    def at_level(self, level: float) -> TTest:
        """Return the same test with the interval of another confidence level.

        Args:
            level: confidence level, between 0 and 1.

        Raises:
            StatisticsError: `level` is not between 0 and 1, or this test has a level of almost 0,
                so that its interval has no length to change.
        """
        level = as_level(level)
        old, new = _quantile(self.df, self.level), _quantile(self.df, level)
        if old == 0:
            raise StatisticsError(
                f"the interval must have a length, got one of the level {self.level!r}; call the"
                f" test again with level={level!r}"
            )
        reach = (self.high / 2 - self.low / 2) * new / old
        return replace(self, low=self.difference - reach, high=self.difference + reach, level=level)


def student(
    mean: float, error: float, n: int, level: float, method: str, unit: float = 1.0
) -> TTest:
    """Make a t test from a mean difference and its standard error, with n - 1 degrees of freedom.

    An error of 0 occurs only with a mean of 0 (see `extremes.deviation`); then p is 1. Mean and
    error are in units of `unit`, which the difference and its interval are not.
    """
    from scipy.special import stdtr

    t = mean / error if error > 0 else 0.0
    p = min(1.0, 2 * float(stdtr(n - 1, -abs(t))))
    reach = _quantile(n - 1, level) * error
    low, high = (mean - reach) * unit, (mean + reach) * unit
    return TTest(t, p, n, n - 1, mean * unit, low, high, level, method)


def _quantile(df: int, level: float) -> float:
    """Half the length of a t interval in standard errors; exact also for levels close to 1."""
    from scipy.special import stdtrit

    return -float(stdtrit(df, (1 - level) / 2))


def paired_t(x: Any, y: Any, level: float = 0.95) -> TTest:
    """Test whether paired samples differ in their mean; two-sided.

    t = D / (S / sqrt(n)) with n - 1 degrees of freedom; exact for independent, normal differences.
    Scores on overlapping training sets are not independent, and there it rejects far too often
    (Dietterich 1998): use `corrected_t` or `repeated_kfold_t`. If all differences are 0, p is 1.

    Args:
        x, y: paired samples, shape (n,), finite.
        level: confidence level of the interval of the mean difference, between 0 and 1.

    Returns:
        The test with the mean of x - y and its interval.

    Raises:
        StatisticsError: lengths differ, there are fewer than 2 pairs, a value is not finite, all
            differences are equal and not 0, or `level` is not between 0 and 1.

    Source: Student (1908).
    """
    level = as_level(level)
    x, y = as_pairs(x, y, least=2)
    d, slack, unit = scaled_differences(x, y)
    error = deviation(d, slack, unit) / math.sqrt(len(d))
    return student(float(d.mean()), error, len(d), level, f"paired t test, {len(d)} pairs", unit)


@dataclass(frozen=True)
class SignTest:
    """Result of the sign test.

    Attributes:
        statistic: the smaller of wins and losses.
        p: two-sided p-value, exact.
        n: number of pairs, including ties.
        wins: number of pairs in which x is lower (better).
        losses: number of pairs in which y is lower (better).
        method: description of the method.
    """

    statistic: int
    p: float
    n: int
    wins: int
    losses: int
    method: str


def sign_test(x: Any, y: Any) -> SignTest:
    """Test whether x is better than y as often as the reverse, on paired samples; two-sided.

    Exact binomial test; ties are left out. It makes no assumption about the size of the
    differences, not even that they are comparable between pairs, and therefore has less power. If
    all pairs tie, p is 1.

    Args:
        x, y: paired samples, shape (n,); lower is better; a failed run may be +inf.

    Returns:
        The test with wins and losses of x.

    Raises:
        StatisticsError: lengths differ, there is no pair, or a value is NaN.

    Source: Arbuthnott (1710).
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
