"""The classes of parameters, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metaopt.space.choices import Categorical, Constant, Ordinal
from metaopt.space.numbers import Float, Int
from metaopt.space.parameter import Parameter

KINDS: dict[str, type[Parameter]] = {
    c.kind: c for c in (Float, Int, Ordinal, Categorical, Constant)
}


def parameter_from_json(data: Mapping[str, Any]) -> Parameter:
    """Rebuild a parameter from its JSON, which includes `kind` and `when`."""
    fields = dict(data)
    return KINDS[fields.pop("kind")](**fields)
