"""The definition of a space: parameters, their conditions and forbidden combinations."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from metaopt.core.errors import SpaceError, did_you_mean
from metaopt.space.parameter import Parameter
from metaopt.space.values import BadValue, Config, as_tuple, typed

EXACT_SIZE = 10**6  # larger spaces are not counted: `size` gives an upper bound


@dataclass(frozen=True)
class Size:
    """The number of configurations of a space.

    Attributes:
        count: the number; `math.inf` if a parameter is continuous.
        exact: whether `count` is the exact number; otherwise it is an upper bound.
    """

    count: float
    exact: bool


class SpaceDefinition:
    """Named parameters, their conditions and forbidden combinations, checked when it is made.

    Args:
        given: the parameters by name.
        forbid: combinations that never occur, as ``{name: value or [values]}``.

    Attributes:
        names: names of the parameters, in declared order.
        order: the same names, sorted so that parents come before their children.
        forbid: the forbidden combinations, with canonical values.

    Raises:
        SpaceError: a definition is wrong; the message names the parameter.
    """

    def __init__(self, given: Mapping[str, Parameter], forbid: Sequence[Mapping[str, Any]]) -> None:
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
                # Canonical values, so that 1 means 1.0 if the parent is a float.
                parent: {typed(given[parent].canonical(v)) for v in values}
                for parent, values in parents.items()
            }
            for name, parents in self._parents.items()
        }
        self._forbidden = [{n: {typed(v) for v in vs} for n, vs in f.items()} for f in self.forbid]
        if self._forbidden and next(self._assignments(), None) is None:
            raise SpaceError("forbid leaves no configuration; remove one of its entries")

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

    def _check_conditions(self) -> None:
        for name, parents in self._parents.items():
            for parent, values in parents.items():
                self._check_listed(f"parameter {name!r}: when", parent, values)

    def _check_listed(self, where: str, name: str, values: tuple[Any, ...]) -> None:
        """Check that `name` is a discrete parameter and that it has all of `values`."""
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
                # Canonical values, so that 1 means 1.0 if the parameter is a float.
                read[name] = tuple(self._parameters[name].canonical(v) for v in values)
            entries.append(read)
        return tuple(entries)

    def is_active(self, name: str, config: Mapping[str, Any]) -> bool:
        """Return whether a parameter is active, given the values of its parents.

        Args:
            name: of the parameter.
            config: a configuration; the values of the parents are enough.
        """
        return all(
            parent in config and typed(config[parent]) in values
            for parent, values in self._active_values[name].items()
        )

    def is_forbidden(self, config: Mapping[str, Any]) -> bool:
        """Return whether an entry of `forbid` matches a configuration.

        Args:
            config: the active parameters with canonical values, as `decode` returns them.
        """
        return any(
            all(name in config and typed(config[name]) in values for name, values in f.items())
            for f in self._forbidden
        )

    @cached_property
    def _linked(self) -> tuple[str, ...]:
        """Parameters used in conditions or in forbidden entries, with their ancestors."""
        used = {parent for parents in self._parents.values() for parent in parents}
        used |= {name for entry in self._forbidden for name in entry}
        return tuple(name for name in self.order if name in self._with_parents(used))

    def _with_parents(self, names: set[str]) -> set[str]:
        more = {parent for name in names for parent in self._parents[name]} | names
        return names if more == names else self._with_parents(more)

    def _assignments(self, names: tuple[str, ...] | None = None) -> Iterator[Config]:
        """Yield all allowed combinations of discrete parameters (default: the linked ones)."""
        todo = self._linked if names is None else names

        def extend(config: Config, depth: int) -> Iterator[Config]:
            if self.is_forbidden(config):
                return  # the entry also matches every extension of `config`
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
        """Number of configurations: exact up to 10^6, otherwise an upper bound (see `Size`)."""
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
