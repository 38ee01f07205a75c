"""The stationary kernel of scaled squared distances, and the trend beneath it.

Notation: r2 squared scaled distance; k(r2) the correlation, 1 at r2 = 0; U (m, d), A (m, d) as in
`columns`; Phi (m, q) trend features.

Matern (1960) in the form of Rasmussen and Williams (2006), equation 4.17. Smoothness 5/2: with 3/2
the searches ended no better (29 problems, 3 seeds: 6 won, 13 lost at 100 trials, p = 0.23).
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from metaopt.core.types import FloatArray
from metaopt.space.encoding import BoolArray
from metaopt_strategies.bayes.features import Columns

ROOT5 = math.sqrt(5.0)


def matern52(r2: FloatArray) -> FloatArray:
    """Correlation, a fresh array of the shape of `r2`."""
    t = ROOT5 * np.sqrt(r2)
    k = (5.0 / 3.0) * r2
    k += t
    k += 1.0
    k *= np.exp(np.negative(t, out=t), out=t)
    return k


def matern52_slope(r2: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Correlation and its derivative by r2, two fresh arrays of the shape of `r2`."""
    t = ROOT5 * np.sqrt(r2)
    e = np.exp(-t)
    t += 1.0
    slope = t * e
    slope *= -5.0 / 6.0
    t += (5.0 / 3.0) * r2
    t *= e
    return t, slope


class Features(Protocol):
    """Features of points in which a trend is linear."""

    def features(self, U: FloatArray, A: BoolArray) -> FloatArray:
        """Phi (m, q)."""

    def pull_back(self, U: FloatArray, A: BoolArray, G: FloatArray) -> FloatArray:
        """Turn derivatives by Phi, G (m, q), into derivatives by U (m, d)."""


class Trend:
    """Linear and quadratic features of numbers, centred one-hot features of categories.

    phi = [2u - 1, (2u - 1)^2 - 1/3, categories]; an inactive parameter has none.
    """

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._numbers = columns.numbers
        self._hot = [c for c in columns.columns if c.categories > 1]

    def features(self, U: FloatArray, A: BoolArray) -> FloatArray:
        """Phi (m, q)."""
        on = A[:, self._numbers]
        x = np.where(on, 2.0 * U[:, self._numbers] - 1.0, 0.0)
        parts = [x, np.where(on, x * x - 1.0 / 3.0, 0.0)]
        for c in self._hot:
            k = np.minimum((U[:, c.index] * c.categories).astype(np.int64), c.categories - 1)
            hot = (k[:, None] == np.arange(c.categories)) - 1.0 / c.categories
            parts.append(np.where(A[:, c.index, None], hot, 0.0))
        return np.concatenate(parts, axis=1)

    def pull_back(self, U: FloatArray, A: BoolArray, G: FloatArray) -> FloatArray:
        """Turn derivatives by Phi, G (m, q), into derivatives by U (m, d)."""
        n = len(self._numbers)
        x = 2.0 * U[:, self._numbers] - 1.0
        out = np.zeros(U.shape)
        slope = 2.0 * G[:, :n] + 4.0 * x * G[:, n : 2 * n]
        out[:, self._numbers] = np.where(A[:, self._numbers], slope, 0.0)
        return out
