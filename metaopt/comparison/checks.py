"""Checks of the arguments of `compare`, `compare_models` and `load_comparison`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from metaopt.core.errors import StoreError, StudyError
from metaopt.pruning import Pruner, find_pruner
from metaopt.stats.checks import as_flag as as_true_or_false
from metaopt.stats.checks import as_number, as_whole, is_real, shown

__all__ = ["as_count", "as_flag", "as_label", "as_seed", "as_size", "as_storage"]

MOST = 10**7  # trials of a run, repeats: more are a mistake, and would not fit into memory
MOST_WORKERS = 1024
LONGEST = 200  # characters of a label, which is part of the names of studies and files


def as_count(name: str, value: Any, least: int = 1, most: int = MOST) -> int:
    """Return a whole number from `least` to `most`.

    Raises:
        StudyError: `value` is not such a number.
    """
    try:
        return as_whole(value, name, least, most)
    except ValueError:
        above = is_real(value) and value > most
        bound = f"at most {most}" if above else f"at least {least}"
        raise StudyError(f"{name} must be an integer of {bound}, got {shown(value)}") from None


def as_seed(seed: Any) -> int:
    """Return a seed; None is no seed, since comparisons must be repeatable.

    Raises:
        StudyError: `seed` is not a whole number of at least 0.
    """
    return as_count("seed", seed, 0, 2**63 - 1)


def as_flag(name: str, value: Any) -> bool:
    """Return True or False.

    Raises:
        StudyError: `value` is neither.
    """
    try:
        return as_true_or_false(value, name)
    except ValueError as error:
        raise StudyError(str(error)) from None


def as_size(name: str, value: Any, least: float, what: str, most: float = math.inf) -> float:
    """Return a finite number from `least` to `most`; `what` describes it.

    Raises:
        StudyError: `value` is not such a number.
    """
    try:
        return as_number(value, name, what, least, most)
    except ValueError as error:
        raise StudyError(str(error)) from None


def as_label(label: Any, what: str) -> str:
    """Return a label of a strategy or model: a text, without "/".

    Raises:
        StudyError: `label` is not such a text.
    """
    if not isinstance(label, str):
        raise StudyError(f"the label of a {what} must be a text, got {shown(label)}; use str(...)")
    if "/" in label:
        raise StudyError(f"the label {shown(label)} must not contain '/'")
    if not label.strip() or "\0" in label or len(label) > LONGEST:
        raise StudyError(
            f"the label of a {what} must be a text of 1 to {LONGEST} characters, got {shown(label)}"
        )
    return str(label)


def as_pruner(pruner: Any) -> Pruner | None:
    """Return the pruner that was given as an object or as a text.

    Raises:
        StudyError: `pruner` is neither, or a setting is wrong.
        UnknownNameError: there is no such pruner.
    """
    if pruner is not None and not isinstance(pruner, (str, Pruner)):
        raise StudyError(f"pruner must be a Pruner, its name or None, got {shown(pruner)}")
    return find_pruner(pruner)


def as_storage(storage: Any) -> str:
    """Return the file or database URL of studies as a text.

    Raises:
        StoreError: `storage` is neither a text nor a path, or a path that no file can have.
    """
    if not isinstance(storage, (str, Path)) or not str(storage).strip() or "\0" in str(storage):
        raise StoreError(f"storage must be a path or a database URL, got {shown(storage)}")
    if "://" not in str(storage):
        try:
            Path(storage).exists()
        except OSError as error:  # such as a name that is too long
            raise StoreError(
                f"storage must be a path or a database URL, got {shown(storage)}: {error.strerror}"
            ) from None
    return str(storage)
