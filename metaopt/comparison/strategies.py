"""Fair comparison of strategies: problems x strategies x repeats, paired by seed, resumable.

In repeat r every strategy gets the same seed, and so the same initial points, trial seeds, data
splits and sample order. Every run is a study of its own (see `metaopt.analysis.setup`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from metaopt import plots, problems
from metaopt.analysis.comparison import ComparisonData, Run
from metaopt.analysis.setup import NOTE, ComparisonSetup, study_name
from metaopt.core.errors import StudyError, whole
from metaopt.core.progress import counter
from metaopt.execution.process_pool import run_all
from metaopt.problems.problem import Problem
from metaopt.pruning import Pruner, find_pruner
from metaopt.report import terminal
from metaopt.report.comparison import write
from metaopt.report.reported import Reported
from metaopt.space import Space
from metaopt.storage.opening import open_store
from metaopt.strategy.base import Strategy
from metaopt.strategy.registry import make_strategy
from metaopt.study import Study

Factory = Callable[..., Strategy]  # called as factory(space, seed=, budget=)
Given = str | Mapping[str, Any] | Factory


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
        study.close()
        return Run(
            self.problem.name, self.strategy, self.repeat, self.seed, self.problem.direction, trials
        )


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
    repeats: int = 10,
    seed: int = 0,
    storage: str | Path | None = None,
    *,
    control: str | None = None,
    pruner: Pruner | str | None = None,
    workers: int = 1,
    progress: bool = False,
) -> Comparison:
    """Compare strategies on problems, in paired repeats.

    In each repeat all strategies get the same seed, and with it the same initial points, trial
    seeds, data splits and order of samples. The tests follow from the design, by
    `metaopt.stats.recommend`.

    Args:
        strategies: names, or a label for each name, dict ``{"name": ..., option: ...}`` or
            ``factory(space, seed=, budget=)``.
        problems: names (see `metaopt.problems.names()`) or `Problem` objects.
        n_trials: of each run; strategies get it as their budget.
        repeats: runs of each strategy on each problem, paired over strategies by seed.
        seed: what all seeds derive from.
        storage: file or database URL of the studies; the same call resumes an interrupted
            comparison. None keeps them in memory.
        control: the label that others are tested against; default "random" or the first.
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
    factories = _factories(strategies)
    chosen = _problems(problems)
    n_trials, repeats = (
        whole("n_trials", n_trials, StudyError),
        whole("repeats", repeats, StudyError),
    )
    workers = whole("workers", workers, StudyError)
    if control is None:
        control = "random" if "random" in factories else next(iter(factories))
    if control not in factories:
        raise StudyError(f"control {control!r} is not among {', '.join(factories)}")
    where = None if storage is None else str(storage)
    pruner = find_pruner(pruner)
    setup = ComparisonSetup.of(chosen, list(factories), n_trials, repeats, seed, control)
    by_name = {p.name: p for p in chosen}
    jobs = [
        Job(by_name[p], s, factories[s], r, setup.seed_of(r), n_trials, where, pruner)
        for r, p, s in setup.runs()
    ]
    stored = {i: job.finished() for i, job in enumerate(jobs)} if where else {}
    comparison = Comparison(
        (), tuple(chosen), tuple(factories), n_trials, repeats, seed, control, pruner, where
    )
    if where is not None:  # what is there is of these runs: an interrupted one can be read, too
        _note(setup, where)
    done = {i: run for i, run in stored.items() if run is not None}
    return replace(comparison, runs=tuple(_run(jobs, done, workers, progress)))


def _note(setup: ComparisonSetup, storage: str) -> None:
    """Keep in the store what the studies themselves do not hold, for `load_comparison`."""
    store = open_store(storage)
    try:
        if store.notes(NOTE)[-1:] != [setup.to_json()]:
            store.note(NOTE, setup.to_json())
    finally:
        store.close()


def _run(jobs: list[Job], done: dict[int, Run], workers: int, progress: bool) -> list[Run]:
    todo = {i: job for i, job in enumerate(jobs) if i not in done}
    total = sum(job.n_trials for job in jobs)
    with counter("trials", total, sum(jobs[i].n_trials for i in done), progress) as tick:
        if workers == 1:
            done.update({i: job.run(tick) for i, job in todo.items()})
        else:
            tasks = [job.run for job in todo.values()]
            done.update(zip(todo, run_all(tasks, workers, tick), strict=True))
    return [done[i] for i in range(len(jobs))]


def _factories(given: Sequence[str] | Mapping[str, Given]) -> dict[str, Factory]:
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, Mapping):
        if len(set(given)) < len(given):
            raise StudyError(f"a strategy is named twice: {', '.join(given)}")
        given = {name: name for name in given}
    if not given:
        raise StudyError("compare needs at least one strategy, got none")
    for label in given:
        if "/" in label:
            raise StudyError(f"the label {label!r} must not contain '/'")
    return {label: _factory(what) for label, what in given.items()}


def _factory(what: Given) -> Factory:
    if callable(what):
        return what
    options = {"name": what} if isinstance(what, str) else dict(what)
    name = options.pop("name", None)
    if name is None:
        raise StudyError(f"a strategy needs a 'name', got {what!r}")

    def factory(space: Space, seed: int = 0, budget: int | None = None) -> Strategy:
        return make_strategy(name, space, seed, budget, **options)

    factory(problems.get("branin").space)  # an unknown name or option fails here, before any run
    return factory


def _problems(given: Sequence[str | Problem] | str | Problem) -> list[Problem]:
    if isinstance(given, (str, Problem)):
        given = [given]
    found = [p if isinstance(p, Problem) else problems.get(p) for p in given]
    if not found:
        raise StudyError("compare needs at least one problem, got none")
    if len({p.name for p in found}) < len(found):
        raise StudyError(f"a problem is named twice: {', '.join(p.name for p in found)}")
    return found
