"""What there is to see in a study: its trials, the best of them, and a table."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from metaopt.errors import StudyError, did_you_mean, missing_extra
from metaopt.journal import Journal
from metaopt.pruning import Pruner
from metaopt.records import TrialRecord, best_first
from metaopt.space import Config
from metaopt.strategy import Strategy

if TYPE_CHECKING:
    import pandas as pd

Direction = Literal["minimize", "maximize"]

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
    """The readable side of a study; values are in the user's own sign."""

    name: str
    direction: Direction
    strategy: Strategy
    storage: str | None
    pruner: Pruner | None
    _journal: Journal

    @property
    def trials(self) -> list[TrialRecord]:
        """All trials by number, unfinished ones too."""
        return self._journal.trials

    @property
    def told(self) -> list[TrialRecord]:
        """Trials that the strategy has learnt, in the order in which it did."""
        return self._journal.told

    @property
    def best_record(self) -> TrialRecord | None:
        """Like `best`, or None while no trial is complete."""
        return next(iter(best_first(self.trials, self.direction)), None)

    @property
    def best(self) -> TrialRecord:
        """The complete trial with the best value, the earliest among equals.

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
        return self.best.params

    @property
    def best_value(self) -> float:
        value = self.best.value
        assert value is not None
        return value

    def recommend(self) -> Config:
        """Return the configuration to use: a model's choice under noise, else the best one."""
        choose = getattr(self.strategy, "recommend", None)
        return choose() if choose is not None else self.best_params

    def to_pandas(self) -> pd.DataFrame:
        """Return the trials as a table, one a row; parameters and metrics are prefixed columns."""
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

    def report(self, path: str | Path) -> Path:
        """Write a self-contained page with figures and tables beside it; return the page.

        `path` is a folder, which is made, or a file that ends with ``.html`` for the page alone.

        Raises:
            StudyError: `path` is another file.
        """
        # From a higher floor, by name: reports know studies, and this is the way to them.
        page: Path = import_module("metaopt.report.studying").write(self, path)
        return page

    def __getattr__(self, name: str) -> Any:
        hint = (
            f"; metaopt's name for it is {OPTUNA_NAMES[name]!r}"
            if name in OPTUNA_NAMES
            else (did_you_mean(name, [n for n in dir(type(self)) if not n.startswith("_")]))
        )
        raise AttributeError(f"a Study has no attribute {name!r}{hint}")
