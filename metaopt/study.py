"""The study: asks a strategy for configurations, has them evaluated, and tells it the results.

Every event is stored before anything depends on it. So a study that was killed at any point
resumes with results identical to those of an uninterrupted one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from metaopt.analysis.confirmation import read_again
from metaopt.core.errors import StoreError, StudyError, did_you_mean, real, whole
from metaopt.core.progress import counter, progress_bar
from metaopt.core.seeds import derive
from metaopt.core.text import brief
from metaopt.core.types import Direction
from metaopt.core.version import __version__
from metaopt.execution.evaluate import finish, read
from metaopt.execution.history import History
from metaopt.execution.loop import Callback, Ending, Optimization, exhausted
from metaopt.execution.monitor import StudyMonitor
from metaopt.execution.reevaluation import best_distinct, fresh_seeds, reevaluate
from metaopt.execution.stop_conditions import StopCondition
from metaopt.pruning import Pruner, ReportTracker, find_pruner, pruner_from_json
from metaopt.report.confirmation import Confirmation
from metaopt.report.reported import Reported
from metaopt.space import Space
from metaopt.space.values import native
from metaopt.storage.kept_results import KeptResults
from metaopt.storage.opening import find_study, open_events
from metaopt.storage.study_view import StudyView
from metaopt.strategy.base import Strategy
from metaopt.strategy.registry import load_strategy, make_strategy
from metaopt.trials.objective import Objective
from metaopt.trials.records import Json, Result, TrialRecord, settle
from metaopt.trials.trial import Trial

DEFAULT_STRATEGY = "bayes"
DEFAULT_NAME = "study"

logger = logging.getLogger("metaopt")


class Study(StudyView, Reported):
    """A search for the best configuration of a space.

    Args:
        space: the search space.
        strategy: a name (see `metaopt.strategies()`) or a new Strategy on the same space.
        direction: "minimize" or "maximize".
        seed: from which all proposals and the seeds of all trials are derived; default: the
            Strategy's own seed, or 0.
        storage: None (memory), a path (SQLite) or a database URL. If it already holds a study of
            this name, that study is resumed; it must have been created with the same arguments.
        pruner: decides from the reports of trials which ones stop early: a Pruner, or a text such
            as "median", "asha" or "hyperband:max_resource=81"; default: no pruning.
        name: of the study in the storage; default: "study".

    Attributes:
        space, strategy, direction, seed, pruner, name, storage: as given, or the defaults.
        data_seed: seed for cross-validation folds and sample order, the same for all trials.

    Raises:
        StudyError: an argument is wrong, or the stored study was created with other arguments.
        StoreError: the storage is not a study file or database, or cannot be read.
        UnknownNameError: there is no strategy or pruner of this name.

    Example:
        >>> from metaopt import Float, Space, Study
        >>> space = Space(lr=Float(1e-4, 1.0, log=True), momentum=Float(0.0, 0.99))
        >>> study = Study(space, "random", seed=1)
        >>> ending = study.optimize(lambda trial: (trial["lr"] - 0.1) ** 2, n_trials=20)
        >>> len(study.trials), sorted(study.best_params)
        (20, ['lr', 'momentum'])
    """

    def __init__(
        self,
        space: Space,
        strategy: str | Strategy = DEFAULT_STRATEGY,
        direction: Direction = "minimize",
        seed: int | None = None,
        storage: str | Path | None = None,
        pruner: Pruner | str | None = None,
        name: str | None = None,
    ) -> None:
        if not isinstance(space, Space):
            raise StudyError(f"space must be a metaopt.Space, got {type(space).__name__}")
        if direction not in ("minimize", "maximize"):
            hint = did_you_mean(direction, ("minimize", "maximize"))
            raise StudyError(f"direction must be 'minimize' or 'maximize', got {direction!r}{hint}")
        self.space = space
        self.direction: Direction = direction
        self.pruner = find_pruner(pruner)
        self.name = name or DEFAULT_NAME
        self.strategy = _resolve(strategy, space, seed)
        self.seed = self.strategy.seed
        self.data_seed = derive(self.seed, "data")
        self.storage = None if storage is None else str(storage)
        events = open_events(storage, self.name, self._header())
        self._history = History(self.strategy, events, maximise=direction == "maximize")
        self._state = self._history.state
        self._held: set[int] = set()  # given out by ask(); the caller tells their results
        self._stopping = False
        tracker = ReportTracker(self.pruner, self.seed, direction)
        self._monitor = StudyMonitor(self._history, tracker, self.data_seed)

    def _header(self) -> dict[str, Json]:
        made = {k: v for k, v in self.strategy.header().items() if k != "format"}
        pruner = None if self.pruner is None else self.pruner.to_json()
        return {**made, "direction": self.direction, "pruner": pruner, "version": __version__}

    def close(self) -> None:
        """Write buffered events and close the storage."""
        self._history.close()

    def __repr__(self) -> str:
        return (
            f"Study({self.name!r}, {self.strategy.name!r}, {self.direction}, seed={self.seed},"
            f" {len(self._history)} trials)"
        )

    # -- by hand ---------------------------------------------------------------------------------

    def ask(self) -> Trial:
        """Return the next trial, for evaluation by the caller; pass its result to `tell`.

        Trials that were unfinished when the study was closed come first.

        Raises:
            StudyError: every configuration of the space has been proposed.
        """
        self._tell_ready()
        numbers = self._history.waiting(self._held) or self._history.ask(1, batch=False)
        if not numbers:
            raise StudyError(exhausted(self._history))
        number = numbers[0]
        self._held.add(number)
        self._monitor.started(number)
        return Trial(self._history[number].proposal, self.data_seed, self._monitor)

    def tell(self, trial: Trial | int, outcome: float | Result) -> TrialRecord:
        """Record the outcome of a trial that `ask` returned, and tell the strategy.

        Args:
            trial: the trial or its number.
            outcome: its value, in the user's own sign, or a `Result`. NaN and infinities are
                recorded as a failed trial. A number for a trial whose `should_stop()` was True
                means that the trial was pruned.

        Returns:
            The record of the trial.

        Raises:
            StudyError: the trial is unknown or already finished, or the outcome is neither a
                number nor a `Result`.
        """
        number = trial.number if isinstance(trial, Trial) else native(trial)
        if number not in self._history:
            raise StudyError(f"trial {number!r} is unknown; pass a trial from ask() or its number")
        record = self._history[number]
        if record.result is not None:
            raise StudyError(f"trial {number} was already told ({record.status})")
        result = read(outcome, trial) if isinstance(trial, Trial) else settle(outcome)
        if isinstance(trial, Trial):
            seconds = None if record.started is None else time.time() - record.started
            result = finish(result, trial, result.seconds if result.seconds else seconds)
        self._held.discard(number)
        self._history.finish(number, result)
        self._tell_ready()
        return self._history[number]

    def enqueue(self, config: Mapping[str, Any]) -> bool:
        """Queue a configuration; it becomes the next trial.

        Args:
            config: a value for each active parameter of the space.

        Returns:
            True; or False, and the queue is unchanged, if the configuration is not new.

        Raises:
            SpaceError: the configuration does not fit the space.
        """
        return self._history.enqueue(self.space.validate(config))

    def add(self, config: Mapping[str, Any], outcome: float | Result) -> TrialRecord:
        """Add a finished trial that this study did not run; the strategy is told about it.

        Args:
            config: a value for each active parameter of the space.
            outcome: its value, in the user's own sign, or a `Result`; NaN and infinities are
                recorded as a failed trial.

        Returns:
            The record of the trial, with a number of this study.

        Raises:
            SpaceError: the configuration does not fit the space.
            StudyError: the outcome is neither a number nor a `Result`.
        """
        return self._history.add(self.space.validate(config), settle(outcome))

    def stop(self) -> None:
        """End the running `optimize` after the current trial or batch; call it in callbacks."""
        self._stopping = True

    # -- the loop --------------------------------------------------------------------------------

    def optimize(
        self,
        objective: Objective,
        n_trials: int | None = None,
        timeout: float | None = None,
        *,
        trial_timeout: float | None = None,
        batch_size: int | None = None,
        slots: int | None = None,
        replicates: int = 1,
        stop: StopCondition | Sequence[StopCondition] | None = None,
        callbacks: Sequence[Callback] = (),
        progress: bool = False,
    ) -> Ending:
        """Run trials until the study holds `n_trials` trials, or another end is reached first.

        Args:
            objective: called with a `Trial`; returns a float or a `Result`. An exception is
                recorded as a failed trial. With `batch_size`, an objective with `many(trials)`
                gets whole batches; if it also has ``lockstep = True``, all members report a step
                before any calls `should_stop`, and a pruner compares them with each other.
            n_trials: total number of trials in the study, including earlier ones.
            timeout: seconds after which no further trial is started.
            trial_timeout: seconds after which a trial counts as failed; see
                `metaopt.execution.Inline`. In a batch that `many` evaluates, the time of all
                trials starts with the batch.
            batch_size: number of trials to ask for at once; their results are told together, by
                number. Without `batch_size` and `slots`, trials run one after the other, even if
                the objective has `many`.
            slots: number of trials that train at the same time. As soon as some end, they are
                told, and new trials take their slots and train along with the others. Needs an
                objective with `stream(arrivals)`, such as `Trainer`; see
                `metaopt.trials.objective.StreamObjective`. Time is counted in steps of all running
                trials, not in seconds, so results are the same on every machine and a study can be
                resumed exactly. A pruner compares a trial with all told trials and with all that
                run at the same time. When an end is reached (`n_trials`, `timeout`, `stop`),
                running trials are finished, and no new ones are started; if one of them makes a
                condition of `stop` false again, the study continues.
            replicates: number of seeds under which every configuration is evaluated; the strategy
                is told the mean. The reports of a trial are then the means so far. See
                `metaopt.execution.replicates`.
            stop: one condition or several, such as `Stall(20)` and `Target(0.1)`, or functions
                that take the study and return True or a reason to end it.
            callbacks: functions called with the study and the record after every told trial.
            progress: whether to show a progress bar (on stderr).

        Returns:
            The reason why it ended.

        Raises:
            StudyError: an argument is wrong, or the objective's `direction` differs from the
                study's.
            KeyboardInterrupt: the user pressed Ctrl-C; the same call resumes the study.

        Example:
            >>> from metaopt import Float, Space, Stall, Study
            >>> study = Study(Space(x=Float(-1, 1)), "random", seed=1)
            >>> ending = study.optimize(lambda trial: trial["x"] ** 2, n_trials=10)
            >>> ending.reason, len(study.trials)
            ('n_trials', 10)
            >>> ending = study.optimize(lambda trial: trial["x"] ** 2, n_trials=500, stop=Stall(30))
            >>> ending.message
            'no better value in 30 trials'
        """
        self._check_objective(objective)

        def tell_progress() -> None:
            if progress:
                update(self._history.told_count, self._best_text())

        loop = Optimization(
            self, self._history, self._monitor, self._held, self._tell_ready,
            lambda: self._stopping, tell_progress,
            objective=objective, n_trials=n_trials, timeout=timeout, trial_timeout=trial_timeout,
            batch_size=batch_size, slots=slots, replicates=replicates, stop=stop,
            callbacks=callbacks,
        )  # fmt: skip
        self._stopping = False
        with (
            progress_bar(self.name, n_trials, self._history.told_count, progress) as update,
            self._monitor.timed(trial_timeout),
        ):
            try:
                ending = loop.run()
            except KeyboardInterrupt:
                self._history.flush()
                logger.warning(
                    "interrupted: the study %r keeps its %d finished trials%s; to resume, repeat"
                    " the call of optimize()",
                    self.name,
                    self._history.told_count,
                    f" in {self.storage}" if self.storage else " until this process ends",
                )
                raise
        logger.info("study %s ended: %s", self.name, ending.message)
        return ending

    def confirm(
        self,
        objective: Objective,
        top: int = 3,
        seeds: int = 10,
        *,
        level: float = 0.95,
        reuse: bool = True,
        progress: bool = False,
    ) -> Confirmation:
        """Evaluate the best configurations again under fresh seeds, to say which one to use.

        The best of many noisy values is too good, and it need not belong to the best configuration.
        Here the `top` best different configurations get the same fresh seeds, so that their values
        are paired. The configuration with the best median is the one to use; signed-rank tests of
        all pairs, adjusted by Shaffer, say which others are not shown to be worse. The study does
        not change: the evaluations are no trials. Nothing is pruned.

        Fresh seeds vary what depends on `trial.seed`, such as the first weights of a network. The
        data seed stays the study's, so that a hidden test part stays hidden. If the search fitted
        the validation data, this shows in the hidden test values only.

        The median of the chosen configuration is itself a little too good, since it was chosen by
        it; its interval holds about the level asked for all the same. Choosing on one half of the
        seeds and measuring on the other would be unbiased, but would choose worse and measure less
        precisely. So all seeds choose, and `Confirmation.held_out` is the almost unbiased value.

        Args:
            objective: as for `optimize`. One with `many(trials)`, such as a `Trainer`, gets all
                evaluations in one call.
            top: number of configurations; all, if the study has fewer.
            seeds: number of fresh seeds. At least 6 are needed for 95 % intervals, and 7 for a test
                of 3 configurations.
            level: confidence level of the intervals; tests are made at 1 minus it.
            reuse: whether results of earlier calls, failures included, are read from the storage;
                pass False after a change of the objective.
            progress: whether to show a progress bar (on stderr).

        Returns:
            The values with intervals and tests: see `Confirmation.print` and `conclusion`.

        Raises:
            StudyError: no trial is complete, an argument is wrong, every evaluation failed, or the
                objective's `direction` differs from the study's.
            KeyboardInterrupt: the user pressed Ctrl-C; the same call continues a stored study.

        Example:
            >>> import numpy as np
            >>> from metaopt import Float, Space, Study
            >>> def objective(trial):
            ...     return trial["x"] ** 2 + np.random.default_rng(trial.seed).normal(scale=0.1)
            >>> study = Study(Space(x=Float(-1, 1)), "random", seed=1)
            >>> ending = study.optimize(objective, n_trials=30)
            >>> found = study.confirm(objective, top=3, seeds=10)
            >>> found.search_best.search < found.search_best.median.low  # it was too good
            True
        """
        self._check_objective(objective)
        top, seeds = whole("top", top, StudyError), whole("seeds", seeds, StudyError)
        if real("level", level, StudyError, above=0) >= 1:
            raise StudyError(f"level must lie between 0 and 1, such as 0.95, got {level!r}")
        trials = best_distinct([self.best, *self.trials], self.direction, self.space, top)
        fresh = fresh_seeds(self.seed, seeds, self.trials)
        with (
            KeptResults(self.storage, self.name, self.space, reuse=reuse) as kept,
            counter(f"confirm {self.name}", len(trials) * seeds, 0, progress) as tick,
        ):
            first = len(self._history)
            again = reevaluate(objective, trials, fresh, self.data_seed, first, kept, tick)
        configs = read_again(again, self.direction, float(level))
        return Confirmation(configs, fresh, self.direction, float(level), top, again.reused)

    def _check_objective(self, objective: Any) -> None:
        if not callable(objective):
            raise StudyError(f"objective must be callable, got {type(objective).__name__}")
        theirs = getattr(objective, "direction", self.direction)
        if theirs != self.direction:
            raise StudyError(
                f"the objective's direction is {theirs!r}, the study's is {self.direction!r};"
                f" create the study with direction={theirs!r}"
            )

    def _tell_ready(self) -> list[TrialRecord]:
        return self._history.tell_ready(self._log_line)

    # -- reading ---------------------------------------------------------------------------------

    def _write_report(self, path: str | Path) -> Path:
        from metaopt.report.study import write  # slow to import, and rarely needed

        return write(self, path)

    # -- log messages ----------------------------------------------------------------------------

    def _best_text(self) -> str:
        best = self.best_record
        return "" if best is None else f"best {best.value:.6g}"

    def _log_line(self, record: TrialRecord) -> None:
        result = record.result
        assert result is not None
        params = ", ".join(f"{k}={brief(v)}" for k, v in record.params.items())
        seconds = "" if record.seconds is None else f" in {record.seconds:.3g} s"
        if result.error is not None:
            logger.warning(
                "trial %d failed (%s): %s [%s]",
                record.number,
                result.error.kind,
                result.error.message,
                params,
            )
            return
        if not logger.isEnabledFor(logging.INFO):
            return  # skip the search for the best trial
        what = "pruned" if result.value is None else f"{result.value:.6g}"
        logger.info(
            "trial %d: %s%s; %s [%s]", record.number, what, seconds, self._best_text(), params
        )


def _resolve(strategy: str | Strategy, space: Space, seed: int | None) -> Strategy:
    """Create the strategy, or check the given one."""
    if isinstance(strategy, str):
        return make_strategy(strategy, space, 0 if seed is None else seed)
    if not isinstance(strategy, Strategy):
        raise StudyError(f"strategy must be a name or a Strategy, got {strategy!r}")
    if strategy.space != space:
        raise StudyError("the strategy has another space than the study; use the same for both")
    if seed is not None and seed != strategy.seed:
        raise StudyError(f"seed={seed!r} differs from the strategy's own seed={strategy.seed!r}")
    if strategy.log:
        raise StudyError("the strategy was used already; pass a new one")
    return strategy


def load(storage: str | Path, name: str | None = None, *, pruner: Pruner | None = None) -> Study:
    """Open a stored study with the settings it was created with, to read or to resume it.

    Args:
        storage: a path or a database URL.
        name: of the study; may be omitted if the storage holds exactly one.
        pruner: the pruner of the study; needed only if it is not one of metaopt's own.

    Returns:
        The study, with all its trials.

    Raises:
        StoreError: there is no such file, or it is not a study file or is damaged.
        StudyError: `name` was omitted and the storage holds no study or several, or `pruner` is
            needed or differs from the study's.
        UnknownNameError: there is no study of this name, or its strategy is not installed.

    Example:
        >>> import tempfile
        >>> from metaopt import Float, Space, Study, load
        >>> path = tempfile.mkdtemp() + "/study.db"
        >>> study = Study(Space(x=Float(-1, 1)), "random", storage=path)
        >>> ending = study.optimize(lambda trial: trial["x"] ** 2, n_trials=5)
        >>> study.close()
        >>> study = load(path)
        >>> ending = study.optimize(lambda trial: trial["x"] ** 2, n_trials=8)
        >>> len(study.trials)
        8
    """
    found = find_study(storage, name)
    header = found.header
    try:
        space = Space.from_json(header["space"])
        made = [header[k] for k in ("strategy", "seed", "budget", "options", "direction", "pruner")]
    except KeyError as error:
        raise StoreError(f"the study {found.name!r} is damaged: no {error} in its header") from None
    cls, seed, budget, options, direction, settings = made
    strategy = load_strategy(cls)(space, seed, budget, **options)
    if pruner is None:
        pruner = pruner_from_json(settings)
    return Study(space, strategy, direction, storage=storage, pruner=pruner, name=found.name)
