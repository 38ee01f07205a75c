"""The effect sizes of a strategy against the control, with intervals at the level of its test."""

from __future__ import annotations

from dataclasses import dataclass, replace

from metaopt import stats
from metaopt.analysis.family import LEVEL
from metaopt.analysis.standings import Contrast, Verdict
from metaopt.core.types import FloatArray


@dataclass(frozen=True)
class Pair:
    """Costs of a strategy and of the control in the same repeats.

    Attributes:
        x: of the strategy, shape (repeats,), or (problems, repeats).
        y: of the control, same shape.
        sign: -1 if costs are negated values.
        whole: whether all runs of one problem have values, so that differences mean something.
    """

    x: FloatArray
    y: FloatArray
    sign: int
    whole: bool


def contrast(
    pair: Pair,
    verdict: Verdict | None,
    test: Verdict | None,
    equivalent: float | None,
    level: float = LEVEL,
) -> Contrast:
    """Make the effect sizes; their intervals have the adjusted level of the test.

    Args:
        pair: the costs.
        verdict: of the validation values; without one, intervals are not adjusted.
        test: of the hidden test values, or None.
        equivalent: adjusted p-value of the test for equivalence, or None.
        level: of intervals without a verdict, as the probability of missing the true value.
    """
    level = 1 - (level if verdict is None else verdict.level)
    if pair.x.ndim == 2:
        return Contrast(
            stats.wins(pair.x, pair.y, level), verdict=verdict, test=test, equivalent=equivalent
        )
    difference = stats.median_difference_interval(pair.x, pair.y, level) if pair.whole else None
    return Contrast(
        stats.wins(pair.x, pair.y, level),
        None if difference is None else _in_units(difference, pair.sign),
        stats.rank_biserial(pair.x, pair.y).estimate,
        verdict,
        test,
        equivalent,
    )


def _in_units(found: stats.Interval, sign: int) -> stats.Interval:
    """Turn a difference of costs into one of values."""
    if sign > 0:
        return found
    return replace(found, estimate=-found.estimate, low=-found.high, high=-found.low)


def with_wins_over_problems(
    found: Contrast, x: FloatArray, y: FloatArray, level: float
) -> Contrast:
    """Return effect sizes with the share of repeats won on problems of this kind.

    The share is the Hodges-Lehmann estimate over problems, with the interval of the signed-rank
    test over problems.

    Args:
        found: the effect sizes.
        x, y: costs of the strategy and of the control, shape (problems, repeats).
        level: of the interval without a verdict, as the probability of missing the true value.
    """
    share = stats.win_shares(x, y)
    level = level if found.verdict is None else found.verdict.level
    over = stats.median_difference_interval(share, 1 - share, 1 - level)
    wins = replace(
        over, estimate=(1 + over.estimate) / 2, low=(1 + over.low) / 2, high=(1 + over.high) / 2
    )
    return replace(found, wins=wins)
