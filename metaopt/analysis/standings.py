"""What an analysis is made of: the values of a problem, one standing per strategy, the tests."""

from __future__ import annotations

from dataclasses import dataclass

from metaopt import stats
from metaopt.core.types import FloatArray

LEVEL = 0.05  # of all tests


@dataclass(frozen=True)
class Sample:
    """The results of all runs on one problem.

    Attributes:
        title: the problem's name.
        values: best validation values, shape (repeats, strategies); NaN for a run without one.
        tests: hidden test values of the same configurations, same shape, or None.
        sign: 1 if lower is better, -1 if higher is better.
    """

    title: str
    values: FloatArray
    tests: FloatArray | None = None
    sign: int = 1


@dataclass(frozen=True)
class Standing:
    """The results of one strategy in a comparison; intervals are 95 % bootstrap intervals.

    Attributes:
        label: of the strategy.
        rank: mean rank by validation value; 1 is best.
        value: median over repeats of the best validation value; None if no repeat has one.
        test: the same for the hidden test value of the configuration that validation chose.
        test_rank: mean rank by the hidden test value.
        p: of the plan's test against the control, adjusted by Holm's method for all comparisons
            of the design; None for the control, and where the design allows no test.
        a12: probability of a better value than the control's, ties counting half; repeats are
            resampled in pairs.
        without: number of repeats in which no trial was complete; they rank last.
    """

    label: str
    rank: float
    value: stats.Interval | None = None
    test: stats.Interval | None = None
    test_rank: float | None = None
    p: float | None = None
    a12: stats.Interval | None = None
    without: int = 0


@dataclass(frozen=True)
class AnalysisData:
    """Standings on one problem, or over several.

    Attributes:
        title: the problem's name, or "all problems".
        over: what the blocks are, "paired repeats" or "problems".
        blocks: number of blocks.
        standings: sorted by mean rank.
        control: the label that all others are compared with.
        plan: the tests for the design; None for a single strategy.
        friedman_p: p-value of the test whether any strategies differ, adjusted by Holm's method if
            several problems are tested one by one; None if no such test was made.
        posterior: for two strategies over several problems, the difference of their mean ranks
            (the other minus the control); "below" means that the other is practically better.
    """

    title: str
    over: str
    blocks: int
    standings: tuple[Standing, ...]
    control: str
    plan: stats.Recommendation | None
    friedman_p: float | None = None
    posterior: stats.Posterior | None = None
