"""The local phase: a second model of the neighbourhood of the best point, and its trust region.

Notation: c (d,) the centre, the best point so far; N (k,) the numeric columns; R the radius of the
neighbourhood, the largest |u - c| in N among its points; x = (u - c) / R; Phi (m, q) trend features
[1, x, x_i x_j for i <= j].

Near the optimum a smooth function is a quadratic, whose axes need not be those of the space: the
local trend has all products, so that one model step is a Newton step (Powell 2006, Wild et al.
2008) and the kernel is left with the rest. Its outcomes are transformed as the evidence wants it,
often not at all. The radius of the search grows and shrinks with success, and its sides are
proportional to the length scales (Eriksson et al. 2019).
"""

from __future__ import annotations

import numpy as np

from metaopt.core.types import FloatArray
from metaopt.space.encoding import BoolArray
from metaopt.space.values import IntArray
from metaopt_strategies.bayes.acquisition_search import Box
from metaopt_strategies.bayes.features import Columns
from metaopt_strategies.bayes.transforms import Shape

PRODUCTS = 20  # numeric columns up to which all products are features; beyond, only squares
INF = float("inf")
SHAPES: tuple[Shape, ...] = ((INF, INF), (1.0, INF), (1.0, 1.0))  # of outcomes
LARGEST = 150  # points in the local model
LONGEST = 4.0  # of the sides of the trust region, relative to their mean
# A region below LEAST starts anew: on rugged functions a smaller one only finds ripples, and on
# smooth ones the model finds the optimum within a larger one.
START, LEAST, MOST = 0.2, 0.02, 0.5
GROW, SHRINK = 2.0, 0.85


def radius_of(U: FloatArray, c: FloatArray, numbers: IntArray) -> float:
    """R of a neighbourhood: the largest distance from c in a numeric column."""
    return max(float(np.abs(U[:, numbers] - c[numbers]).max(initial=0.0)), 1e-6)


class Quadratic:
    """Linear and all quadratic features around a centre."""

    def __init__(self, numbers: IntArray, centre: FloatArray, radius: float) -> None:
        self._numbers, self._c, self._R = numbers, centre[numbers], radius
        k = len(numbers)
        i, j = np.triu_indices(k) if k <= PRODUCTS else (np.arange(k), np.arange(k))
        self._i, self._j = i, j
        self._only_squares = k > PRODUCTS
        self._pair = np.zeros((k, k), dtype=np.int64)  # the feature x_i x_j by i and j
        self._pair[i, j] = self._pair[j, i] = np.arange(len(i))
        self.q = 1 + k + len(i)
        # A square's weight is 1, a product's sqrt 2, as in the kernel (x x')^2.
        self._weight = np.where(i == j, 1.0, np.sqrt(2.0))
        self._slope = np.where(i == j, 2.0, np.sqrt(2.0))

    def features(self, U: FloatArray, A: BoolArray) -> FloatArray:
        """Phi (m, q)."""
        x = np.where(A[:, self._numbers], (U[:, self._numbers] - self._c) / self._R, 0.0)
        products = self._weight * x[:, self._i] * x[:, self._j]
        return np.concatenate([np.ones((len(U), 1)), x, products], axis=1)

    def pull_back(self, U: FloatArray, A: BoolArray, G: FloatArray) -> FloatArray:
        """Turn derivatives by Phi, G (m, q), into derivatives by U (m, d)."""
        k = len(self._numbers)
        on = A[:, self._numbers]
        x = np.where(on, (U[:, self._numbers] - self._c) / self._R, 0.0)
        slope, B = G[:, 1 : k + 1].copy(), self._slope * G[:, k + 1 :]
        if self._only_squares:
            slope += B * x
        else:
            slope += (B[:, self._pair] @ x[:, :, None])[:, :, 0]
        out = np.zeros(U.shape)
        out[:, self._numbers] = np.where(on, slope / self._R, 0.0)
        return out


def size(k: int) -> int:
    """How many points the local model sees: thrice the coefficients of a full quadratic.

    With as many as coefficients, nothing would tell a quadratic from any other function.
    """
    return min(max(3 * (k + 1) * (k + 2) // 2, 20), LARGEST)


def neighbourhood(U: FloatArray, c: FloatArray, size: int) -> IntArray:
    """Indices of the `size` rows nearest to c, in ascending order."""
    if len(U) <= size:
        return np.arange(len(U))
    near = np.argsort(np.square(U - c).sum(axis=1), kind="stable")[:size]
    return np.sort(near)


def region(columns: Columns, c: FloatArray, radius: float, theta: FloatArray | None) -> Box:
    """The trust region: a box around c in the movable numbers, all else frozen.

    The geometric mean of its half-sides is `radius` (before they are limited).
    """
    side = np.full(columns.d, radius)
    k = columns.movable
    if theta is not None:
        place = {column.index: i for i, column in enumerate(columns.columns)}
        length = theta[[place[j] for j in k.tolist()]]
        side[k] *= np.clip(np.exp(length - length.mean()), 1.0 / LONGEST, LONGEST)
    low, high, frozen = np.zeros(columns.d), np.ones(columns.d), np.ones(columns.d, dtype=bool)
    low[k], high[k] = np.maximum(c - side, 0.0)[k], np.minimum(c + side, 1.0)[k]
    frozen[k] = False
    return Box(low, high, frozen)


def resize(radius: float, better: bool) -> float:
    """The radius of the trust region after a step that found, or did not find, a better point."""
    radius *= GROW if better else SHRINK
    return START if radius < LEAST else min(radius, MOST)
