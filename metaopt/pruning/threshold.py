"""Pruners based on the trial alone: fixed bounds, and patience before another pruner decides."""

from __future__ import annotations

import math
from collections.abc import Mapping

from metaopt.core.errors import StudyError, real, whole
from metaopt.core.types import Curve
from metaopt.pruning.base import Candidate, Pruner, TrialPruner, best


class ThresholdPruner(TrialPruner):
    """Stops a trial whose report is NaN or out of bounds.

    Args:
        lower: reports below it stop a trial; in the objective's own sign. None: no bound.
        upper: reports above it stop a trial; in the objective's own sign. None: no bound.
        warmup_steps: reports before this step never stop a trial.

    Raises:
        StudyError: both bounds are missing, one is not finite, or `lower` is above `upper`.
    """

    name = "threshold"

    def __init__(
        self, lower: float | None = None, upper: float | None = None, *, warmup_steps: float = 0
    ) -> None:
        if lower is None and upper is None:
            raise StudyError("ThresholdPruner needs lower or upper, in the objective's own sign")
        self.lower = None if lower is None else _finite("lower", lower)
        self.upper = None if upper is None else _finite("upper", upper)
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise StudyError(f"lower must not be above upper, got {lower!r} and {upper!r}")
        self.warmup_steps = _finite("warmup_steps", warmup_steps)

    def judge(self, trial: Candidate, others: Mapping[int, Curve]) -> bool:
        if trial.step < self.warmup_steps:
            return False
        value = trial.value if trial.direction == "minimize" else -trial.value
        return (
            math.isnan(value)
            or (self.lower is not None and value < self.lower)
            or (self.upper is not None and value > self.upper)
        )


class PatientPruner(TrialPruner):
    """Delays another pruner until the trial has become worse for a while.

    The other pruner decides once the best of the last `patience` + 1 reports is worse than the
    best of the reports before them by more than `min_delta` (the rule of Optuna; a plateau is not
    worse). Reports of NaN are ignored. Without another pruner, the trial stops at that point.

    Args:
        wrapped_pruner: the other pruner, or None.
        patience: in reports.
        min_delta: a smaller difference does not count as worse; in the unit of the objective.

    Raises:
        StudyError: a setting is out of range, or `wrapped_pruner` is not a pruner.
    """

    name = "patient"

    def __init__(
        self, wrapped_pruner: Pruner | None, patience: int, min_delta: float = 0.0
    ) -> None:
        if wrapped_pruner is not None and not isinstance(wrapped_pruner, Pruner):
            raise StudyError(f"wrapped_pruner must be a Pruner or None, got {wrapped_pruner!r}")
        self.wrapped_pruner = wrapped_pruner
        self.patience = whole("patience", patience, StudyError, least=0)
        self.min_delta = _finite("min_delta", min_delta)
        if self.min_delta < 0:
            raise StudyError(f"min_delta must not be negative, got {min_delta!r}")

    def judge(self, trial: Candidate, others: Mapping[int, Curve]) -> bool:
        cut = len(trial.curve) - self.patience - 1
        if cut < 1 or not best(trial.curve[:cut]) + self.min_delta < best(trial.curve[cut:]):
            return False
        return self.wrapped_pruner is None or self.wrapped_pruner.judge(trial, others)


def _finite(name: str, value: float) -> float:
    number = real(name, value, StudyError)
    if math.isinf(number):
        raise StudyError(f"{name} must be finite, got {value!r}")
    return number
