"""Passes every report of a running trial to the pruner, exactly once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from metaopt.core.types import Curve
from metaopt.pruning.base import Candidate, Pruner, until


class ReportTracker:
    """Remembers which reports of each trial were judged, and which trials were stopped.

    An objective need not call `should_stop` after every report: all reports since the last call
    are judged one by one, so that no rung is missed.

    Args:
        pruner: the pruner; with None, no trial is stopped.
        seed: of the study.
        direction: of the study.
    """

    def __init__(
        self, pruner: Pruner | None, seed: int, direction: Literal["minimize", "maximize"]
    ) -> None:
        self._pruner, self._seed, self._direction = pruner, seed, direction
        self._judged: dict[int, int] = {}
        self._stopped: set[int] = set()

    @property
    def idle(self) -> bool:
        """Whether there is no pruner, so that no trial can be stopped."""
        return self._pruner is None

    def forget(self, number: int) -> None:
        """Delete the state of a trial, at the beginning and the end of an attempt.

        Args:
            number: of the trial.
        """
        self._judged.pop(number, None)
        self._stopped.discard(number)

    def pass_over(self, number: int, curve: Curve) -> None:
        """Mark the reports of a trial so far as judged: a resumed trial has passed them before.

        Args:
            number: of the trial.
            curve: its reports so far.
        """
        self._judged[number] = len(curve)

    def stops(
        self,
        number: int,
        curve: Curve,
        told: Mapping[int, Curve],
        cohort: Mapping[int, Curve],
    ) -> bool:
        """Return whether a trial stops now; lower values are better in all curves.

        Args:
            number: of the trial.
            curve: its reports so far.
            told: curves of the finished trials that were told to the strategy.
            cohort: curves of the trials that run in lockstep with it. They are cut off at the
                trial's step: in a resumed batch, finished members have later reports, too.
        """
        if self._pruner is None or number in self._stopped:
            return number in self._stopped
        first = self._judged.get(number, 0)
        self._judged[number] = len(curve)
        for n in range(first + 1, len(curve) + 1):
            trial = Candidate(
                tuple(curve[:n]), number, self._seed, frozenset(cohort), self._direction
            )
            others = {**told, **{k: until(c, trial.step) for k, c in cohort.items()}}
            others.pop(number, None)
            if self._pruner.judge(trial, others):
                self._stopped.add(number)
                return True
        return False
