"""One call of `Study.optimize`: its arguments, checked, and the loop until an end comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from metaopt.driver import StudyDriver
from metaopt.errors import StudyError, real, whole
from metaopt.execute import Inline
from metaopt.execute.evaluate import Objective
from metaopt.execute.replicated import replicated
from metaopt.journal import Journal
from metaopt.records import TrialRecord
from metaopt.slots import Slots, read_slots
from metaopt.stopping import StopCondition

if TYPE_CHECKING:
    from metaopt.study import Study

Callback = Callable[["Study", TrialRecord], None]


@dataclass(frozen=True)
class Outcome:
    """Why `optimize` came back, in a word and in words."""

    reason: Literal["n_trials", "timeout", "exhausted", "stopped"]
    message: str


@dataclass(frozen=True)
class Parts:
    """What a loop works on, of the study that it belongs to.

    Attributes:
        study: as conditions and callbacks see it.
        journal: what has happened.
        driver: what trials talk to.
        held: numbers of the trials that a caller has.
        tell: tells the strategy what is ready, and returns it.
        stopping: whether `Study.stop` was called.
    """

    study: Study
    journal: Journal
    driver: StudyDriver
    held: Collection[int]
    tell: Callable[[], list[TrialRecord]]
    stopping: Callable[[], bool]


class Optimization:
    """The loop of a study, with the arguments of `Study.optimize`.

    Args:
        parts: of the study.
        progress: called after trials were told.

    Raises:
        StudyError: an argument is wrong.
    """

    def __init__(
        self,
        parts: Parts,
        objective: Objective,
        n_trials: int | None,
        timeout: float | None,
        *,
        trial_timeout: float | None,
        batch_size: int | None,
        slots: int | None,
        replicates: int,
        stop: StopCondition | Sequence[StopCondition] | None,
        callbacks: Sequence[Callback],
        progress: Callable[[], None],
    ) -> None:
        self._study, self._journal, self._driver = parts.study, parts.journal, parts.driver
        self._held, self._tell_ready, self._stopping = parts.held, parts.tell, parts.stopping
        self._slots = read_slots(slots, batch_size, objective)
        self._objective = replicated(objective, whole("replicates", replicates, StudyError))
        if n_trials is None and timeout is None and stop is None:
            raise StudyError("optimize needs n_trials, timeout or stop, or it would never end")
        self._n_trials = _whole("n_trials", n_trials)
        self._batch_size = _whole("batch_size", batch_size)
        self._conditions: list[StopCondition] = _functions("stop", stop)
        self._callbacks: list[Callback] = _functions("callbacks", callbacks)
        self._executor = Inline(trial_timeout=trial_timeout)
        self._progress = progress
        seconds = None if timeout is None else real("timeout", timeout, StudyError, above=0)
        self._deadline = None if seconds is None else time.monotonic() + seconds

    def run(self) -> Outcome:
        """Evaluate and tell until an end comes, and say which."""
        while True:
            # Pending trials come first: they had begun before any end could come.
            if self._slots is not None and not self._pending():
                ran = self._refill(self._slots)
                outcome = self._end()
            else:
                outcome = self._end()
                ran = outcome is None and self._run_group()
            if outcome is not None:
                return outcome
            if not ran:
                return Outcome("exhausted", exhausted(self._journal))

    def _end(self) -> Outcome | None:
        journal = self._journal
        total, told = len(journal), journal.told_count
        if self._stopping():
            return Outcome("stopped", f"stop() was called after {told} trials")
        for condition in self._conditions:
            reason = condition(self._study)
            if reason:
                return Outcome("stopped", reason if isinstance(reason, str) else "a stop condition")
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return Outcome("timeout", f"the timeout came after {told} trials")
        n_trials = self._n_trials
        if n_trials is not None and total >= n_trials and not journal.unfinished(self._held):
            return Outcome(
                "n_trials", f"the study holds {total} trials; for more, raise n_trials={n_trials}"
            )
        return None

    def _pending(self) -> list[int]:
        """The oldest group that was left unfinished; with slots, of trials that have none."""
        return self._journal.unfinished(self._held, slots=self._slots is None)

    def _run_group(self) -> bool:
        """Evaluate what was left unfinished, else new proposals, and tell; False if none are."""
        group = self._pending()
        if not group:
            size = self._batch_size or 1
            if self._n_trials is not None:
                size = min(size, self._n_trials - len(self._journal))
            group = self._journal.ask(size, batch=self._batch_size is not None)
        if group:
            self._evaluate(group)
            self._tell()
        return bool(group)

    def _evaluate(self, group: list[int]) -> None:
        """Evaluate what is missing of a group."""
        journal, driver, objective = self._journal, self._driver, self._objective
        todo = [journal[n].proposal for n in group if journal[n].result is None]
        if not todo:
            return
        together = journal.is_batch(group[0]) and hasattr(objective, "many")
        lockstep = together and getattr(objective, "lockstep", False)
        with driver.together(group if lockstep else ()):
            for number, result in self._executor.run(objective, todo, driver, together=together):
                journal.finish(number, driver.in_time(number, result))

    def _refill(self, size: int) -> bool:
        """Keep so many trials running until an end comes and none runs; tell if any did."""

        def room() -> int:
            if self._end() is not None:
                return 0
            return size if self._n_trials is None else self._n_trials - len(self._journal)

        slots = Slots(size, self._journal, self._driver, self._tell, room, self._held)
        return slots.run(self._executor, self._objective)

    def _tell(self) -> int:
        """Tell what is ready, then call back for each; return how many that were."""
        records = self._tell_ready()
        for record in records:
            for callback in self._callbacks:
                callback(self._study, record)
        if records:
            self._progress()
        return len(records)


def exhausted(journal: Journal) -> str:
    """Say that there is nothing more to propose."""
    return f"the space is exhausted: all of its {len(journal)} configurations were tried"


def _whole(name: str, given: int | None) -> int | None:
    return None if given is None else whole(name, given, StudyError)


def _functions(name: str, given: Any) -> list[Any]:
    """Read one function, a sequence of them, or None."""
    if given is None or callable(given):
        return [] if given is None else [given]
    functions = list(given) if isinstance(given, (list, tuple)) else [given]
    for function in functions:
        if not callable(function):
            raise StudyError(f"{name} must be a function or a list of them, got {function!r}")
    return functions
