"""The events of a study, as immutable records. `Replay` rebuilds the trials from the events.

Values and curves are in the user's own sign (not negated for maximisation).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

from metaopt.core.errors import StoreError
from metaopt.space import Config
from metaopt.trials.records import (
    Json,
    Proposal,
    Result,
    TrialRecord,
    number_from_json,
    number_to_json,
)


@dataclass(frozen=True)
class Event:
    """Base class of all events.

    Attributes:
        time: of the event, in seconds since 1970 (UTC).
        kind: name of the event's class in the store.
    """

    time: float
    kind: ClassVar[str]

    def body(self) -> dict[str, Json]:
        """Return all fields except `time`, as JSON."""
        data = asdict(self)
        del data["time"]
        return data

    @classmethod
    def read(cls, time: float, body: Mapping[str, Json]) -> Event:
        """Return the event with this time and this `body`."""
        return cls(time, **body)


@dataclass(frozen=True)
class Enqueued(Event):
    """A user queued a configuration; the strategy proposes it next.

    Attributes:
        config: the configuration.
    """

    config: Config
    kind: ClassVar[str] = "enqueued"


@dataclass(frozen=True)
class Asked(Event):
    """The strategy proposed configurations, in one call of `ask`.

    Attributes:
        entry: what the strategy logged of the call, as JSON: proposals, notes and state.
        batch: True if the trials are told together, by number, when all of them have finished.
        tick: number of ticks that had passed if the trials were asked for slots (see
            `metaopt.execution.slots`), else None.
    """

    entry: Mapping[str, Json]
    batch: bool
    tick: int | None = None
    kind: ClassVar[str] = "asked"

    def body(self) -> dict[str, Json]:
        return _without_none(super().body(), "tick")

    @property
    def proposals(self) -> list[Proposal]:
        return [Proposal.from_json(p) for p in self.entry["proposals"]]


@dataclass(frozen=True)
class Started(Event):
    """An attempt at a trial began; a trial that was interrupted has several attempts.

    Attributes:
        number: of the trial.
        attempt: counts from 1 within the trial.
        worker: name of what evaluates the trial.
    """

    number: int
    attempt: int
    worker: str
    kind: ClassVar[str] = "started"


@dataclass(frozen=True)
class Reported(Event):
    """A running trial reported an intermediate value.

    Attributes:
        number: of the trial.
        attempt: counts from 1 within the trial.
        step: of the trial, such as the epoch.
        value: that was reported.
    """

    number: int
    attempt: int
    step: float
    value: float
    kind: ClassVar[str] = "reported"

    def body(self) -> dict[str, Json]:
        out = super().body()
        return {**out, "step": number_to_json(self.step), "value": number_to_json(self.value)}

    @classmethod
    def read(cls, time: float, body: Mapping[str, Json]) -> Event:
        step, value = (number_from_json(body[k]) for k in ("step", "value"))
        return cls(time, **{**body, "step": step, "value": value})


@dataclass(frozen=True)
class Finished(Event):
    """An attempt at a trial ended with a result; the trial is not run again.

    Attributes:
        number: of the trial.
        attempt: counts from 1 within the trial.
        result: of the trial; it may be a failure.
        tick: at which the trial ended if it ran in a slot, else None.
    """

    number: int
    attempt: int
    result: Result
    tick: int | None = None
    kind: ClassVar[str] = "finished"

    def body(self) -> dict[str, Json]:
        out = {"number": self.number, "attempt": self.attempt, "tick": self.tick}
        return {**_without_none(out, "tick"), "result": self.result.to_json()}

    @classmethod
    def read(cls, time: float, body: Mapping[str, Json]) -> Event:
        result = Result.from_json(body["result"])
        return cls(time, body["number"], body["attempt"], result, body.get("tick"))


@dataclass(frozen=True)
class Told(Event):
    """The strategy was told the result; it is told in the order of these events.

    Attributes:
        number: of the trial.
    """

    number: int
    kind: ClassVar[str] = "told"


@dataclass(frozen=True)
class Added(Event):
    """The user added a finished trial that the study had not run; the strategy observes it.

    Attributes:
        proposal: number and configuration of the trial.
        result: of the trial.
    """

    proposal: Proposal
    result: Result
    kind: ClassVar[str] = "added"

    def body(self) -> dict[str, Json]:
        return {"proposal": self.proposal.to_json(), "result": self.result.to_json()}

    @classmethod
    def read(cls, time: float, body: Mapping[str, Json]) -> Event:
        return cls(time, Proposal.from_json(body["proposal"]), Result.from_json(body["result"]))


KINDS: dict[str, type[Event]] = {
    c.kind: c for c in (Enqueued, Asked, Started, Reported, Finished, Told, Added)
}


def _without_none(body: dict[str, Json], name: str) -> dict[str, Json]:
    """Leave out a field that is None: studies without slots keep the format of older files."""
    return {k: v for k, v in body.items() if k != name or v is not None}


def event_to_text(event: Event) -> str:
    """Return the body of an event as JSON text.

    Args:
        event: any of the events of this module.
    """
    return json.dumps(event.body(), separators=(",", ":"), allow_nan=False)


def event_from_text(kind: str, time: float, text: str) -> Event:
    """Return the event that `event_to_text` turned into text.

    Args:
        kind: of the event.
        time: of the event, in seconds since 1970 (UTC).
        text: body of the event, as JSON.

    Raises:
        StoreError: the text is damaged, or the kind comes from a later version of metaopt.
    """
    if kind not in KINDS:
        raise StoreError(f"unknown event {kind!r}: the study was written by a later metaopt")
    try:
        return KINDS[kind].read(time, json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(f"a stored event {kind!r} is damaged: {error!r}") from error


class Replay:
    """The trials of a study, rebuilt and kept up to date from its events.

    Args:
        events: the first events of the study; more follow with `apply`.

    Attributes:
        by_number: the record of each trial.
        told_numbers: numbers of the trials that the strategy was told, in that order, including
            added trials.
        untold: numbers of the trials that were asked and not yet told (an ordered set).
        asked_at: for each trial in a slot, the tick at which it was asked.
        ended_at: for each trial in a slot that has ended, the tick at which it ended.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.by_number: dict[int, TrialRecord] = {}
        self.told_numbers: list[int] = []
        self.untold: dict[int, None] = {}
        self.asked_at: dict[int, int] = {}
        self.ended_at: dict[int, int] = {}
        self._batches: dict[int, list[int]] = {}
        self._reports: dict[int, list[tuple[float, float]]] = {}
        for event in events:
            self.apply(event)

    @property
    def trials(self) -> list[TrialRecord]:
        """All trials by number, including unfinished ones."""
        return [self.by_number[n] for n in sorted(self.by_number)]

    @property
    def told(self) -> list[TrialRecord]:
        """Trials that the strategy was told, in that order."""
        return [self.by_number[n] for n in self.told_numbers]

    def apply(self, event: Event) -> None:
        """Update the trials with the next event.

        Args:
            event: the one that follows all events so far.
        """
        getattr(self, f"_{event.kind}")(event)

    def group(self, number: int) -> list[int]:
        """Return the numbers of the trials that are told together with a trial, itself included.

        Args:
            number: of the trial.
        """
        return self._batches.get(number, [number])

    def is_batch(self, number: int) -> bool:
        """Whether a trial was asked as part of a batch.

        Args:
            number: of the trial.
        """
        return number in self._batches

    def running_curve(self, number: int) -> tuple[tuple[float, float], ...]:
        """Return the reports, (step, value), of the current attempt at an unfinished trial.

        Args:
            number: of the trial; for a finished or unknown trial, the curve is empty.
        """
        return tuple(self._reports.get(number, ()))

    def discard_reports(self) -> None:
        """Discard the reports of attempts that a crash interrupted; these trials run again."""
        self._reports.clear()

    def _enqueued(self, event: Enqueued) -> None:
        pass  # it becomes a trial when it is asked

    def _asked(self, event: Asked) -> None:
        proposals = event.proposals
        for p in proposals:
            self.by_number[p.number] = TrialRecord(p, asked=event.time)
            self.untold[p.number] = None
            if event.tick is not None:
                self.asked_at[p.number] = event.tick
        if event.batch:
            numbers = [p.number for p in proposals]
            self._batches.update(dict.fromkeys(numbers, numbers))

    def _started(self, event: Started) -> None:
        self._reports[event.number] = []  # discard the reports of an interrupted attempt
        self._change(event.number, attempts=event.attempt, worker=event.worker, started=event.time)

    def _reported(self, event: Reported) -> None:
        self._reports.setdefault(event.number, []).append((event.step, event.value))

    def _finished(self, event: Finished) -> None:
        self._reports.pop(event.number, None)
        self._change(event.number, result=event.result, finished=event.time)
        if event.tick is not None:
            self.ended_at[event.number] = event.tick

    def _told(self, event: Told) -> None:
        self.told_numbers.append(event.number)
        del self.untold[event.number]

    def _added(self, event: Added) -> None:
        number, time = event.proposal.number, event.time
        self.by_number[number] = TrialRecord(
            event.proposal, event.result, asked=time, finished=time
        )
        self.told_numbers.append(number)

    def _change(self, number: int, **fields: Any) -> None:
        self.by_number[number] = replace(self.by_number[number], **fields)
