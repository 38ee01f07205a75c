"""The one error of the statistics, and the checks at their border.

An array of scores is made of finite numbers. Where only the order counts, infinities are scores
like others: a failed run enters as +inf, below which everything is better. NaN is never a score.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class StatisticsError(ValueError):
    """Data does not allow the statistic that was asked for."""


def as_floats(values: Any, name: str, *, infinite: bool = False) -> FloatArray:
    """Return `values` as an array of floats; `infinite` allows infinities.

    Raises:
        StatisticsError: it is ragged, holds no numbers, or NaN.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise StatisticsError(
            f"{name} must be an array of numbers with rows of one length, got {values!r:.80}"
        ) from error
    if np.isnan(array).any():
        remedy = "give a failed run the value +inf" if infinite else "leave such runs out in pairs"
        where = tuple(int(i) for i in np.argwhere(np.isnan(array))[0])
        raise StatisticsError(f"{name} must not hold NaN, got one at {list(where)}; {remedy}")
    if not infinite and not np.isfinite(array).all():
        raise StatisticsError(
            f"{name} must be finite, for differences are taken, got an infinity;"
            f" give a failed run a finite value worse than all others"
        )
    return array


def as_sample(values: Any, name: str, *, least: int = 1, infinite: bool = False) -> FloatArray:
    """Return `values` as a one-dimensional sample of at least `least` numbers, shape (n,)."""
    array = as_floats(values, name, infinite=infinite)
    if array.ndim != 1:
        raise StatisticsError(f"{name} must be one-dimensional, got shape {array.shape}")
    if len(array) < least:
        raise StatisticsError(f"{name} needs at least {least} values, got {len(array)}")
    return array


def as_pairs(x: Any, y: Any) -> tuple[FloatArray, FloatArray]:
    """Return two finite samples whose i-th members belong together, both (n,)."""
    x, y = as_sample(x, "x"), as_sample(y, "y")
    if len(x) != len(y):
        raise StatisticsError(
            f"x and y must be paired, one value of each per block, got {len(x)} and {len(y)} values"
        )
    return x, y


def as_blocks(scores: Any, *, infinite: bool = False) -> FloatArray:
    """Return scores of at least 2 treatments in at least 2 blocks, shape (blocks, treatments)."""
    array = as_floats(scores, "scores", infinite=infinite)
    if array.ndim != 2:
        raise StatisticsError(
            f"scores must have the shape (blocks, treatments), got shape {array.shape}"
        )
    if array.shape[0] < 2 or array.shape[1] < 2:
        raise StatisticsError(
            f"scores need at least 2 blocks (rows) and 2 treatments (columns),"
            f" got {array.shape[0]} x {array.shape[1]}; run more repeats or problems"
        )
    return array
