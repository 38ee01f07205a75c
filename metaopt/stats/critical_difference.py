"""What a critical-difference diagram shows, as data: an order and the groups in it. No drawing.

Notation: treatments in the order of their mean ranks, best first; a group is a run of neighbours in
that order of which no two can be told apart, as long as possible, at least two long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaopt.core.errors import StatisticsError
from metaopt.stats.checks import as_level
from metaopt.stats.friedman import mean_ranks
from metaopt.stats.posthoc import conover, critical_difference, nemenyi, pairwise

TESTS = ("wilcoxon", "nemenyi", "conover")


@dataclass(frozen=True)
class CriticalDifference:
    """Treatments by mean rank, and which cannot be told apart.

    Attributes:
        ranks: mean rank of each treatment, in the order of columns.
        order: columns by mean rank, best first.
        groups: runs of columns, each in that order, within which no two differ.
        unbarred: pairs that cannot be told apart and yet stand in no common group, since one
            between them differs from one of both; a diagram must say so in words.
        difference: Nemenyi's critical difference, None for tests that have no such one.
        level: family-wise level of the test.
        n: number of blocks.
        method: in words.
    """

    ranks: tuple[float, ...]
    order: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]
    unbarred: tuple[tuple[int, int], ...]
    difference: float | None
    level: float
    n: int
    method: str


def critical_groups(scores: Any, level: float = 0.05, test: str = "wilcoxon") -> CriticalDifference:
    """Find the groups of a critical-difference diagram (Demsar 2006, figure 1); scores (N, k).

    `test` tells pairs apart at the family-wise `level`: "nemenyi" as in Demsar's diagrams,
    "wilcoxon" (signed ranks by pairs, Holm; Benavoli, Corani and Mangili 2016), or "conover".
    With the latter two a pair may be alike although one between them differs; bars cannot show
    that, so groups hold only runs of which all pairs are alike, and such pairs are listed.

    Raises:
        StatisticsError: fewer than 2 blocks or treatments, NaN (for "wilcoxon" also an infinity),
            `level` is not between 0 and 1, or there is no such test.
    """
    level = as_level(level)
    if test not in TESTS:
        raise StatisticsError(f"test must be one of {', '.join(TESTS)}, got {test!r}")
    ranks = mean_ranks(scores)
    found = {"wilcoxon": pairwise, "nemenyi": nemenyi, "conover": conover}[test](scores)
    order = np.argsort(ranks, kind="stable")
    alike = (found.table() > level)[np.ix_(order, order)]
    runs = _runs(alike)
    groups = tuple(tuple(int(j) for j in order[a:b]) for a, b in runs)
    apart = tuple(
        (int(order[i]), int(order[j]))
        for i, j in zip(*np.nonzero(np.triu(alike, 1)), strict=True)
        if not any(a <= i and j < b for a, b in runs)
    )
    difference = critical_difference(found.k, found.n, level) if test == "nemenyi" else None
    return CriticalDifference(
        tuple(ranks.tolist()),
        tuple(order.tolist()),
        groups,
        apart,
        difference,
        level,
        found.n,
        f"{found.method}; level {level:g}",
    )


def _runs(alike: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Longest runs [a, b) of at least two neighbours that are all alike."""
    k, runs, reached = len(alike), [], 0
    for a in range(k):
        b = a + 1
        while b < k and alike[a : b + 1, a : b + 1].all():
            b += 1
        if b - a > 1 and b > reached:
            runs.append((a, b))
        reached = max(reached, b)
    return runs
