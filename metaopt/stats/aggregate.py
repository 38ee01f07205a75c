"""Few repeats on many problems, summed up with honest intervals (Agarwal et al. 2021).

Scores have the shape (problems, repeats) or (problems, repeats, treatments); lower is better.
Intervals come from the stratified bootstrap: repeats are drawn anew within each problem, problems
stay, so they speak for these problems and not for others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.stats.checks import as_floats, as_level, as_whole
from metaopt.stats.effect import Interval

CHUNK = 4_000_000  # numbers held at once while resampling


def interquartile_mean(scores: Any, level: float = 0.95, n: int = 2000, seed: int = 0) -> Interval:
    """Mean of the middle half of all scores, (problems, repeats), with a bootstrap interval.

    The IQM of Agarwal et al. (2021), a mean trimmed by a quarter on both sides: more
    robust than the mean, more efficient than the median. It pools all problems, whose scores must
    share a scale (normalise them first, by the optimum and by random search, say).

    Raises:
        StatisticsError: scores have another shape, fewer than 2 repeats, a value that is not
            finite, or level or n is wrong.
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
        probability: (k, k), entry [i, j] the probability that i is better (lower) than j; 1/2 on
            the diagonal, and [j, i] is 1 - [i, j].
        low: lower bounds of their intervals, (k, k).
        high: upper bounds.
        level: confidence level of each interval, not of all together.
        n: number of problems and repeats.
        method: in words.
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
    """Probability of improvement for all pairs of treatments; scores (problems, repeats, k).

    Agarwal et al. (2021): the A12 on each problem, averaged over problems; only the
    order of scores within a problem counts, so problems need no common scale and a failed run may
    be +inf. `paired` repeats (a repeat has one seed for all treatments) are resampled together,
    which keeps what they have in common; else each treatment on its own.

    Raises:
        StatisticsError: scores have another shape, fewer than 2 repeats or treatments, NaN, or
            level or n is wrong.
    """
    table = _problems(scores, 3, infinite=True)
    level, n = as_level(level), as_whole(n, "n")
    problems, repeats, k = table.shape
    if k < 2:
        raise StatisticsError(f"scores need at least 2 treatments, got shape {table.shape}")
    rng = np.random.Generator(np.random.PCG64(seed))
    # How often each repeat is drawn: all that a mean over pairs needs to know of a resample.
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
    how = "paired" if paired else "each treatment on its own"
    method = f"probability of improvement, stratified bootstrap, {how}, n={n}"
    return Improvement(probability, low, high, level, (problems, repeats), method)


def _problems(scores: Any, ndim: int, *, infinite: bool) -> FloatArray:
    table = as_floats(scores, "scores", infinite=infinite)
    shape = "(problems, repeats)" if ndim == 2 else "(problems, repeats, treatments)"
    if table.ndim != ndim or not table.size:
        raise StatisticsError(f"scores must have the shape {shape}, got shape {table.shape}")
    if table.shape[1] < 2:
        raise StatisticsError(
            f"scores need at least 2 repeats of each problem to resample, got shape {table.shape};"
            f" run more repeats, or treat problems as the blocks of a rank test"
        )
    return table
