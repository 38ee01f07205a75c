"""The results of a comparison of strategies, as data: its runs, tables of values and analyses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from metaopt import stats
from metaopt.analysis import ranking
from metaopt.analysis.ranking import Analysis
from metaopt.analysis.standings import Sample
from metaopt.core.errors import StudyError, unknown_name
from metaopt.core.types import FloatArray
from metaopt.problems.problem import Problem
from metaopt.pruning import Pruner
from metaopt.trials.records import TrialRecord, best_first


@dataclass(frozen=True)
class Run:
    """One strategy on one problem in one repeat."""

    problem: str
    strategy: str
    repeat: int
    seed: int
    direction: str
    trials: tuple[TrialRecord, ...]

    @property
    def best(self) -> TrialRecord | None:
        """The complete trial with the best validation value, the earliest among equals."""
        return next(iter(best_first(self.trials, self.direction)), None)

    @property
    def test(self) -> float:
        """Hidden test value of that trial; NaN if there is none."""
        best = self.best
        return float("nan") if best is None else best.metrics.get("test", float("nan"))


@dataclass(frozen=True)
class ComparisonData:
    """The runs of a comparison, and what they say; without printing or drawing.

    `storage` is where they are kept, None for memory; `unfinished` counts planned repeats that
    were not whole when a stored comparison was read.
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

    def _of(self, problem: str, strategy: str) -> list[Run]:
        found = [r for r in self.runs if (r.problem, r.strategy) == (problem, strategy)]
        return sorted(found, key=lambda r: r.repeat)

    def values(self, problem: str) -> FloatArray:
        """Best validation values (repeats, strategies), in the problem's sign; NaN for none."""
        columns = [
            [np.nan if r.best is None else r.best.value for r in self._of(problem, s)]
            for s in self.strategies
        ]
        return np.array(columns, dtype=np.float64).T

    def tests(self, problem: str) -> FloatArray | None:
        """Hidden test values of the same configurations, or None where the problem has none."""
        columns = [[r.test for r in self._of(problem, s)] for s in self.strategies]
        table = np.array(columns, dtype=np.float64).T
        return None if np.isnan(table).all() else table

    def curves(self, problem: str) -> dict[str, list[list[float | None]]]:
        """Values of all trials in order, by strategy: one list a repeat, None without a value."""
        return {
            s: [[t.value for t in r.trials] for r in self._of(problem, s)] for s in self.strategies
        }

    @cached_property
    def analyses(self) -> list[Analysis]:
        """One analysis a problem, and one over all if there are several."""
        samples = [
            Sample(
                p.name,
                self.values(p.name),
                self.tests(p.name),
                p.sign,
            )
            for p in self.problems
        ]
        return ranking.analyse(samples, self.strategies, self.control, self.seed)

    def pairwise(self, problem: str | None = None) -> stats.Pairwise:
        """All pairs of strategies by signed-rank tests, adjusted by Holm; columns: `strategies`.

        On one problem over its repeats, or, with None, over the mean ranks on all problems.

        Raises:
            StatisticsError: there are fewer than 2 strategies, or fewer than 2 blocks.
            UnknownNameError: the comparison has no such problem.
        """
        return stats.pairwise(self.scores(problem))

    def scores(self, problem: str | None = None) -> FloatArray:
        """What is ranked (blocks, strategies), lower is better: for critical-difference diagrams.

        On one problem its values by repeats, runs without one worse than all others; with None,
        and several problems, the mean ranks on each.
        """
        if problem is None and len(self.problems) > 1:
            return np.array([ranking.mean_ranks(self.scores(p.name)) for p in self.problems])
        p = self.problem(problem)
        return ranking.filled(p.sign * self.values(p.name))

    def problem(self, name: str | None = None) -> Problem:
        """Return the problem of that name; None means the only one.

        Raises:
            UnknownNameError: the comparison has none of that name.
            StudyError: no name was given and there are several problems.
        """
        known = {p.name: p for p in self.problems}
        if name is None:
            if len(known) > 1:
                raise StudyError(f"name one of the comparison's problems: {', '.join(known)}")
            return self.problems[0]
        if name not in known:
            raise unknown_name("problem", name, known)
        return known[name]

    def conclusion(self) -> str:
        """The findings in plain words, a paragraph a problem."""
        return "\n".join(" ".join(a.sentences()) for a in self.analyses)
