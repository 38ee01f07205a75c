"""Convergence curves: the best value so far, and its quantiles over repeats."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.stats.checks import as_array, as_sample, numeric, shown


def best_so_far(values: Any, direction: str = "minimize") -> FloatArray:
    """Best value up to each trial.

    Args:
        values: values of the trials, shape (..., trials), in the order of the trials. Trials
            without a finite value (None, NaN, infinite) do not change the best value.
        direction: "minimize" or "maximize".

    Returns:
        The best values, in the shape of `values`; NaN until the first value.

    Raises:
        StatisticsError: `values` is not numeric, has rows of different lengths or is a single
            number, or `direction` is not valid.
    """
    best = _best_of(direction)
    if as_array(values, "values").ndim == 0:
        raise StatisticsError(f"values must be a sequence over trials, got {shown(values)}")
    array = numeric(values, "values", "numbers or None")
    array[~np.isfinite(array)] = np.nan
    return best.accumulate(array, axis=-1)


def _best_of(direction: str) -> np.ufunc:
    # fmin and fmax ignore NaN where there is a number.
    table = {"minimize": np.fmin, "maximize": np.fmax}
    if not isinstance(direction, str) or direction not in table:
        raise StatisticsError(f"direction must be 'minimize' or 'maximize', got {shown(direction)}")
    return table[direction]


def at_times(times: Any, values: Any, grid: Any, direction: str = "minimize") -> FloatArray:
    """Best value known at each time of a grid, of one run.

    The results of several runs on one grid are curves over seconds for `band`, `area` and
    `rank_over_time`.

    Args:
        times: when each value became known, in seconds since the start of the run, shape (n,), in
            any order (parallel trials may end in any order).
        values: values of the trials, shape (n,); None or NaN for a trial without a value.
        grid: times to evaluate, in seconds, shape (m,).
        direction: "minimize" or "maximize".

    Returns:
        The best values, shape (m,); NaN before the first value.

    Raises:
        StatisticsError: lengths differ, a time is not finite or below 0, or `direction` is not
            valid.
    """
    when, asked = as_sample(times, "times", least=0), as_sample(grid, "grid")
    found = numeric(values, "values", "numbers or None")
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
    """Quantiles over repeats at each trial; all arrays have the shape (trials,).

    Attributes:
        lower: lower quartile.
        median: median.
        upper: upper quartile.
        count: number of repeats that have a value by this trial.
    """

    lower: FloatArray
    median: FloatArray
    upper: FloatArray
    count: np.typing.NDArray[np.int64]


def band(curves: Iterable[Any], direction: str = "minimize") -> Band:
    """Median and quartiles over repeats at each trial.

    A curve that ends early keeps its last value, like a study whose space is exhausted. A repeat
    without a value yet (NaN) counts as worse than all others, and a quantile that falls on it is
    NaN, so failed trials never improve a quantile.

    Args:
        curves: best-so-far curves (see `best_so_far`), shape (repeats, trials), or rows of
            different lengths.
        direction: "minimize" or "maximize".

    Returns:
        The quantiles, with as many trials as the longest curve.

    Raises:
        StatisticsError: there is no curve, one is empty or not one-dimensional, or `direction` is
            not valid.
    """
    worst = np.inf if _best_of(direction) is np.fmin else -np.inf
    rows = _rows(curves)
    length = max(map(len, rows))
    table = np.stack([np.pad(row, (0, length - len(row)), mode="edge") for row in rows])
    known = np.isfinite(table)
    ordered = np.sort(np.where(known, table, worst), axis=0)
    lower, median, upper = (_quantile(ordered, level) for level in (0.25, 0.5, 0.75))
    return Band(lower, median, upper, known.sum(axis=0))


def _rows(curves: Iterable[Any]) -> list[FloatArray]:
    """The curves, each of shape (trials,)."""
    if isinstance(curves, (str, bytes, dict)) or not isinstance(curves, Iterable):
        raise StatisticsError(f"curves must be a list of curves, got {shown(curves)}")
    rows = []
    for i, row in enumerate(curves):
        shape = as_array(row, f"curves[{i}]").shape
        if len(shape) != 1 or not shape[0]:
            raise StatisticsError(
                f"curves must be sequences of at least one value, got shape {shape} for"
                f" repeat {i}; give curves of the shape (repeats, trials)"
            )
        rows.append(numeric(row, f"curves[{i}]", "numbers or None"))
    if not rows:
        raise StatisticsError("a band needs at least one curve, got none")
    return rows


def _quantile(ordered: FloatArray, level: float) -> FloatArray:
    """Quantile of sorted columns by linear interpolation; NaN if it involves an infinity."""
    place = level * (len(ordered) - 1)
    k = int(place)
    low, high = ordered[k], ordered[min(k + 1, len(ordered) - 1)]
    # np.quantile returns NaN for a finite value next to an infinity, even if its weight is 0.
    between = low if place == k else _lerp(low, high, place - k)
    return np.where(np.isfinite(between), between, np.nan)


def _lerp(low: FloatArray, high: FloatArray, weight: float) -> FloatArray:
    return low * (1 - weight) + high * weight  # inf and a finite value give inf, never NaN
