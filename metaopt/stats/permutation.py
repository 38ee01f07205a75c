"""Permutation tests: exact where all arrangements can be counted, else by seeded Monte Carlo.

Two families: signs of paired differences, and arrangements of values within blocks, where the
statistic is a function of the column sums C_j alone, increasing in sum_j (C_j - mean)^2 (Friedman's
chi-square and Cochran's Q both are).

A Monte Carlo p is (1 + hits) / (1 + samples): the observed arrangement is one of those possible,
so p is never 0 and the test keeps its level with any number of samples (Phipson and Smyth 2010).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaopt.core.types import FloatArray
from metaopt.stats.checks import as_pairs, as_whole, differences
from metaopt.stats.friedman import block_ranks, friedman

IntArray = NDArray[np.int64]

EXACT_SIGNS = 20  # 2^19 sums: 10 ms
EXACT_STATES = 2_000_000  # sums of columns held at once in the exact count for blocks
CHUNK = 2_000_000  # numbers drawn at once


@dataclass(frozen=True)
class PermutationTest:
    """Outcome of a permutation test.

    Attributes:
        statistic: the mean difference x - y, or Friedman's chi-square.
        p: p-value; two-sided for a difference.
        n: number of pairs or blocks.
        exact: whether all arrangements were counted.
        method: in words.
    """

    statistic: float
    p: float
    n: int
    exact: bool
    method: str


def permutation(x: Any, y: Any, samples: int = 50_000, seed: int = 0) -> PermutationTest:
    """Test whether paired samples x and y, both (n,), differ in their mean; two-sided.

    Fisher (1935): under the null hypothesis x_i and y_i may change places, so every d_i = x_i - y_i
    has a random sign. p is the share of sign vectors with a mean at least as far from 0. Up to 20
    pairs that differ, all are counted; beyond, `samples` are drawn from `seed`. Without any
    difference, p is 1.

    Raises:
        StatisticsError: lengths differ, there is no pair, a value is not finite, or `samples` is
            not a positive whole number.
    """
    x, y = as_pairs(x, y)
    samples = as_whole(samples, "samples")
    d, slack = differences(x, y)
    signed = d[d != 0]
    # Sums of m terms that are equal but for rounding count as equal.
    m, eps = len(signed), np.finfo(np.float64).eps
    least = abs(float(signed.sum())) - m * (slack + eps * float(np.abs(signed).sum()))
    exact = m <= EXACT_SIGNS
    p = _all_signs(signed, least) if exact else _some_signs(signed, least, samples, seed)
    how = "all sign vectors" if exact else f"{samples} sign vectors drawn, +1 rule"
    method = f"paired permutation test of the mean, {how}, {len(d)} pairs"
    return PermutationTest(float(d.mean()), p, len(d), exact, method)


def _all_signs(d: FloatArray, least: float) -> float:
    if not len(d):
        return 1.0
    sums = d[:1]  # the first sign is held: the other half of all vectors mirrors this one
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
    """Test whether k treatments rank alike over N blocks; scores (N, k).

    Friedman's statistic (1937, corrected for ties) against its own distribution over all
    arrangements of the ranks within blocks, for few blocks, where chi-square and F are only
    approximate. Exact while the distinct column sums can be held (8 blocks of 4, 20 of 3), else
    `samples` arrangements drawn from `seed`. A failed run may be +inf; blocks tied throughout say
    nothing.

    Raises:
        StatisticsError: fewer than 2 blocks or treatments, NaN, or `samples` is not a positive
            whole number.
    """
    samples = as_whole(samples, "samples")
    twice = np.rint(2 * block_ranks(scores)).astype(np.int64)
    p, exact = arranged(twice, samples, seed)
    n, k = twice.shape
    how = "all arrangements" if exact else f"{samples} arrangements drawn, +1 rule"
    method = f"Friedman permutation test of {k} treatments in {n} blocks, {how}"
    return PermutationTest(friedman(scores).statistic, p, n, exact, method)


def arranged(rows: IntArray, samples: int, seed: int) -> tuple[float, bool]:
    """P(spread of column sums >= observed) if each row, (N, k), is shuffled; whether exact."""
    observed = _spread(rows.sum(axis=0)[None, :])[0]
    rows = rows[(rows != rows[:, :1]).any(axis=1)]  # a constant row adds the same everywhere
    if not len(rows):
        return 1.0, True
    p = _all_arrangements(rows, int(observed))
    return (
        (_some_arrangements(rows, int(observed), samples, seed), False) if p is None else (p, True)
    )


def _spread(sums: IntArray) -> IntArray:
    """k^2 times the sum of squares about the mean, in whole numbers; sums (..., k)."""
    k, total = sums.shape[-1], sums.sum(axis=-1)
    spread: IntArray = k * (sums**2).sum(axis=-1) - total**2
    return spread


def _all_arrangements(rows: IntArray, observed: int) -> float | None:
    """Add one row after the other to the distribution of column sums; None if that is too much.

    Every row is shuffled over all columns, so states that differ by an exchange of columns have the
    same future: they are sorted and counted together.
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
