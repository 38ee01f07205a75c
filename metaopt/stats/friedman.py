"""Several treatments on the same blocks: ranks, a test of all, and each against a control.

Notation: scores have the shape (N, k), N blocks (problems, or repeats on one) by k treatments
(strategies); lower is better; R_j is the mean rank of treatment j, 1 being the best.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.stats.checks import as_blocks, as_column, as_sample
from metaopt.stats.effect import a12, median_difference
from metaopt.stats.signed_rank import wilcoxon


def block_ranks(scores: Any) -> FloatArray:
    """Rank each row of scores, (N, k): 1 for the lowest, ties share the mean of their ranks.

    Raises:
        StatisticsError: fewer than 2 blocks or treatments, or NaN (a failed run may be +inf).
    """
    s = as_blocks(scores, infinite=True)
    below = (s[:, None, :] < s[:, :, None]).sum(axis=2)
    equal = (s[:, None, :] == s[:, :, None]).sum(axis=2)  # itself included
    ranks: FloatArray = below + (equal + 1) / 2
    return ranks


def mean_ranks(scores: Any) -> FloatArray:
    """Mean rank of each treatment, shape (k,), from scores (N, k); 1 is best, see `block_ranks`."""
    means: FloatArray = block_ranks(scores).mean(axis=0)
    return means


@dataclass(frozen=True)
class Friedman:
    """Outcome of the Friedman test.

    Attributes:
        statistic: Friedman's chi-square, with k - 1 degrees of freedom.
        p: its p-value; keeps its level with any number of blocks, and is conservative.
        f: Iman and Davenport's F, with k - 1 and (k - 1)(N - 1) degrees of freedom.
        f_p: its p-value; sharper, but with under 10 blocks it rejects too often.
        ranks: mean ranks, one per treatment.
        n: number of blocks.
        method: in words.
    """

    statistic: float
    p: float
    f: float
    f_p: float
    ranks: tuple[float, ...]
    n: int
    method: str


def friedman(scores: Any, *, correct_ties: bool = True) -> Friedman:
    """Test whether k treatments rank alike over N blocks; scores (N, k).

    Friedman (1937), with Iman and Davenport's (1980) F = (N - 1) X / (N (k - 1) - X). X is divided
    by 1 - sum(t^3 - t) / (N k (k^2 - 1)) over groups of t ties (Conover 1999, p. 370), without
    which ties make it conservative; `correct_ties=False` gives the formula as printed by Demsar
    (2006). Blocks tied throughout say nothing: where all are, the statistics are 0 and p is 1.
    Both p are approximations for large N. At level 0.05 and 8 blocks of 4 treatments, the
    chi-square rejects 4.5 % of true hypotheses and F 6.0 %; at 20 blocks of 7, 4.5 % and 4.9 %
    (8,000 simulations each). No p is let below (k!)^(1 - N), the exact chance that all blocks
    agree, which F (infinite then) would put at 0.

    Raises:
        StatisticsError: fewer than 2 blocks or treatments, or NaN (a failed run may be +inf).
    """
    from scipy.special import chdtrc, fdtrc

    ranks = block_ranks(scores)
    n, k = ranks.shape
    squares = n * float(((ranks.mean(axis=0) - (k + 1) / 2) ** 2).sum())
    # The spread of untied ranks 1..k, or of the ranks as they are.
    spread = float(((ranks - (k + 1) / 2) ** 2).sum()) if correct_ties else n * (k**3 - k) / 12
    chi = n * (k - 1) * squares / spread if spread > 0 else 0.0
    rest = n * (k - 1) - chi
    f = (n - 1) * chi / rest if rest > 1e-12 * n * k else math.inf
    least = math.exp((1 - n) * math.lgamma(k + 1))
    p = max(least, float(chdtrc(k - 1, chi)))
    f_p = max(least, 0.0 if math.isinf(f) else float(fdtrc(k - 1, (k - 1) * (n - 1), f)))
    method = f"Friedman test of {k} treatments in {n} blocks, Iman-Davenport F"
    return Friedman(chi, p, f, f_p, tuple(ranks.mean(axis=0).tolist()), n, method)


def holm(p: Any) -> FloatArray:
    """Adjust p-values, shape (m,), for m tests at once; same order, each at least as large.

    Holm (1979): the i-th smallest is multiplied by m - i + 1 and kept from falling below its
    predecessors. A hypothesis with an adjusted p up to a level is rejected at that family-wise
    level. No p-values give none.

    Raises:
        StatisticsError: a value is no probability.
    """
    raw = as_sample(p, "p", least=0)
    if ((raw < 0) | (raw > 1)).any():
        raise StatisticsError(f"p-values lie between 0 and 1, got {raw.tolist()}")
    order = np.argsort(raw, kind="stable")
    scaled = raw[order] * np.arange(len(raw), 0, -1)
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return adjusted


@dataclass(frozen=True)
class AgainstControl:
    """One treatment beside the control.

    Attributes:
        treatment: column of the treatment.
        p: p-value of the signed-rank test.
        p_holm: the same, adjusted for all treatments tested.
        a12: probability that the treatment is better (lower) than the control.
        difference: Hodges-Lehmann estimate of treatment - control; below 0 is better.
        n: number of blocks.
    """

    treatment: int
    p: float
    p_holm: float
    a12: float
    difference: float
    n: int


def against_control(scores: Any, control: int) -> tuple[AgainstControl, ...]:
    """Compare every treatment with the one in column `control`; scores (N, k), k - 1 outcomes.

    Signed-rank tests over the blocks, adjusted by Holm (Demsar 2006, section 3.2.2, advises them
    over mean-rank tests, whose verdict on a pair depends on the other treatments: Benavoli et al.
    2016). Differences, and A12, which pools the blocks, mean something where the blocks share one
    scale: repeats on one problem, or scores brought to a common scale first.

    Raises:
        StatisticsError: fewer than 2 blocks or treatments, a value that is not finite, or no such
            column.
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
