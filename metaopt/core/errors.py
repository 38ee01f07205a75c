"""The errors that metaopt raises.

A message says what was expected, what came and what to do, in the caller's own names.
Every error derives from `MetaoptError`; each also derives from the built-in exception that a
caller would have caught without knowing this library.
"""

from __future__ import annotations

import difflib
import math
import operator
from collections.abc import Iterable
from typing import Any


class MetaoptError(Exception):
    """Base of every error raised by metaopt."""


class SpaceError(MetaoptError, ValueError):
    """A search space or a configuration is not valid."""


class StrategyError(MetaoptError, ValueError):
    """A strategy was used against its contract, or broke it."""


class StudyError(MetaoptError, ValueError):
    """A study was asked for something that it cannot do."""


class StoreError(MetaoptError, OSError):
    """A study file cannot be read or written, or holds something else."""


class TrainingError(MetaoptError, ValueError):
    """A trainer was given data, a module or hyper-parameters that do not fit together."""


class StatisticsError(MetaoptError, ValueError):
    """The data does not allow the statistic that was asked for."""


class UnknownNameError(MetaoptError, LookupError):
    """A strategy, problem, parameter or option of that name does not exist."""


class MissingExtraError(MetaoptError, ImportError):
    """An optional package is needed and not installed."""


LISTED = 24  # names in a message; a reader wants the nearest one


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest of `known`, else an empty string."""
    near = difflib.get_close_matches(str(name), [str(k) for k in known], n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """Build the error for an unknown name, with the nearest one and the list of the known."""
    names = sorted(str(k) for k in known)
    more = [f"and {len(names) - LISTED} more"] if len(names) > LISTED else []
    listed = ", ".join(names[:LISTED] + more) if names else "none"
    return UnknownNameError(f"unknown {kind} {name!r}{did_you_mean(name, names)} (known: {listed})")


def missing_extra(package: str, extra: str, purpose: str) -> MissingExtraError:
    """Build the error for an optional package that is not installed."""
    return MissingExtraError(
        f"{purpose} needs the package {package!r}, which is not installed; "
        f"install it with: pip install 'metaopt-engine[{extra}]'"
    )


def whole(name: str, value: Any, error: type[MetaoptError], *, least: int = 1) -> int:
    """Return `value` as a native int of at least `least`; a bool is none, numpy's integers are."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < least:
        raise error(f"{name} must be an integer of at least {least}, got {value!r}")
    return number


def real(name: str, value: Any, error: type[MetaoptError], *, above: float = -math.inf) -> float:
    """Return `value` as a native float above `above`; NaN and what is no number are refused."""
    try:
        number = math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not number > above:
        bound = "" if above == -math.inf else f" above {above:g}"
        raise error(f"{name} must be a number{bound}, got {value!r}")
    return number
