"""The pruners of metaopt by name, and their reconstruction from JSON."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any

from metaopt.core.errors import StudyError, unknown_name
from metaopt.pruning.base import Pruner
from metaopt.pruning.hyperband import HyperbandPruner
from metaopt.pruning.learning_curve import CurvePruner
from metaopt.pruning.percentile import MedianPruner, PercentilePruner
from metaopt.pruning.successive_halving import SuccessiveHalvingPruner
from metaopt.pruning.threshold import PatientPruner, ThresholdPruner
from metaopt.trials.records import NOT_FINITE, Json

PRUNERS: dict[str, type[Pruner]] = {
    cls.name: cls
    for cls in (
        MedianPruner,
        PercentilePruner,
        SuccessiveHalvingPruner,
        HyperbandPruner,
        CurvePruner,
        PatientPruner,
        ThresholdPruner,
    )
}


def make_pruner(name: str, **settings: Any) -> Pruner:
    """Make one of metaopt's pruners by name.

    Args:
        name: a key of `PRUNERS`, such as "median", "asha" or "hyperband".
        settings: arguments of the pruner's class.

    Returns:
        The pruner.

    Raises:
        UnknownNameError: the pruner, or a setting, does not exist.
        StudyError: a setting is out of range, or one without a default is missing.

    Example:
        >>> from metaopt import make_pruner
        >>> make_pruner("median", warmup_steps=3)
        MedianPruner(percentile=50.0, warmup_steps=3.0, min_trials=5)
    """
    if name not in PRUNERS:
        raise unknown_name("pruner", name, PRUNERS)
    known = inspect.signature(PRUNERS[name]).parameters
    for setting in settings:
        if setting not in known:
            raise unknown_name(f"setting of the pruner {name!r}:", setting, known)
    missing = [k for k, p in known.items() if p.default is p.empty and k not in settings]
    if missing:
        kind = PRUNERS[name].__name__
        raise StudyError(
            f"the pruner {name!r} needs {' and '.join(missing)}; make it with"
            f" metaopt.{kind}({', '.join(f'{k}=...' for k in missing)})"
            f" or write '{name}:{','.join(f'{k}=...' for k in missing)}'"
        )
    return PRUNERS[name](**settings)


def find_pruner(given: Any) -> Pruner | None:
    """Return the pruner that a user has given as an object or as a text.

    Args:
        given: a pruner, None, or a text such as "asha" or
            "hyperband:max_resource=81,reduction_factor=3".

    Returns:
        The pruner, or None if None was given.

    Raises:
        UnknownNameError: the pruner, or a setting, does not exist.
        StudyError: `given` is none of these, a setting is out of range, or one is missing.
    """
    if given is None or isinstance(given, Pruner):
        return given
    if not isinstance(given, str):
        raise StudyError(
            f"pruner must be a metaopt Pruner, one of {', '.join(PRUNERS)}, or None, got {given!r}"
        )
    name, _, text = given.partition(":")
    settings = {}
    for part in text.split(",") if text else ():
        key, _, value = part.partition("=")
        try:
            settings[key.strip()] = json.loads(value)
        except ValueError:
            example = "hyperband:max_resource=81,reduction_factor=3"
            raise StudyError(f"pruner must be written like {example!r}, got {given!r}") from None
    return make_pruner(name.strip(), **settings)


def pruner_from_json(data: Mapping[str, Json] | None) -> Pruner | None:
    """Rebuild one of metaopt's pruners from the result of `to_json`.

    Args:
        data: name and settings; None for no pruner.

    Returns:
        The pruner, or None if `data` is None.

    Raises:
        StudyError: the pruner is not one of metaopt's.
    """
    if data is None:
        return None
    if data["name"] not in PRUNERS:
        raise StudyError(f"the pruner {data['name']!r} is not metaopt's own; pass it as pruner=")
    return make_pruner(data["name"], **{k: _read(v) for k, v in data.items() if k != "name"})


def _read(value: Json) -> Any:
    if isinstance(value, dict):
        return pruner_from_json(value)
    return NOT_FINITE.get(value, value) if isinstance(value, str) else value
