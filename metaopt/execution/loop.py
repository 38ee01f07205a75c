"""The loop of a study: check the arguments of `Study.optimize`, run until an end is reached."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from metaopt.core.errors import StudyError, real, whole
from metaopt.execution.history import History
from metaopt.execution.inline import Inline
from metaopt.execution.monitor import StudyMonitor
from metaopt.execution.replicates import replicated
from metaopt.execution.slots import Slots, read_slots
from metaopt.execution.stop_conditions import StopCondition
from metaopt.storage.study_view import StudyView
from metaopt.trials.objective import Objective, runs_in_lockstep, takes_batches
from metaopt.trials.records import TrialRecord

# Called with the study and the record after every told trial. Any: users annotate `Study`.
Callback = Callable[[Any, TrialRecord], None]


@dataclass(frozen=True)
class Ending:
    """Why `optimize` returned.

    Attributes:
        reason: "n_trials" (the study holds that many), "timeout", "exhausted" (all configurations
            of the space were tried) or "stopped" (by a stop condition or `Study.stop`).
        message: the reason as a sentence.
    """

    reason: Literal["n_trials", "timeout", "exhausted", "stopped"]
    message: str


class Optimization:
    """The loop of a study, with the arguments of `Study.optimize`.

    Args:
        study: passed to stop conditions and callbacks.
        history: of the study.
        monitor: of the study.
        held: numbers of the trials that a caller has; they are not run here.
        tell: tells the strategy the trials that are ready, and returns their records.
        stopping: returns whether `Study.stop` was called.
        progress: called after trials were told.

    Raises:
        StudyError: an argument is wrong.
    """

    def __init__(
        self,
        study: StudyView,
        history: History,
        monitor: StudyMonitor,
        held: Collection[int],
        tell: Callable[[], list[TrialRecord]],
        stopping: Callable[[], bool],
        progress: Callable[[], None],
        *,
        objective: Objective,
        n_trials: int | None,
        timeout: float | None,
        trial_timeout: float | None,
        batch_size: int | None,
        slots: int | None,
        replicates: int,
        stop: StopCondition | Sequence[StopCondition] | None,
        callbacks: Sequence[Callback],
    ) -> None:
        self._study, self._history, self._monitor = study, history, monitor
        self._held, self._tell_ready, self._stopping = held, tell, stopping
        self._slots = read_slots(slots, batch_size, objective)
        self._objective = replicated(objective, whole("replicates", replicates, StudyError))
        if n_trials is None and timeout is None and stop is None:
            raise StudyError("optimize needs n_trials, timeout or stop, else it would never end")
        self._n_trials = _whole("n_trials", n_trials)
        self._batch_size = _whole("batch_size", batch_size)
        self._conditions: list[StopCondition] = _functions("stop", stop)
        self._callbacks: list[Callback] = _functions("callbacks", callbacks)
        self._executor = Inline(trial_timeout=trial_timeout)
        self._progress = progress
        seconds = None if timeout is None else real("timeout", timeout, StudyError, above=0)
        self._deadline = None if seconds is None else time.monotonic() + seconds

    def run(self) -> Ending:
        """Evaluate trials and tell their results until an end is reached; return the reason."""
        while True:
            # Finish pending trials before checking stop conditions.
            if self._slots is not None and not self._pending():
                ran = self._refill(self._slots)
                ending = self._end()
            else:
                ending = self._end()
                ran = ending is None and self._run_group()
            if ending is not None:
                return ending
            if not ran:
                return Ending("exhausted", exhausted(self._history))

    def _end(self) -> Ending | None:
        history = self._history
        total, told = len(history), history.told_count
        if self._stopping():
            return Ending("stopped", f"stop() was called after {told} trials")
        for condition in self._conditions:
            reason = condition(self._study)
            if reason:
                return Ending("stopped", reason if isinstance(reason, str) else "a stop condition")
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return Ending("timeout", f"the timeout was reached after {told} trials")
        n_trials = self._n_trials
        if n_trials is not None and total >= n_trials and not history.unfinished(self._held):
            return Ending(
                "n_trials", f"the study holds {total} trials; for more, raise n_trials={n_trials}"
            )
        return None

    def _pending(self) -> list[int]:
        """Return the oldest unfinished group; with slots, only trials that have no slot count."""
        return self._history.unfinished(self._held, slots=self._slots is None)

    def _run_group(self) -> bool:
        """Evaluate and tell an unfinished group, or else a new one; False if there is neither."""
        group = self._pending()
        if not group:
            size = self._batch_size or 1
            if self._n_trials is not None:
                size = min(size, self._n_trials - len(self._history))
            group = self._history.ask(size, batch=self._batch_size is not None)
        if group:
            self._evaluate(group)
            self._tell()
        return bool(group)

    def _evaluate(self, group: list[int]) -> None:
        """Evaluate the trials of a group that have no result."""
        history, monitor, objective = self._history, self._monitor, self._objective
        todo = [history[n].proposal for n in group if history[n].result is None]
        if not todo:
            return
        together = history.is_batch(group[0]) and takes_batches(objective)
        lockstep = together and runs_in_lockstep(objective)
        with monitor.together(group if lockstep else ()):
            for number, result in self._executor.run(objective, todo, monitor, together=together):
                history.finish(number, monitor.in_time(number, result))

    def _refill(self, size: int) -> bool:
        """Keep `size` trials running until an end is reached; return whether any trial ran."""

        def free_slots() -> int:
            if self._end() is not None:
                return 0
            return size if self._n_trials is None else self._n_trials - len(self._history)

        slots = Slots(size, self._history, self._monitor, self._tell, free_slots, self._held)
        return slots.run(self._executor, self._objective)

    def _tell(self) -> int:
        """Tell all trials that are ready and call the callbacks; return the number of trials."""
        records = self._tell_ready()
        for record in records:
            for callback in self._callbacks:
                callback(self._study, record)
        if records:
            self._progress()
        return len(records)


def exhausted(history: History) -> str:
    """Return the message for a space without new configurations."""
    return f"the space is exhausted: all of its {len(history)} configurations were tried"


def _whole(name: str, given: int | None) -> int | None:
    return None if given is None else whole(name, given, StudyError)


def _functions(name: str, given: Any) -> list[Any]:
    """Return one function, a sequence of them, or None, as a list."""
    if given is None or callable(given):
        return [] if given is None else [given]
    functions = list(given) if isinstance(given, (list, tuple)) else [given]
    for function in functions:
        if not callable(function):
            raise StudyError(f"{name} must be a function or a list of them, got {function!r}")
    return functions
