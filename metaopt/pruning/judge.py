"""Puts every report of a running trial before the pruner, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from metaopt.pruning.pruner import Candidate, Curve, Pruner, until


class Judge:
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

    def forget(self, number: int) -> None:
        """Drop what is known of a trial: an attempt at it begins or has ended."""
        self._judged.pop(number, None)
        self._stopped.discard(number)

    def stops(
        self,
        number: int,
        curve: Curve,
        others: Callable[[], Mapping[int, Curve]],
        cohort: frozenset[int],
    ) -> bool:
        """Tell whether a trial ends now.

        Args:
            number: of the trial.
            curve: what it has reported so far, to be minimised.
            others: makes the curves of those that it is compared with.
            cohort: who runs in lockstep with it. Their reports count up to the trial's step only:
                when a batch is resumed, members that had finished are further than that.
        """
        if self._pruner is None or number in self._stopped:
            return number in self._stopped
        first = self._judged.get(number, 0)
        self._judged[number] = len(curve)
        if first == len(curve):
            return False
        company = others()
        for n in range(first + 1, len(curve) + 1):
            trial = Candidate(curve[:n], number, self._seed, cohort - {number}, self._direction)
            seen = {k: until(c, trial.step) if k in cohort else c for k, c in company.items()}
            if self._pruner.judge(trial, seen):
                self._stopped.add(number)
                return True
        return False
