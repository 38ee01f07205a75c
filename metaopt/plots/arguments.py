"""Checks of the arguments of the public functions of `metaopt.plots`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, TypeVar, cast

from metaopt.core.errors import StatisticsError, StudyError
from metaopt.stats.checks import shown

F = TypeVar("F", bound=Callable[..., Any])


def of_comparison(function: F) -> F:
    """Decorate a function of a comparison, so that anything else is refused."""

    @wraps(function)
    def checked(comparison: Any, *args: Any, **options: Any) -> Any:
        from metaopt.analysis.comparison import ComparisonData  # loaded with any comparison

        if not isinstance(comparison, ComparisonData):
            raise StudyError(
                f"comparison must be the result of metaopt.compare, got {shown(comparison)}"
            )
        return function(comparison, *args, **options)

    return cast(F, checked)


def of_study(function: F) -> F:
    """Decorate a function of a study, so that anything else is refused."""

    @wraps(function)
    def checked(study: Any, *args: Any, **options: Any) -> Any:
        from metaopt.storage.study_view import StudyView  # loaded with any study

        if not isinstance(study, StudyView):
            raise StudyError(f"study must be a metaopt.Study, got {shown(study)}")
        return function(study, *args, **options)

    return cast(F, checked)


def as_table(values: Any, name: str, what: str) -> Mapping[str, Any]:
    """Return a dict whose keys are labels; `what` describes its values.

    Raises:
        StatisticsError: `values` is no such dict.
    """
    if not isinstance(values, Mapping) or not all(isinstance(k, str) for k in values):
        raise StatisticsError(
            f"{name} must be a dict of {what} by label, such as {{'random': ...}}, got"
            f" {shown(values)}"
        )
    return values


def as_texts(values: Any, name: str) -> list[str]:
    """Return a list of texts.

    Raises:
        StatisticsError: `values` is a single text, or holds something else than texts.
    """
    listed = None
    if isinstance(values, Iterable) and not isinstance(values, (str, bytes)):
        listed = list(values)
    if listed is None or not all(isinstance(v, str) and "\0" not in v for v in listed):
        raise StatisticsError(f"{name} must be a list of texts, got {shown(values)}")
    return listed


def as_text(value: Any, name: str) -> str:
    """Return a text.

    Raises:
        StatisticsError: `value` is none.
    """
    if not isinstance(value, str) or "\0" in value:
        raise StatisticsError(f"{name} must be a text, got {shown(value)}")
    return value


def as_path(path: Any, what: str) -> str:
    """Return the path of a file or folder to write as a text.

    Raises:
        StudyError: `path` is no path, empty, or has a null character.
    """
    given = os.fspath(path) if isinstance(path, (str, os.PathLike)) else None
    if not isinstance(given, str) or not given.strip() or "\0" in given:
        raise StudyError(f"path must be {what}, got {shown(path)}")
    return given
