"""A study's events in memory, for studies that nobody resumes."""

from __future__ import annotations

from collections.abc import Iterator

from metaopt.storage.events import Event


class MemoryEvents:
    """The `StudyEvents` of a study without storage."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    def __iter__(self) -> Iterator[Event]:
        return iter(list(self._events))

    def append(self, *events: Event, durable: bool = True) -> None:
        """Add events; in memory nothing is durable."""
        self._events += events

    def close(self) -> None:
        """Nothing to let go of."""
