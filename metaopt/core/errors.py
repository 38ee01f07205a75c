"""The errors that metaopt raises.

A message states what was expected, what was given and what to do, in the names that the caller
used. Every error derives from `MetaoptError` and from the built-in exception that fits best, such
as ValueError.
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
    """A strategy was used wrongly, or violates the contract of strategies."""


class StudyError(MetaoptError, ValueError):
    """A study cannot do what was requested."""


class StoreError(MetaoptError, OSError):
    """A study file cannot be read or written, or is not a study file."""


class TrainingError(MetaoptError, ValueError):
    """The data, the module and the hyper-parameters of a trainer do not fit together."""


class StatisticsError(MetaoptError, ValueError):
    """The requested statistic cannot be computed from the data."""


class UnknownNameError(MetaoptError, LookupError):
    """There is no strategy, problem, parameter or option of this name."""


class MissingExtraError(MetaoptError, ImportError):
    """A required optional package is not installed."""


LISTED = 24  # at most so many names are listed in a message


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for a similar name in `known`, else an empty string."""
    near = difflib.get_close_matches(str(name), [str(k) for k in known], n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """Return the error for an unknown name, with a similar name and the known names."""
    names = sorted(str(k) for k in known)
    more = [f"and {len(names) - LISTED} more"] if len(names) > LISTED else []
    listed = ", ".join(names[:LISTED] + more) if names else "none"
    return UnknownNameError(f"unknown {kind} {name!r}{did_you_mean(name, names)} (known: {listed})")


def missing_extra(package: str, extra: str, purpose: str) -> MissingExtraError:
    """Return the error for an optional package that is not installed."""
    return MissingExtraError(
        f"{purpose} needs the package {package!r}, which is not installed; "
        f"install it with: pip install 'metaopt-engine[{extra}]'"
    )


def whole(name: str, value: Any, error: type[MetaoptError], *, least: int = 1) -> int:
    """Return `value` as a native int; NumPy integers are accepted, bools are rejected.

    Args:
        name: of the argument, for the message.
        value: the argument.
        error: class of the error.
        least: the lowest valid value.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < least:
        raise error(f"{name} must be an integer of at least {least}, got {value!r}")
    return number


def real(name: str, value: Any, error: type[MetaoptError], *, above: float = -math.inf) -> float:
    """Return `value` as a native float; NaN, bools and strings are rejected.

    Args:
        name: of the argument, for the message.
        value: the argument.
        error: class of the error.
        above: the value must be greater than this.
    """
    try:
        number = math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not number > above:
        bound = "" if above == -math.inf else f" above {above:g}"
        raise error(f"{name} must be a number{bound}, got {value!r}")
    return number
