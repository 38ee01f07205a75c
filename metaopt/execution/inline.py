"""The plainest executor: one trial after the other, in the caller's thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from metaopt.core.errors import StudyError, real
from metaopt.execution.base import Monitor
from metaopt.execution.evaluate import evaluate, finish, read
from metaopt.execution.streaming import stream
from metaopt.trials.failures import failure
from metaopt.trials.objective import Objective
from metaopt.trials.records import Failure, Proposal, Result
from metaopt.trials.trial import Trial


class Inline:
    """Runs trials here.

    Args:
        trial_timeout: seconds after which a trial has failed. Code cannot be interrupted from
            within its own thread: `should_stop()` turns True, and the trial counts as failed
            ("timeout") when it comes back.
    """

    def __init__(self, *, trial_timeout: float | None = None) -> None:
        if trial_timeout is not None:
            trial_timeout = real("trial_timeout", trial_timeout, StudyError, above=0)
        self._timeout = trial_timeout

    def run(
        self,
        objective: Objective,
        proposals: Sequence[Proposal],
        monitor: Monitor,
        *,
        together: bool = False,
    ) -> Iterator[tuple[int, Result]]:
        """Yield results as they come; `together` asks the objective's `many(trials)` for all."""
        if together:
            yield from self._run_together(objective, proposals, monitor)
            return
        for proposal in proposals:
            monitor.started(proposal.number)
            result = evaluate(objective, Trial(proposal, monitor.data_seed, monitor))
            yield proposal.number, self._in_time(result)

    def stream(
        self, objective: Objective, arrivals: Iterator[Sequence[Proposal]], monitor: Monitor
    ) -> Iterator[tuple[int, Result]]:
        """Yield results as they come, of trials that begin when the objective's `stream` asks."""
        yield from stream(objective, arrivals, monitor)

    def _run_together(
        self, objective: Any, proposals: Sequence[Proposal], monitor: Monitor
    ) -> Iterator[tuple[int, Result]]:
        trials = {p.number: Trial(p, monitor.data_seed, monitor) for p in proposals}
        for number in trials:
            monitor.started(number)
        lost = Result.failed("abandoned", "many() gave no result for this trial")
        results = _results(objective, list(trials.values()))
        while True:
            try:
                number, outcome = next(results)
                known = number in trials
                result = (
                    finish(read(outcome, trials[number]), trials[number], None) if known else lost
                )
            except StopIteration:
                break
            except Exception as error:  # the members that have finished are kept
                lost = failure(error)
                break
            if not known:
                raise StudyError(
                    f"many() returned trial {number!r}, which is unknown or came twice"
                )
            del trials[number]
            yield number, result
        for number, trial in trials.items():
            yield number, finish(lost, trial, None)

    def _in_time(self, result: Result) -> Result:
        if self._timeout is None or result.seconds is None or result.seconds <= self._timeout:
            return result
        error = Failure("timeout", f"took {result.seconds:.3g} s of {self._timeout:.3g} s")
        return replace(result, value=None, status="failed", error=error)


def _results(objective: Any, trials: list[Trial]) -> Iterator[tuple[int, Any]]:
    yield from objective.many(trials)  # called at the first step, where errors are caught
