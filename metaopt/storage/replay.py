"""Replay: the trials of a study, rebuilt from its stored events. This is how a study resumes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from metaopt.storage.events import Added, Asked, Enqueued, Event, Finished, Reported, Started, Told
from metaopt.trials.records import TrialRecord


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
        self._change(event.number, attempts=event.attempt, worker=event.worker, started=event.time)

    def _reported(self, event: Reported) -> None:
        pass  # a finished trial has its curve, and a lost attempt is repeated

    def _finished(self, event: Finished) -> None:
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
