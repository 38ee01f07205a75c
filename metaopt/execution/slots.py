"""Refilled slots: trials that train side by side, each replaced as soon as it has ended.

Time is counted in ticks: at each, every running trial takes one step of its own (an epoch). After
a tick those that ended are told, by number, and what is asked for their slots begins with the next
one. So which trials end when is a function of seeds and configurations, whatever the machine's
speed, and the whole run can be repeated.

Notation: a trial asked at tick a (after a ticks have passed) takes its step k at tick a + k. A
tick is decided if who ended at it is recorded, and settled if what was asked after it is, too. A
study that was cut off goes back to the earliest tick at which a trial without a result was asked;
each such trial joins at its own tick again, and until the recorded ticks have passed nothing is
judged, told or asked: whoever has no result was not stopped there.
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
    """The clock of a run with refilled slots, and what it begins with every tick.

    Args:
        size: how many trials run side by side.
        history: of the study.
        monitor: is told of every tick.
        tell: tells the strategy what has finished; returns how much that was.
        room: how many more trials may be asked for now, 0 for none; called after `tell`.
        held: trials that a caller has, which are not run here.

    Attributes:
        tick: how many have begun.
    """

    def __init__(
        self,
        size: int,
        history: History,
        monitor: StudyMonitor,
        tell: Callable[[], int],
        room: Callable[[], int],
        held: Collection[int],
    ) -> None:
        self._size, self._history, self._monitor = size, history, monitor
        self._tell, self._room = tell, room
        asked, ended = history.asked_at, history.ended_at
        # By number, which is by tick.
        self._waiting = [n for n in sorted(asked) if history[n].result is None and n not in held]
        self._running: set[int] = set()
        self._settled = max(asked.values(), default=-1)
        self._ended = max(ended.values(), default=-1)
        self._last = max(self._settled, self._ended)
        told = any(tick == self._last and history.is_told(n) for n, tick in ended.items())
        whole = told or self._settled == self._last
        self._decided = self._last if whole else self._last - 1
        self.tick = self._begin()
        # Of the recorded ones that are gone through again: who trained at them and has ended.
        self._before = {n: (asked[n], end) for n, end in ended.items() if end > self.tick}

    def _begin(self) -> int:
        if self._waiting:
            return self._history.asked_at[self._waiting[0]]
        # Trials that have ended otherwise than in their slots leave no tick behind.
        return self._last if self._last > self._settled else self._last + 1

    def arrivals(self) -> Iterator[list[Proposal]]:
        """Yield what begins with each tick; end when nothing runs and nothing follows."""
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
            self._monitor.ticks(self._beside(), decided=self.tick <= self._decided)
            yield [history[n].proposal for n in starting]

    def _settle(self) -> None:
        """Tell who ended at the last tick, and ask for the slots that are free."""
        told = self._tell()
        going = len(self._running) + len(self._waiting)
        if going and not told and self.tick != self._ended:
            return  # nothing has changed since the last ask
        n = min(self._size - going, self._room())
        if n > 0:
            self._waiting += self._history.ask(n, batch=False, tick=self.tick)

    def _beside(self) -> set[int]:
        """All trials that train at this tick, or did before the study was cut off."""
        before = self._before.items()
        return self._running | {n for n, (begin, end) in before if begin < self.tick <= end}

    def run(self, executor: Executor, objective: Objective) -> bool:
        """Run until no trial runs and none may be asked for; tell whether any did."""
        ran = False
        try:
            for number, result in executor.stream(objective, self.arrivals(), self._monitor):
                self._finish(number, result)
                ran = True
        finally:
            self._monitor.ticks((), decided=False)
        return ran

    def _finish(self, number: int, result: Result) -> None:
        """Keep the result of a trial that ended at this tick."""
        self._running.discard(number)
        self._ended = max(self._ended, self.tick)
        self._history.finish(number, self._monitor.in_time(number, result), self.tick)


def read_slots(slots: Any, batch_size: Any, objective: Any) -> int | None:
    """Check the number of slots, and that there is what they need."""
    if slots is None:
        return None
    slots = whole("slots", slots, StudyError)
    if batch_size is not None:
        raise StudyError(
            f"slots={slots} and batch_size={batch_size!r} exclude each other: slots are refilled"
            " as trials end, a batch ends as a whole; give one of them"
        )
    if not takes_streams(objective):
        raise StudyError(
            f"slots={slots} needs an objective with stream(arrivals), which takes in new trials"
            f" while others train, such as metaopt.Trainer; {type(objective).__name__} has none,"
            " so leave slots out, or see metaopt.trials.objective.StreamObjective for the protocol"
        )
    return int(slots)
