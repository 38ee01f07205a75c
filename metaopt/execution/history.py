"""The history of a study: its events, its trials and its strategy, kept in step.

An event is written before anything else depends on it. On reopening, the events give the trials
(`Replay`) and the log from which the strategy restores its state. Values are in the user's sign
here, and minimised in the strategy.
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
    """What has happened in a study; every change of it goes through here.

    Args:
        strategy: fresh; it is brought to the state that the events tell.
        events: of the study, from the first.
        maximise: whether the study's values are negated for the strategy.

    Attributes:
        state: the trials so far, to be read.

    Raises:
        StoreError: the events are damaged.
    """

    def __init__(self, strategy: Strategy, events: StudyEvents, *, maximise: bool) -> None:
        self._strategy = strategy
        self._events = events
        self._sign = -1 if maximise else 1
        self.state = Replay()
        # To be minimised; kept, since a pruner asks for all of them after every report.
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
            elif isinstance(event, Told):
                result = self._minimised(self[event.number].result)
                self._told_curves[event.number] = result.curve
                entries.append({"tell": {"number": event.number, "result": result.to_json()}})
            elif isinstance(event, Added):
                result = self._minimised(event.result)
                self._told_curves[event.proposal.number] = result.curve
                config = event.proposal.config
                entries.append({"observe": {"config": config, "result": result.to_json()}})
        self.state.discard_reports()
        if entries:
            self._strategy.load_state_dict({"header": self._strategy.header(), "log": entries})

    # -- looking ---------------------------------------------------------------------------------

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
        """The oldest group with a trial that is not told and of which none is held by a caller.

        Without `slots`, trials that were asked for slots do not count.
        """
        for number in self.state.untold:
            group = self.state.group(number)
            if not any(n in held or (not slots and n in self.asked_at) for n in group):
                return group
        return []

    @property
    def asked_at(self) -> Mapping[int, int]:
        """Of trials that were asked for slots, by number: how many ticks had passed."""
        return self.state.asked_at

    @property
    def ended_at(self) -> Mapping[int, int]:
        """Of trials that have ended in a slot, by number: the tick at which they did."""
        return self.state.ended_at

    def is_told(self, number: int) -> bool:
        """Whether the strategy has learnt a trial."""
        return number in self and number not in self.state.untold

    def is_batch(self, number: int) -> bool:
        """Whether a trial belongs to a batch, which may have one member."""
        return self.state.is_batch(number)

    def waiting(self, held: Collection[int]) -> list[int]:
        """Trials without a result that no caller holds."""
        return [n for n in self.state.untold if n not in held and self[n].result is None]

    def curve(self, number: int) -> Curve:
        """What a trial has reported, finished or in its current attempt, to be minimised."""
        result = self[number].result
        points = self.state.running_curve(number) if result is None else result.curve
        return points if self._sign > 0 else tuple((step, -value) for step, value in points)

    @property
    def told_curves(self) -> Mapping[int, Curve]:
        """The curves of the trials that the strategy has learnt, by number, to be minimised."""
        return self._told_curves

    # -- writing ---------------------------------------------------------------------------------

    def _write(self, event: Event, *, durable: bool = True) -> None:
        self._events.append(event, durable=durable)
        self.state.apply(event)

    def ask(self, n: int, *, batch: bool, tick: int | None = None) -> list[int]:
        """Have the strategy propose; a batch is told together when all of it has finished.

        For slots, `tick` is how many ticks have passed.
        """
        proposals = self._strategy.ask(n)
        if proposals:
            # Durable with the first start: until then nothing depends on it.
            entry = self._strategy.log[-1]["ask"]
            self._write(Asked(time.time(), entry, batch, tick), durable=False)
        return [p.number for p in proposals]

    def start(self, number: int, worker: str) -> None:
        """Record that an attempt at a trial begins."""
        self._write(Started(time.time(), number, self[number].attempts + 1, worker))

    def report(self, number: int, value: float, step: float) -> None:
        """Record what a running trial reports."""
        attempt = self[number].attempts
        self._write(Reported(time.time(), number, attempt, step, value), durable=False)

    def finish(self, number: int, result: Result, tick: int | None = None) -> None:
        """Record a result; from here on it is never lost and the trial never runs again.

        Of a trial in a slot, `tick` is the one at which it ended.
        """
        attempt = max(1, self[number].attempts)
        self._write(Finished(time.time(), number, attempt, result, tick))

    def tell_ready(self, then: Callable[[TrialRecord], Any]) -> list[TrialRecord]:
        """Tell the strategy what has finished, by number; a batch only when all of it has."""
        ready = [
            n
            for n in sorted(self.state.untold)
            if all(self[m].result is not None for m in self.state.group(n))
        ]
        records = [self[n] for n in ready]
        for record in records:
            result = self._minimised(record.result)
            self._strategy.tell(record.number, result)
            # Lost with a crash, this event comes again on reopening: no need to wait for the disk.
            self._write(Told(time.time(), record.number), durable=False)
            self._told_curves[record.number] = result.curve
            then(record)
        return records

    def enqueue(self, config: Config) -> bool:
        """Put a configuration before the next proposal; False if it is not new."""
        if not self._strategy.enqueue(config):
            return False
        self._write(Enqueued(time.time(), config))
        return True

    def add(self, config: Config, result: Result) -> TrialRecord:
        """Take in a trial from elsewhere."""
        minimised = self._minimised(result)
        proposal: Proposal = self._strategy.observe(config, minimised)
        self._write(Added(time.time(), proposal, result))
        self._told_curves[proposal.number] = minimised.curve
        return self[proposal.number]

    def flush(self) -> None:
        """Write what waits."""
        self._events.append()

    def close(self) -> None:
        """Write what waits and let go of the storage."""
        self._events.close()

    def _minimised(self, result: Result | None) -> Result:
        assert result is not None
        return result if self._sign > 0 else result.negated()
