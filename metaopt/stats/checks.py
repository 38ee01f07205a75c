"""Validation of the arguments of the statistical functions.

Scores are finite numbers. Functions that use only the order of scores also accept infinities: a
failed run enters as +inf and is worse than all others. NaN is never accepted.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray


def as_floats(values: Any, name: str, *, infinite: bool = False) -> FloatArray:
    """Return `values` as an array of floats; `infinite` allows infinities.

    Raises:
        StatisticsError: `values` is ragged, not numeric, holds NaN, or an infinity if not allowed.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise StatisticsError(
            f"{name} must be an array of numbers with rows of equal length, got {values!r:.80}"
        ) from error
    if np.isnan(array).any():
        remedy = "give a failed run the value +inf" if infinite else "leave out its pair or block"
        where = tuple(int(i) for i in np.argwhere(np.isnan(array))[0])
        raise StatisticsError(f"{name} must not hold NaN, got one at {list(where)}; {remedy}")
    if not infinite and not np.isfinite(array).all():
        raise StatisticsError(
            f"{name} must be finite because differences are computed, got an infinity;"
            f" give a failed run a finite value worse than all others"
        )
    return array


def as_sample(values: Any, name: str, *, least: int = 1, infinite: bool = False) -> FloatArray:
    """Return `values` as a one-dimensional sample of at least `least` numbers, shape (n,).

    Raises:
        StatisticsError: as `as_floats`, or another shape or too few values.
    """
    array = as_floats(values, name, infinite=infinite)
    if array.ndim != 1:
        raise StatisticsError(f"{name} must be one-dimensional, got shape {array.shape}")
    if len(array) < least:
        raise StatisticsError(f"{name} needs at least {least} values, got {len(array)}")
    return array


def as_pairs(
    x: Any, y: Any, *, least: int = 1, infinite: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Return two paired samples, shape (n,) each; x[i] and y[i] belong to one pair.

    Raises:
        StatisticsError: as `as_sample`, or lengths differ.
    """
    x = as_sample(x, "x", least=least, infinite=infinite)
    y = as_sample(y, "y", least=least, infinite=infinite)
    if len(x) != len(y):
        raise StatisticsError(
            f"x and y must be paired, one value each per block, got {len(x)} and {len(y)} values"
        )
    return x, y


def differences(x: FloatArray, y: FloatArray) -> tuple[FloatArray, float]:
    """Return x - y with rounding errors set to 0, and the largest possible rounding error.

    Each input may be off by half a unit in its last place, and so may the subtraction.
    """
    d = x - y
    slack = np.finfo(np.float64).eps * (np.abs(x) + np.abs(y))
    return np.where(np.abs(d) > slack, d, 0.0), float(slack.max())


def deviation(d: FloatArray, slack: float) -> float:
    """Sample standard deviation (ddof=1) of differences, shape (n,); 0 if all of them are 0.

    Raises:
        StatisticsError: all differences are equal and not 0, so the standard error would be 0.
    """
    if not d.any():
        return 0.0
    if np.ptp(d) <= 2 * slack:
        raise StatisticsError(
            f"the {len(d)} differences must vary, because a t or F test compares their mean with"
            f" their spread, got {float(d.flat[0]):.6g} for all of them; if the repeats really are"
            f" different runs, use wilcoxon or sign_test"
        )
    return float(d.std(ddof=1))


def as_blocks(scores: Any, *, infinite: bool = False) -> FloatArray:
    """Return scores of at least 2 treatments in at least 2 blocks, shape (blocks, treatments).

    Raises:
        StatisticsError: as `as_floats`, or another shape or too few blocks or treatments.
    """
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
    """Return a confidence or test level, strictly between 0 and 1.

    Raises:
        StatisticsError: `level` is not such a number.
    """
    if isinstance(level, bool) or not isinstance(level, (int, float, np.number)):
        raise StatisticsError(f"level must be a number between 0 and 1, got {level!r}")
    if not 0 < level < 1:
        raise StatisticsError(f"level must lie between 0 and 1, such as 0.95, got {level!r}")
    return float(level)


def as_whole(value: Any, name: str, least: int = 1) -> int:
    """Return `value` as an int of at least `least`.

    Raises:
        StatisticsError: `value` is not such a whole number.
    """
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least:
        raise StatisticsError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return int(value)


def as_column(value: Any, k: int, name: str = "control") -> int:
    """Return `value` as the index of one of k columns.

    Raises:
        StatisticsError: `value` is not a whole number from 0 to k - 1.
    """
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or not 0 <= value < k:
        raise StatisticsError(f"{name} must be a column from 0 to {k - 1}, got {value!r}")
    return int(value)


def as_fraction(value: Any, name: str = "test_fraction") -> float:
    """Return the share of the data in a test set, strictly between 0 and 1.

    Raises:
        StatisticsError: `value` is not such a number.
    """
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not number or not 0 < value < 1:
        raise StatisticsError(
            f"{name} must lie between 0 and 1, the share of the data in each test set"
            f" (1 / k for k folds), got {value!r}"
        )
    return float(value)
