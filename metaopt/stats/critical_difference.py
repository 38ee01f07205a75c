"""The content of a critical-difference diagram as data: the order and the groups. No drawing.

Notation: treatments are sorted by mean rank, best first. A group is a set of neighbours in that
order, at least two, in which no pair differs significantly; it is as long as possible.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaopt.core.errors import StatisticsError
from metaopt.stats.checks import as_choice, as_level, as_number, as_result, as_sample
from metaopt.stats.friedman import mean_ranks
from metaopt.stats.posthoc import Pairwise, conover, critical_difference, nemenyi, pairwise

TESTS = ("wilcoxon", "nemenyi", "conover")


@dataclass(frozen=True)
class CriticalDifference:
    """Treatments sorted by mean rank, and which of them do not differ significantly.

    Attributes:
        ranks: mean rank of each treatment, in the order of columns.
        order: columns sorted by mean rank, best first.
        groups: runs of neighbours in `order` within which no pair differs significantly.
        unbarred: pairs that do not differ significantly but are in no common group, because a
            treatment between them differs from one of them; a diagram must list them as text.
        difference: Nemenyi's critical difference; None for the other tests.
        level: family-wise level of the test.
        n: number of blocks.
        method: description of the test.
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
    """Find the groups of a critical-difference diagram (Demsar 2006, figure 1).

    With "wilcoxon" and "conover" a pair may not differ significantly although a treatment between
    the two differs from one of them. Bars cannot show that, so a group holds only treatments of
    which no pair differs, and the remaining pairs are listed in `unbarred`.

    Args:
        scores: shape (N, k), N blocks by k treatments; lower is better.
        level: family-wise level of the test, between 0 and 1.
        test: "nemenyi" as in Demsar's diagrams, "wilcoxon" (signed-rank tests of all pairs with
            Shaffer's correction; Benavoli, Corani and Mangili 2016), or "conover".

    Returns:
        The mean ranks, their order and the groups.

    Raises:
        StatisticsError: fewer than 2 blocks or treatments, NaN (for "wilcoxon" also an infinity),
            `level` is not between 0 and 1, or `test` is not known.
    """
    level = as_level(level)
    test = as_choice(test, "test", TESTS)
    found = {"wilcoxon": pairwise, "nemenyi": nemenyi, "conover": conover}[test](scores)
    difference = critical_difference(found.k, found.n, level) if test == "nemenyi" else None
    return groups_of(mean_ranks(scores), found, level, difference)


def groups_of(
    ranks: Any, found: Pairwise, level: float = 0.05, difference: float | None = None
) -> CriticalDifference:
    """Find the groups of a critical-difference diagram from tests of all pairs.

    Args:
        ranks: mean rank of each of k treatments, shape (k,).
        found: the tests of all pairs.
        level: family-wise level, between 0 and 1.
        difference: Nemenyi's critical difference, where the tests are his.

    Returns:
        The mean ranks, their order and the groups.

    Raises:
        StatisticsError: the number of ranks is not k, `found` is no `Pairwise` of all pairs,
            `level` is not between 0 and 1, or `difference` is not a number of at least 0.
    """
    ranks, level = as_sample(ranks, "ranks"), as_level(level)
    found = as_result(found, "found", Pairwise)
    if difference is not None:
        difference = as_number(difference, "difference", "a number of at least 0, or None", 0.0)
    if len(ranks) != found.k:
        raise StatisticsError(
            f"ranks must hold one number per treatment, {found.k}, got {len(ranks)}"
        )
    if np.isnan(found.table()).any():
        raise StatisticsError(
            f"found must hold the tests of all pairs, got {len(found.pairs)} of"
            f" {found.k * (found.k - 1) // 2}; test all pairs, without a control"
        )
    order = np.argsort(ranks, kind="stable")
    alike = (found.table() > level)[np.ix_(order, order)]
    runs = _runs(alike)
    groups = tuple(tuple(int(j) for j in order[a:b]) for a, b in runs)
    apart = tuple(
        (int(order[i]), int(order[j]))
        for i, j in zip(*np.nonzero(np.triu(alike, 1)), strict=True)
        if not any(a <= i and j < b for a, b in runs)
    )
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
    """Longest runs [a, b) of at least two neighbours of which no pair differs."""
    k, runs, reached = len(alike), [], 0
    for a in range(k):
        b = a + 1
        while b < k and alike[a : b + 1, a : b + 1].all():
            b += 1
        if b - a > 1 and b > reached:
            runs.append((a, b))
        reached = max(reached, b)
    return runs
