"""Puts every report of a running trial before the pruner, once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from metaopt.core.types import Curve
from metaopt.pruning.base import Candidate, Pruner, until


class Tracker:
    """Keeps which reports of which trials were judged, and the verdicts.

    An objective may ask seldom: all reports since it last asked are judged then, one by one, so
    that no rung is missed.

    Args:
        pruner: None lets every trial go on.
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
        """Whether there is no pruner, and so no verdict to ask for."""
        return self._pruner is None

    def forget(self, number: int) -> None:
        """Drop what is known of a trial: an attempt at it begins or has ended."""
        self._judged.pop(number, None)
        self._stopped.discard(number)

    def pass_over(self, number: int, curve: Curve) -> None:
        """Let a trial go on whatever it has reported so far: that was judged before."""
        self._judged[number] = len(curve)

    def stops(
        self,
        number: int,
        curve: Curve,
        told: Mapping[int, Curve],
        cohort: Mapping[int, Curve],
    ) -> bool:
        """Tell whether a trial ends now; all curves are to be minimised.

        Args:
            number: of the trial.
            curve: what it has reported so far.
            told: curves of the trials that the strategy has learnt.
            cohort: curves of those that run in lockstep with it. They count up to the trial's
                step only: when a batch is resumed, members that had finished are further.
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
