"""A study's events, its trials and its strategy, kept in step.

An event is written before anything else depends on it. On reopening, the events make the trials
(`Fold`) and the strategy's log, from which it becomes what it was. Values are in the user's sign
here and minimised in the strategy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from typing import Any

from metaopt.errors import MetaoptError, StoreError
from metaopt.records import Json, Proposal, Result, TrialRecord
from metaopt.space import Config
from metaopt.store import (
    Added,
    Asked,
    Enqueued,
    Event,
    EventLog,
    Finished,
    Fold,
    Reported,
    Started,
    Told,
)
from metaopt.strategy import Curve, Strategy


class Journal:
    """What has happened in a study; every change of it goes through here."""

    def __init__(self, strategy: Strategy, log: EventLog, *, maximise: bool) -> None:
        self._strategy = strategy
        self._log = log
        self._sign = -1 if maximise else 1
        self._fold = Fold()
        self._curves: dict[int, Curve] = {}  # of finished trials, to be minimised
        try:
            self._replay(log)
        except MetaoptError:
            raise
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise StoreError(f"the stored study is damaged: {error!r}") from error

    def _replay(self, events: Iterable[Event]) -> None:
        entries: list[Json] = []
        for event in events:
            self._fold.apply(event)
            if isinstance(event, Asked):
                entries.append({"ask": event.entry})
            elif isinstance(event, Enqueued):
                entries.append({"enqueue": event.config})
            elif isinstance(event, Told):
                result = self._minimised(self._fold.trials[event.number].result)
                entries.append({"tell": {"number": event.number, "result": result.to_json()}})
            elif isinstance(event, Added):
                result = self._minimised(event.result)
                config = event.proposal.config
                entries.append({"observe": {"config": config, "result": result.to_json()}})
        if entries:
            self._strategy.load_state_dict({"header": self._strategy.header(), "log": entries})

    # -- looking ---------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._fold.trials)

    def __getitem__(self, number: int) -> TrialRecord:
        return self._fold.trials[number]

    def __contains__(self, number: object) -> bool:
        return number in self._fold.trials

    @property
    def trials(self) -> list[TrialRecord]:
        """All trials by number."""
        return [self._fold.trials[n] for n in sorted(self._fold.trials)]

    @property
    def told(self) -> list[TrialRecord]:
        """Trials that the strategy has learnt, in the order in which it did."""
        return [self._fold.trials[n] for n in self._fold.told]

    @property
    def told_numbers(self) -> list[int]:
        """Their numbers, in that order."""
        return list(self._fold.told)

    @property
    def told_count(self) -> int:
        return len(self._fold.told)

    def unfinished(self, held: Collection[int]) -> list[int]:
        """The oldest group with a trial that is not told and of which none is held by a caller."""
        for number in self._fold.untold:
            group = self._fold.group(number)
            if not any(n in held for n in group):
                return group
        return []

    def is_batch(self, number: int) -> bool:
        """Whether a trial belongs to a batch, be it of one."""
        return self._fold.is_batch(number)

    def waiting(self, held: Collection[int]) -> list[int]:
        """Trials without a result that nobody holds."""
        return [n for n in self._fold.untold if n not in held and self[n].result is None]

    def curves(self, numbers: Iterable[int]) -> dict[int, Curve]:
        """What trials have reported, finished or running, to be minimised."""
        return {n: self._curve(n) for n in numbers}

    def _curve(self, number: int) -> Curve:
        if number in self._curves:
            return self._curves[number]
        result = self[number].result
        given = self._fold.running_curve(number) if result is None else result.curve
        curve = given if self._sign > 0 else tuple((step, -value) for step, value in given)
        if result is not None:  # it will not change, and a pruner asks again and again
            self._curves[number] = curve
        return curve

    # -- writing ---------------------------------------------------------------------------------

    def _write(self, event: Event, *, durable: bool = True) -> None:
        self._log.append(event, durable=durable)
        self._fold.apply(event)

    def ask(self, n: int, *, batch: bool) -> list[int]:
        """Have the strategy propose; a batch is told together when all of it has finished."""
        proposals = self._strategy.ask(n)
        if proposals:
            # Durable with the first start: until then nothing depends on it.
            entry = self._strategy.log[-1]["ask"]
            self._write(Asked(time.time(), entry, batch), durable=False)
        return [p.number for p in proposals]

    def start(self, number: int, worker: str) -> None:
        """Note that an attempt at a trial begins."""
        self._write(Started(time.time(), number, self[number].attempts + 1, worker))

    def report(self, number: int, value: float, step: float) -> None:
        """Note what a running trial reports."""
        attempt = self[number].attempts
        self._write(Reported(time.time(), number, attempt, step, value), durable=False)

    def finish(self, number: int, result: Result) -> None:
        """Keep a result; from here on it is never lost and the trial never runs again."""
        attempt = max(1, self[number].attempts)
        self._write(Finished(time.time(), number, attempt, result))

    def tell_ready(self, then: Callable[[TrialRecord], Any]) -> list[TrialRecord]:
        """Tell the strategy what has finished, by number; a batch only when all of it has."""
        ready = [
            n
            for n in sorted(self._fold.untold)
            if all(self[m].result is not None for m in self._fold.group(n))
        ]
        records = [self[n] for n in ready]
        for record in records:
            self._strategy.tell(record.number, self._minimised(record.result))
            # Lost with a crash, this event comes again on reopening: no need to wait for the disk.
            self._write(Told(time.time(), record.number), durable=False)
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
        proposal: Proposal = self._strategy.observe(config, self._minimised(result))
        self._write(Added(time.time(), proposal, result))
        return self[proposal.number]

    def flush(self) -> None:
        """Write what waits."""
        self._log.append()

    def close(self) -> None:
        """Write what waits and let go of the storage."""
        self._log.close()

    def _minimised(self, result: Result | None) -> Result:
        assert result is not None
        return result if self._sign > 0 else result.negated()
