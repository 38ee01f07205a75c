"""The base classes of pruners, and functions that read curves.

Values are minimised. A step is any real number that increases from report to report: epochs,
batches, seconds. A trial reaches a level with its first report at or above it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from metaopt.core.errors import StudyError
from metaopt.core.types import Curve
from metaopt.trials.records import Json, plain


@dataclass(frozen=True)
class Candidate:
    """A running trial whose last report a pruner judges.

    Attributes:
        curve: its reports so far as (step, value), at least one; lower values are better.
        number: of the trial.
        seed: of the study.
        cohort: numbers of the trials that run in lockstep with it; empty if it runs alone.
        direction: of the study; needed for settings in the sign of the user's objective.
    """

    curve: Curve
    number: int = 0
    seed: int = 0
    cohort: frozenset[int] = frozenset()
    direction: Literal["minimize", "maximize"] = "minimize"

    @property
    def step(self) -> float:
        return self.curve[-1][0]

    @property
    def value(self) -> float:
        return self.curve[-1][1]

    @property
    def last_step(self) -> float:
        """The step of the report before this one; -inf for the first."""
        return self.curve[-2][0] if len(self.curve) > 1 else -math.inf


class Pruner(ABC):
    """Base class of pruners, which decide whether a trial stops early.

    A subclass has a class attribute `name` and implements `decide`. A pruner that needs more than
    the last report derives from `TrialPruner` instead and implements `judge`.
    """

    name: ClassVar[str]

    @abstractmethod
    def decide(self, step: float, value: float, others: Mapping[int, Curve]) -> bool:
        """Return whether to stop a trial that has just reported `value` at `step`.

        Args:
            step: in the unit of the trial: epochs, batches, seconds.
            value: the report; lower is better.
            others: the curves of the other trials as (step, value), by trial number.
        """

    def judge(self, trial: Candidate, others: Mapping[int, Curve]) -> bool:
        """Return whether to stop a trial; called once for each report of a trial, in order.

        Args:
            trial: the running trial.
            others: the curves of the other trials, by number: finished trials that were told to
                the strategy, and the trial's cohort up to the trial's step.
        """
        return self.decide(trial.step, trial.value, others)

    def to_json(self) -> dict[str, Json]:
        """Return the pruner's name and settings as JSON.

        Raises:
            StudyError: the class has no `name`, or JSON cannot store a setting.
        """
        kind = type(self).__name__
        name = getattr(type(self), "name", "")
        if not name:
            raise StudyError(f"the pruner {kind} has no name; give the class an attribute `name`")
        settings = {k: v.to_json() if isinstance(v, Pruner) else v for k, v in vars(self).items()}
        return {"name": name, **plain(settings, kind)}

    def __repr__(self) -> str:
        settings = ", ".join(f"{k}={v!r}" for k, v in vars(self).items())
        return f"{type(self).__name__}({settings})"


class TrialPruner(Pruner):
    """Base class of pruners that need the whole trial and not only its last report.

    A subclass has a class attribute `name` and implements `judge`.
    """

    def decide(self, step: float, value: float, others: Mapping[int, Curve]) -> bool:
        """Return whether to stop trial 0 of a study with seed 0 after this first report.

        Args:
            step: in the unit of the trial: epochs, batches, seconds.
            value: the report; lower is better.
            others: the curves of the other trials as (step, value), by trial number.
        """
        return self.judge(Candidate(((step, value),)), others)

    @abstractmethod
    def judge(self, trial: Candidate, others: Mapping[int, Curve]) -> bool: ...


def or_worst(value: float) -> float:
    """Return `value`, or +inf for NaN."""
    return math.inf if math.isnan(value) else value


def best(curve: Curve) -> float:
    """Return the lowest report; +inf if there is none or all are NaN."""
    return min((v for _, v in curve if not math.isnan(v)), default=math.inf)


def until(curve: Curve, step: float) -> Curve:
    """Return the reports up to and including `step`."""
    if not curve or curve[-1][0] <= step:
        return curve
    return curve[: bisect_right(curve, step, key=_step)]


def value_at(curve: Curve, level: float) -> float | None:
    """Return the first report at or above step `level` (NaN as +inf); None if there is none."""
    if not curve or curve[-1][0] < level:
        return None
    return or_worst(curve[bisect_left(curve, level, key=_step)][1])


def _step(report: tuple[float, float]) -> float:
    return report[0]
