"""Overtuning: how much a better validation value cost in the hidden test value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.stats.checks import numeric


@dataclass(frozen=True, eq=False)
class Overtuning:
    """Overtuning of one run; an incumbent is the configuration with the best validation value.

    Attributes:
        absolute: test value of the last incumbent minus the best test value of all incumbents, in
            the units of the test values; 0 means no overtuning.
        relative: `absolute` divided by the improvement of the test value from the first incumbent
            to the best one. 1 means that the search ended where it began, and more than 1 that it
            ended with a worse test value. NaN if no incumbent was better than the first.
        worsened: share of the changes of the incumbent after which the test value was worse; NaN if
            the incumbent never changed.
        changes: how often the incumbent changed.
        trajectory: absolute overtuning after each trial, shape (trials,); NaN before the first
            incumbent.
        tests: test value of the incumbent after each trial, likewise.
    """

    absolute: float
    relative: float
    worsened: float
    changes: int
    trajectory: FloatArray
    tests: FloatArray


def overtuning(validation: Any, tests: Any) -> Overtuning:
    """Overtuning of a run: a better validation value that meant a worse hidden test value.

    Only incumbents count: a configuration with a good test value that was never the best by
    validation is not a loss of the search. Of equal validation values the earliest is the
    incumbent. As in the code of the authors, trials without both values are left out. They also
    leave out the relative overtuning of runs that improved the test value by less than 0.001; here
    it is undefined only if there was no improvement beyond rounding errors, since the units of the
    values are not known.

    Args:
        validation: costs of the trials, shape (trials,), in their order; lower is better. NaN, None
            or infinite for a trial without a value.
        tests: hidden test costs of the same trials, shape (trials,), likewise.

    Returns:
        The overtuning of the run.

    Raises:
        StatisticsError: the shapes differ or are not (trials,), or no trial has both values.

    Source: Schneider, Bischl and Feurer (2025).
    """
    x, y = numeric(validation, "validation"), numeric(tests, "tests")
    if x.shape != y.shape or x.ndim != 1:
        raise StatisticsError(
            f"validation and tests must be one-dimensional, with one value each per trial, got"
            f" shapes {x.shape} and {y.shape}"
        )
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        raise StatisticsError(
            "overtuning needs a trial with a validation and a test value, got none; leave this run"
            " out"
        )
    start = int(known.argmax())
    chosen = _incumbents(np.where(known, x, np.inf)[start:])
    seen = np.full(len(y), np.nan)
    seen[start:] = y[start:][chosen]
    return _of(seen, y[start:][np.unique(chosen)])  # indices of incumbents rise with time


def _of(seen: FloatArray, incumbents: FloatArray) -> Overtuning:
    """Overtuning from the test value after each trial, (trials,), and of each incumbent, (m,)."""
    with np.errstate(over="ignore"):  # a difference beyond the largest float is infinite
        trajectory = seen - np.fmin.accumulate(seen)
    halves = incumbents / 2  # so that no difference of two is too large
    first, best, last = float(halves[0]), float(halves.min()), float(halves[-1])
    gain, absolute, changes = first - best, float(trajectory[-1]), len(incumbents) - 1
    rounding = float(np.finfo(np.float64).eps) * (abs(first) + abs(best))
    relative = (last - best) / gain if gain > rounding else float("nan")
    worsened = float((incumbents[1:] > incumbents[:-1]).mean()) if changes else float("nan")
    return Overtuning(absolute, relative, worsened, changes, trajectory, seen)


def _incumbents(costs: FloatArray) -> np.typing.NDArray[np.intp]:
    """Index of the lowest cost so far at each trial, the earliest among equals."""
    best = np.minimum.accumulate(costs)
    new = np.append(True, costs[1:] < best[:-1])
    found: np.typing.NDArray[np.intp] = np.maximum.accumulate(
        np.where(new, np.arange(len(costs)), 0)
    )
    return found
