"""The study: the only loop. It asks a strategy, has proposals evaluated, stores and tells.

Everything that happens is an event in a log before anything else depends on it, so that a study
killed at any point goes on as if nothing had been (law 2 of the design).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from metaopt.core.errors import StoreError, StudyError, did_you_mean
from metaopt.core.progress import progress_bar
from metaopt.core.seeds import derive
from metaopt.core.types import Direction
from metaopt.core.version import __version__
from metaopt.execution.evaluate import finish, read
from metaopt.execution.history import History
from metaopt.execution.loop import Callback, Ending, Optimization, exhausted
from metaopt.execution.monitor import StudyMonitor
from metaopt.execution.stop_conditions import StopCondition
from metaopt.pruning import Pruner, Tracker, find_pruner, pruner_from_json
from metaopt.space import Space
from metaopt.space.values import native
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


class Study(StudyView):
    """A search for the best configuration of a space.

    Args:
        space: what to search.
        strategy: a name (see `metaopt.strategies()`) or a fresh Strategy on the same space.
        direction: "minimize" or "maximize".
        seed: what every proposal and trial seed derives from; default 0 or the Strategy's.
        storage: None (memory), a path (SQLite) or a database URL. A study of that name which is
            there already is continued; it must have been made from the same arguments.
        pruner: decides from their reports which trials stop early: a Pruner, or a text such as
            "median", "asha" or "hyperband:max_resource=81".
        name: of the study in the storage.

    Raises:
        StudyError: an argument is wrong, or the stored study is another one.
        StoreError: the storage holds no studies, or cannot be read.
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
        self._held: set[int] = set()  # given out by ask(), told by the caller
        self._stopping = False
        tracker = Tracker(self.pruner, self.seed, direction)
        self._monitor = StudyMonitor(self._history, tracker, self.data_seed)

    def _header(self) -> dict[str, Json]:
        made = {k: v for k, v in self.strategy.header().items() if k != "format"}
        pruner = None if self.pruner is None else self.pruner.to_json()
        return {**made, "direction": self.direction, "pruner": pruner, "version": __version__}

    def close(self) -> None:
        """Let go of the storage; everything acknowledged is there already."""
        self._history.close()

    def __repr__(self) -> str:
        return (
            f"Study({self.name!r}, {self.strategy.name!r}, {self.direction}, seed={self.seed},"
            f" {len(self._history)} trials)"
        )

    # -- by hand ---------------------------------------------------------------------------------

    def ask(self) -> Trial:
        """Return the next trial, to be evaluated by the caller and told.

        A trial that was left unfinished when the study was closed comes first.

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
        """Learn the outcome of a trial (or its number) that `ask` gave, in the study's direction.

        Raises:
            StudyError: the trial is unknown or finished already.
        """
        number = trial.number if isinstance(trial, Trial) else native(trial)
        if number not in self._history:
            raise StudyError(f"trial {number!r} is unknown; tell what ask() returned")
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
        """Have a configuration tried before the next proposal; False if it was tried already."""
        return self._history.enqueue(self.space.validate(config))

    def add(self, config: Mapping[str, Any], outcome: float | Result) -> TrialRecord:
        """Add a finished trial from elsewhere; the strategy learns it."""
        return self._history.add(self.space.validate(config), settle(outcome))

    def stop(self) -> None:
        """End the running `optimize` after the current trial or batch; for callbacks."""
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
        """Evaluate proposals until the study holds `n_trials` trials, or another end comes first.

        Args:
            objective: called with a `Trial`; returns a float or a `Result`. What it raises is
                recorded as a failed trial. With `batch_size`, one that has `many(trials)` gets
                whole batches; if it also says ``lockstep = True``, all members report a step
                before any asks `should_stop`, and a pruner compares them with each other.
            n_trials: the total that the study shall hold, earlier trials included.
            timeout: seconds after which no trial is started any more.
            trial_timeout: seconds after which a trial has failed; see `metaopt.execution.Inline`.
                Trials that an objective's `many` trains together all begin with the batch.
            batch_size: ask for so many at once, and tell their results in order, together. Without
                it and `slots` trials run one after the other, also where the objective has `many`.
            slots: keep so many trials training side by side: as soon as some end, they are told
                and their places are filled by new proposals, which join the others. Needs an
                objective with `stream(arrivals)`, such as `Trainer`; see
                `metaopt.trials.objective.StreamObjective`. Time is counted in steps of all
                running trials, not in seconds, so this too is the same on every machine and is
                resumed exactly. A pruner compares a trial with those told before and with all
                that run beside it.
                When an end comes (`n_trials`, `timeout`, `stop`), running trials are finished;
                while a condition of `stop` holds, none is started.
            replicates: evaluate every configuration under so many seeds, and tell the mean once;
                then a trial's reports are the means so far. See `metaopt.execution.replicates`.
            stop: conditions such as `Stall(20)` and `Target(0.1)`, or functions of the study.
            callbacks: called with the study and the record after every told trial.
            progress: show a progress bar.

        Returns:
            Why it ended.

        Raises:
            StudyError: an argument is wrong, or the objective's `direction` is another.
            KeyboardInterrupt: the study is kept; the same call goes on.
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
                    "interrupted: the study %r keeps its %d finished trials%s; the same call of"
                    " optimize() goes on",
                    self.name,
                    self._history.told_count,
                    f" in {self.storage}" if self.storage else " while this process lives",
                )
                raise
        logger.info("study %s ended: %s", self.name, ending.message)
        return ending

    def _check_objective(self, objective: Any) -> None:
        if not callable(objective):
            raise StudyError(f"objective must be callable, got {type(objective).__name__}")
        theirs = getattr(objective, "direction", self.direction)
        if theirs != self.direction:
            raise StudyError(
                f"the objective is to {theirs} and the study is to {self.direction};"
                f" make the study with direction={theirs!r}"
            )

    def _tell_ready(self) -> list[TrialRecord]:
        return self._history.tell_ready(self._log_line)

    # -- looking ---------------------------------------------------------------------------------

    def report(self, path: str | Path) -> Path:
        """Write a self-contained page with figures and tables beside it; return the page.

        `path` is a folder, which is made, or a file that ends with ``.html`` for the page alone.

        Raises:
            StudyError: `path` is another file.
        """
        from metaopt.report.study import write  # reports are needed by few processes

        return write(self, path)

    # -- small things ----------------------------------------------------------------------------

    def _best_text(self) -> str:
        best = self.best_record
        return "" if best is None else f"best {best.value:.6g}"

    def _log_line(self, record: TrialRecord) -> None:
        result = record.result
        assert result is not None
        params = ", ".join(f"{k}={_brief(v)}" for k, v in record.params.items())
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
            return  # the best is looked for among all trials
        what = "pruned" if result.value is None else f"{result.value:.6g}"
        logger.info(
            "trial %d: %s%s; %s [%s]", record.number, what, seconds, self._best_text(), params
        )


def _brief(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _resolve(strategy: str | Strategy, space: Space, seed: int | None) -> Strategy:
    """Make the strategy, or check the one that was given."""
    if isinstance(strategy, str):
        return make_strategy(strategy, space, 0 if seed is None else seed)
    if not isinstance(strategy, Strategy):
        raise StudyError(f"strategy must be a name or a Strategy, got {strategy!r}")
    if strategy.space != space:
        raise StudyError("the strategy was made for another space; make both from the same one")
    if seed is not None and seed != strategy.seed:
        raise StudyError(f"seed={seed!r} differs from the strategy's own seed={strategy.seed!r}")
    if strategy.log:
        raise StudyError("the strategy was used already; pass a fresh one")
    return strategy


def load(storage: str | Path, name: str | None = None, *, pruner: Pruner | None = None) -> Study:
    """Open a stored study as it was made, to look at it or to go on.

    Args:
        storage: a path or a database URL.
        name: of the study; may be left out where there is only one.
        pruner: the pruner that it was made with; needed only if it is not one of metaopt's own.

    Raises:
        StoreError: there is no such file, or it is no study file.
        StudyError: several studies are there and no name was given.
        UnknownNameError: no study, or no installed strategy, has that name.
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
