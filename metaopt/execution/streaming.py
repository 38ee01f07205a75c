"""Run an objective that takes in new trials while others run (for slots).

The objective implements `metaopt.trials.objective.StreamObjective`.
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
    """The iterator over ticks that an objective gets: at each, the trials that begin.

    Args:
        proposals: yields the proposals that begin with each tick.
        monitor: of the study; is told of the start of each trial.

    Attributes:
        running: trials that have begun and not ended, by number.
        passes: number of ticks that the objective has requested.
        error: what the study raised when the next tick was requested, else None.
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

    If the objective's `stream` raises, all running trials fail; if it ends early, they are recorded
    as failed ("abandoned").

    Args:
        objective: must have `stream(arrivals)`.
        proposals: yields, at each tick, the proposals that begin then; often none.
        monitor: of the study; is told of the start of each trial.

    Raises:
        StudyError: `stream` returned a result for a trial that is not running.
        Exception: what the study raised when the next tick was requested, such as an error of a
            callback.
    """
    arrivals = Arrivals(proposals, monitor)
    lost = Result.failed("abandoned", "stream() returned no result for this trial")
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
            raise StudyError(f"stream() returned trial {number!r}, which is not running")
        del running[number]
        yield number, result
    if arrivals.error is not None:
        raise arrivals.error  # not the objective's failure
    if arrivals.passes == 0:
        next(arrivals, None)  # start the waiting trials, so that they fail; else an endless loop
    for number, trial in list(running.items()):
        yield number, finish(lost, trial, None)


def _results(objective: Any, arrivals: Arrivals) -> Iterator[tuple[int, Any]]:
    yield from objective.stream(arrivals)  # called by the first next(), where errors are caught
