"""Splits into training, validation and test samples: pure functions of the data seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaopt.core.errors import TrainingError
from metaopt.core.seeds import stream
from metaopt.space.values import is_number, native

Rows = NDArray[np.int64]


def is_fraction(value: Any, name: str) -> bool:
    """Whether a split is given as a fraction (None and 0 mean no test part) and not as data.

    Raises:
        TrainingError: the fraction is not between 0 and 1, or the validation part would be empty.

    """
    value = native(value)
    if value is None or is_number(value):
        none = value is None or value == 0
        if name == "validation" and none:
            raise TrainingError("validation must be a fraction above 0 or data, got None or 0")
        if not none and not 0 < value < 1:
            raise TrainingError(f"{name} must be a fraction between 0 and 1, got {value!r}")
        return True
    return False


def _take(n: int, fraction: float) -> int:
    return max(1, round(n * fraction)) if fraction else 0


def check_split(
    n: int,
    strata: NDArray[Any] | None,
    fractions: Mapping[str, float],
    classes: NDArray[Any] | None,
) -> None:
    """Refuse data with too few samples for all parts; if stratified, of any class.

    Raises:
        TrainingError: a part would have no sample, or no sample of a class.

    """
    counts = np.array([n]) if strata is None else np.unique(strata, return_counts=True)[1]
    for k, count in enumerate(counts.tolist()):
        if count - sum(_take(count, f) for f in fractions.values()) >= 1:
            continue
        named = (
            f" of class {classes[k].item()!r}" if strata is not None and classes is not None else ""
        )
        parts = ", ".join(f"{name}={f:g}" for name, f in fractions.items())
        raise TrainingError(
            f"{count} samples{named} are too few for {parts} and a training part;"
            " give more data, smaller fractions or explicit splits"
        )


def split_rows(
    n: int, strata: NDArray[Any] | None, fractions: Mapping[str, float], data_seed: int
) -> dict[str, Rows]:
    """Split rows 0..n-1 into "train" and one part for each fraction above 0, each sorted.

    Every part gets its fraction of each class, rounded, and at least one sample.
    """
    rng = stream(data_seed, "split")
    strata = np.zeros(n, dtype=np.int64) if strata is None else strata
    pieces: dict[str, list[Rows]] = {"train": [], **{k: [] for k, f in fractions.items() if f}}
    for value in np.unique(strata):
        rows = rng.permutation(np.flatnonzero(strata == value))
        total, start = len(rows), 0
        for name, fraction in fractions.items():
            if fraction:
                end = start + _take(total, fraction)
                pieces[name].append(rows[start:end])
                start = end
        pieces["train"].append(rows[start:])
    return {name: np.sort(np.concatenate(piece)) for name, piece in pieces.items()}


def split_groups(
    groups: NDArray[Any], fractions: Mapping[str, float], data_seed: int
) -> dict[str, Rows]:
    """Split as `split_rows` does, but add whole groups until a part is large enough.

    Raises:
        TrainingError: there are not enough groups for a training part.

    """
    names, codes = np.unique(groups, return_inverse=True)
    sizes = np.bincount(codes)
    order = stream(data_seed, "split").permutation(len(names)).tolist()
    parts: dict[str, Rows] = {}
    for name, fraction in fractions.items():
        chosen: list[int] = []
        while fraction and order and sizes[chosen].sum() < _take(len(groups), fraction):
            chosen.append(order.pop())
        if fraction:
            parts[name] = np.flatnonzero(np.isin(codes, chosen))
    if not order:
        wanted = ", ".join(f"{name}={f:g}" for name, f in fractions.items())
        raise TrainingError(f"{len(names)} groups are too few for {wanted} and a training part")
    return {"train": np.flatnonzero(np.isin(codes, order)), **parts}


def split_in_time(n: int, fractions: Mapping[str, float]) -> dict[str, Rows]:
    """Split as `split_rows` does, but in order: the last samples form the part named first."""
    parts, end = {}, n
    for name, fraction in fractions.items():
        if fraction:
            start = end - _take(n, fraction)
            parts[name] = np.arange(start, end)
            end = start
    return {"train": np.arange(end), **parts}


def epoch_order(n: int, data_seed: int, epoch: int) -> Rows:
    """Return the order of the n samples in one epoch."""
    return stream(data_seed, "order", epoch).permutation(n)
