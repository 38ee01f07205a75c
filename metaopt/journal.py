"""A study's events, its trials and its strategy, kept in step.

An event is written before anything else depends on it. On reopening, the events make the trials
(`Fold`) and the strategy's log, from which it becomes what it was. Values are in the user's sign
here and minimised in the strategy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
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
        # Curves to be minimised; kept, for a pruner asks for them after every report.
        self._running: dict[int, list[tuple[float, float]]] = {}
        self._finished: dict[int, Curve] = {}
        self._told: dict[int, Curve] = {}
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
            elif isinstance(event, Finished):
                self._finished[event.number] = self._minimised(event.result).curve
            elif isinstance(event, Told):
                result = self._minimised(self._fold.trials[event.number].result)
                self._told[event.number] = result.curve
                entries.append({"tell": {"number": event.number, "result": result.to_json()}})
            elif isinstance(event, Added):
                result = self._minimised(event.result)
                self._told[event.proposal.number] = result.curve
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
    def told_count(self) -> int:
        return len(self._fold.told)

    def unfinished(self, held: Collection[int], *, slots: bool = True) -> list[int]:
        """The oldest group with a trial that is not told and of which none is held by a caller.

        Without `slots`, trials that were asked for slots do not count.
        """
        for number in self._fold.untold:
            group = self._fold.group(number)
            if not any(n in held or (not slots and n in self.asked_at) for n in group):
                return group
        return []

    @property
    def asked_at(self) -> Mapping[int, int]:
        """Of trials that were asked for slots, by number: how many ticks had passed."""
        return self._fold.asked_at

    @property
    def ended_at(self) -> Mapping[int, int]:
        """Of trials that have ended in a slot, by number: the tick at which they did."""
        return self._fold.ended_at

    def is_told(self, number: int) -> bool:
        """Whether the strategy has learnt a trial."""
        return number in self and number not in self._fold.untold

    def is_batch(self, number: int) -> bool:
        """Whether a trial belongs to a batch, be it of one."""
        return self._fold.is_batch(number)

    def waiting(self, held: Collection[int]) -> list[int]:
        """Trials without a result that nobody holds."""
        return [n for n in self._fold.untold if n not in held and self[n].result is None]

    def curve(self, number: int) -> Curve:
        """What a trial has reported, finished or in its running attempt, to be minimised."""
        running = self._running.get(number)
        return self._finished.get(number, ()) if running is None else running

    @property
    def told_curves(self) -> Mapping[int, Curve]:
        """The curves of the trials that the strategy has learnt, by number, to be minimised."""
        return self._told

    # -- writing ---------------------------------------------------------------------------------

    def _write(self, event: Event, *, durable: bool = True) -> None:
        self._log.append(event, durable=durable)
        self._fold.apply(event)

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
        """Note that an attempt at a trial begins."""
        self._write(Started(time.time(), number, self[number].attempts + 1, worker))
        self._running[number] = []

    def report(self, number: int, value: float, step: float) -> None:
        """Note what a running trial reports."""
        attempt = self[number].attempts
        self._write(Reported(time.time(), number, attempt, step, value), durable=False)
        self._running.setdefault(number, []).append((step, self._sign * value))

    def finish(self, number: int, result: Result, tick: int | None = None) -> None:
        """Keep a result; from here on it is never lost and the trial never runs again.

        Of a trial in a slot, `tick` is the one at which it ended.
        """
        attempt = max(1, self[number].attempts)
        self._write(Finished(time.time(), number, attempt, result, tick))
        self._running.pop(number, None)
        self._finished[number] = self._minimised(result).curve

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
            self._told[record.number] = self._finished[record.number]
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
        self._told[proposal.number] = minimised.curve
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
