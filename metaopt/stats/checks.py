"""Checks of what the statistical functions are given.

An array of scores is made of finite numbers. Where only the order counts, infinities are scores
like others: a failed run enters as +inf, below which everything is better. NaN is never a score.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray


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


def as_pairs(
    x: Any, y: Any, *, least: int = 1, infinite: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Return two samples whose i-th members belong together, both (n,)."""
    x = as_sample(x, "x", least=least, infinite=infinite)
    y = as_sample(y, "y", least=least, infinite=infinite)
    if len(x) != len(y):
        raise StatisticsError(
            f"x and y must be paired, one value of each per block, got {len(x)} and {len(y)} values"
        )
    return x, y


def differences(x: FloatArray, y: FloatArray) -> tuple[FloatArray, float]:
    """Return x - y, with 0 for what is rounding only, and the largest rounding error in it.

    Each input may be off by half a unit in its last place, and so may the subtraction.
    """
    d = x - y
    slack = np.finfo(np.float64).eps * (np.abs(x) + np.abs(y))
    return np.where(np.abs(d) > slack, d, 0.0), float(slack.max())


def deviation(d: FloatArray, slack: float) -> float:
    """Standard deviation of differences, shape (n,), n - 1 below; 0 where all of them are 0.

    Raises:
        StatisticsError: all differences are equal and not 0: nothing to measure them against.
    """
    if not d.any():
        return 0.0
    if np.ptp(d) <= 2 * slack:
        raise StatisticsError(
            f"the {len(d)} differences must vary, for a t or F test measures their mean against"
            f" their spread, got {float(d.flat[0]):.6g} throughout; if the repeats are really"
            f" different runs, use wilcoxon or sign_test"
        )
    return float(d.std(ddof=1))


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


def as_level(level: Any) -> float:
    """Return a confidence or test level, strictly between 0 and 1."""
    if isinstance(level, bool) or not isinstance(level, (int, float, np.number)):
        raise StatisticsError(f"level must be a number between 0 and 1, got {level!r}")
    if not 0 < level < 1:
        raise StatisticsError(f"level must lie between 0 and 1, such as 0.95, got {level!r}")
    return float(level)


def as_whole(value: Any, name: str, least: int = 1) -> int:
    """Return `value` if it is a whole number of at least `least`."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least:
        raise StatisticsError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return int(value)


def as_column(value: Any, k: int, name: str = "control") -> int:
    """Return `value` if it is the number of one of k columns."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or not 0 <= value < k:
        raise StatisticsError(f"{name} must be a column from 0 to {k - 1}, got {value!r}")
    return int(value)


def as_fraction(value: Any, name: str = "test_fraction") -> float:
    """Return the share of the data in a test set, strictly between 0 and 1."""
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not number or not 0 < value < 1:
        raise StatisticsError(
            f"{name} must lie between 0 and 1, the share of the data in each test set"
            f" (1 / k for k folds), got {value!r}"
        )
    return float(value)
