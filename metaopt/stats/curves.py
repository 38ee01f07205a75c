"""Convergence curves: the best value so far, and how it spreads over repeats."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.stats.checks import as_sample


def best_so_far(values: Any, direction: str = "minimize") -> FloatArray:
    """Best value up to each trial; values (..., trials) in the order of the trials, same shape.

    Trials without a value (None, NaN) and infinite ones leave the best as it was; it is NaN until
    the first value.

    Raises:
        StatisticsError: rows differ in length, or `direction` is wrong.
    """
    best = _best_of(direction)
    array = _values(values)
    if array.ndim == 0:
        raise StatisticsError(f"values must be a sequence over trials, got {values!r}")
    array[~np.isfinite(array)] = np.nan
    return best.accumulate(array, axis=-1)


def _values(values: Any) -> FloatArray:
    try:
        return np.array(values, dtype=np.float64)  # None becomes NaN
    except (TypeError, ValueError) as error:
        raise StatisticsError(
            f"values must be numbers or None, in rows of one length, got {values!r:.80};"
            f" call best_so_far on each row, and band on the list of them"
        ) from error


def _best_of(direction: str) -> np.ufunc:
    # fmin and fmax prefer any number to NaN.
    table = {"minimize": np.fmin, "maximize": np.fmax}
    if direction not in table:
        raise StatisticsError(f"direction must be 'minimize' or 'maximize', got {direction!r}")
    return table[direction]


def at_times(times: Any, values: Any, grid: Any, direction: str = "minimize") -> FloatArray:
    """Best value known at each time of `grid`, (m,), of one run; times and values both (n,).

    `times` say when each value became known, in seconds since the run began, in any order:
    parallel trials end as they like. NaN before the first value. Rows for several runs on one grid
    make curves by seconds for `band`, `area` and `rank_over_time`.

    Raises:
        StatisticsError: lengths differ, a time is not finite or below 0, or `direction` is wrong.
    """
    when, asked = as_sample(times, "times", least=0), as_sample(grid, "grid")
    found = _values(values)
    if found.shape != when.shape:
        raise StatisticsError(
            f"times must have one entry for each value, got {len(when)} for shape {found.shape}"
        )
    if len(when) and when.min() < 0:
        raise StatisticsError(f"times must be seconds since the start, got {when.min()!r}")
    order = np.argsort(when, kind="stable")
    best = np.concatenate([[np.nan], best_so_far(found[order], direction)])
    at: FloatArray = best[np.searchsorted(when[order], asked, side="right")]
    return at


@dataclass(frozen=True, eq=False)
class Band:
    """Quantiles over repeats at each trial; all arrays (trials,).

    Attributes:
        lower: lower quartile.
        median: median.
        upper: upper quartile.
        count: how many repeats have a value by then.
    """

    lower: FloatArray
    median: FloatArray
    upper: FloatArray
    count: np.typing.NDArray[np.int64]


def band(curves: Iterable[Any], direction: str = "minimize") -> Band:
    """Median and quartiles over repeats; curves (repeats, trials), or rows of unequal length.

    Made for `best_so_far`: a curve that ends early keeps its last value, as a study does whose
    space is exhausted. A repeat without a value yet (NaN) counts as worse than all others; a
    quantile that falls on one is NaN. So no curve looks better for having failed.

    Raises:
        StatisticsError: there is no curve, an empty one, or one that is not one-dimensional.
    """
    worst = np.inf if _best_of(direction) is np.fmin else -np.inf
    rows = [np.asarray(row, dtype=np.float64) for row in curves]
    if not rows:
        raise StatisticsError("a band needs at least one curve, got none")
    for i, row in enumerate(rows):
        if row.ndim != 1 or not len(row):
            raise StatisticsError(
                f"curves must be sequences of at least one value, got shape {row.shape} for"
                f" repeat {i}; give curves of the shape (repeats, trials)"
            )
    length = max(map(len, rows))
    table = np.stack([np.pad(row, (0, length - len(row)), mode="edge") for row in rows])
    known = np.isfinite(table)
    ordered = np.sort(np.where(known, table, worst), axis=0)
    lower, median, upper = (_quantile(ordered, level) for level in (0.25, 0.5, 0.75))
    return Band(lower, median, upper, known.sum(axis=0))


def _quantile(ordered: FloatArray, level: float) -> FloatArray:
    """Quantile of sorted columns by linear interpolation; NaN where it needs an infinity."""
    place = level * (len(ordered) - 1)
    k = int(place)
    low, high = ordered[k], ordered[min(k + 1, len(ordered) - 1)]
    # numpy's own quantile turns a finite value next to an infinity into NaN even at weight 0.
    between = low if place == k else _lerp(low, high, place - k)
    return np.where(np.isfinite(between), between, np.nan)


def _lerp(low: FloatArray, high: FloatArray, weight: float) -> FloatArray:
    return low * (1 - weight) + high * weight  # inf with a finite value stays inf, never NaN
