"""Validation of the arguments of the statistical functions.

Scores are finite numbers. Functions that use only the order of scores also accept infinities: a
failed run enters as +inf and is worse than all others. NaN is never accepted. Truth values are no
scores: lower scores are better, but True is mostly meant to be better than False.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from metaopt.core.errors import MetaoptError, StatisticsError, did_you_mean
from metaopt.core.types import FloatArray

MOST = 10**9  # counts above it are mistakes, or would take years
HIGHEST_LEVEL = 1 - 1e-12
MOST_DRAWN = 10**7  # the simulation error is then below 0.0002, and memory suffices
KINDS = {"b": "truth values", "c": "complex numbers", "U": "strings", "S": "bytes"}


def shown(value: Any) -> str:
    """Return a value as a message quotes it: short, on one line."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # also an int of more than 4300 digits has no repr
        text = f"an object of the type {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."


def is_real(value: Any) -> bool:
    """Whether a value is one real number; truth values and durations are none."""
    return isinstance(value, numbers.Real) and not isinstance(value, (bool, np.timedelta64))


def as_array(values: Any, name: str) -> np.ndarray[Any, Any]:
    """Return `values` as an array of any kind and shape.

    Raises:
        StatisticsError: `values` is ragged or cannot become an array, or one of them is masked.
    """
    if np.ma.is_masked(values):
        raise StatisticsError(f"{name} must not hold masked values; leave them out, or give NaN")
    try:
        return np.asarray(values)
    except Exception as error:  # whatever the conversion of an object raises
        raise StatisticsError(
            f"{name} must be an array of numbers with rows of equal length, got {shown(values)}"
        ) from error


def numeric(values: Any, name: str, what: str = "numbers") -> FloatArray:
    """Return numbers of any shape as a new array of floats; None becomes NaN.

    `what` says in messages what the array holds, such as "numbers or None".

    Raises:
        StatisticsError: `values` is no sequence, ragged, or holds something else than numbers.
    """
    array = as_array(values, name)
    _check_kind(array, values, f"{name} must be an array of {what}")
    try:
        with np.errstate(over="ignore"):  # of longer floats: the infinity is seen afterwards
            return np.array(array, dtype=np.float64)
    except OverflowError:
        raise StatisticsError(f"{name} must hold numbers up to 1.8e308, got a larger one") from None


def _check_kind(array: np.ndarray[Any, Any], values: Any, expected: str) -> None:
    if array.ndim == 0:
        raise StatisticsError(f"{expected}, got {shown(values)}")
    kind = array.dtype.kind
    wrong: list[Any] = []
    if kind == "O":
        wrong = [v for v in array.ravel().tolist() if not (v is None or is_real(v))]
    if kind in "iuf" or (kind == "O" and not wrong):
        return
    what, example = KINDS.get(kind, "other objects"), next(iter(wrong), values)
    remedy = "; lower is better, so give 1.0 for a wrong answer" if kind == "b" else ""
    raise StatisticsError(f"{expected}, got {what}: {shown(example)}{remedy}")


def as_floats(values: Any, name: str, *, infinite: bool = False) -> FloatArray:
    """Return `values` as an array of floats; `infinite` allows infinities.

    Raises:
        StatisticsError: as `numeric`, or `values` hold NaN, or an infinity if not allowed.
    """
    array = numeric(values, name)
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


def as_number(value: Any, name: str, what: str, low: float, high: float = math.inf) -> float:
    """Return a finite number from `low` to `high`, both included; `what` describes it.

    Raises:
        StatisticsError: `value` is not such a number.
    """
    number = _float(value) if is_real(value) else math.nan
    if not low <= number <= high or math.isinf(number):
        raise StatisticsError(f"{name} must be {what}, got {shown(value)}")
    return number


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # an int beyond the largest float
        return math.inf


