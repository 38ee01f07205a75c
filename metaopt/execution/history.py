"""The history of a study: keeps its events, its trials and its strategy consistent.

An event is written before anything depends on it. When a study is reopened, its events give the
trials (`Replay`) and the log from which the strategy restores its state. Values are in the user's
own sign here; the strategy gets them negated if the study maximises.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from metaopt.core.errors import MetaoptError, StoreError
from metaopt.core.types import Curve
from metaopt.space import Config
from metaopt.storage import (
    Added,
    Asked,
    Enqueued,
    Event,
    Finished,
    Replay,
    Reported,
    Started,
    StudyEvents,
    Told,
)
from metaopt.strategy.base import Strategy
from metaopt.trials.records import Json, Proposal, Result, TrialRecord


class History:
    """The history of a study; every change of the study goes through this class.

    Args:
        strategy: new; its state is restored from the events.
        events: all events of the study.
        maximise: whether the study's values are negated for the strategy.

    Attributes:
        state: the trials so far; read-only for others.

    Raises:
        StoreError: the events are damaged.
    """

    def __init__(self, strategy: Strategy, events: StudyEvents, *, maximise: bool) -> None:
        self._strategy = strategy
        self._events = events
        self._sign = -1 if maximise else 1
        self.state = Replay()
        # Curves in the minimised sign, of running trials (lists that grow) and of finished ones.
        # Kept beside the records, since a pruner needs all of them after every report.
        self._running: dict[int, list[tuple[float, float]]] = {}
        self._curves: dict[int, Curve] = {}
        self._told_curves: dict[int, Curve] = {}
        try:
            self._replay(events)
        except MetaoptError:
            raise
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise StoreError(f"the stored study is damaged: {error!r}") from error

    def _replay(self, events: Iterable[Event]) -> None:
        entries: list[Json] = []
        for event in events:
            self.state.apply(event)
            if isinstance(event, Asked):
                entries.append({"ask": event.entry})
            elif isinstance(event, Enqueued):
                entries.append({"enqueue": event.config})
            elif isinstance(event, Finished):
                self._curves[event.number] = self._minimised(event.result).curve
            elif isinstance(event, Told):
                result = self._minimised(self[event.number].result)
                self._told_curves[event.number] = self._curves[event.number]
                entries.append({"tell": {"number": event.number, "result": result.to_json()}})
            elif isinstance(event, Added):
                result = self._minimised(event.result)
                self._told_curves[event.proposal.number] = result.curve
                config = event.proposal.config
                entries.append({"observe": {"config": config, "result": result.to_json()}})
        if entries:
            self._strategy.load_state_dict({"header": self._strategy.header(), "log": entries})

    # -- reading ---------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.state.by_number)

    def __getitem__(self, number: int) -> TrialRecord:
        return self.state.by_number[number]

    def __contains__(self, number: object) -> bool:
        return number in self.state.by_number

    @property
    def told_count(self) -> int:
        return len(self.state.told_numbers)

    def unfinished(self, held: Collection[int], *, slots: bool = True) -> list[int]:
        """Return the oldest group (a batch or a single trial) that is not told yet, or [].

        Args:
            held: numbers of the trials that a caller has; groups with such a trial are skipped.
            slots: whether to include trials that were asked for slots.
        """
        for number in self.state.untold:
            group = self.state.group(number)
            if not any(n in held or (not slots and n in self.asked_at) for n in group):
                return group
        return []

    @property
    def asked_at(self) -> Mapping[int, int]:
        """For each trial that was asked for slots, by number: how many ticks had passed."""
        return self.state.asked_at

    @property
    def ended_at(self) -> Mapping[int, int]:
        """For each trial that ended in a slot, by number: the tick at which it ended."""
        return self.state.ended_at

    def is_told(self, number: int) -> bool:
        """Whether the strategy was told the result of a trial."""
        return number in self and number not in self.state.untold

    def is_batch(self, number: int) -> bool:
        """Whether a trial was asked as part of a batch (even of a batch of one)."""
        return self.state.is_batch(number)

    def waiting(self, held: Collection[int]) -> list[int]:
        """Return the numbers of unfinished trials that are not in `held`."""
        return [n for n in self.state.untold if n not in held and self[n].result is None]

    def curve(self, number: int) -> Curve:
        """Return what a trial has reported, in its last attempt, to be minimised.

        Args:
            number: of the trial.
        """
        return self._curves.get(number, ())

    @property
    def told_curves(self) -> Mapping[int, Curve]:
        """The curves of all told trials, by number, in the minimised sign."""
        return self._told_curves

    # -- writing ---------------------------------------------------------------------------------

    def _write(self, event: Event, *, durable: bool = True) -> None:
        self._events.append(event, durable=durable)
        self.state.apply(event)

    def ask(self, n: int, *, batch: bool, tick: int | None = None) -> list[int]:
        """Ask the strategy for proposals.

        Args:
            n: number of proposals.
            batch: whether their results are told together, when all of them have finished.
            tick: for slots, the number of ticks that have passed.

        Returns:
            The numbers of the new trials; fewer than `n` if the space is exhausted.
        """
        proposals = self._strategy.ask(n)
        if proposals:
            # The first start makes it durable; nothing depends on it before.
            entry = self._strategy.log[-1]["ask"]
            self._write(Asked(time.time(), entry, batch, tick), durable=False)
        return [p.number for p in proposals]

    def start(self, number: int, worker: str) -> None:
        """Record that an attempt at a trial begins."""
        self._write(Started(time.time(), number, self[number].attempts + 1, worker))
        self._running[number] = self._curves[number] = []

    def report(self, number: int, value: float, step: float) -> None:
        """Record an intermediate value of a running trial."""
        attempt = self[number].attempts
        self._write(Reported(time.time(), number, attempt, step, value), durable=False)
        if number in self._running:  # else it reports after its end
            self._running[number].append((step, self._sign * value))

    def finish(self, number: int, result: Result, tick: int | None = None) -> None:
        """Record a result; when this returns, it is stored and the trial is never run again.

        For a trial in a slot, `tick` is the tick at which it ended.
        """
        attempt = max(1, self[number].attempts)
        self._write(Finished(time.time(), number, attempt, result, tick))
        self._running.pop(number, None)
        self._curves[number] = self._minimised(result).curve

    def tell_ready(self, then: Callable[[TrialRecord], Any]) -> list[TrialRecord]:
        """Tell the strategy finished trials, by number; a batch only when all of it has finished.

        Args:
            then: called with each record after it was told.

        Returns:
            The records of the trials that were told.
        """
        ready = [
            n
            for n in sorted(self.state.untold)
            if all(self[m].result is not None for m in self.state.group(n))
        ]
        records = [self[n] for n in ready]
        for record in records:
            result = self._minimised(record.result)
            self._strategy.tell(record.number, result)
            # Need not be durable: if a crash loses this event, the trial is told again later.
            self._write(Told(time.time(), record.number), durable=False)
            self._told_curves[record.number] = self._curves[record.number]
            then(record)
        return records

    def enqueue(self, config: Config) -> bool:
        """Queue a configuration as the next proposal; return False if it is not new."""
        if not self._strategy.enqueue(config):
            return False
        self._write(Enqueued(time.time(), config))
        return True

    def add(self, config: Config, result: Result) -> TrialRecord:
        """Add a finished trial that the study did not run."""
        minimised = self._minimised(result)
        proposal: Proposal = self._strategy.observe(config, minimised)
        self._write(Added(time.time(), proposal, result))
        self._told_curves[proposal.number] = minimised.curve
        return self[proposal.number]

    def flush(self) -> None:
        """Write buffered events."""
        self._events.append()

    def close(self) -> None:
        """Write buffered events and close the storage."""
        self._events.close()

    def _minimised(self, result: Result | None) -> Result:
        assert result is not None
        return result if self._sign > 0 else result.negated()
