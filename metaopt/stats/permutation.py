"""Permutation tests: exact if all arrangements can be enumerated, else Monte Carlo with a seed.

Two kinds: random signs of paired differences, and random arrangements of values within blocks. For
the latter the statistic must depend only on the column sums C_j and increase with
sum_j (C_j - mean)^2, as Friedman's chi-square and Cochran's Q do.

A Monte Carlo p-value is (1 + hits) / (1 + samples): the observed arrangement is one of the possible
ones, so p is never 0 and the test keeps its level for any number of samples (Phipson and Smyth
2010).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaopt.core.types import FloatArray
from metaopt.stats.checks import MOST_DRAWN, as_pairs, as_seed, as_whole
from metaopt.stats.extremes import EPS, scaled_differences
from metaopt.stats.friedman import block_ranks, friedman

IntArray = NDArray[np.int64]

EXACT_SIGNS = 20  # 2^19 sums: 10 ms
EXACT_STATES = 2_000_000  # column sums in memory at once in the exact enumeration for blocks
CHUNK = 2_000_000  # numbers drawn at once


@dataclass(frozen=True)
class PermutationTest:
    """Result of a permutation test.

    Attributes:
        statistic: the mean difference x - y, or Friedman's chi-square.
        p: p-value; two-sided for a difference.
        n: number of pairs or blocks.
        exact: whether all arrangements were enumerated.
        method: description of the method.
    """

    statistic: float
    p: float
    n: int
    exact: bool
    method: str


def permutation(x: Any, y: Any, samples: int = 50_000, seed: int = 0) -> PermutationTest:
    """Test whether paired samples differ in their mean; two-sided.

    Under the null hypothesis x_i and y_i can be exchanged, so the sign of every d_i = x_i - y_i is
    random. p is the share of sign vectors whose mean is at least as far from 0 as the observed one.
    Up to 20 nonzero differences, all sign vectors are enumerated. If all differences are 0, p is 1.

    Args:
        x, y: paired samples, shape (n,), finite.
        samples: number of random sign vectors; used only with more than 20 nonzero differences.
        seed: of the random sign vectors.

    Returns:
        The test; its statistic is the mean of x - y.

    Raises:
        StatisticsError: lengths differ, there is no pair, a value is not finite, `samples` is not
            a positive whole number, or `seed` is not a whole number of at least 0.

    Source: Fisher (1935).
    """
    x, y = as_pairs(x, y)
    samples, seed = as_whole(samples, "samples", most=MOST_DRAWN), as_seed(seed)
    d, slack, unit = scaled_differences(x, y)
    signed = d[d != 0]
    # Sums of m terms count as equal if they differ only by rounding errors.
    m = len(signed)
    least = abs(float(signed.sum())) - m * (slack + EPS * float(np.abs(signed).sum()))
    exact = m <= EXACT_SIGNS
    p = _all_signs(signed, least) if exact else _some_signs(signed, least, samples, seed)
    how = "all sign vectors" if exact else f"{samples} sign vectors drawn, +1 rule"
    method = f"paired permutation test of the mean, {how}, {len(d)} pairs"
    return PermutationTest(float(d.mean()) * unit, p, len(d), exact, method)


def _all_signs(d: FloatArray, least: float) -> float:
    if not len(d):
        return 1.0
    sums = d[:1]  # the first sign is fixed: the other half of all vectors is the mirror image
    for step in d[1:]:
        sums = np.concatenate([sums + step, sums - step])
    return float(np.mean(np.abs(sums) >= least))


def _some_signs(d: FloatArray, least: float, samples: int, seed: int) -> float:
    rng = np.random.Generator(np.random.PCG64(seed))
    size, hits = max(1, CHUNK // len(d)), 0
    for start in range(0, samples, size):
        signs = rng.integers(0, 2, size=(min(size, samples - start), len(d)), dtype=np.int8)
        hits += int((np.abs((2.0 * signs - 1.0) @ d) >= least).sum())
    return (1 + hits) / (1 + samples)


def friedman_permutation(scores: Any, samples: int = 20_000, seed: int = 0) -> PermutationTest:
    """Test whether k treatments have the same ranks over N blocks, for few blocks.

    Friedman's statistic, corrected for ties, is compared with its distribution over all
    arrangements of the ranks within blocks; chi-square and F are only approximations for few
    blocks. Exact while the number of distinct column sums is manageable (8 blocks of 4 treatments,
    20 of 3), else Monte Carlo. Blocks in which all scores are tied carry no information.

    Args:
        scores: shape (N, k), N blocks by k treatments; lower is better; a failed run may be +inf.
        samples: number of random arrangements; used only if the exact distribution is too large.
        seed: of the random arrangements.

    Returns:
        The test; its statistic is Friedman's chi-square.

    Raises:
        StatisticsError: fewer than 2 blocks or treatments, NaN, `samples` is not a positive whole
            number, or `seed` is not a whole number of at least 0.

    Source: Friedman (1937).
    """
    samples, seed = as_whole(samples, "samples", most=MOST_DRAWN), as_seed(seed)
    twice = np.rint(2 * block_ranks(scores)).astype(np.int64)
    p, exact = arranged(twice, samples, seed)
    n, k = twice.shape
    how = "all arrangements" if exact else f"{samples} arrangements drawn, +1 rule"
    method = f"Friedman permutation test of {k} treatments in {n} blocks, {how}"
    return PermutationTest(friedman(scores).statistic, p, n, exact, method)


def arranged(rows: IntArray, samples: int, seed: int) -> tuple[float, bool]:
    """P(spread of column sums >= observed) for shuffled rows, (N, k); and whether it is exact."""
    observed = _spread(rows.sum(axis=0)[None, :])[0]
    rows = rows[(rows != rows[:, :1]).any(axis=1)]  # a constant row adds the same to all columns
    if not len(rows):
        return 1.0, True
    p = _all_arrangements(rows, int(observed))
    return (
        (_some_arrangements(rows, int(observed), samples, seed), False) if p is None else (p, True)
    )


def _spread(sums: IntArray) -> IntArray:
    """k^2 times the sum of squared deviations from the mean, as integers; sums (..., k)."""
    k, total = sums.shape[-1], sums.sum(axis=-1)
    spread: IntArray = k * (sums**2).sum(axis=-1) - total**2
    return spread


def _all_arrangements(rows: IntArray, observed: int) -> float | None:
    """Exact p-value, or None if the enumeration is too large.

    Rows are added one by one to the distribution of column sums. Each row is shuffled over all
    columns, so states that differ only by a permutation of columns lead to the same result: they
    are sorted and merged.
    """
    k = rows.shape[1]
    base = int(rows.max(axis=1).sum()) + 1
    if k > 7 or k * math.log2(base) > 62:
        return None
    place = base ** np.arange(k, dtype=np.int64)
    sums: IntArray = np.sort(rows[:1], axis=1)
    chance: FloatArray = np.ones(1)
    for row in rows[1:]:
        moves = np.array(sorted(set(permutations(row.tolist()))), dtype=np.int64)
        if len(sums) * len(moves) > EXACT_STATES:
            return None
        states = np.sort((sums[:, None, :] + moves).reshape(-1, k), axis=1)
        _, first, group = np.unique(states @ place, return_index=True, return_inverse=True)
        weights = np.repeat(chance / len(moves), len(moves))
        sums = states[first]
        chance = np.bincount(group, weights).astype(np.float64)
    return min(1.0, float(chance[_spread(sums) >= observed].sum()))


def _some_arrangements(rows: IntArray, observed: int, samples: int, seed: int) -> float:
    rng = np.random.Generator(np.random.PCG64(seed))
    size, hits = max(1, CHUNK // rows.size), 0
    for start in range(0, samples, size):
        many = np.broadcast_to(rows, (min(size, samples - start), *rows.shape))
        hits += int((_spread(rng.permuted(many, axis=2).sum(axis=1)) >= observed).sum())
    return (1 + hits) / (1 + samples)
