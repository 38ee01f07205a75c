"""Successive halving: asynchronous (ASHA), or synchronous for trials in lockstep.

Notation: r the minimum resource, eta the reduction factor, s the minimum early-stopping rate.
Rung k is at r * eta^(s + k) steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from metaopt.core.errors import StudyError, real, whole
from metaopt.core.types import Curve
from metaopt.pruning.base import Candidate, TrialPruner, value_at


class SuccessiveHalvingPruner(TrialPruner):
    """Stops a trial at a rung unless it is among the best 1/eta that have reached it.

    A trial that runs alone is judged by the stopping variant of ASHA (that of Optuna, and type
    "stopping" in Syne Tune; Li et al. 2020, algorithm 2, promote paused trials instead): of the n
    trials that have reached a rung, including the judged one, the max(1, floor(n / eta)) best
    continue. A trial that has passed a rung is not judged there again. Trials that run in lockstep
    are compared with their cohort only, all at once, which is synchronous successive halving
    (Jamieson and Talwalkar 2016): exactly floor(n / eta) of n members continue. If fewer than eta
    members of a cohort have reached a rung, they are compared with all trials.

    The first report at or above a rung decides, so the steps of the reports need not match the
    rungs and may be seconds. Only ranks count, so monotone transforms of the objective change no
    decision; of equal trials the one with the lower number is better. NaN stops a trial.

    Args:
        min_resource: r, the step of the first rung.
        reduction_factor: eta, at least 2.
        min_early_stopping_rate: s; the first rung is at r * eta^s instead.
        max_resource: the steps of a full trial; there is no rung at or above it. None: the rungs
            have no end.
        bootstrap_count: a trial stops at a rung that at most so many trials have reached, itself
            included.

    Raises:
        StudyError: a setting is out of range.

    Source: Li et al. (2020); Jamieson and Talwalkar (2016).
    """

    name = "asha"

    def __init__(
        self,
        min_resource: float = 1,
        reduction_factor: int = 4,
        min_early_stopping_rate: int = 0,
        *,
        max_resource: float | None = None,
        bootstrap_count: int = 0,
    ) -> None:
        self.min_resource = resource("min_resource", min_resource)
        self.reduction_factor = whole("reduction_factor", reduction_factor, StudyError, least=2)
        self.min_early_stopping_rate = whole(
            "min_early_stopping_rate", min_early_stopping_rate, StudyError, least=0
        )
        self.max_resource = None if max_resource is None else resource("max_resource", max_resource)
        self.bootstrap_count = whole("bootstrap_count", bootstrap_count, StudyError, least=0)

    def judge(self, trial: Candidate, others: Mapping[int, Curve]) -> bool:
        return any(
            stops_at(rung, self.reduction_factor, trial, others, self.bootstrap_count)
            for rung in reached_now(self._rungs(), trial)
        )

    def _rungs(self) -> Iterator[float]:
        rung = self.min_resource * self.reduction_factor**self.min_early_stopping_rate
        while rung < (math.inf if self.max_resource is None else self.max_resource):
            yield rung
            rung *= self.reduction_factor


def resource(name: str, value: float) -> float:
    """Return a positive finite number of steps, as an int if it is an integer."""
    number = real(name, value, StudyError, above=0)
    if math.isinf(number):
        raise StudyError(f"{name} must be finite, got {value!r}")
    return int(number) if number.is_integer() else number


def reached_now(rungs: Iterable[float], trial: Candidate) -> Iterator[float]:
    """Yield the rungs that the trial has reached with its last report; `rungs` are ascending."""
    for rung in rungs:
        if rung > trial.step:
            return
        if rung > trial.last_step:
            yield rung


def stops_at(
    rung: float,
    eta: int,
    trial: Candidate,
    others: Mapping[int, Curve],
    bootstrap_count: int = 0,
) -> bool:
    """Return whether a trial that has just reached a rung is not among the best 1/eta there."""
    if math.isnan(trial.value):
        return True
    rivals = {n: value_at(curve, rung) for n, curve in others.items()}
    members = [(v, n) for n, v in rivals.items() if v is not None and n in trial.cohort]
    everyone = [(v, n) for n, v in rivals.items() if v is not None]
    group = members if len(members) + 1 >= eta else everyone
    reached = len(group) + 1
    if reached <= bootstrap_count:
        return True
    before = sum(rival < (trial.value, trial.number) for rival in group)
    return before >= max(1, reached // eta)
