"""The outcome transform: compresses bad values and stretches good ones, by logarithms.

Notation: y (n,) told values; m their median; s = m - min y; z = (y - m) / s, so that the best is
at -1; t(z) the transformed, w = (t - mean) / sd the standardised outcome.

For z > 0: t = b log1p(z / b), b = 1. A value ten times as bad is not ten times as informative.
For z <= 0: t = (1 + c) log((z + 1 + c) / (1 + c)), c = 1. The better half is stretched mildly, so
that the model sees differences near the optimum. Both have slope 1 at the median.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from metaopt.core.types import FloatArray

LARGEST = 1e100  # limit of |z|, so that its square does not overflow
Shape = tuple[float, float]  # b and c

SHRINK = 2.0**-3  # values are first multiplied by it, so that differences stay finite


@dataclass(frozen=True)
class OutcomeTransform:
    """A fitted transform of values.

    Attributes:
        median, spread: m and s, after values were multiplied by SHRINK.
        mean, sd: of the transformed values t.
        b, c: constants of the worse and of the better half; infinity makes that half linear.
    """

    median: float
    spread: float
    mean: float
    sd: float
    b: float
    c: float

    @classmethod
    def fit(cls, y: FloatArray, shape: Shape = (1.0, 1.0)) -> OutcomeTransform:
        """Fit to finite values.

        Args:
            y: the values, shape (n,), n >= 1; if all are equal, spread and sd are 1.
            shape: b and c.
        """
        b, c = shape
        y = y * SHRINK
        median = float(np.median(y))
        spread = median - float(y.min())
        if spread <= 0.0:  # at least half of the values equal the minimum
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
        # Below the best value seen (z < -1), continue linearly with the same slope.
        inside = np.maximum(lower, -1.0)
        bent = np.log((inside + 1.0 + self.c) / (1.0 + self.c)) + (lower - inside) / self.c
        return upper + (1.0 + self.c) * bent

    def forward(self, y: FloatArray) -> FloatArray:
        """Return the standardised outcomes w of values y, shape (n,)."""
        return (self._bend(y * SHRINK) - self.mean) / self.sd

    def log_jacobian(self, y: FloatArray) -> float:
        """Return the sum of log dw/dy, up to a constant that all transforms share.

        Added to the log likelihood, it makes different transforms comparable.
        """
        z = np.clip((y * SHRINK - self.median) / self.spread, -LARGEST, LARGEST)
        slopes = 0.0
        if not math.isinf(self.b):
            slopes -= float(np.log1p(np.maximum(z, 0.0) / self.b).sum())
        if not math.isinf(self.c):
            lower = np.maximum(z[z < 0.0], -1.0)
            slopes -= float(np.log((lower + 1.0 + self.c) / (1.0 + self.c)).sum())
        return slopes - len(y) * math.log(self.sd)

    def backward(self, w: FloatArray) -> FloatArray:
        """Return the values y of standardised outcomes w, shape (n,); always finite."""
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
