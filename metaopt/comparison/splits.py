"""Folds for comparing models: repeated, stratified for classes, and with whole groups."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaopt.comparison.checks import as_count
from metaopt.core.errors import StudyError
from metaopt.core.seeds import derive
from metaopt.stats.checks import is_real, shown

Split = tuple[NDArray[np.int64], NDArray[np.int64]]  # indices of training and of test samples


def is_classification(models: Mapping[str, Any], y: Any) -> bool:
    """Return whether models are classifiers.

    The estimators decide; if there is none, targets that are not floats are classes.

    Args:
        models: by label.
        y: targets, shape (n,).

    Raises:
        StudyError: some models are classifiers and some regressors, or y is not a column of
            classes or numbers.
    """
    from sklearn.base import is_classifier, is_regressor

    targets = _targets(y)
    estimators = {
        k: m for k, m in models.items() if hasattr(m, "get_params") and not isinstance(m, type)
    }
    classifiers = [k for k, m in estimators.items() if _is(is_classifier, k, m)]
    regressors = [k for k, m in estimators.items() if _is(is_regressor, k, m)]
    if classifiers and regressors:
        raise StudyError(
            f"models must all be classifiers or all regressors, got the classifier"
            f" {classifiers[0]!r} and the regressor {regressors[0]!r}"
        )
    if not classifiers and not regressors:
        return targets.dtype.kind != "f"
    _check_kind(targets, classifiers, regressors)
    return bool(classifiers)


def _is(kind: Callable[[Any], bool], label: str, model: Any) -> bool:
    try:
        return bool(kind(model))
    except Exception as error:  # an estimator without the tags of scikit-learn
        raise StudyError(
            f"the model {label!r} must be a scikit-learn estimator, derived from"
            f" sklearn.base.BaseEstimator; asked for its kind, it raised {type(error).__name__}"
        ) from error


def _targets(y: Any) -> NDArray[Any]:
    """The targets as an array of classes or numbers, (n,)."""
    try:
        targets = np.asarray(y)
    except Exception as error:  # whatever the conversion of an object raises
        raise StudyError(f"y must hold one class or number per sample, got {shown(y)}") from error
    if targets.ndim != 1 or not len(targets):
        raise StudyError(f"y must hold one class or number per sample, got shape {targets.shape}")
    found = targets.tolist() if targets.dtype.kind == "O" else []
    texts = sum(isinstance(v, str) for v in found)
    wrong = [v for v in found if not isinstance(v, (str, bool)) and not is_real(v)]
    if targets.dtype.kind not in "iufbUO" or wrong or (texts and texts < len(found)):
        raise StudyError(
            f"y must hold classes or numbers of one kind, got {shown(wrong[0] if wrong else y)}"
        )
    if targets.dtype.kind == "f" and not np.isfinite(targets).all():
        raise StudyError("y must hold classes or numbers, got NaN or an infinity")
    if any(v != v or v in (math.inf, -math.inf) for v in found):
        raise StudyError("y must hold classes or numbers, got NaN or an infinity")
    return targets


def _check_kind(y: NDArray[Any], classifiers: list[str], regressors: list[str]) -> None:
    """Classifiers need classes, and regressors numbers."""
    numbers = y.dtype.kind in "iufb" or not isinstance(y[0], str)
    if regressors and not numbers:
        raise StudyError(
            f"y must hold numbers for the regressor {regressors[0]!r}, got {shown(y[0])}"
        )
    if classifiers and y.dtype.kind == "f" and (y != np.rint(y)).any():
        raise StudyError(
            f"y must hold classes for the classifier {classifiers[0]!r}, got the number"
            f" {float(y[y != np.rint(y)][0])!r}; use regressors, or make classes of the numbers"
        )


def make_splits(
    X: Any, y: Any, folds: int, repeats: int, groups: Any, seed: int, classify: bool
) -> list[Split]:
    """Draw k folds, several times.

    Args:
        X: inputs; only their number is used.
        y: targets, shape (n,).
        folds: k.
        repeats: how often folds are drawn.
        groups: labels of samples that belong together, shape (n,), or None.
        seed: of the folds.
        classify: whether the folds are stratified by y.

    Returns:
        One split per fold, repetition by repetition.

    Raises:
        StudyError: lengths differ, or there are too few samples, members of a class or groups.
    """
    from sklearn import model_selection as ms

    folds = as_count("folds", folds, 2)
    n, rows = len(y), _rows(X)
    if rows != n:
        raise StudyError(f"X and y must have the same length, got {rows} and {n}")
    if groups is not None:
        groups = _groups(groups, n)
    _check_size(y, folds, groups, classify)
    kinds = {
        (True, False): ms.StratifiedKFold,
        (False, False): ms.KFold,
        (True, True): ms.StratifiedGroupKFold,
        (False, True): ms.GroupKFold,
    }
    kind = kinds[classify, groups is not None]
    places = np.zeros((n, 1))  # the splitters look at the number of rows only
    try:
        return [
            (np.asarray(train), np.asarray(test))
            for r in range(repeats)
            for train, test in kind(
                folds, shuffle=True, random_state=derive(seed, "folds", r) % 2**32
            ).split(places, y, groups)
        ]
    except (TypeError, ValueError) as error:  # such as numbers in an array of objects
        raise StudyError(
            f"y must hold classes or numbers that scikit-learn can split into folds: {error}"
        ) from error


def _rows(X: Any) -> int:
    """How many samples the inputs hold."""
    shape = getattr(X, "shape", None)
    try:
        return int(shape[0]) if shape is not None else len(X)
    except Exception:  # no array, no list: None, a number, a generator
        raise StudyError(
            f"X must hold one row per sample, such as an array (n, columns), got {shown(X)}"
        ) from None


def _groups(groups: Any, n: int) -> NDArray[Any]:
    """The label of the group of each sample, (n,), all of one kind."""
    try:
        found = np.asarray(groups)
    except Exception:  # whatever the conversion of an object raises
        found = np.empty(())
    if found.ndim != 1:
        raise StudyError(f"groups must be a list of one label per sample, got {shown(groups)}")
    if len(found) != n:
        raise StudyError(f"groups must have the length of y, {n}, got {len(found)}")
    labels = found.tolist()
    kinds = {isinstance(v, str) for v in labels}
    wrong = [v for v in labels if not isinstance(v, (str, bool, int, float)) or v != v]
    if wrong or len(kinds) > 1:
        raise StudyError(
            f"groups must hold texts or numbers, got {shown(wrong[0] if wrong else groups)}"
        )
    return found


def _check_size(y: Any, folds: int, groups: Any, classify: bool) -> None:
    if groups is not None:
        found = len(set(groups.tolist()))
        if found < folds:
            raise StudyError(f"{folds} folds need at least {folds} groups, got {found}")
    if classify:
        labels, counts = np.unique(np.asarray(y), return_counts=True)
        if counts.min() < folds:
            raise StudyError(
                f"{folds} folds need at least {folds} samples of every class, got"
                f" {counts.min()} of {labels[counts.argmin()]}; use fewer folds"
            )
    elif len(y) < folds:
        raise StudyError(f"{folds} folds need at least {folds} samples, got {len(y)}")
