"""What an analysis is made of: the values of a problem, one standing per strategy, the tests."""

from __future__ import annotations

from dataclasses import dataclass

from metaopt import stats
from metaopt.core.text import counted
from metaopt.core.types import FloatArray


@dataclass(frozen=True)
class Sample:
    """The results of all runs on one problem.

    Attributes:
        title: the problem's name.
        values: best validation values, shape (repeats, strategies); NaN for a run without one.
        tests: hidden test values of the same configurations, same shape, or None.
        sign: 1 if lower is better, -1 if higher is better.
        margin: the largest difference that does not matter, in units of the values; None if none
            was stated.
    """

    title: str
    values: FloatArray
    tests: FloatArray | None = None
    sign: int = 1
    margin: float | None = None


@dataclass(frozen=True)
class Verdict:
    """What the test of a strategy against the control says.

    Attributes:
        p: adjusted p-value.
        better: whether the test's own statistic says that the strategy is better than the control;
            None if it says neither.
        level: at which the hypothesis was tested, after the adjustment.
    """

    p: float
    better: bool | None
    level: float


@dataclass(frozen=True)
class Contrast:
    """A strategy against the control, in the same repeats.

    Attributes:
        wins: share of the repeats in which the strategy is better, ties counting half.
        difference: Hodges-Lehmann estimate of strategy - control, in units of the values and in the
            problem's direction; None over several problems, and where a run has no value.
        rank_biserial: matched-pairs rank-biserial correlation, from -1 to 1; above 0, the strategy
            is better; None over several problems.
        verdict: of the validation values; None without a test.
        test: of the hidden test values, likewise.
        equivalent: adjusted p-value of the test for equivalence; None without a stated margin.
    """

    wins: stats.Interval
    difference: stats.Interval | None = None
    rank_biserial: float | None = None
    verdict: Verdict | None = None
    test: Verdict | None = None
    equivalent: float | None = None


@dataclass(frozen=True)
class Standing:
    """The results of one strategy in a comparison.

    Attributes:
        label: of the strategy.
        rank: mean rank by validation value; 1 is best.
        value: median over repeats of the best validation value, with its interval from order
            statistics at its attained level; None if no repeat has one.
        test: the same for the hidden test value of the configuration that validation chose.
        test_rank: mean rank by the hidden test value.
        contrast: against the control; None for the control.
        without: number of repeats in which no trial was complete; they rank last.
    """

    label: str
    rank: float
    value: stats.Interval | None = None
    test: stats.Interval | None = None
    test_rank: float | None = None
    contrast: Contrast | None = None
    without: int = 0

    @property
    def p(self) -> float | None:
        """Adjusted p-value against the control; None without a test."""
        verdict = None if self.contrast is None else self.contrast.verdict
        return None if verdict is None else verdict.p


@dataclass(frozen=True)
class AnalysisData:
    """Standings on one problem, or over several.

    Attributes:
        title: the problem's name, or "all problems".
        problems: number of problems.
        repeats: number of paired repeats of each problem.
        standings: sorted by mean rank.
        control: the label that all others are compared with.
        plan: the tests for the design; None for a single strategy.
        family: number of hypotheses in the family of all claims of the comparison.
        friedman_p: p-value of the test whether any strategies differ, for one problem or over all
            problems; no claim rests on it. None if no such test was made.
        posterior: for two strategies over several problems, the difference of the shares of repeats
            won (the control's minus the other's); "below" means that the other is practically
            better.
        margins: the stated margins of equivalence, by problem.
        level: of the family of all claims.
        most: planned largest number of repeats, where they were added until all was decided.
    """

    title: str
    problems: int
    repeats: int
    standings: tuple[Standing, ...]
    control: str
    plan: stats.Recommendation | None
    family: int = 0
    friedman_p: float | None = None
    posterior: stats.Posterior | None = None
    margins: tuple[tuple[str, float], ...] = ()
    level: float = 0.05
    most: int | None = None

    @property
    def blocks(self) -> str:
        """What was compared: "10 paired repeats", "5 problems with 10 paired repeats each"."""
        repeats = counted(self.repeats, "paired repeat")
        if self.problems == 1:
            return repeats
        return f"{self.problems} problems with {repeats} each"

    @property
    def empty(self) -> bool:
        """Whether no run on the problem has a value."""
        return self.problems == 1 and all(s.value is None for s in self.standings)
