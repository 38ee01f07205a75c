"""The interface of objectives, with two optional methods that evaluate several trials together.

- Every objective is called with a `Trial` and returns a number or a `Result`.
- A `BatchObjective` also has `many(trials)`, which evaluates a whole batch at once.
- A `StreamObjective` also has `stream(arrivals)`, which accepts new trials while others run.

An objective may have an attribute ``direction``, "minimize" or "maximize"; a study with the other
direction rejects it. A `BatchObjective` with ``lockstep = True`` reports one step of all members
before it calls `should_stop` of any, so that a pruner can compare them with each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeGuard

from metaopt.trials.records import Result
from metaopt.trials.trial import Trial

# What `many` and `stream` yield: the number of a trial, and its value or Result.
Numbered = tuple[int, "float | Result"]


class Objective(Protocol):
    """Evaluates one trial."""

    def __call__(self, trial: Trial, /) -> float | Result:
        """Return the value of a trial, or a `Result`; an exception is recorded as a failure."""
        ...


class BatchObjective(Objective, Protocol):
    """An objective that can also evaluate a batch of trials together."""

    def many(self, trials: Sequence[Trial], /) -> Iterator[Numbered]:
        """Yield each trial's number and outcome, in any order."""
        ...


class StreamObjective(Objective, Protocol):
    """An objective that can also accept new trials while others run (refilled slots).

    Every iteration over `arrivals` is one tick, a step of all running trials::

        def stream(self, arrivals):
            running = {}
            for starting in arrivals:  # new trials, often none; ends when no trial is left
                running.update((trial.number, trial) for trial in starting)
                ...  # one epoch of each, and trial.report(value, step)
                for number, trial in list(running.items()):
                    if trial.should_stop() or ...:
                        del running[number]
                        yield number, value  # or a Result

    All running trials report before `should_stop` of any is called, since a pruner compares them
    with each other. A trial that is yielded ends at this tick: its result is passed to the
    strategy, and the next item of `arrivals` refills its slot.
    """

    def stream(self, arrivals: Iterable[Sequence[Trial]], /) -> Iterator[Numbered]:
        """Yield each trial's number and outcome when it ends."""
        ...


def takes_batches(objective: Any) -> TypeGuard[BatchObjective]:
    """Whether the objective has `many(trials)`."""
    return callable(getattr(objective, "many", None))


def takes_streams(objective: Any) -> TypeGuard[StreamObjective]:
    """Whether the objective has `stream(arrivals)`."""
    return callable(getattr(objective, "stream", None))


def runs_in_lockstep(objective: Any) -> bool:
    """Whether the objective's `many` reports one step of all members before the next."""
    return bool(getattr(objective, "lockstep", False))
