"""The study's end of the channel to running trials: reports, timeouts and pruning decisions."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from metaopt.execution.history import History
from metaopt.pruning import ReportTracker
from metaopt.trials.records import Failure, Result


class StudyMonitor:
    """Receives the calls of executors and trials; see `metaopt.execution.base.Monitor`.

    Args:
        history: of the study; records starts and reports.
        tracker: decides which trials are pruned.
        data_seed: of the study.
    """

    def __init__(self, history: History, tracker: ReportTracker, data_seed: int) -> None:
        self.data_seed = data_seed
        self._history, self._tracker = history, tracker
        self._trial_timeout: float | None = None
        self._deadlines: dict[int, float] = {}
        self._overran: set[int] = set()  # told to stop because of trial_timeout
        self._lockstep: frozenset[int] = frozenset()  # members of a batch that train together
        self._concurrent: frozenset[int] = frozenset()  # trials in slots at this tick
        self._decided = False  # whether the history knows which trials end at this tick

    def started(self, number: int) -> None:
        """Record that an attempt at a trial begins; called by executors."""
        self._overran.discard(number)
        if self._trial_timeout is not None:
            self._deadlines[number] = time.monotonic() + self._trial_timeout
        self._tracker.forget(number)
        self._history.start(number, "inline")

    def reported(self, number: int, value: float, step: float) -> None:
        """Record an intermediate value of a running trial; called by `Trial.report`."""
        self._history.report(number, value, step)

    def should_stop(self, number: int) -> bool:
        """Return whether a running trial must end early; called by `Trial.should_stop`."""
        if time.monotonic() > self._deadlines.get(number, float("inf")):
            self._overran.add(number)
            return True
        if self._tracker.idle:
            return False
        if number in self._concurrent:
            return self._judge_concurrent(number)
        # Members of a running batch are compared with each other only in lockstep. Otherwise the
        # decision would depend on the order in which they run.
        members = self._lockstep if number in self._lockstep else ()
        history = self._history
        cohort = {n: history.curve(n) for n in members if n != number}
        return self._tracker.stops(number, history.curve(number), history.told_curves, cohort)

    def _judge_concurrent(self, number: int) -> bool:
        """Decide on a trial in a slot: compare it with told trials and with all other slots.

        The concurrent trials may be at other epochs and are compared like finished ones.
        """
        history = self._history
        curve = history.curve(number)
        if self._decided:
            self._tracker.pass_over(number, curve)
            return False
        concurrent = {n: history.curve(n) for n in self._concurrent if n != number}
        return self._tracker.stops(number, curve, {**history.told_curves, **concurrent}, {})

    def ticks(self, concurrent: Collection[int], *, decided: bool) -> None:
        """Begin a tick of refilled slots; see `metaopt.execution.slots`.

        Args:
            concurrent: numbers of all trials that train at this tick.
            decided: whether the history already knows which trials end at this tick; then no trial
                is pruned.
        """
        self._concurrent, self._decided = frozenset(concurrent), decided

    def in_time(self, number: int, result: Result) -> Result:
        """Return the result; of a trial that was stopped by `trial_timeout`, a failure."""
        if number not in self._overran or result.status != "pruned":
            return result
        message = f"the trial was stopped after trial_timeout={self._trial_timeout:g} s"
        return replace(result, status="failed", error=Failure("timeout", message))

    @contextmanager
    def timed(self, trial_timeout: float | None) -> Iterator[None]:
        """Limit the time of every trial that starts in this context, in seconds."""
        self._trial_timeout = trial_timeout
        try:
            yield
        finally:
            self._trial_timeout = None  # trials that are asked by hand later have no limit

    @contextmanager
    def together(self, group: Sequence[int]) -> Iterator[None]:
        """In this context, compare the running trials of a group (in lockstep) with each other."""
        self._lockstep = frozenset(group)
        try:
            yield
        finally:
            self._lockstep = frozenset()
