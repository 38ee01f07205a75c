"""What an executor must do: the Protocols `Executor` and `Monitor`.

An executor turns proposals into results. It creates a `Trial` for each proposal, calls the
objective, and reports to the study's `Monitor`. `metaopt.execution.inline` runs trials in the
caller's thread; a new executor implements `Executor` and is selected in `metaopt.execution.loop`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from metaopt.trials.objective import Objective
from metaopt.trials.records import Proposal, Result
from metaopt.trials.trial import Channel


class Monitor(Channel, Protocol):
    """The study's end of the channel to running trials; executors tell it which trials start.

    Attributes:
        data_seed: the study's seed for cross-validation folds and sample order.
    """

    data_seed: int

    def started(self, number: int) -> None:
        """Record that an attempt at a trial begins.

        Args:
            number: of the trial.
        """
        ...


class Executor(Protocol):
    """Runs proposals and yields each trial's number and result, in any order."""

    def run(
        self,
        objective: Objective,
        proposals: Sequence[Proposal],
        monitor: Monitor,
        *,
        together: bool,
    ) -> Iterator[tuple[int, Result]]:
        """Evaluate proposals; yield results as soon as they are known, in any order.

        Args:
            objective: to be called; with `together`, it must have `many(trials)`.
            proposals: the trials to run.
            monitor: of the study; is told of the start of each trial.
            together: whether to pass all proposals in one call to the objective's `many`.

        Yields:
            The number and the result of each trial.
        """
        ...

    def stream(
        self, objective: Objective, arrivals: Iterator[Sequence[Proposal]], monitor: Monitor
    ) -> Iterator[tuple[int, Result]]:
        """Run the objective's `stream`; it takes in new proposals at each tick.

        Args:
            objective: must have `stream(arrivals)`.
            arrivals: yields, at each tick, the proposals that begin then; often none.
            monitor: of the study; is told of the start of each trial.

        Yields:
            The number and the result of each trial when it ends.
        """
        ...
