"""Pruners decide from a trial's reports, beside those of others, whether it goes on.

A decision is a pure function of its arguments; values are to be minimised.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from metaopt.errors import StudyError, real, whole
from metaopt.records import Json, plain
from metaopt.space.parameters import is_number

Curve = Sequence[tuple[float, float]]


class Pruner(ABC):
    """Decides whether a trial stops early."""

    name: ClassVar[str]

    @abstractmethod
    def decide(self, step: float, value: float, others: Mapping[int, Curve]) -> bool:
        """Return True to stop a trial that has just reported `value` at `step`.

        Args:
            step: what the trial counts: epochs, batches, seconds.
            value: its report, to be minimised.
            others: the curves of the trials to compare with, by trial number.
        """

    def to_json(self) -> dict[str, Json]:
        """Return the pruner's name and settings as JSON.

        Raises:
            StudyError: the class has no `name`, or a setting is no JSON.
        """
        kind = type(self).__name__
        name = getattr(type(self), "name", "")
        if not name:
            raise StudyError(f"the pruner {kind} has no name; give the class an attribute `name`")
        settings: dict[str, Json] = plain(vars(self), kind)
        return {"name": name, **settings}


class PercentilePruner(Pruner):
    """Stops a trial whose report is worse than a percentile of the others at the same step.

    Each other trial counts with its best report up to that step, as in Vizier's median stopping
    rule (Golovin et al. 2017, section 3.2.2); a trial that has not come as far does not count.

    Args:
        percentile: between 0 and 100; the share of trials that are good enough to go on.
        warmup_steps: reports before this step never stop a trial.
        min_trials: how many others must have come as far.
    """

    name = "percentile"

    def __init__(
        self, percentile: float = 50.0, *, warmup_steps: float = 1, min_trials: int = 5
    ) -> None:
        if not is_number(percentile) or not 0 < percentile < 100:
            raise StudyError(f"percentile must lie between 0 and 100, got {percentile!r}")
        self.percentile = percentile
        self.warmup_steps = real("warmup_steps", warmup_steps, StudyError)
        self.min_trials = whole("min_trials", min_trials, StudyError)

    def decide(self, step: float, value: float, others: Mapping[int, Curve]) -> bool:
        if step < self.warmup_steps:
            return False
        reached = [
            min((v for s, v in curve if s <= step and not math.isnan(v)), default=math.inf)
            for curve in others.values()
            if curve and curve[-1][0] >= step
        ]
        if len(reached) < self.min_trials:
            return False
        # An order statistic, so that monotone transforms of the objective change nothing.
        limit = float(np.percentile(reached, self.percentile, method="higher"))
        return not value <= limit  # NaN stops


class MedianPruner(PercentilePruner):
    """Stops a trial whose report is worse than the median of the others at the same step."""

    name = "median"

    def __init__(self, *, warmup_steps: float = 1, min_trials: int = 5) -> None:
        super().__init__(50.0, warmup_steps=warmup_steps, min_trials=min_trials)


def pruner_from_json(data: Mapping[str, Json] | None) -> Pruner | None:
    """Rebuild a pruner of ours from `to_json`.

    Raises:
        StudyError: it is somebody else's.
    """
    if data is None:
        return None
    settings = {k: v for k, v in data.items() if k != "name"}
    if data["name"] == "median":
        del settings["percentile"]
        return MedianPruner(**settings)
    if data["name"] == "percentile":
        return PercentilePruner(**settings)
    raise StudyError(f"the pruner {data['name']!r} is not metaopt's own; pass it as pruner=")
