"""The search space: named parameters, their conditions and forbidden combinations.

A configuration is a plain dict of the active parameters only, in declared order.
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
    """A search space: named parameters, their conditions and forbidden combinations.

    A parameter with ``when={"optimizer": ["sgd"]}`` is active only if `optimizer` is "sgd". With
    several parents all must match, and a parent may itself be conditional. Spaces are immutable;
    two spaces are equal if their JSON is equal.

    Args:
        mapping: the parameters by name; for names that are not Python identifiers.
        forbid: combinations that never occur, as a list of ``{name: value or [values]}``.
        parameters: the parameters as keywords; they may be mixed with `mapping`.

    Raises:
        SpaceError: a definition is wrong; the message names the parameter.

    Example:
        >>> from metaopt import Categorical, Float, Int, Space
        >>> space = Space(
        ...     lr=Float(1e-5, 1e-1, log=True),
        ...     layers=Int(1, 3),
        ...     optimizer=Categorical(["sgd", "adam"]),
        ...     momentum=Float(0, 0.99, when={"optimizer": ["sgd"]}),
        ...     forbid=[{"optimizer": "sgd", "layers": [2, 3]}],
        ... )
        >>> space.validate({"optimizer": "adam", "layers": 2, "lr": 0.001})
        {'lr': 0.001, 'layers': 2, 'optimizer': 'adam'}
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
        return json.dumps(self.to_json())  # distinguishes True from 1, which == does not

    def __repr__(self) -> str:
        return f"Space({', '.join(f'{name}={p!r}' for name, p in self._parameters.items())})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Space.from_json, (self.to_json(),)

    # -- membership ------------------------------------------------------------------------------

    def validate(self, config: Mapping[str, Any]) -> Config:
        """Return a configuration in canonical form: declared order, native types.

        Args:
            config: the values of the active parameters by name, in any order.

        Raises:
            SpaceError: a name is unknown, missing or inactive, a value lies outside the
                parameter's range, or the combination is forbidden.
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
        """Return whether a configuration is valid.

        Args:
            config: the values of the active parameters by name, in any order.
        """
        try:
            self.validate(config)
        except SpaceError:
            return False
        return True

    def key(self, config: Mapping[str, Any]) -> str:
        """Return a text that is equal for equal configurations only; True and 1 differ.

        Args:
            config: the values of the active parameters by name, in any order.

        Raises:
            SpaceError: the configuration is not valid.
        """
        return json.dumps(self.validate(config), separators=(",", ":"))

    # -- coordinates -----------------------------------------------------------------------------

    def encode(self, configs: Iterable[Mapping[str, Any]]) -> tuple[FloatArray, encoding.BoolArray]:
        """Return configurations as points of the unit cube.

        Args:
            configs: n valid configurations.

        Returns:
            The coordinates U in [0, 1] and the mask of active parameters, both of shape (n, d)
            with one column per parameter, in the order of `names`. Inactive parameters have the
            coordinate 0.5 and are False in the mask.

        Raises:
            SpaceError: a configuration is not valid.
        """
        return encoding.encode(self, [self.validate(c) for c in configs])

    def decode(self, U: FloatArray) -> list[Config]:
        """Return the configurations at points of the unit cube; the inverse of `encode`.

        Exact for discrete parameters, with a relative error of up to 1e-12 for floats. A row may
        decode to a forbidden combination; see `is_forbidden`.

        Args:
            U: coordinates, shape (n, d), clipped to [0, 1]; those of inactive parameters have no
                effect.

        Returns:
            n configurations.

        Raises:
            SpaceError: U has another shape or contains NaN.
        """
        return encoding.decode(self, U)[0]

    def sample(self, rng: np.random.Generator, n: int = 1) -> list[Config]:
        """Draw independent allowed configurations, uniform on each parameter's scale.

        Args:
            rng: the random generator.
            n: how many.

        Returns:
            n configurations, which may repeat.

        Raises:
            SpaceError: `n` is not an integer of at least 0.
        """
        return encoding.sample(self, rng, whole("n", n, SpaceError, least=0))

    def neighbours(
        self, config: Mapping[str, Any], rng: np.random.Generator, scale: float = 0.1
    ) -> list[Config]:
        """Return configurations that differ from `config` in one active parameter each.

        A categorical parameter gives one neighbour for each other choice. An ordinal or a number
        gives one neighbour above and one below, at a half-normal distance (at least one value
        away if it is discrete). Parameters that become active get random values.

        Args:
            config: a valid configuration.
            rng: the random generator.
            scale: standard deviation of the distance, in units of the unit interval.

        Returns:
            Distinct allowed configurations, without `config`; may be empty.

        Raises:
            SpaceError: `config` is not valid.
        """
        return encoding.neighbours(self, self.validate(config), rng, scale)

    # -- enumeration ------------------------------------------------------------------------------

    def configurations(self) -> Iterator[Config]:
        """Yield all configurations of a finite space, in a fixed order.

        Raises:
            SpaceError: a parameter is continuous.
        """
        for name, parameter in self._parameters.items():
            if parameter.cells is None:
                raise SpaceError(f"parameter {name!r} is continuous: it cannot be enumerated")
        for config in self._assignments(self.order):
            yield {name: config[name] for name in self.names if name in config}

    # -- JSON ------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Return the space as a dict that JSON can store; `from_json` rebuilds it."""
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
        """Rebuild a space from the result of `to_json`.

        Args:
            data: a dict or a JSON text.

        Returns:
            A space equal to the original.

        Raises:
            SpaceError: the data does not describe a valid space.
        """
        try:
            data = json.loads(data) if isinstance(data, str) else data
            entries = [dict(entry) for entry in data["parameters"]]
            mapping = {entry.pop("name"): parameter_from_json(entry) for entry in entries}
            return cls(mapping, forbid=data.get("forbid", ()))
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise SpaceError(f"this is not the JSON of a space: {error!r}") from error
