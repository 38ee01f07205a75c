"""The search space: named parameters, when they are active, and what is forbidden.

A configuration is a plain dict that holds the active parameters only, in declared order.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from metaopt.errors import SpaceError, did_you_mean, whole
from metaopt.space import encoding
from metaopt.space.kinds import parameter_from_json
from metaopt.space.parameter import Parameter
from metaopt.space.values import BadValue, FloatArray, Scalar, as_tuple, typed

Config = dict[str, Scalar]

EXACT_SIZE = 10**6  # the largest size that is counted; above it an upper bound is given


@dataclass(frozen=True)
class Size:
    """How many configurations a space holds: `math.inf` for a continuum; `exact` or a bound."""

    count: float
    exact: bool


class Space:
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
        for name, parameter in given.items():
            _check_definition(name, parameter)
        self._parameters = MappingProxyType(given)
        self.names: tuple[str, ...] = tuple(given)
        self._parents = {name: dict(p.when) for name, p in given.items()}
        self._check_conditions()
        self.order: tuple[str, ...] = self._sort_by_parents()
        self.forbid: tuple[Mapping[str, tuple[Any, ...]], ...] = self._read_forbid(forbid)
        self._active_values = {
            name: {
                # Canonical, so that 1 means 1.0 where the parent is a float.
                parent: {typed(given[parent].canonical(v)) for v in values}
                for parent, values in parents.items()
            }
            for name, parents in self._parents.items()
        }
        self._forbidden = [{n: {typed(v) for v in vs} for n, vs in f.items()} for f in self.forbid]
        if self._forbidden and next(self._assignments(), None) is None:
            raise SpaceError("forbid leaves no configuration; remove one of its entries")

    # -- definition ------------------------------------------------------------------------------

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The parameters by name, in declared order; read-only."""
        return self._parameters

    def __getitem__(self, name: str) -> Parameter:
        if name not in self._parameters:
            raise SpaceError(f"unknown parameter {name!r}{did_you_mean(name, self.names)}")
        return self._parameters[name]

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

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

    def _check_conditions(self) -> None:
        for name, parents in self._parents.items():
            for parent, values in parents.items():
                self._check_listed(f"parameter {name!r}: when", parent, values)

    def _check_listed(self, where: str, name: str, values: tuple[Any, ...]) -> None:
        """Check that `name` is a discrete parameter and each of `values` one of its own."""
        if name not in self._parameters:
            hint = did_you_mean(name, self.names)
            raise SpaceError(f"{where} names the unknown parameter {name!r}{hint}")
        parameter = self._parameters[name]
        if parameter.cells is None:
            raise SpaceError(
                f"{where} lists values of the continuous parameter {name!r};"
                f" give it a step or make it an Ordinal"
            )
        if not values:
            raise SpaceError(f"{where} lists no value of {name!r}; give at least one")
        for value in values:
            try:
                parameter.index(value)
            except BadValue as error:
                raise SpaceError(f"{where}: a value of {name!r} {error}") from None

    def _sort_by_parents(self) -> tuple[str, ...]:
        """Order the names so that parents come before their children."""
        order: list[str] = []
        waiting = list(self.names)
        while waiting:
            ready = [n for n in waiting if all(p in order for p in self._parents[n])]
            if not ready:
                raise SpaceError(f"conditions form a cycle among {', '.join(waiting)}")
            order += ready
            waiting = [n for n in waiting if n not in ready]
        return tuple(order)

    def _read_forbid(self, forbid: Sequence[Mapping[str, Any]]) -> tuple[Any, ...]:
        entries = []
        if isinstance(forbid, Mapping):
            raise SpaceError("forbid must be a list of {name: value or [values]}, got one mapping")
        if not isinstance(forbid, (list, tuple)):
            raise SpaceError(
                f"forbid must be a list of {{name: value or [values]}}, got {forbid!r}"
            )
        for entry in forbid:
            if not isinstance(entry, Mapping) or not entry:
                raise SpaceError(f"forbid: expected {{name: value or [values]}}, got {entry!r}")
            read = {name: as_tuple(values) for name, values in entry.items()}
            for name, values in read.items():
                self._check_listed("forbid", name, values)
                # Canonical values, so that 1 means 1.0 where the parameter is a float.
                read[name] = tuple(self._parameters[name].canonical(v) for v in values)
            entries.append(read)
        return tuple(entries)

    # -- membership ------------------------------------------------------------------------------

    def is_active(self, name: str, config: Mapping[str, Any]) -> bool:
        """Tell whether `name` is active beside the values of `config` (its parents' suffice)."""
        return all(
            parent in config and typed(config[parent]) in values
            for parent, values in self._active_values[name].items()
        )

    def is_forbidden(self, config: Mapping[str, Any]) -> bool:
        """Tell whether an entry of `forbid` matches the configuration."""
        return any(
            all(name in config and typed(config[name]) in values for name, values in f.items())
            for f in self._forbidden
        )

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

    # -- size and enumeration --------------------------------------------------------------------

    @cached_property
    def _linked(self) -> tuple[str, ...]:
        """Parameters on which the existence of others, or a forbidden entry, depends."""
        used = {parent for parents in self._parents.values() for parent in parents}
        used |= {name for entry in self._forbidden for name in entry}
        return tuple(name for name in self.order if name in self._with_parents(used))

    def _with_parents(self, names: set[str]) -> set[str]:
        more = {parent for name in names for parent in self._parents[name]} | names
        return names if more == names else self._with_parents(more)

    def _assignments(self, names: tuple[str, ...] | None = None) -> Iterator[Config]:
        """All allowed joint values of discrete parameters (default: the linked ones), lazily."""
        todo = self._linked if names is None else names

        def extend(config: Config, depth: int) -> Iterator[Config]:
            if self.is_forbidden(config):
                return  # an entry that matches now matches all that follows
            if depth == len(todo):
                yield config
                return
            name = todo[depth]
            if not self.is_active(name, config):
                yield from extend(config, depth + 1)
                return
            parameter = self._parameters[name]
            assert parameter.count is not None
            for k in range(parameter.count):
                yield from extend({**config, name: parameter.take(np.array([k]))[0]}, depth + 1)

        return extend({}, 0)

    @cached_property
    def size(self) -> Size:
        """Number of configurations: exact up to 10^6, else an upper bound, flagged."""
        counts = {name: p.count for name, p in self._parameters.items()}
        bound = math.prod(math.inf if c is None else c for c in counts.values())
        free = [name for name in self.order if name not in self._linked]
        if len(free) == len(self):
            return Size(bound, True)
        total = 0.0
        for steps, config in enumerate(self._assignments()):
            active = [counts[name] for name in free if self.is_active(name, config)]
            total += math.prod(math.inf if c is None else c for c in active)
            if total > EXACT_SIZE or steps > EXACT_SIZE:
                return Size(bound, exact=math.isinf(total))
        return Size(total, True)

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


def _check_definition(name: str, parameter: Parameter) -> None:
    if not isinstance(name, str) or not name:
        raise SpaceError(f"a parameter's name must be a non-empty string, got {name!r}")
    if not isinstance(parameter, Parameter):
        raise SpaceError(
            f"parameter {name!r}: expected Float, Int, Ordinal, Categorical or Constant,"
            f" got {parameter!r} ({type(parameter).__name__})"
        )
    problem = parameter.problem()
    if problem:
        raise SpaceError(f"parameter {name!r}: {problem}")
    if not isinstance(parameter.when, Mapping):
        raise SpaceError(
            f"parameter {name!r}: when must be {{parent: [values]}}, got {parameter.when!r}"
        )
