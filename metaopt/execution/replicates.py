"""Evaluate each configuration under several seeds (replicates), and tell the mean as one result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean
from typing import Any

from metaopt.core.seeds import derive
from metaopt.execution.evaluate import evaluate, finish, read
from metaopt.trials.objective import Objective, takes_batches
from metaopt.trials.records import Proposal, Result
from metaopt.trials.trial import Trial


def replicated(objective: Objective, replicates: int) -> Objective:
    """Return an objective that evaluates each trial `replicates` times and returns the mean.

    Replicate i has its own seed, derived from the trial's; the data seed (folds, sample order) is
    the study's. After each replicate the trial reports the mean so far, and a pruner may stop it;
    reports within a replicate are ignored. The first replicate that fails or is pruned determines
    the result. `data["replicates"]` of the result holds seed, value and seconds of each replicate.

    Args:
        objective: to be called once per replicate, or its `many` or `stream` with all replicates.
        replicates: number of seeds; with 1, the objective is returned unchanged.
    """
    if replicates == 1:
        return objective
    return (_Together if takes_batches(objective) else _Replicated)(objective, replicates)


Place = tuple[Trial, int, Trial]  # a trial, the index of a replicate, the replicate as a trial


class _Part:
    """The channel of one replicate: ignores its reports; asks the trial whether to stop."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def reported(self, number: int, value: float, step: float) -> None:
        """Do nothing: the steps of the trial are its replicates."""

    def should_stop(self, number: int) -> bool:
        return self._trial.should_stop()


class _Replicated:
    def __init__(self, objective: Any, replicates: int) -> None:
        self._objective, self._replicates = objective, replicates

    def __call__(self, trial: Trial) -> Result:
        results: list[Result] = []
        for i in range(self._replicates):
            part = self._part(trial, i, trial.number)
            results.append(evaluate(self._objective, part))
            if i + 1 < self._replicates and not _goes_on(trial, results):
                break
        return self._mean(trial, results)

    def _part(self, trial: Trial, i: int, number: int) -> Trial:
        proposal = Proposal(number, trial.params, _seed(trial, i))
        return Trial(proposal, trial.data_seed, _Part(trial))

    def _mean(self, trial: Trial, results: Sequence[Result]) -> Result:
        """Return the result of a trial from the results of its replicates, in order."""
        parts = [
            {"seed": _seed(trial, i), "value": r.value, "seconds": r.seconds}
            for i, r in enumerate(results)
        ]
        last = next((r for r in results if r.status != "complete"), results[-1])
        seconds = sum(r.seconds or 0.0 for r in results)
        if last.status != "complete" or len(results) < self._replicates:
            status = "pruned" if last.status == "complete" else last.status
            data = {**last.data, "replicates": parts}
            return Result(status=status, seconds=seconds, error=last.error, data=data)
        shared = set.intersection(*(set(r.metrics) for r in results))
        metrics = {k: fmean(r.metrics[k] for r in results) for k in last.metrics if k in shared}
        return Result(
            _mean_value(results), metrics=metrics, seconds=seconds, data={"replicates": parts}
        )


class _Together(_Replicated):
    """For an objective with `many`: evaluates all replicates of all trials in one call."""

    def many(self, trials: Sequence[Trial]) -> Iterator[tuple[int, Result]]:
        """Yield each trial's number and result when its last replicate has ended."""
        places: dict[int, Place] = {}
        parts = self._place(trials, places)
        yield from self._gather(self._objective.many(parts), places)

    def stream(self, arrivals: Iterable[Sequence[Trial]]) -> Iterator[tuple[int, Result]]:
        """The same for slots: each slot holds one trial, whose replicates run at the same time."""
        places: dict[int, Place] = {}
        parts = (self._place(trials, places) for trials in arrivals)
        yield from self._gather(self._objective.stream(parts), places)

    def _place(self, trials: Sequence[Trial], places: dict[int, Place]) -> list[Trial]:
        """Return the replicates of trials, and add them to `places` by their numbers."""
        r = self._replicates
        found = {t.number * r + i: (t, i) for t in trials for i in range(r)}
        places |= {n: (t, i, self._part(t, i, n)) for n, (t, i) in found.items()}
        return [places[n][2] for n in found]

    def _gather(
        self, outcomes: Iterable[tuple[int, Any]], places: dict[int, Place]
    ) -> Iterator[tuple[int, Result]]:
        r = self._replicates
        ended: dict[int, dict[int, Result]] = {}
        for number, outcome in outcomes:
            trial, i, part = places.pop(number)
            found = ended.setdefault(trial.number, {})
            found[i] = finish(read(outcome, part), part, None)
            if len(found) == r:
                results = [found[i] for i in range(r)]
                n = next((n for n in range(1, r) if not _goes_on(trial, results[:n])), r)
                yield trial.number, self._mean(trial, results[:n])


def _goes_on(trial: Trial, results: Sequence[Result]) -> bool:
    """Report the mean so far; return whether to continue with another replicate."""
    if results[-1].status != "complete":
        return False
    trial.report(_mean_value(results), len(results))
    return not trial.should_stop()


def _mean_value(results: Sequence[Result]) -> float:
    return fmean(r.value for r in results if r.value is not None)


def _seed(trial: Trial, i: int) -> int:
    return derive(trial.seed, "replicate", i)
