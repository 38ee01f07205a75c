"""One evaluation of an objective: whatever happens in it becomes a `Result`."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

from metaopt.records import FailureKind, Proposal, Result, settle
from metaopt.trial import Channel, Trial, TrialPruned

Objective = Callable[[Trial], Any]

TRACEBACK = 4000  # characters kept of a failure's traceback


class Driver(Channel, Protocol):
    """What an executor tells the study while it runs trials."""

    data_seed: int

    def started(self, number: int) -> None: ...


class Executor(Protocol):
    """Runs proposals and yields each trial's number and result, in any order."""

    def stream(
        self, objective: Objective, arrivals: Iterator[Sequence[Proposal]], driver: Driver
    ) -> Iterator[tuple[int, Result]]:
        """Give the objective's `stream` what begins with each tick, as it asks for it."""
        ...

    def run(
        self,
        objective: Objective,
        proposals: Sequence[Proposal],
        driver: Driver,
        *,
        together: bool,
    ) -> Iterator[tuple[int, Result]]:
        """Run proposals; `together` gives them to the objective's `many(trials)` at once."""
        ...


def evaluate(objective: Objective, trial: Trial) -> Result:
    """Call an objective on a trial; an exception, a NaN or a stop becomes the result's status.

    KeyboardInterrupt and SystemExit are not the objective's outcome and pass through.
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
    """Read what an objective returned: a number after `should_stop()` was True means pruned."""
    if trial.told_to_stop and not isinstance(outcome, Result):
        return Result(status="pruned")
    return settle(outcome)


def finish(result: Result, trial: Trial, seconds: float | None) -> Result:
    """Add the trial's reports and the duration to a result that came without."""
    seconds = seconds if seconds is not None else result.seconds
    return replace(result, curve=result.curve or trial.curve, seconds=seconds)


def failure(error: Exception) -> Result:
    """Return the result of a trial that raised `error`, with the end of the traceback."""
    kind: FailureKind = "exception"
    # torch's error is known by name: this room does not import torch.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        kind = "out_of_memory"
    message = f"{type(error).__name__}: {error}".strip()
    text = "".join(traceback.format_exception(error))[-TRACEBACK:]
    return Result.failed(kind, message, data={"traceback": text})
