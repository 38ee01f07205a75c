"""Which model is better: repeated cross-validation of any estimators on the same folds, tested.

Scores of folds are correlated, since their training sets overlap, and a plain paired test of them
rejects far too often (Dietterich 1998). The tests therefore come from `metaopt.stats.recommend`:
the corrected repeated k-fold t test (Bouckaert and Frank 2004), adjusted by Holm's method, and its
Bayesian form with a region of practical equivalence (Corani and Benavoli 2015).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metaopt.analysis import model_conclusions
from metaopt.analysis.model_comparison import ModelComparisonData
from metaopt.comparison.checks import MOST_WORKERS, as_count, as_flag, as_label, as_seed, as_size
from metaopt.comparison.splits import Split, is_classification, make_splits
from metaopt.core.errors import StudyError, unknown_name
from metaopt.core.progress import counter
from metaopt.core.seeds import derive
from metaopt.execution.process_pool import run_all
from metaopt.report import model_tables
from metaopt.report.model_comparison import write
from metaopt.report.reported import Reported
from metaopt.stats.checks import shown

# Scores for which 0.01 is the usual region of practical equivalence (Benavoli et al. 2017).
SHARES = ("accuracy", "balanced_accuracy", "f1", "roc_auc", "precision", "recall", "r2", "jaccard")

LARGEST_SCORE = 1e150  # squares of larger scores overflow


class ModelComparison(ModelComparisonData, Reported):
    """Scores of models by folds and their conclusions; see `compare_models`."""

    def sentences(self) -> list[str]:
        """The finding, its uncertainty and its limits, in plain words."""
        return model_conclusions.sentences(self)

    def conclusion(self) -> str:
        """The same as one paragraph."""
        return " ".join(self.sentences())

    def print(self) -> None:
        """Print tables and conclusion to the terminal."""
        model_tables.show(self)

    def _write_report(self, path: str | Path) -> Path:
        return write(self, path)

    def to_markdown(self) -> str:
        """The tables, the conclusion and the methods with their sources."""
        return model_tables.markdown(self)


@dataclass(frozen=True)
class FoldFit:
    """One model on one fold: what a worker process needs.

    Attributes:
        model: a scikit-learn estimator; a copy of it is fitted.
        X: inputs of all samples.
        y: targets of all samples.
        split: row numbers of the training and the test part.
        scoring: a scorer, higher is better.
        random_state: for every parameter of that name that is None.
    """

    model: Any
    X: Any
    y: Any
    split: Split
    scoring: Any
    random_state: int

    def __call__(self, tick: Callable[[], None]) -> tuple[float, float, str]:
        """Return score, seconds and, if it failed, why."""
        from sklearn.base import clone
        from sklearn.model_selection import cross_validate

        model = clone(self.model)
        given = model.get_params()
        # All models get the same random state in a fold, and another one in the next fold.
        free = [k for k, v in given.items() if k.split("__")[-1] == "random_state" and v is None]
        model.set_params(**dict.fromkeys(free, self.random_state))
        try:
            found = cross_validate(
                model, self.X, self.y, cv=[self.split], scoring=self.scoring, error_score="raise"
            )
        except Exception as error:
            tick()
            return np.nan, np.nan, f"{type(error).__name__}: {error}"
        tick()
        score = float(found["test_score"][0])
        wrong = "" if abs(score) < LARGEST_SCORE else f"the score was {score}"
        seconds = float(found["fit_time"][0] + found["score_time"][0])
        return (np.nan if wrong else score), seconds, wrong


def compare_models(
    models: Mapping[str, Any],
    X: Any,
    y: Any,
    *,
    folds: int = 5,
    repeats: int = 5,
    scoring: Any = None,
    groups: Any = None,
    control: str | None = None,
    rope: float | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: bool = False,
) -> ModelComparison:
    """Compare models on one data set by repeated k-fold cross-validation on the same folds.

    Folds are stratified for classification; with `groups`, no group is in two folds. For a model
    that tunes itself within each training set, such as ``GridSearchCV``, the cross-validation is
    nested.

    Args:
        models: by label, scikit-learn estimators; or functions ``build(config)`` that return an
            `nn.Module`. Such a function becomes a `train.NetworkClassifier` with its defaults, or
            a `NetworkRegressor` if the others are regressors or, without others, y holds floats.
        X: inputs, shape (n, ...), or whatever the estimators accept.
        y: targets, shape (n,).
        folds: k of the k-fold.
        repeats: how often new folds are drawn. Bouckaert and Frank (2004) advise 10 repeats of 10
            folds; the default costs a quarter of that.
        scoring: a name known to scikit-learn, or a scorer; higher is better. None is "accuracy"
            for classes and "r2" for numbers.
        groups: labels of samples that belong together, shape (n,).
        control: the label that all others are compared with; None compares all pairs.
        rope: the largest difference in score that does not matter, decided before the data are
            seen; None is 0.01 for accuracies and other shares, and no region for other scores.
        seed: of the folds and of every `random_state` that is None.
        workers: number of processes; more than 1 needs ``if __name__ == "__main__":`` around the
            script.
        progress: show how many fits are done.

    Returns:
        The comparison, to be printed, reported or read.

    Raises:
        StudyError: an argument is wrong, there are too few samples for the folds, or all fits
            failed.
        UnknownNameError: there is no such scoring or control.
    """
    classify = is_classification(_checked(models), y)
    estimators = {label: _estimator(label, m, classify) for label, m in models.items()}
    if control is not None and not isinstance(control, str):
        raise StudyError(f"control must be a label or None, got {shown(control)}")
    if control is not None and control not in estimators:
        raise unknown_name("control", control, estimators)
    name, scorer = _scorer(scoring, classify)
    repeats, seed = as_count("repeats", repeats), as_seed(seed)
    workers, progress = as_count("workers", workers, 1, MOST_WORKERS), as_flag("progress", progress)
    rope = _rope(rope, name)
    splits = make_splits(X, y, folds, repeats, groups, seed, classify)
    tasks = [
        FoldFit(m, X, y, split, scorer, derive(seed, "fold", i) % 2**32)
        for i, split in enumerate(splits)
        for m in estimators.values()
    ]
    with counter("fits", len(tasks), 0, progress) as tick:
        done = run_all(tasks, workers, tick) if workers > 1 else [task(tick) for task in tasks]
    shape = (repeats, len(splits) // repeats)
    by_model = {k: done[i :: len(estimators)] for i, k in enumerate(estimators)}
    errors = {k: next((e for _, _, e in rows if e), "") for k, rows in by_model.items()}
    if all(e for _, _, e in done):
        raise StudyError(
            f"nothing can be compared, because every fit of every model failed;"
            f" {next(iter(errors))!r} first with {done[0][2]}"
        )
    return ModelComparison(
        {k: np.array([r[0] for r in rows]).reshape(shape) for k, rows in by_model.items()},
        {k: np.array([r[1] for r in rows]).reshape(shape) for k, rows in by_model.items()},
        {k: e for k, e in errors.items() if e},
        name,
        control,
        rope,
        seed,
        len(y),
    )


def _checked(models: Any) -> Mapping[str, Any]:
    if not isinstance(models, Mapping) or len(models) < 2:
        raise StudyError(
            f"models must be a dict of at least 2, such as {{'a': estimator, 'b': estimator}},"
            f" got {shown(models)}"
        )
    for label in models:
        as_label(label, "model")
    return models


def _estimator(label: str, model: Any, classify: bool) -> Any:
    if not isinstance(model, type) and hasattr(model, "fit") and hasattr(model, "get_params"):
        _check_copy(label, model)
        return model
    if callable(model) and not isinstance(model, type) and not hasattr(model, "parameters"):
        from metaopt.train import NetworkClassifier, NetworkRegressor

        return (NetworkClassifier if classify else NetworkRegressor)(model)
    raise StudyError(
        f"the model {label!r} must be a scikit-learn estimator (with fit and get_params), or a"
        f" function build(config) that returns a new nn.Module, got {shown(model)}"
    )


def _check_copy(label: str, model: Any) -> None:
    """Each fold fits a new copy of the estimator, so it must be possible to make one."""
    from sklearn.base import clone

    try:
        clone(model).get_params()
    except Exception as error:
        raise StudyError(
            f"the model {label!r} must be a scikit-learn estimator that sklearn.base.clone can"
            f" copy, which raised {type(error).__name__}: {error}"
        ) from error


def _scorer(scoring: Any, classify: bool) -> tuple[str, Any]:
    from sklearn.metrics import get_scorer, get_scorer_names

    if scoring is None:
        scoring = "accuracy" if classify else "r2"
    if not isinstance(scoring, str):
        if not callable(scoring):
            raise StudyError(f"scoring must be a name or a scorer, got {shown(scoring)}")
        return getattr(scoring, "__name__", "score"), scoring
    if scoring not in get_scorer_names():
        raise unknown_name("scoring", scoring, get_scorer_names())
    return scoring, get_scorer(scoring)


def _rope(rope: float | None, scoring: str) -> float | None:
    if rope is None:
        return 0.01 if scoring.startswith(SHARES) else None
    return as_size("rope", rope, 0.0, "at least 0 and finite")
