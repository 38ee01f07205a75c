"""Refilled slots: drives an objective that takes in new trials while others run.

The protocol that the objective follows is `metaopt.trials.objective.StreamObjective`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from metaopt.core.errors import StudyError
from metaopt.execution.base import Monitor
from metaopt.execution.evaluate import finish, read
from metaopt.trials.failures import failure
from metaopt.trials.records import Proposal, Result
from metaopt.trials.trial import Trial


class Arrivals:
    """The trials that begin with each tick, as an objective gets them.

    Attributes:
        running: those that have begun and not ended, by number.
        passes: how often the objective has asked.
        error: what went wrong in the study when it was asked what comes next.
    """

    def __init__(self, proposals: Iterator[Sequence[Proposal]], monitor: Monitor) -> None:
        self._proposals, self._monitor = proposals, monitor
        self.running: dict[int, Trial] = {}
        self.passes = 0
        self.error: BaseException | None = None

    def __iter__(self) -> Arrivals:
        return self

    def __next__(self) -> list[Trial]:
        self.passes += 1
        try:
            starting = [
                Trial(p, self._monitor.data_seed, self._monitor) for p in next(self._proposals)
            ]
            for trial in starting:
                self._monitor.started(trial.number)
        except StopIteration:
            raise
        except BaseException as error:
            self.error = error
            raise
        self.running.update((trial.number, trial) for trial in starting)
        return starting


def stream(
    objective: Any, proposals: Iterator[Sequence[Proposal]], monitor: Monitor
) -> Iterator[tuple[int, Result]]:
    """Yield each trial's number and result when it ends.

    If the objective's `stream` raises, all trials that run then have failed; if it ends while
    some run, these are abandoned.

    Raises:
        StudyError: a result is of a trial that is unknown or came twice.
        Exception: what the study raised when it was asked for the next trials (a callback, say).
    """
    arrivals = Arrivals(proposals, monitor)
    lost = Result.failed("abandoned", "stream() gave no result for this trial")
    results = _results(objective, arrivals)
    running = arrivals.running
    while True:
        try:
            number, outcome = next(results)
            trial = running.get(number)
            result = lost if trial is None else finish(read(outcome, trial), trial, None)
        except StopIteration:
            break
        except Exception as error:
            lost = failure(error)
            break
        if trial is None:
            raise StudyError(f"stream() gave trial {number!r}, which does not run")
        del running[number]
        yield number, result
    if arrivals.error is not None:
        raise arrivals.error  # not the objective's failure
    if arrivals.passes == 0:
        next(arrivals, None)  # it has failed whoever would have begun, or it would never end
    for number, trial in list(running.items()):
        yield number, finish(lost, trial, None)


def _results(objective: Any, arrivals: Arrivals) -> Iterator[tuple[int, Any]]:
    yield from objective.stream(arrivals)  # called at the first step, where errors are caught
