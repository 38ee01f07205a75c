"""Folds for comparing models: repeated, stratified for classes, and with whole groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaopt.core.errors import StudyError, whole
from metaopt.core.seeds import derive

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

    targets = np.asarray(y)
    if targets.ndim != 1 or not len(targets):
        raise StudyError(f"y must hold one class or number per sample, got shape {targets.shape}")
    if targets.dtype.kind == "f" and not np.isfinite(targets).all():
        raise StudyError("y must hold classes or numbers, got NaN or an infinity")
    estimators = {
        k: m for k, m in models.items() if hasattr(m, "get_params") and not isinstance(m, type)
    }
    classifiers = [k for k, m in estimators.items() if is_classifier(m)]
    regressors = [k for k, m in estimators.items() if is_regressor(m)]
    if classifiers and regressors:
        raise StudyError(
            f"models must all be classifiers or all regressors, got the classifier"
            f" {classifiers[0]!r} and the regressor {regressors[0]!r}"
        )
    if not classifiers and not regressors:
        return targets.dtype.kind != "f"
    return bool(classifiers)


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

    folds = whole("folds", folds, StudyError, least=2)
    n, rows = len(y), np.shape(X)[0] if hasattr(X, "shape") else len(X)
    if rows != n:
        raise StudyError(f"X and y must have the same length, got {rows} and {n}")
    if groups is not None and len(groups) != n:
        raise StudyError(f"groups must have the length of y, {n}, got {len(groups)}")
    _check_size(y, folds, groups, classify)
    kinds = {
        (True, False): ms.StratifiedKFold,
        (False, False): ms.KFold,
        (True, True): ms.StratifiedGroupKFold,
        (False, True): ms.GroupKFold,
    }
    kind = kinds[classify, groups is not None]
    places = np.zeros((n, 1))  # the splitters look at the number of rows only
    return [
        (np.asarray(train), np.asarray(test))
        for r in range(repeats)
        for train, test in kind(
            folds, shuffle=True, random_state=derive(seed, "folds", r) % 2**32
        ).split(places, y, groups)
    ]


def _check_size(y: Any, folds: int, groups: Any, classify: bool) -> None:
    if groups is not None:
        found = len(set(np.asarray(groups).tolist()))
        if found < folds:
            raise StudyError(f"{folds} folds need at least {folds} groups, got {found}")
    elif classify:
        labels, counts = np.unique(np.asarray(y), return_counts=True)
        if counts.min() < folds:
            raise StudyError(
                f"{folds} folds need at least {folds} samples of every class, got"
                f" {counts.min()} of {labels[counts.argmin()]}; use fewer folds"
            )
    elif len(y) < folds:
        raise StudyError(f"{folds} folds need at least {folds} samples, got {len(y)}")
