"""Several treatments on the same blocks: ranks, the Friedman test, and comparisons with a control.

Notation: scores have the shape (N, k), N blocks (problems, or repeats on one problem) by k
treatments (strategies); lower is better; R_j is the mean rank of treatment j, and rank 1 is best.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.stats.checks import as_blocks, as_column, as_flag, as_level, as_sample, shown
from metaopt.stats.effect import a12, median_difference
from metaopt.stats.extremes import unit_of
from metaopt.stats.signed_rank import wilcoxon

WEIGHT_RATIO = 1e-12  # of two weights; sums of others would lose the smaller one


def block_ranks(scores: Any) -> FloatArray:
    """Rank the treatments within each block; 1 is the lowest score, ties get their mean rank.

    Args:
        scores: shape (N, k), N blocks by k treatments; a failed run may be +inf.

    Returns:
        The ranks, shape (N, k).

    Raises:
        StatisticsError: fewer than 2 blocks or treatments, or NaN.
    """
    return ranks_within(as_blocks(scores, infinite=True))


def ranks_within(s: FloatArray) -> FloatArray:
    """Ranks within each row of checked scores, (N, k), which may also be a single row or column."""
    below = (s[:, None, :] < s[:, :, None]).sum(axis=2)
    equal = (s[:, None, :] == s[:, :, None]).sum(axis=2)  # itself included
    ranks: FloatArray = below + (equal + 1) / 2
    return ranks


def mean_ranks(scores: Any) -> FloatArray:
    """Mean rank of each treatment over the blocks; 1 is best.

    Args:
        scores: shape (N, k), N blocks by k treatments; a failed run may be +inf.

    Returns:
        The mean ranks, shape (k,); see `block_ranks` for ties.

    Raises:
        StatisticsError: fewer than 2 blocks or treatments, or NaN.
    """
    means: FloatArray = block_ranks(scores).mean(axis=0)
    return means


@dataclass(frozen=True)
class Friedman:
    """Result of the Friedman test.

    Attributes:
        statistic: Friedman's chi-square, with k - 1 degrees of freedom.
        p: p-value of the chi-square; keeps its level with any number of blocks, but is
            conservative.
        f: Iman and Davenport's F, with k - 1 and (k - 1)(N - 1) degrees of freedom.
        f_p: p-value of F; more powerful, but rejects too often with fewer than 10 blocks.
        ranks: mean rank of each treatment.
        n: number of blocks.
        method: description of the method.
    """

    statistic: float
    p: float
    f: float
    f_p: float
    ranks: tuple[float, ...]
    n: int
    method: str


def friedman(scores: Any, *, correct_ties: bool = True) -> Friedman:
    """Test whether k treatments have the same ranks over N blocks.

    Friedman's chi-square X, and F = (N - 1) X / (N (k - 1) - X). Both p-values are approximations
    for large N. At level 0.05 with 8 blocks of 4 treatments, chi-square rejects 4.5 % of true
    hypotheses and F 6.0 %; with 20 blocks of 7 treatments, 4.5 % and 4.9 % (8,000 simulations
    each). No p-value is below (k!)^(1 - N), the exact probability that all blocks agree; in that
    case F is infinite and its p-value would be 0. Blocks in which all scores are tied carry no
    information; if all blocks are like that, the statistics are 0 and p is 1. For fewer than 10
    blocks use `friedman_permutation`.

    Args:
        scores: shape (N, k), N blocks by k treatments; lower is better; a failed run may be +inf.
        correct_ties: divide X by 1 - sum(t^3 - t) / (N k (k^2 - 1)) over groups of t ties (Conover
            1999, p. 370); without it, ties make X conservative. False gives the formula as printed
            by Demsar (2006).

    Returns:
        Both statistics with their p-values, and the mean ranks.

    Raises:
        StatisticsError: fewer than 2 blocks or treatments, NaN, or `correct_ties` is neither True
            nor False.

    Source: Friedman (1937); F by Iman and Davenport (1980).

    Example:
        >>> from metaopt.stats import friedman
        >>> scores = [[0.1, 0.2, 0.3], [0.2, 0.5, 0.6], [0.1, 0.4, 0.9], [0.3, 0.4, 0.5]]
        >>> test = friedman(scores)  # 4 problems, 3 strategies
        >>> test.ranks
        (1.0, 2.0, 3.0)
        >>> round(test.p, 4)
        0.0183
    """
    from scipy.special import chdtrc, fdtrc

    ranks, correct_ties = block_ranks(scores), as_flag(correct_ties, "correct_ties")
    n, k = ranks.shape
    squares = n * float(((ranks.mean(axis=0) - (k + 1) / 2) ** 2).sum())
    # The spread of the actual ranks, or of untied ranks 1..k.
    spread = float(((ranks - (k + 1) / 2) ** 2).sum()) if correct_ties else n * (k**3 - k) / 12
    chi = n * (k - 1) * squares / spread if spread > 0 else 0.0
    rest = n * (k - 1) - chi
    f = (n - 1) * chi / rest if rest > 1e-12 * n * k else math.inf
    least = math.exp((1 - n) * math.lgamma(k + 1))
    p = max(least, float(chdtrc(k - 1, chi)))
    f_p = max(least, 0.0 if math.isinf(f) else float(fdtrc(k - 1, (k - 1) * (n - 1), f)))
    method = f"Friedman test of {k} treatments in {n} blocks, Iman-Davenport F"
    return Friedman(chi, p, f, f_p, tuple(ranks.mean(axis=0).tolist()), n, method)


def holm(p: Any, weights: Any = None) -> FloatArray:
    """Adjust the p-values of m tests for multiple testing.

    The i-th smallest p-value is multiplied by m - i + 1, and is at least as large as the adjusted
    values before it. Rejecting all hypotheses with an adjusted p-value up to a level keeps the
    family-wise error rate at that level. With weights w, hypotheses are ordered by p / w, and p is
    multiplied by the sum of the weights that are left, divided by its own.

    Args:
        p: p-values, shape (m,); may be empty.
        weights: of the hypotheses, shape (m,), above 0; None weighs all alike.

    Returns:
        The adjusted p-values in the same order, shape (m,), at most 1.

    Raises:
        StatisticsError: a value is not between 0 and 1, or a weight is not above 0.

    Source: Holm (1979).
    """
    raw, order, factors = _steps(p, weights)
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(raw[order] * factors))
    return adjusted


def holm_levels(p: Any, level: float = 0.05, weights: Any = None) -> FloatArray:
    """Return the level at which Holm's procedure tests each hypothesis.

    p is at most this level exactly where the adjusted p-value is at most `level`. So a confidence
    interval of this level, made from the same test, excludes 0 exactly where the adjusted p-value
    is significant. After the step at which the procedure stops, the levels are those of that step.

    Args:
        p: p-values, shape (m,); may be empty.
        level: family-wise level, between 0 and 1.
        weights: of the hypotheses, shape (m,), above 0; None weighs all alike.

    Returns:
        The levels in the same order, shape (m,), at most `level`.

    Raises:
        StatisticsError: a value or `level` is not between 0 and 1, or a weight is not above 0.

    Source: Holm (1979).
    """
    raw, order, factors = _steps(p, weights)
    level, w = as_level(level), _weights(weights, len(raw))[order]
    open_ = np.flatnonzero(np.maximum.accumulate(raw[order] * factors) > level)
    if len(open_):
        stop = int(open_[0])
        factors = np.concatenate([factors[:stop], w[stop:].sum() / w[stop:]])
    levels = np.empty_like(raw)
    levels[order] = level / factors
    return levels


def _steps(p: Any, weights: Any) -> tuple[FloatArray, NDArray[np.intp], FloatArray]:
    """The p-values, their order in Holm's procedure, and the factor of each step, (m,) each."""
    raw = as_sample(p, "p", least=0)
    if ((raw < 0) | (raw > 1)).any():
        raise StatisticsError(f"p-values lie between 0 and 1, got {shown(raw.tolist())}")
    w = _weights(weights, len(raw))
    order = np.argsort(raw / w, kind="stable")
    left = np.cumsum(w[order][::-1])[::-1]
    return raw, order, left / w[order]


