"""Numerical parameters: Int and Float."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar

import numpy as np

from metaopt.core.types import FloatArray
from metaopt.space.cells import Cells
from metaopt.space.parameter import Parameter
from metaopt.space.values import BadValue, IntArray, Scalar, is_finite, is_number, native

LARGEST_INT = 2**53  # above it float64 cannot represent every integer
# The most values that float64 coordinates can distinguish; a logarithm loses some bits.
MOST, MOST_LOG = 2**50, 2**44


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
                f"high = {self.high!r} and step = {self.cells.step!r} give more values"
                f" than float64 coordinates can distinguish; use a larger step or a Float"
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

    With `log=True`, integer k is sampled with the probability of the interval
    [k - 1/2, k + 1/2] under the log-uniform distribution.

    Attributes:
        low, high: the bounds, both included; within +-2^53.
        log: whether the scale is logarithmic; `low` must then be above 0.
        step: if given, the values are low, low + step, low + 2 step, ...
        when: maps the name of a parent to the values that activate this parameter.
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

    Attributes:
        low, high: the bounds, both included.
        log: whether the scale is logarithmic (log-uniform); `low` must then be above 0.
        step: if given, the parameter is discrete, with the values low, low + step, ..., as exact
            decimals (0.3 and not 0.30000000000000004).
        when: maps the name of a parent to the values that activate this parameter.

    Example:
        >>> from metaopt import Categorical, Float, Space
        >>> space = Space(
        ...     optimizer=Categorical(["sgd", "adam"]),
        ...     lr=Float(1e-5, 1e-1, log=True),
        ...     dropout=Float(0, 0.5, step=0.1),
        ...     momentum=Float(0, 0.99, when={"optimizer": ["sgd"]}),
        ... )
        >>> space.contains({"optimizer": "adam", "lr": 1e-3, "dropout": 0.3})
        True
    """

    kind: ClassVar[str] = "float"

    def _normalise(self) -> None:
        super()._normalise()
        for name in ("low", "high", "step"):
            value = getattr(self, name)
            if is_finite(value):
                self._set(name, float(value) + 0.0)  # turns -0.0 into 0.0

    @property
    def cells(self) -> Cells | None:
        if self.step is None:
            return None
        low, high, step = (Decimal(repr(v)) for v in (self.low, self.high, self.step))
        # With a tolerance, since a step may be the result of a calculation: 0.1 * 3 is not 0.3.
        count = math.floor(float((high - low) / step) * (1 + 1e-12) + 1e-9) + 1
        return Cells(count, self.low, self.step, self.log)

    def take(self, k: IntArray) -> list[Any]:
        # Decimal arithmetic gives 0.3, unlike 0.1 + 0.1 + 0.1.
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
        return float(value) + 0.0  # turns -0.0 into 0.0

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
        # Halved, so that high - low cannot overflow.
        return np.clip((x / 2 - low / 2) / (high / 2 - low / 2), 0.0, 1.0)
