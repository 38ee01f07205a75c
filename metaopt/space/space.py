"""The search space: named parameters, when they are active, and what is forbidden.

A configuration is a plain dict that holds the active parameters only, in declared order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from metaopt.core.errors import SpaceError, did_you_mean, whole
from metaopt.core.types import FloatArray
from metaopt.space import encoding
from metaopt.space.definition import SpaceDefinition
from metaopt.space.parameter import Parameter
from metaopt.space.registry import parameter_from_json
from metaopt.space.values import BadValue, Config, Scalar


class Space(SpaceDefinition):
    """A search space: ``Space(lr=Float(1e-5, 1e-1, log=True), width=Ordinal([32, 64]))``.

    `Space(mapping)` takes any names. A parameter with ``when={"optimizer": ["sgd"]}`` exists only
    while `optimizer` is "sgd" (all parents must agree, and a parent may itself be conditional).
    `forbid` lists combinations that never occur: ``forbid=[{"a": 1, "b": [2, 3]}]``.
    Spaces are immutable and equal when their JSON is.

    Raises:
        SpaceError: a definition is wrong; the message names the parameter.
    """

    def __init__(
        self,
        mapping: Mapping[str, Parameter] | None = None,
        /,
        *,
        forbid: Sequence[Mapping[str, Any]] = (),
        **parameters: Parameter,
    ) -> None:
        if mapping is not None and not isinstance(mapping, Mapping):
            raise SpaceError(
                f"expected a mapping {{name: parameter}}, got {type(mapping).__name__}"
            )
        given = {**(mapping or {}), **parameters}
        if mapping is not None and len(given) < len(mapping) + len(parameters):
            raise SpaceError("a parameter is given both in the mapping and by keyword")
        if not given:
            raise SpaceError("a space needs at least one parameter, got none")
        super().__init__(given, forbid)

    # -- definition ------------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @cached_property
    def _identity(self) -> str:
        return json.dumps(self.to_json())  # typed, unlike ==, under which True is 1

    def __repr__(self) -> str:
        return f"Space({', '.join(f'{name}={p!r}' for name, p in self._parameters.items())})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Space.from_json, (self.to_json(),)

    # -- membership ------------------------------------------------------------------------------

    def validate(self, config: Mapping[str, Any]) -> Config:
        """Return `config` in canonical form: declared order, native types.

        Raises:
            SpaceError: a name is unknown, missing or inactive, or a value lies outside.
        """
        if not isinstance(config, Mapping):
            raise SpaceError(f"a configuration must be a dict, got {type(config).__name__}")
        for name in config:
            if name not in self._parameters:
                raise SpaceError(f"unknown parameter {name!r}{did_you_mean(name, self.names)}")
        values: Config = {}
        for name in self.order:
            if self.is_active(name, values):
                values[name] = self._validate_one(name, config)
            elif name in config:
                raise SpaceError(
                    f"parameter {name!r} is inactive here (it needs {self._needs(name)}); remove it"
                )
        if self.is_forbidden(values):
            raise SpaceError(f"the combination is forbidden: {values}")
        return {name: values[name] for name in self.names if name in values}

    def _validate_one(self, name: str, config: Mapping[str, Any]) -> Scalar:
        if name not in config:
            raise SpaceError(f"parameter {name!r} is missing; give it a value")
        try:
            return self._parameters[name].canonical(config[name])
        except BadValue as error:
            raise SpaceError(f"parameter {name!r} {error}") from None

    def _needs(self, name: str) -> str:
        return " and ".join(f"{p} in {list(v)!r}" for p, v in self._parents[name].items())

    def contains(self, config: Mapping[str, Any]) -> bool:
        """Tell whether `validate` would accept the configuration."""
        try:
            self.validate(config)
        except SpaceError:
            return False
        return True

    def key(self, config: Mapping[str, Any]) -> str:
        """Return the identity of a configuration: typed and in declared order."""
        return json.dumps(self.validate(config), separators=(",", ":"))

    # -- coordinates -----------------------------------------------------------------------------

    def encode(self, configs: Iterable[Mapping[str, Any]]) -> tuple[FloatArray, encoding.BoolArray]:
        """Coordinates U in [0, 1] and the mask of active parameters, both (n, d).

        Columns follow `names`. Inactive columns lie at 0.5 and are False in the mask.
        """
        return encoding.encode(self, [self.validate(c) for c in configs])

    def decode(self, U: FloatArray) -> list[Config]:
        """Configurations at the rows of U, shape (n, d); inactive columns are not looked at.

        Inverse of `encode`: exact for discrete parameters, to 1e-12 relative for floats. A row may
        decode to a forbidden combination; see `is_forbidden`.
        """
        return encoding.decode(self, U)[0]

    def sample(self, rng: np.random.Generator, n: int = 1) -> list[Config]:
        """Draw n independent configurations, uniform on each parameter's own scale."""
        return encoding.sample(self, rng, whole("n", n, SpaceError, least=0))

    def neighbours(
        self, config: Mapping[str, Any], rng: np.random.Generator, scale: float = 0.1
    ) -> list[Config]:
        """Configurations that differ from `config` in one active parameter each, all distinct.

        Every other choice of a categorical; one value up and one down of an ordinal or number,
        whose distance is half-normal with standard deviation `scale` of the unit interval (at
        least one value away). Parameters that become active are drawn at random.
        """
        return encoding.neighbours(self, self.validate(config), rng, scale)

    # -- enumeration ------------------------------------------------------------------------------

    def configurations(self) -> Iterator[Config]:
        """All configurations of a finite space, lazily, in a fixed order.

        Raises:
            SpaceError: a continuous parameter makes the space infinite.
        """
        for name, parameter in self._parameters.items():
            if parameter.cells is None:
                raise SpaceError(f"parameter {name!r} is continuous: it cannot be enumerated")
        for config in self._assignments(self.order):
            yield {name: config[name] for name in self.names if name in config}

    # -- JSON ------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Return the space as a JSON-able dict, from which `from_json` makes an equal one."""
        parameters = []
        for name, p in self._parameters.items():
            entry = {"name": name, "kind": p.kind, **p.to_json()}
            if p.when:
                entry["when"] = {parent: list(values) for parent, values in p.when.items()}
            parameters.append(entry)
        forbid = [{name: list(values) for name, values in f.items()} for f in self.forbid]
        return {"parameters": parameters, "forbid": forbid}

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | str) -> Space:
        """Rebuild a space from what `to_json` gave, as a dict or as JSON text."""
        try:
            data = json.loads(data) if isinstance(data, str) else data
            entries = [dict(entry) for entry in data["parameters"]]
            mapping = {entry.pop("name"): parameter_from_json(entry) for entry in entries}
            return cls(mapping, forbid=data.get("forbid", ()))
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise SpaceError(f"this is not the JSON of a space: {error!r}") from error
