"""The kinds of parameters: what values each may take, and where they lie in the unit interval.

Notation: u is a point of [0, 1]; k in 0..n-1 is the index of a discrete value, whose cell is an
interval of [0, 1] around its own u. Every value of a discrete parameter has a cell of equal room
on the parameter's scale (linear or logarithmic), so that uniform u means the natural sampling.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Scalar = None | bool | int | float | str
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LARGEST_INT = 2**53  # beyond it a float64 cannot tell neighbouring integers apart
# The most values that float64 coordinates can tell apart: a logarithm loses some bits.
MOST, MOST_LOG = 2**50, 2**44


class BadValue(ValueError):
    """A value or definition is wrong; the space adds the parameter's name to the message."""


def native(value: Any) -> Any:
    """Turn a numpy scalar into the Python value it stands for; leave the rest alone."""
    return value.item() if isinstance(value, np.generic) else value


def typed(value: Any) -> tuple[str, Any]:
    """Identify a scalar with its type: True, 1, 1.0 and "1" are four different values."""
    value = native(value)
    return (type(value).__name__, value)


def as_tuple(values: Any) -> tuple[Any, ...]:
    """Read one scalar or a sequence of them as a tuple of native values."""
    if isinstance(values, Set):  # without an order of their own: it must not vary
        return tuple(sorted((native(v) for v in values), key=lambda v: repr(typed(v))))
    if isinstance(values, (list, tuple, np.ndarray)):
        return tuple(native(v) for v in values)
    return (native(values),)


def is_finite(value: Any) -> bool:
    """Tell whether `value` is a number within the range of floats."""
    try:
        return is_number(value) and math.isfinite(value)
    except OverflowError:
        return False


