"""Shaffer's correction of the tests of all pairs of treatments.

The hypotheses of all pairs depend on each other: if i differs from j, then a third treatment
differs from at least one of the two. So fewer of them can be true at once than Holm's method
assumes, and p-values are multiplied by smaller factors.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.stats.checks import as_level, as_sample, as_whole, shown


def shaffer(p: Any, k: int) -> FloatArray:
    """Adjust the p-values of all pairs of k treatments for multiple testing.

    The static procedure S1: the i-th smallest of m p-values is multiplied by the largest number, up
    to m - i + 1, of hypotheses that can be true together, and is at least as large as the adjusted
    values before it. For 4 treatments the factors are 6, 3, 3, 3, 2, 1, those of Holm 6 to 1; so no
    adjusted p-value is above Holm's. Rejecting all hypotheses with an adjusted p-value up to a
    level keeps the family-wise error rate at that level.

    A hypothesis must say that two treatments are equal in a sense in which i = j and j = l imply
    i = l: equal distributions in each block, or equal means. The signed-rank test also keeps its
    level where a difference is only symmetric about 0, which in general is not such a sense: for 3
    treatments, the family-wise error rate could then come near twice the level. Where no more than
    that is assumed, use `holm`.

    Args:
        p: p-values of the pairs in the order of ``itertools.combinations(range(k), 2)``, shape
            (k (k - 1) / 2,).
        k: number of treatments, at least 2.

    Returns:
        The adjusted p-values in the same order, at most 1.

    Raises:
        StatisticsError: a value is not between 0 and 1, there is not one value per pair, or k is
            not a whole number of at least 2.

    Source: Shaffer (1986); Garcia and Herrera (2008).

    Example:
        >>> from metaopt.stats import holm, shaffer
        >>> p = [0.001, 0.012, 0.02, 0.03, 0.2, 0.6]  # 4 treatments
        >>> [round(float(x), 3) for x in shaffer(p, 4)]
        [0.006, 0.036, 0.06, 0.09, 0.4, 0.6]
        >>> [round(float(x), 3) for x in holm(p)]
        [0.006, 0.06, 0.08, 0.09, 0.4, 0.6]
    """
    raw, order, factors = _steps(p, k)
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(raw[order] * factors))
    return adjusted


def shaffer_levels(p: Any, k: int, level: float = 0.05) -> FloatArray:
    """Return the level at which Shaffer's procedure tests each pair of k treatments.

    p is at most this level exactly where the adjusted p-value is at most `level`; see
    `holm_levels`. After the step at which the procedure stops, the levels are those of that step.

    Args:
        p: p-values of the pairs, as for `shaffer`, shape (k (k - 1) / 2,).
        k: number of treatments, at least 2.
        level: family-wise level, between 0 and 1.

    Returns:
        The levels in the same order, at most `level`.

    Raises:
        StatisticsError: as `shaffer`, or `level` is not between 0 and 1.

    Source: Shaffer (1986).
    """
    raw, order, factors = _steps(p, k)
    level = as_level(level)
    open_ = np.flatnonzero(np.maximum.accumulate(raw[order] * factors) > level)
    if len(open_):
        factors[open_[0] :] = factors[open_[0]]
    levels = np.empty_like(raw)
    levels[order] = level / factors
    return levels


@cache
def true_together(k: int) -> tuple[int, ...]:
    """The possible numbers of true hypotheses among the pairs of k treatments, ascending.

    Treatments form groups of equal ones: a group of j of them makes j (j - 1) / 2 hypotheses true,
    and the other k - j treatments add their own.

    Source: Shaffer (1986); the recursion by Garcia and Herrera (2008).
    """
    bits = [1, 1]  # for 0, 1, ... treatments; bit n is set if n hypotheses can be true
    for count in range(2, k + 1):
        found = 0
        for j in range(1, count + 1):
            found |= bits[count - j] << j * (j - 1) // 2
        bits.append(found)
    return tuple(n for n, bit in enumerate(reversed(f"{bits[k]:b}")) if bit == "1")


def _steps(p: Any, k: int) -> tuple[FloatArray, NDArray[np.intp], FloatArray]:
    """The p-values, their ascending order, and the factor of each step, (m,) each."""
    k, raw = as_whole(k, "k", 2), as_sample(p, "p")
    m = k * (k - 1) // 2
    if len(raw) != m:
        raise StatisticsError(
            f"p must hold one p-value per pair of {k} treatments, {m}, got {len(raw)}"
        )
    if ((raw < 0) | (raw > 1)).any():
        raise StatisticsError(f"p-values lie between 0 and 1, got {shown(raw.tolist())}")
    possible = np.array(true_together(k))
    left = np.arange(m, 0, -1)
    factors = possible[np.searchsorted(possible, left, side="right") - 1]
    return raw, np.argsort(raw, kind="stable"), factors.astype(np.float64)
