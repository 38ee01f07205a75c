"""Comparisons that are read from a store, without running anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from metaopt.analysis.comparison import Run
from metaopt.comparison.strategies import NOTE, Comparison
from metaopt.core.errors import SpaceError, StoreError, StudyError
from metaopt.problems.problem import Problem
from metaopt.pruning import PRUNERS, Pruner, pruner_from_json
from metaopt.space import Space
from metaopt.storage import Replay, SqlStore, StudyHeader
from metaopt.trials.records import Json, number_from_json


def has_comparison(storage: str | Path) -> bool:
    """Whether a file or database holds a comparison, finished or not.

    Raises:
        StoreError: there is no such file, or it is no study file.
    """
    store = SqlStore(storage, create=False)
    try:
        return bool(store.notes(NOTE))
    finally:
        store.close()


def load_comparison(storage: str | Path) -> Comparison:
    """Read a stored comparison, the latest if there are several; nothing is run.

    Of an interrupted one the repeats that are whole are read, and `unfinished` counts the others.

    Raises:
        StoreError: there is no such file, or it is no study file, or damaged.
        StudyError: it holds no comparison, or no repeat of it is whole yet.
    """
    store = SqlStore(storage, create=False)
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


def _read(store: SqlStore, note: Json, storage: str) -> Comparison:
    headers = {h.name: h for h in store.studies()}
    names = [p["name"] for p in note["problems"]]
    problems = []
    for each in note["problems"]:
        made = headers[f"{each['name']}/{note['strategies'][0]}/0"].header
        space, direction = Space.from_json(made["space"]), made["direction"]
        optimum = number_from_json(each["optimum"])
        problems.append(
            Problem(each["name"], space, _gone, direction, optimum, each["description"])
        )
    whole: list[Run] = []
    repeats = 0
    for repeat in range(note["repeats"]):
        runs = [
            _run(store, headers, name, strategy, repeat, note["n_trials"])
            for name in names
            for strategy in note["strategies"]
        ]
        if any(run is None for run in runs):
            break  # repeats are run one after the other
        whole += [run for run in runs if run is not None]
        repeats += 1
    if not repeats:
        raise StudyError(
            f"no repeat of the comparison in {storage} is finished yet; the same call of"
            f" metaopt.compare goes on, and `metaopt watch {storage}` shows how far it is"
        )
    return Comparison(
        tuple(whole), tuple(problems), tuple(note["strategies"]), note["n_trials"], repeats,
        note["seed"], note["control"], _pruner(made["pruner"]), storage, note["repeats"] - repeats,
    )  # fmt: skip


def _run(
    store: SqlStore,
    headers: dict[str, StudyHeader],
    problem: str,
    strategy: str,
    repeat: int,
    n_trials: int,
) -> Run | None:
    """Read one run; None if it is not whole."""
    header = headers.get(f"{problem}/{strategy}/{repeat}")
    if header is None:
        return None
    made, kept = header.header, Replay(store.open(header.name))
    size = Space.from_json(made["space"]).size
    if len(kept.told) < (min(n_trials, size.count) if size.exact else n_trials):
        return None
    trials = tuple(kept.trials[:n_trials])
    return Run(problem, strategy, repeat, made["seed"], made["direction"], trials)


class GonePruner(Pruner):
    """Stands for a pruner that is not metaopt's own: it tells how it was set, and decides not."""

    name = "gone"

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
        return GonePruner(settings)
    return pruner_from_json(settings)


def _gone(trial: Any) -> NoReturn:
    raise StudyError("a comparison that was read from a store does not hold its objectives")
