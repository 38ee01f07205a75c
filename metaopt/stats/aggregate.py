"""Aggregates over many problems with few repeats each, with bootstrap intervals.

Scores have the shape (problems, repeats) or (problems, repeats, treatments); lower is better.
Intervals come from the stratified bootstrap of Agarwal et al. (2021): repeats are resampled within
each problem and the set of problems is fixed, so the intervals hold for these problems only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.stats.checks import as_floats, as_level, as_whole
from metaopt.stats.effect import Interval

CHUNK = 4_000_000  # numbers in memory at once while resampling


def interquartile_mean(scores: Any, level: float = 0.95, n: int = 2000, seed: int = 0) -> Interval:
    """Interquartile mean (IQM) of all scores, with a bootstrap interval.

    The mean of the middle half of all scores. It is more robust than the mean and more efficient
    than the median. Scores of all problems are pooled, so they must be on one scale: normalise them
    first, for example with the optimum as 0 and the typical value of random search as 1.

    Args:
        scores: shape (problems, repeats), finite, at least 2 repeats.
        level: confidence level of the interval, between 0 and 1.
        n: number of bootstrap resamples.
        seed: of the resampling; the same seed gives the same interval.

    Returns:
        The IQM with its percentile interval.

    Raises:
        StatisticsError: `scores` has another shape, fewer than 2 repeats or a value that is not
            finite, or `level` or `n` is not valid.

    Source: Agarwal et al. (2021).
    """
    table = _problems(scores, 2, infinite=False)
    level, n = as_level(level), as_whole(n, "n")
    rng = np.random.Generator(np.random.PCG64(seed))
    problems, repeats = table.shape
    rows = np.arange(problems)[:, None]
    size, parts = max(1, CHUNK // table.size), []
    for start in range(0, n, size):
        drawn = rng.integers(repeats, size=(min(size, n - start), problems, repeats))
        parts.append(_trimmed(table[rows, drawn].reshape(len(drawn), -1)))
    tail = (1 - level) / 2
    low, high = np.quantile(np.concatenate(parts), [tail, 1 - tail])
    estimate = float(_trimmed(table.reshape(1, -1))[0])
    method = f"interquartile mean, stratified bootstrap over {problems} problems, n={n}"
    return Interval(estimate, float(low), float(high), level, method)


def _trimmed(rows: FloatArray) -> FloatArray:
    cut = rows.shape[1] // 4
    means: FloatArray = np.sort(rows, axis=1)[:, cut : rows.shape[1] - cut].mean(axis=1)
    return means


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


def improvement(
    scores: Any, *, paired: bool = True, level: float = 0.95, n: int = 2000, seed: int = 0
) -> Improvement:
    """Probability of improvement for all pairs of treatments.

    The A12 (see `a12`) on each problem, averaged over problems. Only the order of scores within a
    problem counts, so problems need no common scale, and a failed run may be +inf.

    Args:
        scores: shape (problems, repeats, k), at least 2 repeats and 2 treatments.
        paired: resample all treatments of a repeat together, because they share a seed or split;
            False resamples each treatment separately.
        level: confidence level of each interval, between 0 and 1.
        n: number of bootstrap resamples.
        seed: of the resampling; the same seed gives the same intervals.

    Returns:
        The probabilities and their percentile intervals.

    Raises:
        StatisticsError: `scores` has another shape, fewer than 2 repeats or treatments or a NaN, or
            `level` or `n` is not valid.

    Source: Agarwal et al. (2021).
    """
    table = _problems(scores, 3, infinite=True)
    level, n = as_level(level), as_whole(n, "n")
    problems, repeats, k = table.shape
    if k < 2:
        raise StatisticsError(f"scores need at least 2 treatments, got shape {table.shape}")
    rng = np.random.Generator(np.random.PCG64(seed))
    # A mean over pairs depends on a resample only by how often each repeat was drawn.
    shape = (1 if paired else k, problems, n)
    counts = rng.multinomial(repeats, np.full(repeats, 1 / repeats), size=shape).astype(np.float64)
    probability, low, high = (np.full((k, k), 0.5) for _ in range(3))
    tail = (1 - level) / 2
    for i in range(k):
        for j in range(i + 1, k):
            x, y = table[:, :, i, None], table[:, None, :, j]
            wins = (x < y) + 0.5 * (x == y)  # (problems, repeats, repeats)
            left, right = counts[0 if paired else i], counts[0 if paired else j]
            drawn = ((left @ wins) * right).sum(axis=2).mean(axis=0) / repeats**2
            probability[i, j] = wins.mean()
            low[i, j], high[i, j] = np.quantile(drawn, [tail, 1 - tail])
            probability[j, i] = 1 - probability[i, j]
            low[j, i], high[j, i] = 1 - high[i, j], 1 - low[i, j]
    how = "paired" if paired else "treatments resampled separately"
    method = f"probability of improvement, stratified bootstrap, {how}, n={n}"
    return Improvement(probability, low, high, level, (problems, repeats), method)


def _problems(scores: Any, ndim: int, *, infinite: bool) -> FloatArray:
    table = as_floats(scores, "scores", infinite=infinite)
    shape = "(problems, repeats)" if ndim == 2 else "(problems, repeats, treatments)"
    if table.ndim != ndim or not table.size:
        raise StatisticsError(f"scores must have the shape {shape}, got shape {table.shape}")
    if table.shape[1] < 2:
        raise StatisticsError(
            f"scores need at least 2 repeats per problem for a bootstrap, got shape {table.shape};"
            f" run more repeats, or use a rank test with problems as blocks"
        )
    return table
