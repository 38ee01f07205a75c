"""The results of a comparison of strategies, as data: its runs, tables of values and analyses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from metaopt import stats
from metaopt.analysis import judgement, ranking
from metaopt.analysis.family import ADDED, LEVEL, SHARED, untested
from metaopt.analysis.ranking import Analysis
from metaopt.analysis.setup import EXPLORATORY
from metaopt.analysis.standings import Sample
from metaopt.core.errors import StudyError, unknown_name
from metaopt.core.types import FloatArray
from metaopt.problems.problem import Problem
from metaopt.pruning import Pruner
from metaopt.stats.checks import shown
from metaopt.trials.failures import worse_than_all
from metaopt.trials.records import Json, TrialRecord, best_of


@dataclass(frozen=True)
class Run:
    """One strategy on one problem in one repeat.

    Attributes:
        problem: name of the problem.
        strategy: label of the strategy.
        repeat: counted from 0.
        seed: of the strategy.
        direction: "minimize" or "maximize".
        trials: in the order of their numbers.
        settings: of the strategy as its study holds them: "strategy" (its own name), "options" and
            "budget"; empty if unknown.
    """

    problem: str
    strategy: str
    repeat: int
    seed: int
    direction: str
    trials: tuple[TrialRecord, ...]
    settings: Mapping[str, Json] = field(default_factory=dict)

    @property
    def best(self) -> TrialRecord | None:
        """The complete trial with the best validation value, the earliest among equals."""
        return best_of(self.trials, self.direction)

    @property
    def test(self) -> float:
        """Hidden test value of that trial; NaN if there is none."""
        best = self.best
        return float("nan") if best is None else best.metrics.get("test", float("nan"))


@dataclass(frozen=True)
class ComparisonData:
    """The runs of a comparison and the tables made from them, without printing or drawing.

    The fields are described in `metaopt.Comparison`, which users get.
    """

    runs: tuple[Run, ...]
    problems: tuple[Problem, ...]
    strategies: tuple[str, ...]
    n_trials: int
    repeats: int
    seed: int
    control: str
    pruner: Pruner | None = None
    storage: str | None = None
    unfinished: int = 0
    margin: Mapping[str, float] | None = None
    shared_seeds: bool = False
    purpose: str = EXPLORATORY
    level: float = LEVEL
    most: int | None = None

    def _of(self, problem: str, strategy: str) -> list[Run]:
        name = self.problem(problem).name
        found = [r for r in self.runs if (r.problem, r.strategy) == (name, strategy)]
        return sorted(found, key=lambda r: r.repeat)

    def values(self, problem: str) -> FloatArray:
        """Return the best validation values, in the problem's sign.

        Args:
            problem: its name.

        Returns:
            Shape (repeats, strategies); NaN for a run without a complete trial.
        """
        columns = [
            [np.nan if r.best is None else r.best.value for r in self._of(problem, s)]
            for s in self.strategies
        ]
        return np.array(columns, dtype=np.float64).T

    def tests(self, problem: str) -> FloatArray | None:
        """Return the hidden test values of the configurations with the best validation values.

        Args:
            problem: its name.

        Returns:
            Shape (repeats, strategies), or None if the problem has no hidden test part.
        """
        columns = [[r.test for r in self._of(problem, s)] for s in self.strategies]
        table = np.array(columns, dtype=np.float64).T
        return None if np.isnan(table).all() else table

    def curves(self, problem: str) -> dict[str, list[list[float | None]]]:
        """Return the values of all trials, in their order.

        Args:
            problem: its name.

        Returns:
            By strategy, one list per repeat; None for a trial without a value.
        """
        return {
            s: [[t.value for t in r.trials] for r in self._of(problem, s)] for s in self.strategies
        }

    @cached_property
    def analyses(self) -> list[Analysis]:
        """One analysis per problem, and one over all problems if there are several."""
        return ranking.analyse(
            self._samples(), self.strategies, self.control, self.shared_seeds, self.level, self.most
        )

    def _samples(self) -> list[Sample]:
        margins = self.margin or {}
        return [
            Sample(
                p.name, self.values(p.name), self.tests(p.name), p.sign, margins.get(p.name)
            )
            for p in self.problems
        ]  # fmt: skip

    @property
    def decided(self) -> bool:
        """Whether no further repeat is needed, where they are added until all is decided."""
        if self.most is None or len(self.strategies) < 2 or self.repeats == self.most:
            return True
        found = judgement.decisions(
            self._samples(), self.strategies, self.control, self.most, self.level
        )
        return "open" not in found

    def pairwise(self, problem: str | None = None) -> stats.Pairwise:
        """Compare all pairs of strategies, each by its own values alone, adjusted by Shaffer.

        The test is that of the plan for all pairs: over several problems the stratified signed-rank
        test, or with many problems the signed-rank test of the share of repeats won in each. These
        pairs are a family of their own, beside the comparisons with the control.

        Args:
            problem: name of a problem; None for all problems together.

        Returns:
            The pairs; columns follow `strategies`.

        Raises:
            StatisticsError: there are fewer than 2 strategies or repeats.
            StudyError: over all problems no test could reject, or problems share their seeds (a
                comparison of an earlier version), or repeats were added until all was decided.
            UnknownNameError: the comparison has no such problem.
        """
        plan = self.plan_of_pairs(problem)
        if self.most is None and (problem is not None or len(self.problems) == 1):
            return stats.pairwise(self.scores(problem))
        if plan.pairs is None:
            raise StudyError(f"pairs of strategies cannot be tested: {plan.advice}")
        table = np.array([self.scores(p.name) for p in self.problems])
        found = stats.pairwise(table, plan.test_pair)
        title = "" if plan.pairs is None else plan.pairs.title
        return replace(found, n=plan.n, method=f"{title}, Shaffer (1986) over all pairs")

    def plan_of_pairs(self, problem: str | None = None) -> stats.Recommendation:
        """Return the plan of the tests of all pairs.

        Args:
            problem: name of a problem; None for all problems together.

        Raises:
            StatisticsError: there are fewer than 2 strategies.
        """
        problems = 1 if problem is not None else len(self.problems)
        design = stats.Design(len(self.strategies), problems, self.repeats)
        plan = stats.recommend(design, self.level)
        if self.most is not None:
            return untested(plan, ADDED)
        return untested(plan, SHARED) if self.shared_seeds and problems > 1 else plan

    def scores(self, problem: str | None = None) -> FloatArray:
        """Return what is ranked and tested, for example for critical-difference diagrams.

        Args:
            problem: the blocks are its repeats; with None and several problems, the blocks are
                the problems, with the mean ranks on each.

        Returns:
            Shape (blocks, strategies); lower is better. A run without a value is worse than all
            others.
        """
        if problem is None and len(self.problems) > 1:
            return np.array([ranking.mean_ranks(self.scores(p.name)) for p in self.problems])
        p = self.problem(problem)
        return worse_than_all(p.sign * self.values(p.name))

    def problem(self, name: str | None = None) -> Problem:
        """Return a problem of the comparison.

        Args:
            name: of the problem; None means the only one.

        Raises:
            UnknownNameError: the comparison has none of that name.
            StudyError: no name was given and there are several problems, or `name` is no text.
        """
        if name is not None and not isinstance(name, str):
            raise StudyError(f"problem must be a name or None, got {shown(name)}")
        known = {p.name: p for p in self.problems}
        if name is None:
            if len(known) > 1:
                raise StudyError(f"name one of the comparison's problems: {', '.join(known)}")
            return self.problems[0]
        if name not in known:
            raise unknown_name("problem", name, known)
        return known[name]

    def conclusion(self) -> str:
        """The findings in plain words, one paragraph per problem."""
        return "\n".join(" ".join(a.sentences()) for a in self.analyses)
