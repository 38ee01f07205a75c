"""Aggregates over many problems with few repeats each.

Scores have the shape (problems, repeats) or (problems, repeats, treatments); lower is better. The
repeats are the sample and the set of problems is fixed, as in the stratified bootstrap of Agarwal
et al. (2021), so intervals hold for these problems only. That bootstrap has too short intervals
with few repeats; the intervals here keep their level from 2 repeats on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.stats.checks import as_flag, as_floats, as_level
from metaopt.stats.effect import Interval, a12
from metaopt.stats.extremes import unit_of
from metaopt.stats.superiority_intervals import binomial_limits, is_fixed, wins


def interquartile_mean(scores: Any, level: float = 0.95) -> Interval:
    """Interquartile mean (IQM) of all scores, with its interval.

    The mean of the middle half of all scores. It is more robust than the mean and more efficient
    than the median. Scores of all problems are pooled, so they must be on one scale: normalise them
    first, for example with the optimum as 0 and the typical value of random search as 1.

    The interval is that of Tukey and McLaughlin for a trimmed mean, with the winsorized variances
    within problems and the degrees of freedom f of Satterthwaite. Its length is multiplied by
    1 + 1 / f, because trimmed means of few skewed scores vary more than these variances say. It is
    still too short for 2 or 3 problems with scores far apart and of very different spread. If all
    scores between the quartiles are equal, it has length 0.

    The quarter that is cut off at each end is rounded down to whole scores. If problems are far
    apart, with unequal gaps, and the number of all scores is not divisible by 4, this biases the
    IQM by several standard errors, and the interval seldom holds the true value.

    Args:
        scores: shape (problems, repeats), finite, at least 2 repeats.
        level: confidence level of the interval, between 0 and 1.

    Returns:
        The IQM with its interval.

    Raises:
        StatisticsError: `scores` has another shape, fewer than 2 repeats or a value that is not
            finite, or `level` is not between 0 and 1.

    Source: Agarwal et al. (2021); interval: Tukey and McLaughlin (1963), Satterthwaite (1946).
    """
    from scipy.special import stdtrit

    table, level = _problems(scores, 2, infinite=False), as_level(level)
    unit = unit_of(table)
    table = table / unit
    ordered = np.sort(table, axis=None)
    cut = ordered.size // 4
    middle = ordered[cut : ordered.size - cut]
    estimate = float(middle.mean())
    error, df = _trimmed_error(table, middle)
    reach = float(stdtrit(df, (1 + level) / 2)) * (1 + 1 / df) * error if error else 0.0
    method = f"interquartile mean, Tukey-McLaughlin interval within {len(table)} problems"
    low, high = unit * (estimate - reach), unit * (estimate + reach)
    return Interval(unit * estimate, low, high, level, method)


def _trimmed_error(table: FloatArray, middle: FloatArray) -> tuple[float, float]:
    """Standard error of the mean of the scores `middle` of `table`, and its degrees of freedom."""
    low, high = middle[0], middle[-1]
    used = ((table >= low) & (table <= high)).sum(axis=1).astype(np.float64)
    used *= middle.size / used.sum()  # scores that tie with the lowest or highest used one
    # What each problem adds to the variance; replacing the others keeps the number of repeats.
    parts = np.clip(table, low, high).var(axis=1, ddof=1) * table.shape[1] / middle.size**2
    if not parts.any():
        return 0.0, math.inf
    df = parts.sum() ** 2 / (parts**2 / np.maximum(used - 1, 1)).sum()
    return math.sqrt(float(parts.sum())), float(df)


@dataclass(frozen=True, eq=False)
class Improvement:
    """Probabilities of improvement among k treatments.

    Attributes:
        probability: shape (k, k); entry [i, j] is the probability that treatment i is better
            (lower) than j; 1/2 on the diagonal, and [j, i] is 1 - [i, j].
        low: lower bounds of the confidence intervals, shape (k, k).
        high: upper bounds, shape (k, k).
        level: confidence level of each single interval, not of all intervals together.
        n: numbers of problems and of repeats.
        method: description of the method.
    """

    probability: FloatArray
    low: FloatArray
    high: FloatArray
    level: float
    n: tuple[int, int]
    method: str


def improvement(scores: Any, *, paired: bool = True, level: float = 0.95) -> Improvement:
    """Probability of improvement for all pairs of treatments.

    The probability that one treatment is better than another on a problem, averaged over problems.
    Ties count half. Only the order of scores within a problem counts, so problems need no common
    scale, and a failed run may be +inf.

    Args:
        scores: shape (problems, repeats, k), at least 2 repeats and 2 treatments.
        paired: compare treatments in the same repeat, because they share a seed or split: the share
            of pairs won, with the interval of `wins`. False compares all repeats with each other:
            the mean A12, with the conservative interval of `a12_interval` for as many values as all
            problems have together. Both are more conservative where the problems differ.
        level: confidence level of each interval, between 0 and 1.

    Returns:
        The probabilities and their intervals.

    Raises:
        StatisticsError: `scores` has another shape, fewer than 2 repeats or treatments or a NaN,
            `paired` is no truth value, or `level` is not between 0 and 1.

    Source: Agarwal et al. (2021); intervals: Clopper and Pearson (1934), Birnbaum and Klose (1957),
    Hoeffding (1956).
    """
    table, level = _problems(scores, 3, infinite=True), as_level(level)
    problems, repeats, k = table.shape
    if k < 2:
        raise StatisticsError(f"scores need at least 2 treatments, got shape {table.shape}")
    probability, low, high = (np.full((k, k), 0.5) for _ in range(3))
    compare = wins if as_flag(paired, "paired") else _mean_a12
    for i in range(k):
        for j in range(i + 1, k):
            found = compare(table[:, :, i], table[:, :, j], level)
            probability[i, j], probability[j, i] = found.estimate, 1 - found.estimate
            low[i, j], high[j, i] = found.low, 1 - found.low
            high[i, j], low[j, i] = found.high, 1 - found.high
    how = "same repeat, Clopper-Pearson" if paired else "all repeats, largest variance"
    method = f"probability of improvement, {how}, {problems} problems with {repeats} repeats"
    return Improvement(probability, low, high, level, (problems, repeats), method)


def _mean_a12(x: FloatArray, y: FloatArray, level: float) -> Interval:
    """Mean A12 over problems, each of shape (problems, repeats), with its interval."""
    problems, n = x.shape
    estimate = float(np.mean([a12(row, other) for row, other in zip(x, y, strict=True)]))
    # Wins in unlike problems vary less than as many wins in alike ones (Hoeffding 1956).
    low, high = binomial_limits(estimate, (problems * n,), level, exact=is_fixed(x, y))
    return Interval(estimate, low, high, level, "binomial interval under the largest variance")


def _problems(scores: Any, ndim: int, *, infinite: bool) -> FloatArray:
    table = as_floats(scores, "scores", infinite=infinite)
    shape = "(problems, repeats)" if ndim == 2 else "(problems, repeats, treatments)"
    if table.ndim != ndim or not table.size:
        raise StatisticsError(f"scores must have the shape {shape}, got shape {table.shape}")
    if table.shape[1] < 2:
        raise StatisticsError(
            f"scores need at least 2 repeats per problem for an interval, got shape {table.shape};"
            f" run more repeats, or use a rank test with problems as blocks"
        )
    return table
