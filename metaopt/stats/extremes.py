"""Arithmetic near the largest and the smallest floats: no overflow, no loss of small differences.

Sums, squares and means of such values leave the range of floats although the result does not. So
they are computed in another unit, a power of two, which changes no digit of ordinary values.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray

HUGE = 1e300  # beyond it, sums of a few values may overflow
EPS = float(np.finfo(np.float64).eps)
LARGEST = float(np.finfo(np.float64).max)


def differences(x: FloatArray, y: FloatArray) -> tuple[FloatArray, float]:
    """Return x - y with rounding errors set to 0, and the largest possible rounding error.

    Each input may be off by half a unit in its last place, and so may the subtraction. A difference
    beyond the largest float becomes the largest float.
    """
    with np.errstate(over="ignore"):
        d = np.clip(x - y, -LARGEST, LARGEST)
    slack = EPS * np.abs(x) + EPS * np.abs(y)
    return np.where(np.abs(d) > slack, d, 0.0), float(slack.max())


def unit_of(values: FloatArray) -> float:
    """Return the power of two up to the largest size of the values; 1 if all are 0 or none."""
    largest = float(np.abs(values).max()) if values.size else 0.0
    if largest == 0 or not math.isfinite(largest):
        return 1.0
    return math.ldexp(1.0, math.frexp(largest)[1] - 1)


def scaled_differences(x: FloatArray, y: FloatArray) -> tuple[FloatArray, float, float]:
    """Return `differences` and their rounding error in units of `unit_of` them, and this unit."""
    d, slack = differences(x, y)
    unit = unit_of(d)
    return d / unit, slack / unit, unit


def deviation(d: FloatArray, slack: float, unit: float = 1.0) -> float:
    """Sample standard deviation (ddof=1) of differences, shape (n,); 0 if all of them are 0.

    Raises:
        StatisticsError: all differences are equal and not 0, so the standard error would be 0.
    """
    if not d.any():
        return 0.0
    if np.ptp(d) <= 2 * slack:
        raise StatisticsError(
            f"the {len(d)} differences must vary, because a t or F test compares their mean with"
            f" their spread, got {float(d.flat[0]) * unit:.6g} for all of them; if the repeats"
            f" really are different runs, use wilcoxon or sign_test"
        )
    return float(d.std(ddof=1))


def with_room(*samples: FloatArray) -> tuple[list[FloatArray], float]:
    """Return samples in a unit in which differences and sums of two are finite, and this unit.

    The unit is 1 unless there are values beyond 1e300; infinities stay.
    """
    sizes = [np.abs(s[np.isfinite(s)]).max(initial=0.0) for s in samples]
    unit = 4.0 if max(sizes, default=0.0) > HUGE else 1.0
    return [s / unit for s in samples], unit


def median(values: FloatArray, axis: int | None = None) -> Any:
    """Median along an axis, like ``numpy.median``; finite for all finite values."""
    (inside,), unit = with_room(values)
    return unit * np.median(inside, axis=axis)
