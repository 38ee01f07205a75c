"""Post-hoc tests: all pairs, or each treatment against a control, corrected for multiple testing.

Notation: scores have the shape (N, k), N blocks by k treatments, lower is better; R_j is the mean
rank of treatment j. Tests on mean ranks (`nemenyi`, `rank_z`, `conover`) use ranks among all
treatments, so the verdict on a pair may depend on which other treatments are compared (Benavoli,
Corani and Mangili 2016). `pairwise` uses only the two treatments of a pair and is recommended.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.stats.checks import (
    as_array,
    as_blocks,
    as_column,
    as_function,
    as_level,
    as_whole,
    is_real,
    shown,
)
from metaopt.stats.effect import median_difference
from metaopt.stats.friedman import block_ranks, holm
from metaopt.stats.shaffer import shaffer
from metaopt.stats.signed_rank import wilcoxon


@dataclass(frozen=True)
class Pair:
    """Two treatments and the test between them.

    Attributes:
        first: column of the first treatment.
        second: column of the second treatment; the control, if there is one.
        statistic: statistic of the test.
        p: p-value, not adjusted (for `nemenyi` already adjusted, because it has no other).
        p_adjusted: p-value adjusted for all pairs tested.
        difference: difference of mean ranks, or the effect reported by the test, first - second
            (below 0, the first is lower); None if the test has none.
    """

    first: int
    second: int
    statistic: float
    p: float
    p_adjusted: float
    difference: float | None


@dataclass(frozen=True)
class Pairwise:
    """A family of pairwise comparisons.

    Attributes:
        pairs: comparisons, in the order of columns.
        k: number of treatments.
        n: number of blocks, the rows of scores.
        method: description of the test and the correction.
    """

    pairs: tuple[Pair, ...]
    k: int
    n: int
    method: str

    def table(self) -> FloatArray:
        """Return the adjusted p-values, (k, k); 1 on the diagonal, NaN for pairs not tested."""
        out = np.where(np.eye(self.k) == 1, 1.0, np.nan)
        for pair in self.pairs:
            out[pair.first, pair.second] = out[pair.second, pair.first] = pair.p_adjusted
        return out


def nemenyi(scores: Any) -> Pairwise:
    """Compare all pairs of treatments by their mean ranks.

    |R_i - R_j| / sqrt(k (k + 1) / (6 N)) is compared with the studentized range of k normals
    divided by sqrt(2), which covers all pairs at once. For 10 blocks or more: with 6 blocks of 3
    treatments it rejects in 24 % of families of true hypotheses at level 0.2. Ties make it
    conservative.

    Args:
        scores: shape (N, k), N blocks by k treatments; lower is better; a failed run may be +inf.

    Returns:
        All pairs with adjusted p-values.

    Raises:
        StatisticsError: fewer than 2 blocks or treatments, or NaN.

    Source: Nemenyi (1963); Demsar (2006, section 3.2.2).
    """
    from scipy.stats import studentized_range

    ranks, pairs = _ranked(scores, None)
    n, k = ranks.shape
    gaps = _gaps(ranks, pairs)
    z = np.abs(gaps) / math.sqrt(k * (k + 1) / (6 * n))
    p = np.clip(studentized_range.sf(z * math.sqrt(2), k, np.inf), 0.0, 1.0)
    return _gather(pairs, z, p, p, gaps, ranks, "Nemenyi test, studentized range")


def critical_difference(k: int, n: int, level: float = 0.05) -> float:
    """Return Nemenyi's critical difference of mean ranks.

    q sqrt(k (k + 1) / (6 n)), where q is the quantile of the studentized range divided by sqrt(2).

    Args:
        k: number of treatments, at least 2.
        n: number of blocks.
        level: family-wise level of the test, between 0 and 1.

    Returns:
        The smallest difference of two mean ranks that is significant at `level`.

    Raises:
        StatisticsError: k is below 2, n is below 1, or `level` is not between 0 and 1, or so
            small that no difference would be large enough.

    Source: Demsar (2006, section 3.2.2).
    """
    from scipy.stats import studentized_range

    k, n, level = as_whole(k, "k", 2), as_whole(n, "n"), as_level(level)
    q = float(studentized_range.ppf(1 - level, k, np.inf)) / math.sqrt(2)
    if not math.isfinite(q):
        raise StatisticsError(f"level must be at least about 1e-15 here, got {level!r}")
    return q * math.sqrt(k * (k + 1) / (6 * n))


def rank_z(scores: Any, control: int | None = None) -> Pairwise:
    """Compare treatments by a z test of their mean ranks, adjusted by Holm.

    z = (R_i - R_j) / sqrt(k (k + 1) / (6 N)), normal for many blocks.

    Args:
        scores: shape (N, k), N blocks by k treatments; lower is better; a failed run may be +inf.
        control: column to compare all others with; None compares all pairs.

    Returns:
        The pairs with adjusted p-values.

    Raises:
        StatisticsError: fewer than 2 blocks or treatments, NaN, or `control` is not a column.

    Source: Demsar (2006, section 3.2.2); Garcia and Herrera (2008).
    """
    ranks, pairs = _ranked(scores, control)
    n, k = ranks.shape
    gaps = _gaps(ranks, pairs)
    z = gaps / math.sqrt(k * (k + 1) / (6 * n))
    p = np.array([math.erfc(abs(v) / math.sqrt(2)) for v in z])
    return _gather(pairs, z, p, holm(p), gaps, ranks, "z of mean ranks, Holm")


def conover(scores: Any, control: int | None = None) -> Pairwise:
    """Compare treatments by Conover's t test on ranks, adjusted by Holm.

    t = (S_i - S_j) / sqrt(2 (N A - sum S_j^2) / ((N - 1)(k - 1))) with (N - 1)(k - 1) degrees of
    freedom, where S_j are rank sums and A is the sum of squared ranks. The denominator becomes
    smaller as blocks agree, so a real difference of one treatment makes the tests of the others
    more sensitive: use it only after a Friedman test that rejects. No p-value is below
    (k!)^(1 - N), as in `friedman`. If all scores are tied, p is 1.

    Args:
        scores: shape (N, k), N blocks by k treatments; lower is better; a failed run may be +inf.
        control: column to compare all others with; None compares all pairs.

    Returns:
        The pairs with adjusted p-values.

    Raises:
        StatisticsError: fewer than 2 blocks or treatments, NaN, or `control` is not a column.

    Source: Conover and Iman (1979); Conover (1999, section 5.8).
    """
    from scipy.special import stdtr

    ranks, pairs = _ranked(scores, control)
    n, k = ranks.shape
    gaps = _gaps(ranks, pairs)
    df = (n - 1) * (k - 1)
    rest = n * float((ranks**2).sum()) - float((ranks.sum(axis=0) ** 2).sum())
    error = math.sqrt(2 * rest / df) if rest > 1e-9 * n * k else 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(gaps == 0, 0.0, n * gaps / error if error else np.copysign(np.inf, gaps))
    least = math.exp((1 - n) * math.lgamma(k + 1))
    p = np.maximum(least, 2 * stdtr(df, -np.abs(t)))
    return _gather(pairs, t, p, holm(p), gaps, ranks, f"Conover t of ranks, {df} df, Holm")


def pairwise(
    scores: Any, test: Callable[[Any, Any], Any] = wilcoxon, control: int | None = None
) -> Pairwise:
    """Compare treatments two at a time with any test, adjusted by Shaffer or Holm.

    Benavoli, Corani and Mangili (2016) recommend this, with signed-rank tests, instead of tests on
    mean ranks. The p-values of all pairs are adjusted by Shaffer's method, because not all
    combinations of them can be true (see `shaffer`); those against a control by Holm's method.

    Args:
        scores: shape (..., k), treatments in the last axis; (N, k) for `wilcoxon`, (5, 2, k) for
            `five_by_two_f`. Lower is better.
        test: called with scores[..., i] and scores[..., j]; returns a result with `statistic` and
            `p`: `wilcoxon`, `permutation`, `rank_sum`, `five_by_two_f`, or
            ``lambda x, y: corrected_t(x, y, test_fraction=0.1)``.
        control: column to compare all others with; None compares all pairs.

    Returns:
        The pairs with adjusted p-values. `difference` is the Hodges-Lehmann estimate for
        `wilcoxon`, else the `difference` of the test's result, if it has one.

    Raises:
        StatisticsError: fewer than 2 treatments, `control` is not a column, `test` is no function,
            raises an exception or returns a result without `statistic` and `p`; and what `test`
            raises itself.

    Source: the adjustments by Shaffer (1986) and Holm (1979).

    Example:
        >>> from metaopt.stats import pairwise
        >>> scores = [[i, i + 1.5, i + 2] for i in range(8)]  # 8 problems, 3 strategies
        >>> for pair in pairwise(scores, control=0).pairs:
        ...     print(pair.first, pair.second, pair.difference, pair.p_adjusted)
        1 0 1.5 0.015625
        2 0 2.0 0.015625
    """
    run = as_function(test, "test", "stats.wilcoxon")
    table = as_array(scores, "scores")
    if table.ndim < 2 or table.shape[-1] < 2:
        raise StatisticsError(
            f"scores must have the shape (blocks, treatments) with at least 2 treatments,"
            f" got shape {table.shape}"
        )
    if test is wilcoxon:
        table = as_blocks(table)
    k = table.shape[-1]
    pairs = _pairs(k, control)
    found = [_outcome(run(table[..., i], table[..., j])) for i, j in pairs]
    statistics, p = (np.array([row[at] for row in found]) for at in (0, 1))
    gaps = [row[2] for row in found]
    if test is wilcoxon:
        gaps = [median_difference(table[:, i], table[:, j]) for i, j in pairs]
    name = str(getattr(test, "__name__", "test")).replace("<lambda>", "test")
    adjusted, how = (shaffer(p, k), "Shaffer") if control is None else (holm(p), "Holm")
    return _gather(pairs, statistics, p, adjusted, gaps, table, f"pairwise {name}, {how}")


def _outcome(result: Any) -> tuple[float, float, float | None]:
    """Statistic, p-value and difference, None without one, of the result of a test."""
    statistic, p = getattr(result, "statistic", None), getattr(result, "p", None)
    if statistic is None or p is None or not (is_real(statistic) and is_real(p)):
        raise StatisticsError(
            f"test must return a result with the numbers statistic and p, as stats.wilcoxon does,"
            f" got {shown(result)}"
        )
    gap: Any = getattr(result, "difference", None)
    return float(statistic), float(p), float(gap) if is_real(gap) else None


def _ranked(scores: Any, control: int | None) -> tuple[FloatArray, list[tuple[int, int]]]:
    ranks = block_ranks(scores)
    return ranks, _pairs(ranks.shape[1], control)


def _pairs(k: int, control: int | None) -> list[tuple[int, int]]:
    if control is None:
        return list(combinations(range(k), 2))
    control = as_column(control, k)
    return [(j, control) for j in range(k) if j != control]


def _gaps(ranks: FloatArray, pairs: list[tuple[int, int]]) -> FloatArray:
    means = ranks.mean(axis=0)
    return np.array([means[i] - means[j] for i, j in pairs])


def _gather(
    pairs: list[tuple[int, int]],
    statistics: FloatArray,
    p: FloatArray,
    adjusted: FloatArray,
    gaps: Iterable[float | None],
    table: Any,
    method: str,
) -> Pairwise:
    given = (None if gap is None else float(gap) for gap in gaps)
    columns = (statistics.tolist(), p.tolist(), adjusted.tolist(), given)
    made = tuple(Pair(i, j, *row) for (i, j), *row in zip(pairs, *columns, strict=True))
    n, k = len(table), table.shape[-1]
    return Pairwise(made, k, n, f"{method}, {len(pairs)} pairs of {k} treatments, {n} blocks")
