"""Fair comparison of strategies: problems x strategies x repeats, paired by seed, resumable.

In repeat r every strategy gets the same seed, and so the same initial points, trial seeds, data
splits and sample order. Every run is a study of its own, named ``problem/strategy/repeat``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from metaopt import plots, problems
from metaopt.analysis.comparison import ComparisonData, Run
from metaopt.core.errors import StudyError, whole
from metaopt.core.progress import counter
from metaopt.core.seeds import derive
from metaopt.execution.process_pool import run_all
from metaopt.problems.problem import Problem
from metaopt.pruning import Pruner, find_pruner
from metaopt.report import terminal
from metaopt.report.comparison import write
from metaopt.space import Space
from metaopt.storage import SqlStore
from metaopt.strategy.base import Strategy
from metaopt.strategy.registry import make_strategy
from metaopt.study import Study
from metaopt.trials.records import number_to_json

Factory = Callable[..., Strategy]  # called as factory(space, seed=, budget=)
Given = str | Mapping[str, Any] | Factory

NOTE = "comparison"  # kind of the note in which a store keeps the design


@dataclass(frozen=True)
class Job:
    """What a worker needs for one run."""

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
        name = f"{self.problem.name}/{self.strategy}/{self.repeat}"
        return Study(
            self.problem.space,
            strategy,
            self.problem.direction,
            storage=self.storage,
            pruner=self.pruner,
            name=name,
        )

    def run(self, tick: Callable[[], None]) -> Run:
        """Finish the study; `tick` is called after every trial."""
        study = self.study()
        study.optimize(self.problem.objective, self.n_trials, callbacks=[lambda s, r: tick()])
        return self._close(study)

    def finished(self) -> Run | None:
        """Return the run if it is stored whole."""
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


class Comparison(ComparisonData):
    """The runs of a comparison and what they say; what `compare` and `load_comparison` return."""

    def print(self) -> None:
        """Print tables and conclusions to the terminal."""
        terminal.show(self)

    def report(self, path: str | Path) -> Path:
        """Write a self-contained page with figures and tables beside it; return the page.

        `path` is a folder, which is made, or a file that ends with ``.html`` for the page alone.

        Raises:
            StudyError: `path` is another file.
        """
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
    """Compare strategies on problems.

    Args:
        strategies: names, or a label for each name, dict ``{"name": ..., option: ...}`` or
            ``factory(space, seed=, budget=)``.
        problems: names (see `metaopt.problems.names()`) or `Problem` objects.
        n_trials: of each run; strategies are told it as their budget.
        repeats: runs of each strategy on each problem, paired over strategies by seed.
        seed: what all seeds derive from.
        storage: where the studies are kept; the same call resumes what is not finished.
        control: the label that others are tested against; default "random" or the first.
        pruner: of every run, as for a `Study`; a trial is compared with those of its own run.
        workers: processes. More than 1 needs ``if __name__ == "__main__":`` around the script.
        progress: show how many trials are done.

    Raises:
        StudyError: an argument is wrong, or the storage holds another comparison's runs.
        UnknownNameError: there is no such strategy or problem.
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
    # Repeats outermost: an interrupted comparison has complete blocks.
    jobs = [
        Job(p, label, factory, r, derive(seed, "repeat", r), n_trials, where, pruner)
        for r in range(repeats)
        for p in chosen
        for label, factory in factories.items()
    ]
    stored = {i: job.finished() for i, job in enumerate(jobs)} if where else {}
    comparison = Comparison(
        (), tuple(chosen), tuple(factories), n_trials, repeats, seed, control, pruner, where
    )
    if where is not None:  # what is there is of these runs: an interrupted one can be read, too
        _note(comparison, where)
    done = {i: run for i, run in stored.items() if run is not None}
    return replace(comparison, runs=tuple(_run(jobs, done, workers, progress)))


def _note(c: Comparison, storage: str) -> None:
    """Keep in the store what the studies themselves do not tell, for `load_comparison`."""
    what = [
        {
            "name": p.name,
            "optimum": None if p.optimum is None else number_to_json(p.optimum),
            "description": p.description,
        }
        for p in c.problems
    ]
    design = {
        "problems": what,
        "strategies": list(c.strategies),
        "n_trials": c.n_trials,
        "repeats": c.repeats,
        "seed": c.seed,
        "control": c.control,
    }
    store = SqlStore(storage)
    try:
        if store.notes(NOTE)[-1:] != [design]:
            store.note(NOTE, design)
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
