"""Pruners that compare a trial with a percentile of the other trials at the same step."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from metaopt.core.errors import StudyError, real, whole
from metaopt.core.types import Curve
from metaopt.pruning.base import Candidate, TrialPruner, best, until
from metaopt.space.values import is_number
from metaopt.trials.records import Json


class PercentilePruner(TrialPruner):
    """Stops a trial that is worse than a percentile of the other trials at the same step.

    Each trial, including the judged one, is represented by its best report up to that step; trials
    that have not reached the step do not count. This is the median stopping rule of Vizier for any
    percentile. Vizier averages the reports of the others; here their best reports are used, so
    that monotone transforms of the objective change no decision. NaN stops a trial.

    Args:
        percentile: between 0 and 100; the percentage of trials that are good enough to continue.
        warmup_steps: reports before this step never stop a trial.
        min_trials: no trial is stopped until so many others have reached the step.

    Raises:
        StudyError: a setting is out of range.

    Source: Golovin et al. (2017), section 3.2.2.
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

    def judge(self, trial: Candidate, others: Mapping[int, Curve]) -> bool:
        step = trial.step
        if step < self.warmup_steps:
            return False
        reached = [
            best(until(curve, step)) for curve in others.values() if curve and curve[-1][0] >= step
        ]
        if len(reached) < self.min_trials:
            return False
        if math.isnan(trial.value):
            return True
        # An order statistic, so that monotone transforms of the objective change no decision.
        limit = float(np.percentile(reached, self.percentile, method="higher"))
        return best(trial.curve) > limit


class MedianPruner(PercentilePruner):
    """Stops a trial that is worse than the median of the other trials at the same step.

    See `PercentilePruner` for the rule.

    Args:
        warmup_steps: reports before this step never stop a trial.
        min_trials: no trial is stopped until so many others have reached the step.

    Raises:
        StudyError: a setting is out of range.
    """

    name = "median"

    def __init__(self, *, warmup_steps: float = 1, min_trials: int = 5) -> None:
        super().__init__(50.0, warmup_steps=warmup_steps, min_trials=min_trials)

    def to_json(self) -> dict[str, Json]:
        return {k: v for k, v in super().to_json().items() if k != "percentile"}
