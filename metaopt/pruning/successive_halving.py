"""Successive halving, asynchronous (ASHA) and, for trials in lockstep, synchronous.

Notation: r the minimum resource, eta the reduction factor, s the minimum early-stopping rate.
Rung k stands at r * eta^(s + k) steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from metaopt.core.errors import StudyError, real, whole
from metaopt.core.types import Curve
from metaopt.pruning.base import Candidate, TrialPruner, value_at


class SuccessiveHalvingPruner(TrialPruner):
    """Stops a trial at a rung unless it is among the best 1/eta that have reached it.

    A trial that runs alone is judged as by ASHA's stopping variant (that of Optuna, and type
    "stopping" in Syne Tune, as opposed to the promotion of paused trials in Li et al. 2020,
    algorithm 2): of the n trials that have reached a rung, itself included, the max(1, floor(n /
    eta)) best go on, and whoever has passed is not judged there again. Trials that run in
    lockstep are compared with their cohort only, all at once, which is synchronous successive
    halving (Jamieson and Talwalkar 2016): of n members exactly floor(n / eta) go on. At a rung
    that fewer than eta of a cohort have reached, all other trials count too.

    A rung is decided by the first report at or beyond it, so steps may skip it and may be seconds.
    Ranks alone count, so monotone transforms of the objective change no decision; among equals
    the lower number is the better one. NaN stops a trial.

    Args:
        min_resource: r, steps before the first rung.
        reduction_factor: eta, at least 2.
        min_early_stopping_rate: s, by how many powers of eta the first rung comes later.
        max_resource: steps that a full trial takes; no rung at or beyond it, where there is
            nothing to save. None: rungs without end.
        bootstrap_count: a trial goes on only where more than so many have reached the rung.
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
    """Return a positive finite number of steps; a whole one stays an int."""
    number = real(name, value, StudyError, above=0)
    if math.isinf(number):
        raise StudyError(f"{name} must be finite, got {value!r}")
    return int(number) if number.is_integer() else number


def reached_now(rungs: Iterable[float], trial: Candidate) -> Iterator[float]:
    """Yield those of the ascending rungs that the trial has reached with its last report."""
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
    """Tell whether a trial that has just reached a rung is not among the best 1/eta there."""
    if math.isnan(trial.value):
        return True
    rivals = {n: value_at(curve, rung) for n, curve in others.items()}
    members = [(v, n) for n, v in rivals.items() if v is not None and n in trial.cohort]
    everyone = [(v, n) for n, v in rivals.items() if v is not None]
    company = members if len(members) + 1 >= eta else everyone
    reached = len(company) + 1
    if reached <= bootstrap_count:
        return True
    before = sum(rival < (trial.value, trial.number) for rival in company)
    return before >= max(1, reached // eta)
