"""Values of parameters: JSON scalars, and how they are told apart."""

from __future__ import annotations

import math
from collections.abc import Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scalar = None | bool | int | float | str
Config = dict[str, Scalar]  # the active parameters only, in declared order
IntArray = NDArray[np.int64]


class BadValue(ValueError):
    """A value or definition is wrong; the space adds the parameter's name to the message."""


def native(value: Any) -> Any:
    """Turn a numpy scalar into the Python value it stands for; leave the rest alone."""
    return value.item() if isinstance(value, np.generic) else value


def typed(value: Any) -> tuple[str, Any]:
    """Identify a scalar with its type: True, 1, 1.0 and "1" are four different values."""
    value = native(value)
    return (type(value).__name__, value)


def as_tuple(values: Any) -> tuple[Any, ...]:
    """Read one scalar or a sequence of them as a tuple of native values."""
    if isinstance(values, Set):  # without an order of their own: it must not vary
        return tuple(sorted((native(v) for v in values), key=lambda v: repr(typed(v))))
    if isinstance(values, (list, tuple, np.ndarray)):
        return tuple(native(v) for v in values)
    return (native(values),)


def is_finite(value: Any) -> bool:
    """Tell whether `value` is a number within the range of floats."""
    try:
        return is_number(value) and math.isfinite(value)
    except OverflowError:
        return False


def is_number(value: Any) -> bool:
    """Tell whether `value` is an int or float (bool is not a number here)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
