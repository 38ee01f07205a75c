"""Conditions under which a study ends before its number of trials."""

from __future__ import annotations

from collections.abc import Callable

from metaopt.core.errors import StudyError, real, whole
from metaopt.storage.study_view import StudyView

# Called after every trial; True, or a reason in words, ends the study.
StopCondition = Callable[[StudyView], bool | str | None]


class Stall:
    """Ends a study whose best value has not improved for `trials` told trials in a row.

    Args:
        trials: how many.
        min_delta: the smallest gain that counts, relative to the size of the best value.
    """

    def __init__(self, trials: int, *, min_delta: float = 0.0) -> None:
        self.trials = whole("trials", trials, StudyError)
        self.min_delta = real("min_delta", min_delta, StudyError)
        if self.min_delta < 0:
            raise StudyError(f"min_delta must be at least 0, got {min_delta!r}")

    def __call__(self, study: StudyView) -> str | None:
        sign = 1 if study.direction == "minimize" else -1
        best, since = None, 0
        for record in study.told:
            since += 1
            if record.value is None:
                continue
            value = sign * record.value
            if best is None or value < best - self.min_delta * abs(best):
                best, since = value, 0
        if best is None or since < self.trials:
            return None
        return f"no better value in {since} trials"


class Target:
    """Ends a study whose best value is at least as good as `value`."""

    def __init__(self, value: float) -> None:
        self.value = real("value", value, StudyError)

    def __call__(self, study: StudyView) -> str | None:
        best = study.best_record
        if best is None or best.value is None:
            return None
        reached = (
            best.value <= self.value if study.direction == "minimize" else best.value >= self.value
        )
        return f"the target {self.value:g} is reached" if reached else None
