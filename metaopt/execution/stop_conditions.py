"""Stop conditions: they end a study before it has reached its number of trials."""

from __future__ import annotations

from collections.abc import Callable

from metaopt.core.errors import StudyError, real, whole
from metaopt.storage.study_view import StudyView

# Called before new trials start; True, or a reason as text, ends the study.
StopCondition = Callable[[StudyView], bool | str | None]


class Stall:
    """Ends a study if the best value has not improved over the last `trials` told trials.

    Args:
        trials: number of told trials in a row without an improvement; failed and pruned trials
            count.
        min_delta: the smallest improvement that counts, relative to the absolute best value, so
            0.01 means 1 %.

    Raises:
        StudyError: `trials` is not a positive integer, or `min_delta` is negative.

    Example:
        >>> from metaopt import Float, Space, Stall, Study
        >>> study = Study(Space(x=Float(-1, 1)), "random", seed=1)
        >>> ending = study.optimize(lambda trial: trial["x"] ** 2, n_trials=500, stop=Stall(25))
        >>> ending.reason, len(study.trials) < 500
        ('stopped', True)
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
    """Ends a study when its best value is at least as good as a target.

    Args:
        value: the target, in the objective's own sign: at most `value` in a study that minimises,
            at least `value` in one that maximises.

    Raises:
        StudyError: `value` is not a number.
    """

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
