"""The default executor: runs trials one after the other, in the caller's thread."""

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
    """Runs trials in the caller's thread.

    Args:
        trial_timeout: seconds after which a trial counts as failed; None for no limit. A running
            objective cannot be interrupted from its own thread: `should_stop()` becomes True, and
            the trial is recorded as failed ("timeout") when the objective returns.

    Raises:
        StudyError: `trial_timeout` is not a number above 0.
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
        """Evaluate proposals; yield each result as soon as it is known.

        Args:
            objective: to be called; with `together`, it must have `many(trials)`.
            proposals: the trials to run.
            monitor: of the study; is told of the start of each trial.
            together: whether to pass all proposals in one call to the objective's `many`.

        Yields:
            The number and the result of each trial.

        Raises:
            StudyError: `many` returned a result for an unknown trial, or two for one trial.
        """
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
        """Run the objective's `stream`; it takes in new proposals at each tick.

        Args:
            objective: must have `stream(arrivals)`.
            arrivals: yields, at each tick, the proposals that begin then; often none.
            monitor: of the study; is told of the start of each trial.

        Yields:
            The number and the result of each trial when it ends.

        Raises:
            StudyError: `stream` returned a result for a trial that is not running.
        """
        yield from stream(objective, arrivals, monitor)

    def _run_together(
        self, objective: Any, proposals: Sequence[Proposal], monitor: Monitor
    ) -> Iterator[tuple[int, Result]]:
        trials = {p.number: Trial(p, monitor.data_seed, monitor) for p in proposals}
        for number in trials:
            monitor.started(number)
        lost = Result.failed("abandoned", "many() returned no result for this trial")
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
            except Exception as error:  # finished members keep their results
                lost = failure(error)
                break
            if not known:
                raise StudyError(
                    f"many() returned trial {number!r}, which is unknown or was returned twice"
                )
            del trials[number]
            yield number, result
        for number, trial in trials.items():
            yield number, finish(lost, trial, None)

    def _in_time(self, result: Result) -> Result:
        if self._timeout is None or result.seconds is None or result.seconds <= self._timeout:
            return result
        error = Failure("timeout", f"took {result.seconds:.3g} s, limit {self._timeout:.3g} s")
        return replace(result, value=None, status="failed", error=error)


def _results(objective: Any, trials: list[Trial]) -> Iterator[tuple[int, Any]]:
    yield from objective.many(trials)  # called by the first next(), where errors are caught
