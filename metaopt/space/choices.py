"""Parameters whose values are listed: Ordinal, Categorical and Constant."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from metaopt.space.cells import Cells
from metaopt.space.parameter import Parameter
from metaopt.space.values import BadValue, IntArray, as_tuple, native, typed


@dataclass(frozen=True)
class _Listed(Parameter):
    """Base of the parameters whose values are listed."""

    def _normalise(self) -> None:
        values = self._values
        if isinstance(values, Iterable) and not isinstance(values, (str, Mapping)):
            self._set(self._field, as_tuple(values if isinstance(values, Set) else list(values)))

    @property
    @abstractmethod
    def _field(self) -> str: ...

    @property
    def _values(self) -> tuple[Any, ...]:
        return getattr(self, self._field)  # type: ignore[no-any-return]

    @property
    def cells(self) -> Cells:
        return Cells(len(self._values))

    def problem(self) -> str | None:
        values, name = self._values, self._field
        if not isinstance(values, tuple):
            return f"{name} must be a list of values, got {values!r}"
        if not values:
            return f"{name} must hold at least one value, got none"
        for v in values:
            if v is not None and not isinstance(v, (bool, int, float, str)):
                return (
                    f"{name} must be JSON scalars (str, int, float, bool, None), got {v!r}"
                    f" ({type(v).__name__}); give it a name here and look it up in the objective"
                )
            if isinstance(v, float) and not math.isfinite(v):
                return f"{name} must be finite, got {v!r}"
        seen = set()
        for v in values:
            if typed(v) in seen:
                return f"{name} must differ, got {v!r} twice"
            seen.add(typed(v))
        return None

    def take(self, k: IntArray) -> list[Any]:
        values = self._values
        return [values[i] for i in np.asarray(k).tolist()]

    @cached_property
    def _places(self) -> dict[tuple[str, Any], int]:
        return {typed(v): k for k, v in enumerate(self._values)}

    def index(self, value: Any) -> int:
        want = typed(value)
        try:
            return self._places[want]
        except (KeyError, TypeError):  # TypeError: a list or dict cannot be looked up
            pass
        listed = ", ".join(map(repr, self._values[:8])) + (", ..." if len(self._values) > 8 else "")
        raise BadValue(f"must be one of {listed}, got {native(value)!r} ({want[0]})")

    def to_json(self) -> dict[str, Any]:
        return {self._field: list(self._values)}


@dataclass(frozen=True)
class Ordinal(_Listed):
    """One of several ordered values: ``Ordinal([32, 64, 128])``.

    Attributes:
        values: JSON scalars (str, int, float, bool, None), all different, in their order.
        when: maps the name of a parent to the values that activate this parameter.
    """

    values: Sequence[Any]
    kind: ClassVar[str] = "ordinal"
    _field: ClassVar[str] = "values"


@dataclass(frozen=True)
class Categorical(_Listed):
    """One of several values without an order: ``Categorical(["sgd", "adam"])``.

    Attributes:
        choices: JSON scalars (str, int, float, bool, None), all different; True, 1 and 1.0 count
            as different values.
        when: maps the name of a parent to the values that activate this parameter.
    """

    choices: Sequence[Any]
    kind: ClassVar[str] = "categorical"
    _field: ClassVar[str] = "choices"


@dataclass(frozen=True)
class Constant(_Listed):
    """One fixed value: ``Constant(0.1)``.

    Attributes:
        value: a JSON scalar (str, int, float, bool, None).
        when: maps the name of a parent to the values that activate this parameter.
    """

    value: Any
    kind: ClassVar[str] = "constant"
    _field: ClassVar[str] = "value"

    def _normalise(self) -> None:
        self._set("value", native(self.value))

    @property
    def _values(self) -> tuple[Any, ...]:
        return (self.value,)

    def to_json(self) -> dict[str, Any]:
        return {"value": self.value}
