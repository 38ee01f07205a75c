"""Which treatments differ: all pairs, or each against a control, always corrected for their number.

Notation: scores have the shape (N, k), N blocks by k treatments, lower is better; R_j is the mean
rank of treatment j. Tests on mean ranks (`nemenyi`, `rank_z`, `conover`) judge a pair by ranks to
which the other treatments contribute, so that a verdict may change with the company (Benavoli,
Corani and Mangili 2016); `pairwise` looks at the two alone and is advised.
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
from metaopt.stats.checks import as_column, as_level, as_whole
from metaopt.stats.effect import median_difference
from metaopt.stats.friedman import block_ranks, holm
from metaopt.stats.signed_rank import wilcoxon


@dataclass(frozen=True)
class Pair:
    """Two treatments and the test between them.

    Attributes:
        first: column of the one treatment.
        second: column of the other, the control if there is one.
        statistic: of the test.
        p: its p-value, not adjusted (for `nemenyi`: adjusted, there is no other).
        p_adjusted: adjusted for all pairs tested.
        difference: of mean ranks, or the test's own difference, first - second (below 0 the first
            is lower); None where the test has none.
    """

    first: int
    second: int
    statistic: float
    p: float
    p_adjusted: float
    difference: float | None


@dataclass(frozen=True)
class Pairwise:
    """All comparisons of a family.

    Attributes:
        pairs: in the order of columns.
        k: number of treatments.
        n: number of blocks, the rows of scores.
        method: in words, with the correction.
    """

    pairs: tuple[Pair, ...]
    k: int
    n: int
    method: str

    def table(self) -> FloatArray:
        """Adjusted p-values (k, k), symmetric, 1 on the diagonal, NaN for pairs not tested."""
        out = np.where(np.eye(self.k) == 1, 1.0, np.nan)
        for pair in self.pairs:
            out[pair.first, pair.second] = out[pair.second, pair.first] = pair.p_adjusted
        return out


def nemenyi(scores: Any) -> Pairwise:
    """Compare all pairs by their mean ranks; scores (N, k).

    Nemenyi (1963), Demsar (2006, section 3.2.2): |R_i - R_j| / sqrt(k (k + 1) / (6 N)) against the
    studentized range of k normals over sqrt(2), which covers all pairs at once. For 10 blocks or
    more: with 6 blocks of 3 it rejects 24 % of true families at level 0.2. Ties make it
    conservative.

    Raises:
        StatisticsError: fewer than 2 blocks or treatments, or NaN (a failed run may be +inf).
    """
    from scipy.stats import studentized_range

    ranks, pairs = _ranked(scores, None)
    n, k = ranks.shape
    gaps = _gaps(ranks, pairs)
    z = np.abs(gaps) / math.sqrt(k * (k + 1) / (6 * n))
    p = np.clip(studentized_range.sf(z * math.sqrt(2), k, np.inf), 0.0, 1.0)
    return _gather(pairs, z, p, p, gaps, ranks, "Nemenyi test, studentized range")


def critical_difference(k: int, n: int, level: float = 0.05) -> float:
    """Return Nemenyi's critical difference of mean ranks for k treatments in n blocks.

    Demsar (2006, section 3.2.2): q sqrt(k (k + 1) / (6 n)), q the studentized range over sqrt(2).

    Raises:
        StatisticsError: k or n is below 2 or 1, or `level` is not between 0 and 1.
    """
    from scipy.stats import studentized_range

    k, n, level = as_whole(k, "k", 2), as_whole(n, "n"), as_level(level)
    q = float(studentized_range.ppf(1 - level, k, np.inf)) / math.sqrt(2)
    return q * math.sqrt(k * (k + 1) / (6 * n))


def rank_z(scores: Any, control: int | None = None) -> Pairwise:
    """Compare treatments by the z of their mean ranks, adjusted by Holm; scores (N, k).

    Demsar (2006, section 3.2.2) and Garcia and Herrera (2008): z = (R_i - R_j) /
    sqrt(k (k + 1) / (6 N)), normal for many blocks; all pairs, or each with column `control`.

    Raises:
        StatisticsError: fewer than 2 blocks or treatments, NaN, or no such column.
    """
    ranks, pairs = _ranked(scores, control)
    n, k = ranks.shape
    gaps = _gaps(ranks, pairs)
    z = gaps / math.sqrt(k * (k + 1) / (6 * n))
    p = np.array([math.erfc(abs(v) / math.sqrt(2)) for v in z])
    return _gather(pairs, z, p, holm(p), gaps, ranks, "z of mean ranks, Holm")


def conover(scores: Any, control: int | None = None) -> Pairwise:
    """Compare treatments by Conover's t on ranks, adjusted by Holm; scores (N, k).

    Conover and Iman (1979), Conover (1999, section 5.8): t = |S_i - S_j| / sqrt(2 (N A - sum S_j^2)
    / ((N - 1)(k - 1))) with (N - 1)(k - 1) degrees of freedom, S_j rank sums, A the sum of squared
    ranks. The denominator shrinks as blocks agree, so a true difference of one treatment sharpens
    the tests of the others: meant for after a Friedman test that rejects, and no p is let below
    (k!)^(1 - N), as in `friedman`. Where all is tied, p is 1.

    Raises:
        StatisticsError: fewer than 2 blocks or treatments, NaN, or no such column.
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
    """Compare treatments two at a time with any test, adjusted by Holm; scores (..., k).

    `test` takes two columns, scores[..., i] and scores[..., j], and returns an outcome with
    `statistic` and `p`: `wilcoxon`, `permutation`, `rank_sum`, `five_by_two_f` for scores (5, 2,
    k), or ``lambda x, y: corrected_t(x, y, test_fraction=0.1)``. All pairs, or each with column
    `control`. Benavoli, Corani and Mangili (2016) advise it with signed ranks over tests of mean
    ranks; `difference` is the Hodges-Lehmann estimate then, else the outcome's own if it has one.

    Raises:
        StatisticsError: fewer than 2 treatments, no such column, or what `test` raises.
    """
    table = np.asarray(scores)
    if table.ndim < 2 or table.shape[-1] < 2:
        raise StatisticsError(
            f"scores must have the shape (blocks, treatments) with at least 2 treatments,"
            f" got shape {table.shape}"
        )
    pairs = _pairs(table.shape[-1], control)
    found = [test(table[..., i], table[..., j]) for i, j in pairs]
    gaps = [getattr(o, "difference", None) for o in found]
    if test is wilcoxon:
        gaps = [median_difference(table[:, i], table[:, j]) for i, j in pairs]
    p = np.array([float(o.p) for o in found])
    name = getattr(test, "__name__", "test").replace("<lambda>", "test")
    statistics = np.array([float(o.statistic) for o in found])
    return _gather(pairs, statistics, p, holm(p), gaps, table, f"{name} by pairs, Holm")


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
