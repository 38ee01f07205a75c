"""Slots: a fixed number of trials train at the same time; each is replaced as soon as it ends.

Time is counted in ticks. At each tick, every running trial takes one step (an epoch). After the
tick, the trials that ended are told, by number, and new trials are asked for their slots; these
begin with the next tick. So seeds and configurations determine at which tick a trial ends, the
speed of the machine does not matter, and a study can be repeated exactly.

Notation: a trial asked at tick a (after a ticks have passed) takes its step k at tick a + k. A
tick is decided if the history holds all trials that ended at it, and settled if the history also
holds the trials that were asked after it. An interrupted study restarts at the earliest tick at
which a trial without a result was asked. Each such trial begins again at its own tick. During
decided ticks no trial is pruned, because a trial without a result did not end there; no trial is
told or asked before the last recorded tick.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

from metaopt.core.errors import StudyError, whole
from metaopt.execution.base import Executor
from metaopt.execution.history import History
from metaopt.execution.monitor import StudyMonitor
from metaopt.trials.objective import Objective, takes_streams
from metaopt.trials.records import Proposal, Result


class Slots:
    """Counts the ticks and selects the trials that begin at each of them.

    Args:
        size: number of slots: how many trials run at the same time.
        history: of the study.
        monitor: of the study; is told of every tick.
        tell: tells the strategy all finished trials; returns their number.
        free_slots: returns how many more trials may be asked for now; called after `tell`.
        held: numbers of the trials that a caller has; they are not run here.

    Attributes:
        tick: number of ticks that have begun.
    """

    def __init__(
        self,
        size: int,
        history: History,
        monitor: StudyMonitor,
        tell: Callable[[], int],
        free_slots: Callable[[], int],
        held: Collection[int],
    ) -> None:
        self._size, self._history, self._monitor = size, history, monitor
        self._tell, self._free_slots = tell, free_slots
        asked, ended = history.asked_at, history.ended_at
        # Sorted by number, which sorts them by tick as well.
        self._waiting = [n for n in sorted(asked) if history[n].result is None and n not in held]
        self._running: set[int] = set()
        self._settled = max(asked.values(), default=-1)
        self._ended = max(ended.values(), default=-1)
        self._last = max(self._settled, self._ended)
        told = any(tick == self._last and history.is_told(n) for n, tick in ended.items())
        whole = told or self._settled == self._last
        self._decided = self._last if whole else self._last - 1
        self.tick = self._begin()
        # Finished trials that trained during the repeated ticks: (tick asked, tick ended).
        self._before = {n: (asked[n], end) for n, end in ended.items() if end > self.tick}

    def _begin(self) -> int:
        if self._waiting:
            return self._history.asked_at[self._waiting[0]]
        # Trials that were finished outside of their slots have no tick at which they ended.
        return self._last if self._last > self._settled else self._last + 1

    def arrivals(self) -> Iterator[list[Proposal]]:
        """Yield the proposals that begin with each tick; end when no trial runs or follows."""
        history = self._history
        while True:
            if self.tick >= self._last and self.tick > self._settled:
                self._settle()
            asked = history.asked_at
            starting = [n for n in self._waiting if asked[n] == self.tick]
            self._waiting = [n for n in self._waiting if asked[n] != self.tick]
            self._running.update(starting)
            if not self._running and not self._waiting:
                return
            self.tick += 1
            self._monitor.ticks(self._concurrent(), decided=self.tick <= self._decided)
            yield [history[n].proposal for n in starting]

    def _settle(self) -> None:
        """Tell the trials that ended at the last tick, and ask for new ones for free slots."""
        told = self._tell()
        going = len(self._running) + len(self._waiting)
        if going and not told and self.tick != self._ended:
            return  # nothing has changed since the last ask
        n = min(self._size - going, self._free_slots())
        if n > 0:
            self._waiting += self._history.ask(n, batch=False, tick=self.tick)

    def _concurrent(self) -> set[int]:
        """Return all trials that train at this tick, or did before the study was interrupted."""
        before = self._before.items()
        return self._running | {n for n, (begin, end) in before if begin < self.tick <= end}

    def run(self, executor: Executor, objective: Objective) -> bool:
        """Run until no trial runs and none may be asked for; return whether any trial ran."""
        ran = False
        try:
            for number, result in executor.stream(objective, self.arrivals(), self._monitor):
                self._finish(number, result)
                ran = True
        finally:
            self._monitor.ticks((), decided=False)
        return ran

    def _finish(self, number: int, result: Result) -> None:
        """Record the result of a trial that ended at this tick."""
        self._running.discard(number)
        self._ended = max(self._ended, self.tick)
        self._history.finish(number, self._monitor.in_time(number, result), self.tick)


def read_slots(slots: Any, batch_size: Any, objective: Any) -> int | None:
    """Return the number of slots, after a check of it and of what it requires.

    Raises:
        StudyError: `slots` is not a positive integer, `batch_size` is given too, or the objective
            has no `stream`.
    """
    if slots is None:
        return None
    slots = whole("slots", slots, StudyError)
    if batch_size is not None:
        raise StudyError(
            f"slots={slots} and batch_size={batch_size!r} exclude each other: slots are refilled"
            " when single trials end, a batch ends as a whole; give one of them"
        )
    if not takes_streams(objective):
        raise StudyError(
            f"slots={slots} needs an objective with stream(arrivals), which takes in new trials"
            f" while others train, such as metaopt.Trainer; {type(objective).__name__} has none;"
            " omit slots, or implement the protocol metaopt.trials.objective.StreamObjective"
        )
    return int(slots)
