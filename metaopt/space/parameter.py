"""The base class of parameters: a set of values with coordinates in the unit interval."""

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
    """Base class of all parameters.

    Attributes:
        when: maps the name of a parent to the values that activate this parameter; with several
            parents, all must match.
        kind: the name of the class in JSON, such as "float".
    """

    when: Mapping[str, Any] = field(default_factory=dict, kw_only=True, hash=False)
    kind: ClassVar[str]

    def __post_init__(self) -> None:
        self._normalise()
        if isinstance(self.when, Mapping):
            self._set("when", {name: as_tuple(values) for name, values in self.when.items()})

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)  # the only way to set a field of a frozen dataclass

    @abstractmethod
    def _normalise(self) -> None: ...

    @abstractmethod
    def problem(self) -> str | None:
        """Describe what is wrong with this definition; None if it is valid."""

    @property
    @abstractmethod
    def cells(self) -> Cells | None:
        """The cells of a discrete parameter's values; None for a continuous parameter."""

    @property
    def count(self) -> int | None:
        """Number of values; None for a continuous parameter."""
        return None if self.cells is None else self.cells.count

    @abstractmethod
    def take(self, k: IntArray) -> list[Any]:
        """Return values by index; for discrete parameters.

        Args:
            k: indices from 0, shape (n,).
        """

    @abstractmethod
    def index(self, value: Any) -> int:
        """Return the index of a value, from 0; for discrete parameters.

        Args:
            value: native or a NumPy scalar.

        Raises:
            BadValue: the parameter has no such value.
        """

    def canonical(self, value: Any) -> Scalar:
        """Return a value in this parameter's native type.

        Args:
            value: native or a NumPy scalar.

        Raises:
            BadValue: the parameter has no such value.
        """
        return self.take(np.array([self.index(value)]))[0]  # type: ignore[no-any-return]

    def from_unit(self, u: FloatArray) -> list[Any]:
        """Return the values at given coordinates.

        Args:
            u: coordinates, shape (n,); clipped to [0, 1].
        """
        assert self.cells is not None
        return self.take(self.cells.index(u))

    def to_unit(self, values: Iterable[Any]) -> FloatArray:
        """Return the coordinates of values, shape (n,), in [0, 1].

        Args:
            values: n canonical values.
        """
        assert self.cells is not None
        return self.cells.unit(np.array([self.index(v) for v in values], dtype=np.int64))

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return the definition as JSON, without `kind` and `when`."""
