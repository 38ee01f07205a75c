"""Two treatments on several problems, with repeats on each: the pair is judged by itself alone.

Notation: x and y are scores of P problems by R repeats; lower is better. Problems have different
scales, so values are compared within a problem only. Two questions can be asked. Do the two differ
on *these* problems? Then the repeats are the units, in strata (`stratified_signed_rank`,
`van_elteren`). Do they differ on problems *of this kind*? Then the problems are the units
(`signed_rank_of_wins`). No other treatment has a part in the verdict, unlike in tests of ranks
among all (Benavoli, Corani and Mangili 2016).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.stats.checks import as_flag, as_floats
from metaopt.stats.effect import a12
from metaopt.stats.signed_rank import Wilcoxon, of_signed_ranks, signed_ranks, wilcoxon


def stratified_signed_rank(x: Any, y: Any) -> Wilcoxon:
    """Test whether paired repeats differ in location on these problems; two-sided.

    Differences are ranked within each problem, and the signed ranks are summed over problems. Under
    the null hypothesis each difference is positive or negative with probability 1/2, independently
    of the others, which gives the exact distribution of the sum (up to 200 differences, then its
    normal approximation). With one problem this is the signed-rank test, with one repeat of each
    problem the sign test. The finding holds for these problems.

    Args:
        x, y: paired scores, shape (problems, repeats), finite; x[p, r] and y[p, r] are a pair.

    Returns:
        The test; its W+ and W- are sums over problems.

    Raises:
        StatisticsError: the shapes differ or are not two-dimensional, or a value is not finite.

    Source: Wilcoxon (1945), ranked within blocks after van Elteren (1960).
    """
    x, y = as_strata(x, y)
    ranks = np.concatenate([signed_ranks(a, b) for a, b in zip(x, y, strict=True)])
    return of_signed_ranks(ranks, f"signed-rank test stratified by {len(x)} problems")


@dataclass(frozen=True)
class VanElteren:
    """Result of van Elteren's test.

    Attributes:
        statistic: z, the standardised sum; below 0, x is lower.
        p: two-sided p-value.
        a12: probability that x is better (lower), averaged over problems.
        n: numbers of problems and of repeats of each treatment.
        method: description of the method.
    """

    statistic: float
    p: float
    a12: float
    n: tuple[int, int]
    method: str

    @property
    def sign(self) -> int:
        """The direction of the difference x - y: -1 if x is lower, 1 if it is higher, else 0."""
        return (self.statistic > 0) - (self.statistic < 0)


def van_elteren(x: Any, y: Any) -> VanElteren:
    """Test whether unpaired repeats differ in location on these problems; two-sided.

    The rank sum of x within each problem, divided by the number of its values + 1, is summed over
    problems, and compared with the normal distribution of that sum; variances are corrected for
    ties. If all values of every problem are equal, p is 1. The finding holds for these problems.

    Args:
        x, y: scores, shape (problems, repeats) each; the numbers of repeats may differ; a failed
            run may be +inf.

    Returns:
        The test with the mean A12 as effect size.

    Raises:
        StatisticsError: the numbers of problems differ, a shape is not two-dimensional, or NaN.

    Source: van Elteren (1960).
    """
    x, y = (as_floats(v, k, infinite=True) for v, k in ((x, "x"), (y, "y")))
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or not x.size or not y.size:
        raise StatisticsError(
            f"x and y must have the shape (problems, repeats) with the same problems, got"
            f" {x.shape} and {y.shape}"
        )
    total = variance = 0.0
    m, n = x.shape[1], y.shape[1]
    for a, b in zip(x, y, strict=True):
        _, group, size = np.unique(np.concatenate([a, b]), return_inverse=True, return_counts=True)
        ranks = (np.cumsum(size) - (size - 1) / 2)[group]
        total += (float(ranks[:m].sum()) - m * (m + n + 1) / 2) / (m + n + 1)
        variance += m * n * float(ranks.var(ddof=1)) / (m + n) / (m + n + 1) ** 2
    z = total / math.sqrt(variance) if variance > 0 else 0.0
    chance = float(np.mean([a12(a, b) for a, b in zip(x, y, strict=True)]))
    method = f"van Elteren's test, {len(x)} problems with {m} and {n} values each"
    return VanElteren(z, math.erfc(abs(z) / math.sqrt(2)), chance, (len(x), m), method)


def signed_rank_of_wins(x: Any, y: Any, *, paired: bool = True) -> Wilcoxon:
    """Test whether one of two treatments is better on problems of this kind; two-sided.

    The score of a problem is `win_shares` of the two treatments alone, so that problems of
    different scales count alike; the signed-rank test compares it with 1/2 over problems.

    Args:
        x, y: scores, shape (problems, repeats); lower is better; a failed run may be +inf.
        paired: whether x[p, r] and y[p, r] are a pair.

    Returns:
        The test over problems.

    Raises:
        StatisticsError: the shapes differ or are not two-dimensional, NaN, or `paired` is neither
            True nor False.

    Source: Demsar (2006); the pair alone after Benavoli, Corani and Mangili (2016).
    """
    share = win_shares(x, y, paired=paired)
    return wilcoxon(1 - share, share)


def win_shares(x: Any, y: Any, *, paired: bool = True) -> FloatArray:
    """Share of repeats in which x is better (lower) than y, for each problem; ties count half.

    Args:
        x, y: scores, shape (problems, repeats); a failed run may be +inf.
        paired: compare x[p, r] with y[p, r] only; False compares all repeats of a problem (A12).

    Returns:
        The shares, shape (problems,).

    Raises:
        StatisticsError: the shapes differ or are not two-dimensional, NaN, or `paired` is neither
            True nor False.
    """
    x, y = as_strata(x, y, infinite=True)
    if not as_flag(paired, "paired"):
        return np.array([a12(a, b) for a, b in zip(x, y, strict=True)])
    shares: FloatArray = ((x < y) + 0.5 * (x == y)).mean(axis=1)
    return shares


def as_strata(x: Any, y: Any, *, infinite: bool = False) -> tuple[FloatArray, FloatArray]:
    """Return two tables of paired scores, shape (problems, repeats) each.

    Raises:
        StatisticsError: as `as_floats`, or the shapes differ or are not two-dimensional.
    """
    x, y = as_floats(x, "x", infinite=infinite), as_floats(y, "y", infinite=infinite)
    if x.ndim != 2 or x.shape != y.shape or not x.size:
        raise StatisticsError(
            f"x and y must have the same shape (problems, repeats), got {x.shape} and {y.shape}"
        )
    return x, y
