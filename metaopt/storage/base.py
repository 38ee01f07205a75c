"""What a storage backend must do: the Protocols `Store` and `StudyEvents`.

A study is an append-only list of events. `metaopt.storage.sql` keeps many studies in a database;
`metaopt.storage.memory` keeps one in the process. A new backend implements these two Protocols
and is chosen in `metaopt.storage.opening`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from metaopt.storage.events import Event
from metaopt.trials.records import Json


@dataclass(frozen=True)
class StudyHeader:
    """What a stored study was made from.

    Attributes:
        name: unique within the store.
        created: when, in seconds since 1970 (UTC).
        header: strategy, options, space, seed, direction, pruner and version, as JSON.
    """

    name: str
    created: float
    header: dict[str, Json]


class StudyEvents(Protocol):
    """The events of one study, in order; one writer at a time."""

    def __iter__(self) -> Iterator[Event]:
        """Iterate over all events, oldest first."""
        ...

    def append(self, *events: Event, durable: bool = True) -> None:
        """Add events; when a durable append returns, they and all before them are on the disk."""
        ...

    def close(self) -> None:
        """Write what waits and release the storage."""
        ...


class Store(Protocol):
    """Many studies, and notes about several of them together."""

    def studies(self) -> list[StudyHeader]:
        """Return the headers of all studies, oldest first."""
        ...

    def find(self, name: str) -> StudyHeader | None:
        """Return the header of the study `name`, or None if there is none."""
        ...

    def create(self, name: str, header: dict[str, Json]) -> StudyHeader:
        """Add an empty study."""
        ...

    def open(self, name: str) -> StudyEvents:
        """Return the events of the study `name`, to be read and continued."""
        ...

    def events(self, name: str, start: int = 0) -> list[Event]:
        """Return the events of a study from position `start` on, for readers; [] if none."""
        ...

    def notes(self, kind: str) -> list[Json]:
        """Return the notes of a kind, oldest first."""
        ...

    def note(self, kind: str, body: Json) -> None:
        """Add a note."""
        ...

    def close(self) -> None:
        """Release the storage."""
        ...
