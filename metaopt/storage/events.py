"""The events of a study, as immutable records. `Replay` rebuilds the trials from the events.

Values and curves are in the user's own sign (not negated for maximisation).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

from metaopt.core.errors import StoreError
from metaopt.space import Config
from metaopt.trials.records import (
    Json,
    Proposal,
    Result,
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
