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
    """The settings with which a stored study was created.

    Attributes:
        name: of the study; unique within the store.
        created: time of creation, in seconds since 1970 (UTC).
        header: strategy, options, budget, space, seed, direction, pruner and version, as JSON.
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
        """Add events at the end.

        Args:
            *events: to add, in this order.
            durable: if True, these events and all earlier ones are on the disk when the call
                returns; if False, they may be written with a later durable append.
        """
        ...

    def close(self) -> None:
        """Write buffered events and release the storage."""
        ...


class Store(Protocol):
    """Many studies, and notes that concern several of them (such as a comparison's design)."""

    def studies(self) -> list[StudyHeader]:
        """Return the headers of all studies, oldest first."""
        ...

    def find(self, name: str) -> StudyHeader | None:
        """Return the header of a study, or None if there is no study of this name.

        Args:
            name: of the study.
        """
        ...

    def create(self, name: str, header: dict[str, Json]) -> StudyHeader:
        """Add a study without events.

        Args:
            name: of the study; must be new.
            header: the settings of the study, as JSON.

        Returns:
            The header as stored.

        Raises:
            StoreError: another process created a study of this name at the same time.
        """
        ...

    def open(self, name: str) -> StudyEvents:
        """Return the events of a study, for reading and appending.

        Args:
            name: of the study.

        Raises:
            UnknownNameError: there is no study of this name.
        """
        ...

    def events(self, name: str, start: int = 0) -> list[Event]:
        """Return the events of a study from a position on; for readers, which do not append.

        Args:
            name: of the study; if there is no such study, the list is empty.
            start: position of the first event to return; 0 is the oldest.
        """
        ...

    def notes(self, kind: str) -> list[Json]:
        """Return the notes of one kind, oldest first.

        Args:
            kind: of the notes, such as "comparison".

        Raises:
            StoreError: a note is damaged.
        """
        ...

    def note(self, kind: str, body: Json) -> None:
        """Add a note.

        Args:
            kind: of the note, by which it is found again.
            body: the note, as JSON.
        """
        ...

    def close(self) -> None:
        """Release the storage."""
        ...
