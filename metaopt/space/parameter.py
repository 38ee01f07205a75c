"""What every kind of parameter is: a set of values with places in the unit interval."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from metaopt.core.types import FloatArray
from metaopt.space.cells import Cells
from metaopt.space.values import IntArray, Scalar, as_tuple


@dataclass(frozen=True)
class Parameter(ABC):
    """What all parameters share. `when` maps a parent's name to the values that activate it."""

    when: Mapping[str, Any] = field(default_factory=dict, kw_only=True, hash=False)
    kind: ClassVar[str]

    def __post_init__(self) -> None:
        self._normalise()
        if isinstance(self.when, Mapping):
            self._set("when", {name: as_tuple(values) for name, values in self.when.items()})

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)  # a frozen dataclass normalises what it was given

    @abstractmethod
    def _normalise(self) -> None: ...

    @abstractmethod
    def problem(self) -> str | None:
        """Say what is wrong with this definition, or None."""

    @property
    @abstractmethod
    def cells(self) -> Cells | None:
        """The cells of a discrete parameter's values; None for a continuum."""

    @property
    def count(self) -> int | None:
        """Number of values; None for a continuum."""
        return None if self.cells is None else self.cells.count

    @abstractmethod
    def take(self, k: IntArray) -> list[Any]:
        """Values with the indices `k`, shape (n,); for discrete parameters."""

    @abstractmethod
    def index(self, value: Any) -> int:
        """Index of `value`; raise `BadValue` if it is none; for discrete parameters."""

    def canonical(self, value: Any) -> Scalar:
        """Return `value` as this parameter's own native value; raise `BadValue` if it is none."""
        return self.take(np.array([self.index(value)]))[0]  # type: ignore[no-any-return]

    def from_unit(self, u: FloatArray) -> list[Any]:
        """Values at the coordinates `u`, shape (n,), each clipped into [0, 1]."""
        assert self.cells is not None
        return self.take(self.cells.index(u))

    def to_unit(self, values: Iterable[Any]) -> FloatArray:
        """Coordinates, shape (n,), of canonical values."""
        assert self.cells is not None
        return self.cells.unit(np.array([self.index(v) for v in values], dtype=np.int64))

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The definition as JSON, without `kind` and `when`."""
