"""Fair comparison of strategies: problems x strategies x repeats, paired by seed, resumable.

In a repeat of a problem every strategy gets the same seed, and so the same initial points, trial
seeds, data splits and sample order; another problem or repeat has another seed. Every run is a
study of its own (see `metaopt.analysis.setup`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from metaopt import plots
from metaopt.analysis.comparison import ComparisonData, Run
from metaopt.analysis.family import LEVEL
from metaopt.analysis.setup import (
    EXPLORATORY,
    SETTINGS,
    ComparisonSetup,
    study_name,
)
from metaopt.comparison.arguments import (
    Factory,
    as_alpha,
    check_added,
    check_made,
    factories_of,
    margins_of,
    problems_of,
)
from metaopt.comparison.checks import (
    MOST_WORKERS,
    as_count,
    as_flag,
    as_pruner,
    as_seed,
    as_storage,
)
from metaopt.comparison.stored import check_plan, keep, purpose_of, stored_setup
from metaopt.core.errors import StudyError
from metaopt.core.progress import counter
from metaopt.execution.process_pool import run_all
from metaopt.problems.problem import Problem
from metaopt.pruning import Pruner
from metaopt.report import terminal
from metaopt.report.comparison import write
from metaopt.report.reported import Reported
from metaopt.stats.checks import shown
from metaopt.study import Study

Given = str | Mapping[str, Any] | Factory


MAX_REPEATS = 50  # of repeats="until"


@dataclass(frozen=True)
class Job:
    """What a worker process needs for one run.

    Attributes:
        problem: of the run.
        strategy: its label.
        factory: makes the strategy.
        repeat: counted from 0.
        seed: of the strategy.
        n_trials: of the run.
        storage: file or database URL of the study; None for memory.
        pruner: of the study, or None.
    """

    problem: Problem
    strategy: str
    factory: Factory
    repeat: int
    seed: int
    n_trials: int
    storage: str | None
    pruner: Pruner | None = None

    def study(self) -> Study:
        """Open the study of this run, at its beginning or where it stopped."""
        strategy = self.factory(self.problem.space, seed=self.seed, budget=self.n_trials)
        name = study_name(self.problem.name, self.strategy, self.repeat)
        return Study(
            self.problem.space,
            strategy,
            self.problem.direction,
            storage=self.storage,
            pruner=self.pruner,
            name=name,
        )

    def run(self, tick: Callable[[], None]) -> Run:
        """Complete the study; `tick` is called after every trial."""
        study = self.study()
        study.optimize(self.problem.objective, self.n_trials, callbacks=[lambda s, r: tick()])
        return self._close(study)

    def finished(self) -> Run | None:
        """Return the run if all of its trials are stored, else None."""
        study = self.study()
        if len(study.told) < self.n_trials:
            study.close()
            return None
        return self._close(study)

    def _close(self, study: Study) -> Run:
        trials = tuple(study.trials[: self.n_trials])
        header = study.strategy.header()
        study.close()
        return Run(
            self.problem.name, self.strategy, self.repeat, self.seed, self.problem.direction,
            trials, {name: header[name] for name in SETTINGS},
        )  # fmt: skip


class Comparison(ComparisonData, Reported):
    """The runs of a comparison and their conclusions; see `compare` and `load_comparison`.

    Attributes:
        runs: one per problem, strategy and repeat.
        problems: that the strategies were compared on.
        strategies: their labels; the columns of all tables.
        n_trials: of each run.
        repeats: on each problem, of each strategy.
        seed: what all seeds derive from.
        control: the label that others are tested against.
        pruner: of every run, or None.
        storage: the file or database URL of the studies; None for memory.
        unfinished: planned repeats that were incomplete when a stored comparison was read.
        margin: the largest difference in value that does not matter, by problem; None if none was
            stated.
        shared_seeds: whether problems share the seed of each repeat, as in comparisons of earlier
            versions; then nothing is tested over problems.
        purpose: "exploratory", or "confirmatory" if the user stated so.
        level: of the family of all claims.
        most: planned largest number of repeats, where they are added until all is decided; else
            None.
    """

    def print(self) -> None:
        """Print tables and conclusions to the terminal."""
        terminal.show(self)

    def _write_report(self, path: str | Path) -> Path:
        return write(self, path)

    def figures(self) -> Iterator[tuple[str, Any]]:
        """Yield a name and a matplotlib figure, one after the other."""
        for name, spec in plots.comparison_figures(self).items():
            yield name, spec.draw()


def compare(
    strategies: Sequence[str] | Mapping[str, Given],
    problems: Sequence[str | Problem] | str | Problem,
    n_trials: int = 50,
    repeats: int | Literal["until"] = 10,
    seed: int = 0,
    storage: str | Path | None = None,
    *,
    control: str | None = None,
    alpha: float = LEVEL,
    max_repeats: int = MAX_REPEATS,
    margin: float | Mapping[str, float] | None = None,
    purpose: str = EXPLORATORY,
    pruner: Pruner | str | None = None,
    workers: int = 1,
    progress: bool = False,
) -> Comparison:
    """Compare strategies on problems, in paired repeats.

    In each repeat of a problem all strategies get the same seed, and with it the same initial
    points, trial seeds, data splits and order of samples. The tests follow from the design, by
    `metaopt.stats.recommend`, and all claims are one family: any of them is false with a
    probability of at most `alpha`.

    Args:
        strategies: names, or a label for each name, dict ``{"name": ..., option: ...}`` or
            ``factory(space, seed=, budget=)``.
        problems: names (see `metaopt.problems.names()`) or `Problem` objects.
        n_trials: of each run; strategies get it as their budget.
        repeats: runs of each strategy on each problem, paired over strategies by seed. "until"
            adds repeats until every strategy is decided, with a test that allows for looking after
            each (see `metaopt.stats.sequential_against_control`).
        seed: what all seeds derive from.
        storage: file or database URL of the studies; the same call resumes an interrupted
            comparison. None keeps them in memory.
        control: the label that others are tested against; default "random" or the first.
        alpha: level of the family of all claims, between 0 and 1.
        max_repeats: planned largest number of repeats; with ``repeats="until"`` only.
        margin: the largest difference in value that does not matter, stated before the data are
            seen, in the units of the problem's values: a number, or one per problem by name. With
            it, "no relevant difference" is tested as well.
        purpose: "confirmatory" states that strategies, problems, number of trials and repeats were
            fixed before any of these data were seen; default "exploratory". The report says it; the
            tests are the same. A stored comparison that began as exploratory stays so.
        pruner: of every run, as for a `Study`; a trial is compared with those of its own run.
        workers: number of processes. More than 1 needs ``if __name__ == "__main__":`` around the
            script.
        progress: show how many trials are done.

    Returns:
        The comparison, to be printed, reported or read.

    Raises:
        StudyError: an argument is wrong, or the storage holds another comparison's runs.
        UnknownNameError: there is no such strategy or problem.

    Example:
        >>> import metaopt
        >>> found = metaopt.compare(["random", "sobol"], "branin", n_trials=8, repeats=6)
        >>> found.values("branin").shape
        (6, 2)
    """
    factories = factories_of(strategies)
    chosen = problems_of(problems)
    n_trials, added = as_count("n_trials", n_trials), isinstance(repeats, str)
    if added and repeats != "until":
        raise StudyError(f'repeats must be a number or "until", got {repeats!r}')
    named = ("max_repeats", max_repeats) if added else ("repeats", repeats)
    most, alpha = as_count(*named), as_alpha(alpha)
    seed, workers = as_seed(seed), as_count("workers", workers, most=MOST_WORKERS)
    progress = as_flag("progress", progress)
    if control is None:
        control = "random" if "random" in factories else next(iter(factories))
    if not isinstance(control, str) or control not in factories:
        raise StudyError(f"control {shown(control)} is not among {', '.join(factories)}")
    where = None if storage is None else as_storage(storage)
    pruner = as_pruner(pruner)
    margins = margins_of(margin, chosen)
    check_made(factories, chosen, n_trials)
    if added:
        check_added(alpha, len(factories), margins)
    setup = ComparisonSetup.of(chosen, list(factories), n_trials, most, seed, control, margins)
    earlier = None if where is None else stored_setup(where)
    setup = replace(
        setup, purpose=purpose_of(purpose, setup, earlier, where), level=alpha, added=added
    )
    if where is not None:
        setup = replace(setup, shared_seeds=earlier is not None and earlier.shared_seeds)
        check_plan(setup, earlier, where)
    by_name = {p.name: p for p in chosen}
    jobs = [
        Job(by_name[p], s, factories[s], r, setup.seed_of(p, r), n_trials, where, pruner)
        for r, p, s in setup.runs()
    ]
    stored = {i: job.finished() for i, job in enumerate(jobs)} if where else {}
    comparison = Comparison(
        (), tuple(chosen), tuple(factories), n_trials, most, seed, control, pruner, where,
        margin=margins, shared_seeds=setup.shared_seeds, purpose=setup.purpose, level=alpha,
        most=most if added else None,
    )  # fmt: skip
    if where is not None:  # what is there is of these runs: an interrupted one can be read, too
        keep(setup, where)
    done = {i: run for i, run in stored.items() if run is not None}
    if added:
        return _add_repeats(comparison, jobs, done, workers, progress)
    return replace(comparison, runs=tuple(_run(jobs, done, workers, progress)))


def _add_repeats(
    planned: Comparison, jobs: list[Job], done: dict[int, Run], workers: int, progress: bool
) -> Comparison:
    """Make one repeat after the other, until all is decided or the last planned one is made."""
    each = len(planned.problems) * len(planned.strategies)
    total = sum(job.n_trials for job in jobs)
    finished = sum(jobs[i].n_trials for i in done)
    found = planned
    with counter("trials", total, finished, progress) as tick:
        for repeat in range(planned.repeats):
            part = range(each * repeat, each * (repeat + 1))
            _complete({i: jobs[i] for i in part if i not in done}, done, workers, tick)
            runs = tuple(done[i] for i in range(each * (repeat + 1)))
            found = replace(planned, runs=runs, repeats=repeat + 1)
            if found.decided:
                break
    return found


def _run(jobs: list[Job], done: dict[int, Run], workers: int, progress: bool) -> list[Run]:
    todo = {i: job for i, job in enumerate(jobs) if i not in done}
    total = sum(job.n_trials for job in jobs)
    with counter("trials", total, sum(jobs[i].n_trials for i in done), progress) as tick:
        _complete(todo, done, workers, tick)
    return [done[i] for i in range(len(jobs))]


def _complete(
    todo: dict[int, Job], done: dict[int, Run], workers: int, tick: Callable[[], None]
) -> None:
    """Complete the runs of some jobs and put them to the others."""
    if workers == 1:
        done.update({i: job.run(tick) for i, job in todo.items()})
    elif todo:
        tasks = [job.run for job in todo.values()]
        done.update(zip(todo, run_all(tasks, workers, tick), strict=True))
