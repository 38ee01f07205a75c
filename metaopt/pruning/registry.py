"""Pruners by name, and back from JSON."""

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
    """Make a pruner of ours by name: ``make_pruner("hyperband", max_resource=81)``.

    Raises:
        UnknownNameError: the pruner, or a setting, does not exist.
        StudyError: a setting is wrong, or one that has no default is missing.
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
    """Read a pruner, None, or a text: "asha", "hyperband:max_resource=81,reduction_factor=3".

    Raises:
        UnknownNameError: see `make_pruner`.
        StudyError: see `make_pruner`; or it is something else.
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
    """Rebuild a pruner of ours from `to_json`.

    Raises:
        StudyError: it is somebody else's.
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