def is_number(value: Any) -> bool:
    """Tell whether `value` is an int or float (bool is not a number here)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@dataclass(frozen=True)
class Cells:
    """The cells of n discrete values in [0, 1]; values low + k step matter on a log scale only."""

    count: int
    low: float = 0.0
    step: float = 1.0
    log: bool = False

    def _log_edges(self) -> tuple[float, float]:
        # Cells meet half-way between two values; the first one must stay above 0.
        first = self.low - min(self.step, self.low) / 2
        last = self.low + (self.count - 0.5) * self.step
        return math.log(first), math.log(last)

    def index(self, u: FloatArray) -> IntArray:
        """Indices of the cells that hold `u`, shape (n,)."""
        u = np.clip(np.asarray(u, dtype=np.float64), 0.0, 1.0)
        if self.log:
            first, last = self._log_edges()
            x = np.exp(first + u * (last - first))
            k = np.floor((x - self.low) / self.step + 0.5)
        else:
            k = np.floor(u * self.count)
        return np.clip(k, 0, self.count - 1).astype(np.int64)

    def width(self, k: IntArray) -> FloatArray:
        """Widths of the cells with the indices `k`: the shares of values in uniform sampling."""
        k = np.asarray(k, dtype=np.float64)
        if not self.log:
            return np.full(k.shape, 1.0 / self.count)
        first, last = self._log_edges()
        lower = np.where(k > 0, np.log(self.low + (k - 0.5) * self.step), first)
        share: FloatArray = (np.log(self.low + (k + 0.5) * self.step) - lower) / (last - first)
        return share

    def unit(self, k: IntArray) -> FloatArray:
        """Coordinates of the values with the indices `k`, each inside its own cell."""
        k = np.asarray(k, dtype=np.float64)
        if not self.log:
            return (k + 0.5) / self.count
        first, last = self._log_edges()
        u: FloatArray = (np.log(self.low + k * self.step) - first) / (last - first)
        return u


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


@dataclass(frozen=True)
class _Range(Parameter):
    """Numbers from `low` to `high`, both included."""

    low: float
    high: float
    log: bool = field(default=False, kw_only=True)
    step: float | None = field(default=None, kw_only=True)

    def _normalise(self) -> None:
        for name in ("low", "high", "step"):
            self._set(name, native(getattr(self, name)))

    def problem(self) -> str | None:
        for name in ("low", "high", "step"):
            value = getattr(self, name)
            if value is None and name == "step":
                continue
            if not is_finite(value):
                return f"{name} must be a finite number, got {value!r}"
        if not isinstance(self.log, bool):
            return f"log must be True or False, got {self.log!r}"
        if not self.low < self.high:
            hint = f"; for one fixed value use Constant({self.low!r})"
            return (
                f"low must be below high, got low={self.low!r}, high={self.high!r}"
                f"{hint if self.low == self.high else ''}"
            )
        if not self.high / 2 - self.low / 2 > 0:
            return f"high - low is below the smallest float: low={self.low!r}, high={self.high!r}"
        if self.log and self.low <= 0:
            return f"log=True needs low above 0, got low={self.low!r}"
        if self.step is not None and self.step <= 0:
            return f"step must be above 0, got step={self.step!r}"
        if self.cells is None:
            return None
        if self.cells.count < 2:
            return f"step must not exceed high - low = {self.high - self.low!r}, got {self.step!r}"
        finest = self.cells.low / self.cells.step + self.cells.count if self.log else 0
        if self.cells.count > MOST or finest > MOST_LOG:
            return (
                f"high = {self.high!r} and step = {self.cells.step!r} make more values than"
                f" coordinates can tell apart; take a larger step or a Float"
            )
        return None

    def _outside(self, value: Any) -> BadValue:
        return BadValue(f"must lie between {self.low!r} and {self.high!r}, got {value!r}")

    def to_json(self) -> dict[str, Any]:
        out: dict[str, Any] = {"low": self.low, "high": self.high, "log": self.log}
        return out if self.step is None else {**out, "step": self.step}


@dataclass(frozen=True)
class Int(_Range):
    """An integer from `low` to `high`, both included.

    With `log=True` each integer gets equal room in log([low - 1/2, high + 1/2]).
    With `step` only low, low + step, ... are values.
    """

    low: int
    high: int
    step: int | None = field(default=None, kw_only=True)
    kind: ClassVar[str] = "int"

    def problem(self) -> str | None:
        for name in ("low", "high", "step"):
            value = getattr(self, name)
            if value is None and name == "step":
                continue
            if not isinstance(value, int) or isinstance(value, bool):
                return f"{name} must be an integer, got {value!r}"
            if abs(value) > LARGEST_INT:
                return f"{name} must lie within +-2^53, got {value!r}"
        return super().problem()

    @property
    def _step(self) -> int:
        return 1 if self.step is None else self.step

    @property
    def cells(self) -> Cells:
        return Cells((self.high - self.low) // self._step + 1, self.low, self._step, self.log)

    def take(self, k: IntArray) -> list[int]:
        return (self.low + np.asarray(k, dtype=np.int64) * self._step).tolist()  # type: ignore[no-any-return]

    def index(self, value: Any) -> int:
        value = native(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise BadValue(f"must be an integer, got {value!r} ({type(value).__name__})")
        if not self.low <= value <= self.high:
            raise self._outside(value)
        k, rest = divmod(value - self.low, self._step)
        if rest:
            raise BadValue(f"must be {self.low} plus a multiple of {self.step}, got {value!r}")
        return k


@dataclass(frozen=True)
class Float(_Range):
    """A real number from `low` to `high`, both included.

    With `log=True` uniform on the logarithm. With `step` it is discrete: low, low + step, ...,
    as exact decimals (0.3 and not 0.30000000000000004).
    """

    kind: ClassVar[str] = "float"

    def _normalise(self) -> None:
        super()._normalise()
        for name in ("low", "high", "step"):
            value = getattr(self, name)
            if is_finite(value):
                self._set(name, float(value) + 0.0)  # -0.0 and 0.0 are one bound

    @property
    def cells(self) -> Cells | None:
        if self.step is None:
            return None
        low, high, step = (Decimal(repr(v)) for v in (self.low, self.high, self.step))
        # The slack is for steps that were computed: 0.1 * 3 is not 0.3.
        count = math.floor(float((high - low) / step) * (1 + 1e-12) + 1e-9) + 1
        return Cells(count, self.low, self.step, self.log)

    def take(self, k: IntArray) -> list[Any]:
        # In decimals as the user wrote them: 0.3 and not 0.1 + 0.1 + 0.1.
        low, step = Decimal(repr(self.low)), Decimal(repr(self.step))
        different, where = np.unique(np.asarray(k, dtype=np.int64), return_inverse=True)
        values = np.array([float(low + int(i) * step) for i in different])
        return (np.clip(values, self.low, self.high) + 0.0)[where].tolist()  # type: ignore[no-any-return]

    def index(self, value: Any) -> int:
        assert self.step is not None and self.count is not None
        number = self._number(value)
        k = round((number - self.low) / self.step)
        near = [i for i in (k, k - 1, k + 1) if 0 <= i < self.count]
        slack = max(1e-9 * self.step, 4 * math.ulp(max(abs(self.low), abs(number))))
        values = self.take(np.array(near, dtype=np.int64))
        for i, exact in zip(near, values, strict=True):
            if exact == number:
                return i
        if near and near[0] == k and abs(values[0] - number) <= slack:
            return k
        raise BadValue(f"must be {self.low} plus a multiple of {self.step}, got {value!r}")

    def _number(self, value: Any) -> float:
        value = native(value)
        if not is_number(value):
            raise BadValue(f"must be a number, got {value!r} ({type(value).__name__})")
        if not self.low <= value <= self.high:  # NaN fails here too
            raise self._outside(value)
        return float(value) + 0.0  # -0.0 and 0.0 are one value

    def canonical(self, value: Any) -> Scalar:
        return self._number(value) if self.step is None else super().canonical(value)

    def from_unit(self, u: FloatArray) -> list[Any]:
        if self.step is not None:
            return super().from_unit(u)
        u = np.clip(np.asarray(u, dtype=np.float64), 0.0, 1.0)
        if self.log:
            x = np.exp(math.log(self.low) * (1 - u) + math.log(self.high) * u)
        else:
            x = self.low * (1 - u) + self.high * u  # never overflows, unlike low + u (high - low)
        return (np.clip(x, self.low, self.high) + 0.0).tolist()  # type: ignore[no-any-return]

    def to_unit(self, values: Iterable[Any]) -> FloatArray:
        if self.step is not None:
            return super().to_unit(values)
        x = np.asarray(list(values), dtype=np.float64)
        low, high = self.low, self.high
        if self.log:
            x, low, high = np.log(x), math.log(low), math.log(high)
        # Halving keeps the widest float64 range finite.
        return np.clip((x / 2 - low / 2) / (high / 2 - low / 2), 0.0, 1.0)


@dataclass(frozen=True)
class _Listed(Parameter):
    """Values given one by one."""

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
    """One of `values`, whose order carries meaning: ``Ordinal([32, 64, 128])``."""

    values: Sequence[Any]
    kind: ClassVar[str] = "ordinal"
    _field: ClassVar[str] = "values"


@dataclass(frozen=True)
class Categorical(_Listed):
    """One of `choices`, JSON scalars without an order; True and 1 are distinct."""

    choices: Sequence[Any]
    kind: ClassVar[str] = "categorical"
    _field: ClassVar[str] = "choices"


@dataclass(frozen=True)
class Constant(_Listed):
    """One fixed value, a JSON scalar."""

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


KINDS: dict[str, type[Parameter]] = {
    c.kind: c for c in (Float, Int, Ordinal, Categorical, Constant)
}


def parameter_from_json(data: Mapping[str, Any]) -> Parameter:
    """Rebuild a parameter from its JSON, `kind` and `when` included."""
    fields = dict(data)
    return KINDS[fields.pop("kind")](**fields)
