"""What an executor must do: the Protocols `Executor` and `Monitor`.

An executor turns proposals into results. It makes a `Trial` for each proposal, calls the
objective, and tells the study's `Monitor` what happens. `metaopt.execution.inline` runs trials in
the caller's thread; a new executor implements `Executor` and is chosen in `metaopt.execution.loop`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from metaopt.trials.objective import Objective
from metaopt.trials.records import Proposal, Result
from metaopt.trials.trial import Channel


class Monitor(Channel, Protocol):
    """The study's end of the channel to running trials; executors tell it what they start.

    Attributes:
        data_seed: the study's seed for folds and sample order.
    """

    data_seed: int

    def started(self, number: int) -> None:
        """Record that an attempt at trial `number` begins."""
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
        """Run proposals; `together` gives them to the objective's `many(trials)` at once."""
        ...

    def stream(
        self, objective: Objective, arrivals: Iterator[Sequence[Proposal]], monitor: Monitor
    ) -> Iterator[tuple[int, Result]]:
        """Give the objective's `stream` the proposals that begin with each tick, when it asks."""
        ...
