"""Values of parameters: JSON scalars, compared with their types."""

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
    """Convert a NumPy scalar to the Python value; return anything else unchanged."""
    return value.item() if isinstance(value, np.generic) else value


def typed(value: Any) -> tuple[str, Any]:
    """Return a key of type and value, under which True, 1, 1.0 and "1" are all different."""
    value = native(value)
    return (type(value).__name__, value)


def as_tuple(values: Any) -> tuple[Any, ...]:
    """Return one scalar, or a sequence or set of scalars, as a tuple of native values."""
    if isinstance(values, Set):  # sorted, since the order of a set varies between processes
        return tuple(sorted((native(v) for v in values), key=lambda v: repr(typed(v))))
    if isinstance(values, (list, tuple, np.ndarray)):
        return tuple(native(v) for v in values)
    return (native(values),)


def is_finite(value: Any) -> bool:
    """Return whether `value` is a finite number within the range of floats."""
    try:
        return is_number(value) and math.isfinite(value)
    except OverflowError:
        return False


def is_number(value: Any) -> bool:
    """Return whether `value` is an int or float; a bool does not count as a number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
