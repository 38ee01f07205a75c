"""Read access to a study: its trials, the best of them, and a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from metaopt.core.errors import StudyError, did_you_mean, missing_extra
from metaopt.core.types import Direction
from metaopt.pruning import Pruner
from metaopt.space import Config
from metaopt.storage.replay import Replay
from metaopt.strategy.base import Strategy
from metaopt.trials.records import TrialRecord, best_of

if TYPE_CHECKING:
    import pandas as pd

OPTUNA_NAMES = {
    "best_trial": "best",
    "enqueue_trial": "enqueue",
    "add_trial": "add",
    "trials_dataframe": "to_pandas",
    "sampler": "strategy",
    "study_name": "name",
    "get_trials": "trials",
    "user_attrs": "trials[i].result.data",
}


class StudyView:
    """Read access to a study; values are in the user's own sign (not negated).

    Stop conditions, callbacks and reports use this part of a `Study`.
    """

    name: str
    direction: Direction
    strategy: Strategy
    storage: str | None
    pruner: Pruner | None
    _state: Replay

    @property
    def trials(self) -> list[TrialRecord]:
        """All trials by number, including unfinished ones."""
        return self._state.trials

    @property
    def told(self) -> list[TrialRecord]:
        """Trials that the strategy was told, in that order."""
        return self._state.told

    @property
    def best_record(self) -> TrialRecord | None:
        """The same as `best`, but None if no trial is complete yet."""
        return best_of(self.trials, self.direction)

    @property
    def best(self) -> TrialRecord:
        """The complete trial with the best value; of equal values, the earliest.

        Raises:
            StudyError: no trial is complete.
        """
        best = self.best_record
        if best is None:
            failed = [r for r in self.trials if r.status == "failed"]
            error = failed[0].result.error if failed and failed[0].result else None
            why = f"; {len(failed)} failed, the first with: {error.message}" if error else ""
            raise StudyError(f"no trial of the study {self.name!r} is complete yet{why}")
        return best

    @property
    def best_params(self) -> Config:
        """The configuration of `best`.

        Raises:
            StudyError: no trial is complete.
        """
        return self.best.params

    @property
    def best_value(self) -> float:
        """The value of `best`, in the user's own sign.

        Raises:
            StudyError: no trial is complete.
        """
        value = self.best.value
        assert value is not None
        return value

    def recommend(self) -> Config:
        """Return the configuration to use after the search.

        A strategy that models the noise of the objective chooses the configuration by its model;
        with all others it is the configuration of the best trial.

        Raises:
            StudyError: no trial is complete.
        """
        choose = getattr(self.strategy, "recommend", None)
        chosen: Config | None = None if choose is None else choose()
        return self.best_params if chosen is None else chosen

    def to_pandas(self) -> pd.DataFrame:
        """Return the trials as a table, one row per trial.

        Parameters are in columns ``params_...``, metrics in columns ``metrics_...``.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise missing_extra("pandas", "pandas", "Study.to_pandas()") from None
        rows = [
            {
                "number": r.number,
                "status": r.status,
                "value": r.value,
                "origin": r.origin,
                "seconds": r.seconds,
                **{f"params_{k}": v for k, v in r.params.items()},
                **{f"metrics_{k}": v for k, v in r.metrics.items()},
            }
            for r in self.trials
        ]
        return pd.DataFrame(rows)

    def __getattr__(self, name: str) -> Any:
        hint = (
            f"; metaopt's name for it is {OPTUNA_NAMES[name]!r}"
            if name in OPTUNA_NAMES
            else (did_you_mean(name, [n for n in dir(type(self)) if not n.startswith("_")]))
        )
        raise AttributeError(f"a Study has no attribute {name!r}{hint}")
