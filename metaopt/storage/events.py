"""What happens in a study, as values. `Replay` builds the trials of a study from its events.

Values and curves are in the user's own sign. `time` is seconds since 1970 (UTC).
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
    """Base of all events; `kind` names it in the store."""

    time: float
    kind: ClassVar[str]

    def body(self) -> dict[str, Json]:
        """All but `time`, as JSON."""
        data = asdict(self)
        del data["time"]
        return data

    @classmethod
    def read(cls, time: float, body: Mapping[str, Json]) -> Event:
        """Undo `body`."""
        return cls(time, **body)


@dataclass(frozen=True)
class Enqueued(Event):
    """A user put a configuration before the next proposal."""

    config: Config
    kind: ClassVar[str] = "enqueued"


@dataclass(frozen=True)
class Asked(Event):
    """One call of `ask`, as the strategy logs it: proposals, notes and state.

    `batch` is True if they are told together, in order, when all have finished. `tick` is how many
    ticks had passed if they were asked for slots (see `metaopt.execution.slots`), else None.
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
    """An attempt at a trial began."""

    number: int
    attempt: int
    worker: str
    kind: ClassVar[str] = "started"


@dataclass(frozen=True)
class Reported(Event):
    """A running trial reported a value."""

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
    """An attempt ended with a result; the trial is not run again. In a slot, it did at `tick`."""

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
    """The strategy learnt the result; the order of these events is its history."""

    number: int
    kind: ClassVar[str] = "told"


@dataclass(frozen=True)
class Added(Event):
    """A trial from elsewhere, which the strategy observes."""

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
    """Leave out a field that is None: what has no ticks is stored as it ever was."""
    return {k: v for k, v in body.items() if k != name or v is not None}


def event_to_text(event: Event) -> str:
    """Return the body of an event as JSON text."""
    return json.dumps(event.body(), separators=(",", ":"), allow_nan=False)


def event_from_text(kind: str, time: float, text: str) -> Event:
    """Undo `event_to_text`.

    Raises:
        StoreError: the text is damaged, or the kind comes from a later version.
    """
    if kind not in KINDS:
        raise StoreError(f"unknown event {kind!r}: the study was written by a later metaopt")
    try:
        return KINDS[kind].read(time, json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(f"a stored event {kind!r} is damaged: {error!r}") from error


class Replay:
    """The trials of a study, kept up to date event by event.

    Attributes:
        by_number: the record of each trial.
        told_numbers: trials that the strategy has learnt, in that order, added trials included.
        untold: an ordered set of the trials that were asked and not told.
        asked_at: of trials in slots, the tick at which they were asked.
        ended_at: of trials in slots, the tick at which they ended.
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
        """All trials by number, unfinished ones too."""
        return [self.by_number[n] for n in sorted(self.by_number)]

    @property
    def told(self) -> list[TrialRecord]:
        """Trials that the strategy has learnt, in the order in which it did."""
        return [self.by_number[n] for n in self.told_numbers]

    def apply(self, event: Event) -> None:
        """Take in one event."""
        getattr(self, f"_{event.kind}")(event)

    def group(self, number: int) -> list[int]:
        """Return the trials that are told together with this one, itself included."""
        return self._batches.get(number, [number])

    def is_batch(self, number: int) -> bool:
        """Whether a trial was asked as part of a batch."""
        return number in self._batches

    def running_curve(self, number: int) -> tuple[tuple[float, float], ...]:
        """The reports, (step, value), of the current attempt at an unfinished trial."""
        return tuple(self._reports.get(number, ()))

    def discard_reports(self) -> None:
        """Forget the reports of attempts that a crash cut off; these trials run again."""
        self._reports.clear()

    def _enqueued(self, event: Enqueued) -> None:
        pass  # nothing to see until it is asked

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
        self._reports[event.number] = []  # reports of a lost attempt are discarded
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
