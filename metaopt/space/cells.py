"""The cells of discrete values in the unit interval.

Notation: u is a point of [0, 1]; k in 0..n-1 is the index of a discrete value, whose cell is an
interval of [0, 1] around its own u. On the parameter's scale (linear or logarithmic) all cells have
the same width, so that uniform u samples the values uniformly on that scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from metaopt.core.types import FloatArray
from metaopt.space.values import IntArray


@dataclass(frozen=True)
class Cells:
    """The cells of n discrete values in [0, 1].

    Attributes:
        count: number of values, n.
        low, step: value k is low + k step; used on a logarithmic scale only.
        log: whether the scale is logarithmic.
    """

    count: int
    low: float = 0.0
    step: float = 1.0
    log: bool = False

    def _log_edges(self) -> tuple[float, float]:
        # A cell ends half-way between two values; the lower end of the first must stay above 0.
        first = self.low - min(self.step, self.low) / 2
        last = self.low + (self.count - 0.5) * self.step
        return math.log(first), math.log(last)

    def index(self, u: FloatArray) -> IntArray:
        """Return the indices of the cells that contain the coordinates `u`, shape (n,)."""
        u = np.clip(np.asarray(u, dtype=np.float64), 0.0, 1.0)
        if self.log:
            first, last = self._log_edges()
            x = np.exp(first + u * (last - first))
            k = np.floor((x - self.low) / self.step + 0.5)
        else:
            k = np.floor(u * self.count)
        return np.clip(k, 0, self.count - 1).astype(np.int64)

    def width(self, k: IntArray) -> FloatArray:
        """Return the widths of the cells `k`: the probability of each value in uniform sampling."""
        k = np.asarray(k, dtype=np.float64)
        if not self.log:
            return np.full(k.shape, 1.0 / self.count)
        first, last = self._log_edges()
        lower = np.where(k > 0, np.log(self.low + (k - 0.5) * self.step), first)
        share: FloatArray = (np.log(self.low + (k + 0.5) * self.step) - lower) / (last - first)
        return share

    def unit(self, k: IntArray) -> FloatArray:
        """Return the coordinates of the values `k`, each inside its own cell."""
        k = np.asarray(k, dtype=np.float64)
        if not self.log:
            return (k + 0.5) / self.count
        first, last = self._log_edges()
        u: FloatArray = (np.log(self.low + k * self.step) - first) / (last - first)
        return u
