"""The cells of discrete values in the unit interval.

Notation: u is a point of [0, 1]; k in 0..n-1 is the index of a discrete value, whose cell is an
interval of [0, 1] around its own u. Every value has a cell of equal room on the parameter's scale
(linear or logarithmic), so that uniform u means the natural sampling.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from metaopt.core.types import FloatArray
from metaopt.space.values import IntArray


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
