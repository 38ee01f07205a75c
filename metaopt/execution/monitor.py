"""The study's end of the channel to running trials: their reports, their time, and when to stop."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from metaopt.execution.history import History
from metaopt.pruning import Tracker
from metaopt.trials.records import Failure, Result


class StudyMonitor:
    """What executors and trials talk to; see `metaopt.execution.base.Monitor`.

    Args:
        history: gets what is reported.
        tracker: asked which trials stop early.
        data_seed: of the study.
    """

    def __init__(self, history: History, tracker: Tracker, data_seed: int) -> None:
        self.data_seed = data_seed
        self._history, self._tracker = history, tracker
        self._trial_timeout: float | None = None
        self._deadlines: dict[int, float] = {}
        self._overran: set[int] = set()  # told to stop because their time was over
        self._lockstep: frozenset[int] = frozenset()  # members of a batch that train together
        self._beside: frozenset[int] = frozenset()  # all that train in slots at this tick
        self._decided = False  # whether who ends at this tick is known from before

    def started(self, number: int) -> None:
        """Note that an attempt at a trial begins; called by executors."""
        self._overran.discard(number)
        if self._trial_timeout is not None:
            self._deadlines[number] = time.monotonic() + self._trial_timeout
        self._tracker.forget(number)
        self._history.start(number, "inline")

    def reported(self, number: int, value: float, step: float) -> None:
        """Note an intermediate value of a running trial; called by `Trial.report`."""
        self._history.report(number, value, step)

    def should_stop(self, number: int) -> bool:
        """Decide whether a running trial ends early; called by `Trial.should_stop`."""
        if time.monotonic() > self._deadlines.get(number, float("inf")):
            self._overran.add(number)
            return True
        if self._tracker.idle:
            return False
        if number in self._beside:
            return self._judge_beside(number)
        # Members of a running batch are not told, and count only while they go in lockstep: who
        # ran earlier in a batch must not matter.
        members = self._lockstep if number in self._lockstep else ()
        history = self._history
        cohort = {n: history.curve(n) for n in members if n != number}
        return self._tracker.stops(number, history.curve(number), history.told_curves, cohort)

    def _judge_beside(self, number: int) -> bool:
        """Judge a trial in a slot against told trials and those that run beside it at any epoch."""
        history = self._history
        curve = history.curve(number)
        if self._decided:
            self._tracker.pass_over(number, curve)
            return False
        beside = {n: history.curve(n) for n in self._beside if n != number}
        return self._tracker.stops(number, curve, {**history.told_curves, **beside}, {})

    def ticks(self, beside: Collection[int], *, decided: bool) -> None:
        """Begin a tick of refilled slots; see `metaopt.execution.slots`.

        Args:
            beside: all trials that train at this tick.
            decided: whether who ends at it was recorded before the study was cut off.
        """
        self._beside, self._decided = frozenset(beside), decided

    def in_time(self, number: int, result: Result) -> Result:
        """A trial that stopped because its time was over has failed and was not pruned."""
        if number not in self._overran or result.status != "pruned":
            return result
        message = f"the trial was stopped after trial_timeout={self._trial_timeout:g} s"
        return replace(result, status="failed", error=Failure("timeout", message))

    @contextmanager
    def timed(self, trial_timeout: float | None) -> Iterator[None]:
        """Give the trials that start within so many seconds each."""
        self._trial_timeout = trial_timeout
        try:
            yield
        finally:
            self._trial_timeout = None  # not for trials that are asked by hand later

    @contextmanager
    def together(self, group: Sequence[int]) -> Iterator[None]:
        """Compare the trials of a group with each other while they run, in lockstep."""
        self._lockstep = frozenset(group)
        try:
            yield
        finally:
            self._lockstep = frozenset()
