"""The outcome transform: near the optimum a logarithm, far from it one too, in between a line.

Notation: y (n,) told values; m their median; s = m - min y; z = (y - m) / s, so that the best is
at -1; t(z) the transformed, w = (t - mean) / sd the standardised outcome.

t = b log1p(z / b), b = 1, for z > 0 (ten times as bad is not ten times as informative);
t = (1 + c) log((z + 1 + c) / (1 + c)) for z <= 0, with c = 1 (the better half is stretched mildly,
which keeps differences near the optimum visible to the model). Both have slope 1 at the median.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from metaopt.core.types import FloatArray

LARGEST = 1e100  # of |z|, so that its square does not overflow
Shape = tuple[float, float]  # b and c

SHRINK = 2.0**-3  # values are shrunk by a power of two first, so that differences stay finite


@dataclass(frozen=True)
class Outcome:
    """A fitted transform; where `b` (worse half) or `c` (better half) is inf, it is linear."""

    median: float
    spread: float
    mean: float
    sd: float
    b: float
    c: float

    @classmethod
    def fit(cls, y: FloatArray, shape: Shape = (1.0, 1.0)) -> Outcome:
        """Fit to finite values y (n,), n >= 1; constant values have spread and sd 1."""
        b, c = shape
        y = y * SHRINK
        median = float(np.median(y))
        spread = median - float(y.min())
        if spread <= 0.0:  # half of the values or more are the smallest
            spread = float(y.max()) - median
        spread = spread if spread > 0.0 else 1.0
        t = cls(median, spread, 0.0, 1.0, b, c)._bend(y)
        sd = float(t.std())
        return cls(median, spread, float(t.mean()), sd if sd > 1e-12 else 1.0, b, c)

    def _bend(self, y: FloatArray) -> FloatArray:
        with np.errstate(over="ignore"):
            z = np.clip((y - self.median) / self.spread, -LARGEST, LARGEST)
        upper = np.maximum(z, 0.0)
        if not math.isinf(self.b):
            upper = self.b * np.log1p(upper / self.b)
        lower = np.minimum(z, 0.0)
        if math.isinf(self.c):
            return upper + lower
        # Beyond what was seen (z < -1) the logarithm ends: a line of the same slope goes on.
        inside = np.maximum(lower, -1.0)
        bent = np.log((inside + 1.0 + self.c) / (1.0 + self.c)) + (lower - inside) / self.c
        return upper + (1.0 + self.c) * bent

    def forward(self, y: FloatArray) -> FloatArray:
        """Standardised outcomes w of values y, (n,)."""
        return (self._bend(y * SHRINK) - self.mean) / self.sd

    def log_jacobian(self, y: FloatArray) -> float:
        """Sum of log dw/dy up to a constant, by which likelihoods of transforms compare."""
        z = np.clip((y * SHRINK - self.median) / self.spread, -LARGEST, LARGEST)
        slopes = 0.0
        if not math.isinf(self.b):
            slopes -= float(np.log1p(np.maximum(z, 0.0) / self.b).sum())
        if not math.isinf(self.c):
            lower = np.maximum(z[z < 0.0], -1.0)
            slopes -= float(np.log((lower + 1.0 + self.c) / (1.0 + self.c)).sum())
        return slopes - len(y) * math.log(self.sd)

    def backward(self, w: FloatArray) -> FloatArray:
        """Values y of standardised outcomes w, (n,); finite."""
        t = w * self.sd + self.mean
        upper = np.maximum(t, 0.0)
        if not math.isinf(self.b):
            upper = self.b * np.expm1(np.minimum(upper / self.b, 690.0))
        lower = np.minimum(t, 0.0)
        if not math.isinf(self.c):
            lower = lower / (1.0 + self.c)
            inside = np.maximum(lower, math.log(self.c / (1.0 + self.c)))
            lower = (1.0 + self.c) * np.expm1(inside) + (lower - inside) * self.c
        with np.errstate(over="ignore"):
            y = (self.median + self.spread * (upper + lower)) / SHRINK
        return np.clip(y, -1.7e308, 1.7e308)
