"""The events of a study in memory, for studies that are not stored."""

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
        """Add events at the end.

        Args:
            *events: to add, in this order.
            durable: has no effect in memory.
        """
        self._events += events

    def close(self) -> None:
        """Do nothing: there is nothing to release."""
