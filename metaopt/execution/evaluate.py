"""Evaluate an objective once; every outcome, including an exception, becomes a `Result`."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from metaopt.trials.failures import failure
from metaopt.trials.objective import Objective
from metaopt.trials.records import Result, settle
from metaopt.trials.trial import Trial, TrialPruned


def evaluate(objective: Objective, trial: Trial) -> Result:
    """Call an objective on a trial; an exception, a NaN or a stop becomes the result's status.

    KeyboardInterrupt and SystemExit are not caught.

    Args:
        objective: called with the trial.
        trial: to evaluate.

    Returns:
        The result, with the trial's reports as `curve` and the wall-clock seconds.
    """
    start = time.perf_counter()
    try:
        result = read(objective(trial), trial)
    except TrialPruned:
        result = Result(status="pruned")
    except Exception as error:
        result = failure(error)
    return finish(result, trial, time.perf_counter() - start)


def read(outcome: Any, trial: Trial) -> Result:
    """Return an outcome as a `Result`; a number after `should_stop()` was True means pruned.

    Raises:
        StudyError: the outcome is neither a number nor a `Result`.
    """
    if trial.told_to_stop and not isinstance(outcome, Result):
        return Result(status="pruned")
    return settle(outcome)


def finish(result: Result, trial: Trial, seconds: float | None) -> Result:
    """Return a result with the measured seconds, and the trial's reports if it has no curve."""
    seconds = seconds if seconds is not None else result.seconds
    return replace(result, curve=result.curve or trial.curve, seconds=seconds)
