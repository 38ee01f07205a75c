"""Refilled slots: an objective that takes in new trials while others run.

The protocol is one method, whose every pass of the loop is a tick, a step of all running trials:

    def stream(self, arrivals):
        running = {}
        for starting in arrivals:  # a list of trials, often empty; ends when nothing is left to do
            running.update((trial.number, trial) for trial in starting)
            ...  # one epoch of each, and trial.report(value, step)
            for number, trial in list(running.items()):
                if trial.should_stop() or ...:
                    del running[number]
                    yield number, value  # or a Result

All running trials report before any is asked `should_stop`, as a pruner compares them with each
other. What is yielded before the next pass has ended at this tick: then it is told, and the free
slots are filled by what `arrivals` gives next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from metaopt.errors import StudyError
from metaopt.execute.evaluate import Driver, failure, finish, read
from metaopt.records import Proposal, Result
from metaopt.trial import Trial


class Arrivals:
    """The trials that begin with each tick, as an objective gets them.

    Attributes:
        running: those that have begun and not ended, by number.
        passes: how often the objective has asked.
        error: what went wrong in the study when it was asked what comes next.
    """

    def __init__(self, proposals: Iterator[Sequence[Proposal]], driver: Driver) -> None:
        self._proposals, self._driver = proposals, driver
        self.running: dict[int, Trial] = {}
        self.passes = 0
        self.error: BaseException | None = None

    def __iter__(self) -> Arrivals:
        return self

    def __next__(self) -> list[Trial]:
        self.passes += 1
        try:
            starting = [
                Trial(p, self._driver.data_seed, self._driver) for p in next(self._proposals)
            ]
            for trial in starting:
                self._driver.started(trial.number)
        except StopIteration:
            raise
        except BaseException as error:
            self.error = error
            raise
        self.running.update((trial.number, trial) for trial in starting)
        return starting


def stream(
    objective: Any, proposals: Iterator[Sequence[Proposal]], driver: Driver
) -> Iterator[tuple[int, Result]]:
    """Yield each trial's number and result when it ends.

    If the objective's `stream` raises, all trials that run then have failed; if it ends while
    some run, these are abandoned.

    Raises:
        StudyError: a result is of a trial that is unknown or came twice.
        Exception: what the study raised when it was asked for the next trials (a callback, say).
    """
    arrivals = Arrivals(proposals, driver)
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