def _weights(weights: Any, m: int) -> FloatArray:
    w = np.ones(m) if weights is None else as_sample(weights, "weights", least=0)
    if len(w) != m or (w <= WEIGHT_RATIO * w.max(initial=0.0)).any():
        raise StatisticsError(
            f"weights must be {m} numbers above 0, the largest at most {1 / WEIGHT_RATIO:g} times"
            f" the smallest, got {shown(w.tolist())}"
        )
    return w / unit_of(w)


@dataclass(frozen=True)
class AgainstControl:
    """Comparison of one treatment with the control.

    Attributes:
        treatment: column of the treatment.
        p: p-value of the signed-rank test.
        p_holm: p-value adjusted for all treatments tested.
        a12: probability that the treatment is better (lower) than the control.
        difference: Hodges-Lehmann estimate of treatment - control; below 0, the treatment is
            better.
        n: number of blocks.
    """

    treatment: int
    p: float
    p_holm: float
    a12: float
    difference: float
    n: int


def against_control(scores: Any, control: int) -> tuple[AgainstControl, ...]:
    """Compare every treatment with a control by signed-rank tests, adjusted by Holm.

    Comparing with a control only has more power than comparing all pairs (Demsar 2006, section
    3.2.2). Signed-rank tests are used because the verdict of mean-rank tests on a pair depends on
    the other treatments (Benavoli et al. 2016). `difference` and `a12`, which pools the blocks, are
    meaningful only if all blocks share one scale: repeats on one problem, or normalised scores.

    Args:
        scores: shape (N, k), N blocks by k treatments, finite; lower is better.
        control: column of the control.

    Returns:
        k - 1 comparisons, in the order of columns.

    Raises:
        StatisticsError: fewer than 2 blocks or treatments, a value that is not finite, or `control`
            is not a column.
    """
    s = as_blocks(scores)
    k = s.shape[1]
    control = as_column(control, k)
    others = [j for j in range(k) if j != control]
    base = s[:, control]
    p = [wilcoxon(s[:, j], base).p for j in others]
    return tuple(
        AgainstControl(
            j, raw, float(adjusted), a12(s[:, j], base), median_difference(s[:, j], base), len(s)
        )
        for j, raw, adjusted in zip(others, p, holm(p), strict=True)
    )