def as_level(level: Any, name: str = "level") -> float:
    """Return a confidence or test level, strictly between 0 and 1.

    Raises:
        StatisticsError: `level` is not such a number, or so close to 1 that the quantiles for it
            would be infinite.
    """
    if not is_real(level) or not 0 < _float(level) <= HIGHEST_LEVEL:
        close = ", which is too close to 1" if is_real(level) and 0.9 < _float(level) < 1 else ""
        raise StatisticsError(
            f"{name} must be a number between 0 and 1, such as 0.95, got {shown(level)}{close}"
        )
    return _float(level)


def as_fraction(value: Any, name: str = "test_fraction") -> float:
    """Return the share of the data in a test set, strictly between 0 and 1.

    Raises:
        StatisticsError: `value` is not such a number.
    """
    if not is_real(value) or not 0 < _float(value) < 1:
        raise StatisticsError(
            f"{name} must lie between 0 and 1, the share of the data in each test set"
            f" (1 / k for k folds), got {shown(value)}"
        )
    return _float(value)


def as_whole(value: Any, name: str, least: int = 1, most: int = MOST) -> int:
    """Return `value` as an int from `least` to `most`.

    Raises:
        StatisticsError: `value` is not such a whole number.
    """
    whole = is_real(value) and isinstance(value, numbers.Integral)
    if not whole or value < least:
        raise StatisticsError(
            f"{name} must be a whole number of at least {least}, got {shown(value)}"
        )
    if value > most:
        raise StatisticsError(f"{name} must be at most {most}, got {shown(value)}")
    return int(value)


def as_seed(seed: Any) -> int:
    """Return a seed, a whole number from 0; None is no seed, since results must be repeatable.

    Raises:
        StatisticsError: `seed` is not such a number.
    """
    whole = is_real(seed) and isinstance(seed, numbers.Integral)
    if not whole or not 0 <= seed < 2**128:
        raise StatisticsError(
            f"seed must be a whole number of at least 0 and below 2^128, got {shown(seed)}"
        )
    return int(seed)


def as_column(value: Any, k: int, name: str = "control") -> int:
    """Return `value` as the index of one of k columns.

    Raises:
        StatisticsError: `value` is not a whole number from 0 to k - 1.
    """
    whole = is_real(value) and isinstance(value, numbers.Integral)
    if not whole or not 0 <= value < k:
        raise StatisticsError(f"{name} must be a column from 0 to {k - 1}, got {shown(value)}")
    return int(value)


def as_flag(value: Any, name: str) -> bool:
    """Return True or False.

    Raises:
        StatisticsError: `value` is neither; words such as "no" would count as true.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise StatisticsError(f"{name} must be True or False, got {shown(value)}")
    return bool(value)


def as_choice(value: Any, name: str, known: Iterable[str]) -> str:
    """Return one of the `known` words.

    Raises:
        StatisticsError: `value` is none of them.
    """
    words = list(known)
    if not isinstance(value, str) or value not in words:
        hint = did_you_mean(value, words) if isinstance(value, str) else ""
        raise StatisticsError(f"{name} must be one of {', '.join(words)}, got {shown(value)}{hint}")
    return str(value)


def as_function(value: Any, name: str, example: str) -> Callable[..., Any]:
    """Return a function of the caller, which may raise errors of ours only.

    Raises:
        StatisticsError: `value` cannot be called, or, when it is called, it raises an exception.
    """
    if not callable(value):
        raise StatisticsError(f"{name} must be a function such as {example}, got {shown(value)}")
    function: Callable[..., Any] = value

    def called(*args: Any, **options: Any) -> Any:
        try:
            with np.errstate(all="ignore"):  # what it returns is checked
                return function(*args, **options)
        except MetaoptError:
            raise
        except Exception as error:
            raise StatisticsError(
                f"{name} must be a function such as {example}; this one raised"
                f" {type(error).__name__}: {error}"
            ) from error

    return called


def as_result(value: Any, name: str, kind: type) -> Any:
    """Return the result of another function of `metaopt.stats`.

    Raises:
        StatisticsError: `value` is something else.
    """
    if not isinstance(value, kind):
        raise StatisticsError(f"{name} must be a stats.{kind.__name__}, got {shown(value)}")
    return value
