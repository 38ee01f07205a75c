"""Read stored comparisons, without running anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any, NoReturn

from metaopt.analysis.comparison import Run
from metaopt.analysis.setup import NOTE, SETTINGS, ComparisonSetup, study_name
from metaopt.comparison.checks import as_storage
from metaopt.comparison.strategies import Comparison
from metaopt.core.errors import SpaceError, StoreError, StudyError
from metaopt.problems.problem import Problem
from metaopt.pruning import PRUNERS, Pruner, pruner_from_json
from metaopt.space import Space
from metaopt.storage import Replay, Store, StudyHeader
from metaopt.storage.opening import open_store
from metaopt.trials.records import Json


def has_comparison(storage: str | Path) -> bool:
    """Whether a file or database holds a comparison, finished or not.

    Args:
        storage: a path or a database URL.

    Raises:
        StoreError: there is no such file, or it is not a study file.
    """
    store = open_store(as_storage(storage), create=False)
    try:
        return bool(store.notes(NOTE))
    finally:
        store.close()


def load_comparison(storage: str | Path) -> Comparison:
    """Read a stored comparison, the latest if there are several; nothing is run.

    Of an interrupted comparison, the complete repeats are read, and `unfinished` counts the
    others.

    Args:
        storage: a path or a database URL.

    Returns:
        The comparison, without objectives: it can be printed and reported, not run.

    Raises:
        StoreError: there is no such file, or it is not a study file, or it is damaged.
        StudyError: it holds no comparison, or no repeat of it is complete yet.
    """
    store = open_store(as_storage(storage), create=False)
    try:
        notes = store.notes(NOTE)
        if not notes:
            raise StudyError(
                f"{storage} holds no comparison but {len(store.studies())} studies;"
                f" metaopt.load() opens one of them"
            )
        return _read(store, notes[-1], str(storage))
    except (KeyError, TypeError, AttributeError, SpaceError) as error:
        raise StoreError(f"{storage}: the stored comparison is damaged: {error!r}") from None
    finally:
        store.close()


def _read(store: Store, note: Json, storage: str) -> Comparison:
    headers = {h.name: h for h in store.studies()}
    setup = ComparisonSetup.from_json(note)
    problems = []
    for each in setup.problems:
        made = headers[study_name(each.name, setup.strategies[0], 0)].header
        space, direction = Space.from_json(made["space"]), made["direction"]
        problems.append(
            Problem(each.name, space, _unavailable, direction, each.optimum, each.description)
        )
    found = _whole_repeats(store, headers, setup)
    repeats = len(found) // (len(setup.problems) * len(setup.strategies))
    if not repeats:
        raise StudyError(
            f"no repeat of the comparison in {storage} is finished yet; the same call of"
            f" metaopt.compare resumes it, and `metaopt watch {storage}` shows how far it is"
        )
    most = setup.repeats if setup.added else None
    read = Comparison(
        tuple(found), tuple(problems), setup.strategies, setup.n_trials, repeats, setup.seed,
        setup.control, _pruner(made["pruner"]), storage, setup.repeats - repeats, setup.margin,
        setup.shared_seeds, setup.purpose, setup.level, most,
    )  # fmt: skip
    return replace(read, unfinished=0) if setup.added and read.decided else read


def _whole_repeats(
    store: Store, headers: Mapping[str, StudyHeader], setup: ComparisonSetup
) -> list[Run]:
    """The runs of all repeats of which every run is complete; repeats are made one by one."""
    found: list[Run] = []
    for _, group in groupby(setup.runs(), key=lambda run: run[0]):
        runs = [_run(store, headers, p, s, r, setup.n_trials) for r, p, s in group]
        if any(run is None for run in runs):
            break
        found += [run for run in runs if run is not None]
    return found


def _run(
    store: Store,
    headers: Mapping[str, StudyHeader],
    problem: str,
    strategy: str,
    repeat: int,
    n_trials: int,
) -> Run | None:
    """Read one run; None if it is not complete."""
    header = headers.get(study_name(problem, strategy, repeat))
    if header is None:
        return None
    made, kept = header.header, Replay(store.open(header.name))
    size = Space.from_json(made["space"]).size
    if len(kept.told) < (min(n_trials, size.count) if size.exact else n_trials):
        return None
    trials = tuple(kept.trials[:n_trials])
    settings = {name: made[name] for name in SETTINGS}
    return Run(problem, strategy, repeat, made["seed"], made["direction"], trials, settings)


class UnavailablePruner(Pruner):
    """Placeholder for a third-party pruner: keeps its settings, cannot prune."""

    name = "unavailable"

    def __init__(self, settings: Json) -> None:
        self.settings = settings

    def decide(self, step: float, value: float, others: Any) -> NoReturn:
        """Refuse.

        Raises:
            StudyError: always.
        """
        raise StudyError(f"the pruner {self.settings['name']!r} is not metaopt's own")

    def to_json(self) -> dict[str, Json]:
        return dict(self.settings)


def _pruner(settings: Json) -> Pruner | None:
    if settings is not None and settings["name"] not in PRUNERS:
        return UnavailablePruner(settings)
    return pruner_from_json(settings)


def _unavailable(trial: Any) -> NoReturn:
    raise StudyError("a comparison that was read from a store does not hold its objectives")
