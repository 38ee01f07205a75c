"""What a strategy was told: the outcomes, the best of them, and values for those without one."""

from __future__ import annotations

import math
from bisect import insort
from dataclasses import dataclass

from metaopt.core.types import Curve
from metaopt.space import Config
from metaopt.trials import failures
from metaopt.trials.records import Json, Status


@dataclass(frozen=True)
class Observation:
    """What a strategy was told about one configuration.

    Attributes:
        number: of the proposal.
        config: the configuration.
        note: what `_ask` returned with it; None if `_ask` did not choose it.
        value: of the objective; None unless `status` is "complete".
        status: "complete", "pruned" or "failed".
        curve: the intermediate reports as (step, value).
    """

    number: int
    config: Config
    note: Json
    value: float | None
    status: Status
    curve: Curve


class Observations:
    """All observations of a strategy, in the order of the tells.

    Attributes:
        told: the observations.
        best: the complete one with the lowest value, the earliest of equal ones, or None.
    """

    def __init__(self) -> None:
        self.told: list[Observation] = []
        self.best: Observation | None = None
        self._complete: list[float] = []  # values, ascending

    def add(self, observation: Observation) -> float:
        """Add an observation; return the value that ranks it (see `metaopt.trials.failures`)."""
        value = observation.value
        if value is not None:
            insort(self._complete, value)
            if value == self._complete[0] and value not in self._complete[1:2]:
                self.best = observation  # strictly better than all before it
        self.told.append(observation)
        return self._rank_value(observation)

    def imputed(self) -> list[float]:
        """Return a finite value for each observation; 0 while no trial is complete."""
        values = map(self._rank_value, self.told)
        return [v if math.isfinite(v) else 0.0 for v in values]

    def _rank_value(self, o: Observation) -> float:
        if o.value is not None:
            return o.value
        return failures.for_strategy(o.status, o.curve, self._complete)
