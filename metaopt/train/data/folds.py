"""Folds for cross-validation: scikit-learn's splitters, with randomness from the data seed.

Notation: n samples, rows 0..n-1; a fold is a pair of arrays of rows, for training and validation.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from metaopt.core.errors import TrainingError
from metaopt.core.seeds import derive, global_random_kept
from metaopt.space.values import native
from metaopt.train.data.splitting import Rows

Fold = tuple[Rows, Rows]


class Splitter(Protocol):
    """The protocol of scikit-learn's splitters."""

    def split(self, X: Any, y: Any, groups: Any) -> Iterable[tuple[Any, Any]]: ...


def is_folds(value: Any) -> bool:
    """Whether `value` describes folds: a number of at least 2, or a splitter."""
    value = native(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value > 1
    # Strings and tensors have a method `split`, too.
    has_split = callable(getattr(value, "split", None))
    return has_split and not isinstance(value, str) and not hasattr(value, "shape")


def in_time(how: Any) -> bool:
    """Whether samples are ordered by time, so that the last ones must be the test part."""
    return any(kind.__name__ == "TimeSeriesSplit" for kind in type(how).__mro__)


def make_folds(
    how: int | Splitter,
    y: NDArray[Any],
    groups: NDArray[Any] | None,
    data_seed: int,
    classes: NDArray[Any] | None,
    stratify: bool,
) -> list[Fold]:
    """Split the samples into folds: a pure function of the arguments.

    Args:
        how: the number k of folds, which are shuffled, keep groups together and are stratified
            if `stratify`; or a splitter. A splitter without `random_state` uses `data_seed`
            instead of NumPy's global generator; its own `random_state` is kept.
        y: targets, shape (n, ...); class codes for classification.
        groups: the group of each sample, shape (n,), or None.
        data_seed: of the study.
        classes: labels in the order of their codes; None for regression.
        stratify: whether each fold gets its share of every class.

    Raises:
        TrainingError: the splitter refuses the data or returns no folds, or a fold is empty, has
            a sample in both parts, or lacks a class.

    """
    n, strata = len(y), y if stratify else np.zeros(len(y), dtype=np.int64)
    if isinstance(how, int):
        splitter, targets = _shuffled(how, strata, groups, classes if stratify else None), strata
    else:
        splitter, targets = copy.deepcopy(how), y
    if getattr(splitter, "random_state", 0) is None and getattr(splitter, "shuffle", True):
        splitter.random_state = derive(data_seed, "folds") % 2**32
    try:
        pairs = [(a, b) for a, b in splitter.split(np.zeros((n, 1)), targets, groups)]
    except Exception as error:
        hint = "; pass groups= to the Trainer" if groups is None and "group" in str(error) else ""
        raise TrainingError(
            f"validation={how!r} cannot split the {n} samples: {error}{hint}"
        ) from error
    if not pairs:
        raise TrainingError(f"validation={how!r} returned no folds")
    folds = [(_rows(a, n, k, pairs), _rows(b, n, k, pairs)) for k, (a, b) in enumerate(pairs)]
    # With groups or ordered by time, a validation part may lack a class; a training part never.
    spread = groups is None and not in_time(how)
    for k, (train, valid) in enumerate(folds):
        if np.intersect1d(train, valid).size:
            raise TrainingError(f"fold {k + 1} of {len(folds)} has samples in both its parts")
        if classes is not None:
            _check_classes("trains", y, train, classes, k, len(folds))
            if spread and len(valid) >= len(classes):
                _check_classes("validates", y, valid, classes, k, len(folds))
    return folds


def _shuffled(
    k: int,
    strata: NDArray[Any],
    groups: NDArray[Any] | None,
    classes: NDArray[Any] | None,
) -> Any:
    with global_random_kept():
        from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    held = "groups" if groups is not None else "samples"
    units = len(strata) if groups is None else len(np.unique(groups))
    if units < k:
        raise TrainingError(f"{units} {held} are too few for {k} folds")
    if classes is not None:
        codes, counts = np.unique(strata, return_counts=True)
        least = int(counts.argmin())
        if counts[least] < k:
            raise TrainingError(
                f"{counts[least]} samples of class {classes[codes[least]].item()!r} are too few"
                f" for {k} folds; give more data or fewer folds"
            )
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    return kind(k, shuffle=True)


def _rows(given: Any, n: int, fold: int, pairs: Sequence[Any]) -> Rows:
    rows = np.asarray(given)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or rows.size == 0:
        raise TrainingError(f"fold {fold + 1} of {len(pairs)} needs two arrays of row numbers")
    if rows.min() < 0 or rows.max() >= n:
        wrong = rows.min() if rows.min() < 0 else rows.max()
        raise TrainingError(f"fold {fold + 1} of {len(pairs)} has row {wrong} of only {n} samples")
    return np.sort(rows).astype(np.int64)


def _check_classes(
    does: str, y: NDArray[Any], rows: Rows, classes: NDArray[Any], fold: int, count: int
) -> None:
    missing = np.setdiff1d(np.unique(y), y[rows])
    if missing.size:
        raise TrainingError(
            f"fold {fold + 1} of {count} {does} without the class"
            f" {classes[int(missing[0])].item()!r}; shuffle or stratify the folds, for instance"
            " with validation=5, or use fewer folds"
        )
