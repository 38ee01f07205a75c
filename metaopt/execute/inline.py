"""The plainest executor: one trial after the other, in the caller's thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from metaopt.errors import StudyError
from metaopt.execute.evaluate import Driver, Objective, evaluate, finish
from metaopt.records import Failure, Proposal, Result, settle
from metaopt.trial import Trial


class Inline:
    """Runs trials here.

    Args:
        trial_timeout: seconds after which a trial has failed. Code cannot be interrupted from
            within its own thread: `should_stop()` turns True, and the trial counts as failed
            ("timeout") when it comes back.
        together: give all proposals to the objective's `many(trials)` at once, if it has one.
    """

    def __init__(self, *, trial_timeout: float | None = None, together: bool = False) -> None:
        if trial_timeout is not None and not trial_timeout > 0:
            raise StudyError(f"trial_timeout must be above 0 seconds, got {trial_timeout!r}")
        self._timeout = trial_timeout
        self._together = together

    def run(
        self, objective: Objective, proposals: Sequence[Proposal], driver: Driver
    ) -> Iterator[tuple[int, Result]]:
        many = getattr(objective, "many", None)
        if self._together and many is not None:
            yield from self._run_together(many, proposals, driver)
            return
        for proposal in proposals:
            driver.started(proposal.number)
            result = evaluate(objective, Trial(proposal, driver.data_seed, driver))
            yield proposal.number, self._in_time(result)

    def _run_together(
        self, many: Callable[[list[Trial]], Any], proposals: Sequence[Proposal], driver: Driver
    ) -> Iterator[tuple[int, Result]]:
        trials = {p.number: Trial(p, driver.data_seed, driver) for p in proposals}
        for number in trials:
            driver.started(number)
        for number, result in many(list(trials.values())):
            if number not in trials:
                raise StudyError(f"many() returned trial {number}, which it was not given or twice")
            trial = trials.pop(number)
            yield number, finish(settle(result), trial, None)
        for number in trials:
            yield number, Result.failed("abandoned", "many() returned no result for this trial")

    def _in_time(self, result: Result) -> Result:
        if self._timeout is None or result.seconds is None or result.seconds <= self._timeout:
            return result
        error = Failure("timeout", f"took {result.seconds:.3g} s of {self._timeout:.3g} s")
        return replace(result, value=None, status="failed", error=error)
