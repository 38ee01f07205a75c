"""Repeats that are added until every strategy is decided, or a planned number is reached."""

from __future__ import annotations

from dataclasses import replace

from metaopt import stats
from metaopt.analysis.contrasts import in_units
from metaopt.analysis.standings import Contrast, Verdict
from metaopt.core.types import FloatArray


def last_looks(costs: FloatArray, control: int, most: int, level: float) -> dict[int, stats.Look]:
    """Return the last look at each strategy against the control.

    Args:
        costs: shape (problems, repeats, strategies), of all complete repeats.
        control: column of the control.
        most: planned largest number of repeats.
        level: of the family of all claims.

    Returns:
        By column.
    """
    others = [j for j in range(costs.shape[-1]) if j != control]
    found = stats.sequential_against_control(
        [costs[..., j] for j in others], costs[..., control], most=most, level=level
    )
    return {j: looks[-1] for j, looks in zip(others, found, strict=True)}


def verdict(look: stats.Look, level: float) -> Verdict | None:
    """Return what a look says at the level of the family; None while repeats go on.

    Args:
        look: the last one.
        level: of the family of all claims.
    """
    if look.p is None:
        return None
    better = None if look.statistic == 0 else look.statistic < 0
    # Level / s is the level at which the closed procedure tested this strategy.
    return Verdict(min(1.0, look.p * level / look.level), better, look.level)


def with_repeated_interval(
    found: Contrast, x: FloatArray, y: FloatArray, most: int, sign: int
) -> Contrast:
    """Return effect sizes whose intervals hold although repeats ended with a look.

    The share of repeats won then has no interval, and the difference its repeated one.

    Args:
        found: the effect sizes.
        x, y: costs of the strategy and of the control, shape (repeats,), or (problems, repeats).
        most: planned largest number of repeats.
        sign: -1 if costs are negated values.
    """
    wins = replace(found.wins, level=0.0, low=found.wins.estimate, high=found.wins.estimate)
    if found.difference is None or found.verdict is None:
        return replace(found, wins=wins, difference=None)
    level = found.verdict.level
    interval = stats.sequential_interval(x, y, most=most, level=level)
    return replace(found, wins=wins, difference=in_units(interval, sign))
