"""Evaluate the best configurations of a study again, under seeds that no trial had.

All configurations get the same seeds, so that their values are paired. The data seed stays the
study's: a hidden test part stays hidden. Nothing is pruned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from metaopt.core.errors import StudyError
from metaopt.core.seeds import derive
from metaopt.execution.inline import Inline
from metaopt.space import Config, Space
from metaopt.storage.kept_results import KeptResults
from metaopt.trials.objective import Objective, takes_batches
from metaopt.trials.records import Proposal, Result, TrialRecord, best_first


@dataclass(frozen=True)
class Reevaluation:
    """Configurations that were evaluated again.

    Attributes:
        trials: the best trial of each configuration, the best first.
        seeds: of the evaluations, the same for every configuration.
        results: one row per trial, one result per seed.
        reused: number of results that were kept from an earlier call.
    """

    trials: tuple[TrialRecord, ...]
    seeds: tuple[int, ...]
    results: tuple[tuple[Result, ...], ...]
    reused: int


def best_distinct(
    records: Iterable[TrialRecord], direction: str, space: Space, top: int
) -> tuple[TrialRecord, ...]:
    """Return the best trial of each of the `top` best configurations; fewer if there are fewer."""
    found: dict[str, TrialRecord] = {}
    for record in best_first(records, direction):
        if len(found) < top:
            found.setdefault(space.key(record.params), record)
    return tuple(found.values())


def fresh_seeds(seed: int, n: int, records: Sequence[TrialRecord]) -> tuple[int, ...]:
    """Return n different seeds, derived from a study's seed, that none of its trials had."""
    used = {r.seed for r in records} | {s for r in records for s in replicate_seeds(r)}
    made = (derive(seed, "confirm", i) for i in count())
    fresh: dict[int, None] = {}
    while len(fresh) < n:
        fresh |= dict.fromkeys({next(made)} - used)
    return tuple(fresh)


def replicate_seeds(record: TrialRecord) -> list[int]:
    """Return the seeds of a trial's replicates, see `metaopt.execution.replicates`; often none."""
    parts = () if record.result is None else record.result.data.get("replicates", ())
    if not isinstance(parts, Sequence):
        return []  # data of the user's own
    return [p["seed"] for p in parts if isinstance(p, Mapping) and "seed" in p]


class _Silent:
    """A monitor that records nothing and stops nothing."""

    def __init__(self, data_seed: int) -> None:
        self.data_seed = data_seed

    def started(self, number: int) -> None:
        pass

    def reported(self, number: int, value: float, step: float) -> None:
        pass

    def should_stop(self, number: int) -> bool:
        return False


def reevaluate(
    objective: Objective,
    trials: Sequence[TrialRecord],
    seeds: Sequence[int],
    data_seed: int,
    first: int,
    kept: KeptResults,
    tick: Callable[[], None],
) -> Reevaluation:
    """Evaluate each configuration under each seed, but for what is kept from an earlier call.

    Args:
        objective: if it has `many(trials)`, it gets all evaluations in one call.
        trials: with the configurations.
        seeds: of the evaluations.
        data_seed: of the study.
        first: number of the first evaluation; those of the study's trials are below it.
        kept: keeps every result as soon as it is known.
        tick: called once for every evaluation that is done.

    Raises:
        StudyError: every evaluation failed.
    """
    places = [(t.params, seed) for seed in seeds for t in trials]
    todo = {
        n: place for n, place in enumerate(places, first) if kept.find(place[0], place[1]) is None
    }
    for _ in range(len(places) - len(todo)):
        tick()
    for number, result in _run(objective, todo, data_seed):
        kept.keep(*todo[number], result)
        tick()
    rows = [[kept.find(t.params, seed) for seed in seeds] for t in trials]
    results = tuple(tuple(r for r in row if r is not None) for row in rows)
    _check(results)
    return Reevaluation(tuple(trials), tuple(seeds), results, len(places) - len(todo))


def _run(
    objective: Objective, todo: Mapping[int, tuple[Config, int]], data_seed: int
) -> Iterator[tuple[int, Result]]:
    proposals = [Proposal(n, config, seed) for n, (config, seed) in todo.items()]
    if proposals:
        together = takes_batches(objective)
        yield from Inline().run(objective, proposals, _Silent(data_seed), together=together)


def _check(results: Sequence[Sequence[Result]]) -> None:
    flat = [r for row in results for r in row]
    if any(r.value is not None for r in flat):
        return
    raise StudyError(
        f"all {len(flat)} evaluations failed, the first with: {why(flat[0])}; mend the objective"
        f" and pass reuse=False, since failures are kept, too"
    )


def why(result: Result) -> str:
    """Return in a few words why a result has no value."""
    if result.error is None:
        return f"the objective ended it as {result.status}"
    return result.error.message or result.error.kind
