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
        units: whether the problems are the units of the test, and not strata of repeats.
    """

    x: FloatArray
    y: FloatArray
    sign: int
    whole: bool
    units: bool = False


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
    won = _wins_over_problems(pair, level) if pair.units else stats.wins(pair.x, pair.y, level)
    if pair.x.ndim == 2:
        return Contrast(won, verdict=verdict, test=test, equivalent=equivalent)
    difference = stats.median_difference_interval(pair.x, pair.y, level) if pair.whole else None
    return Contrast(
        won,
        None if difference is None else in_units(difference, pair.sign),
        stats.rank_biserial(pair.x, pair.y).estimate,
        verdict,
        test,
        equivalent,
    )


def in_units(found: stats.Interval, sign: int) -> stats.Interval:
    """Turn an interval of costs, or of their difference, into one of values.

    Args:
        found: the interval.
        sign: -1 if costs are negated values.
    """
    if sign > 0:
        return found
    return replace(found, estimate=-found.estimate, low=-found.high, high=-found.low)


def _wins_over_problems(pair: Pair, level: float) -> stats.Interval:
    """Share of repeats won on problems of this kind, with the interval of the signed-rank test.

    The estimate is that of Hodges and Lehmann over problems.
    """
    share = stats.win_shares(pair.x, pair.y)
    over = stats.median_difference_interval(share, 1 - share, level)
    return replace(
        over, estimate=(1 + over.estimate) / 2, low=(1 + over.low) / 2, high=(1 + over.high) / 2
    )
