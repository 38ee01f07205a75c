"""The local phase: a second model, of the neighbourhood of the best point, and its trust region.

Notation: c (d,) the centre, the best point so far; N (k,) the numeric columns; R the radius of the
neighbourhood, the largest |u - c| in N among its points; x = (u - c) / R; Phi (m, q) trend features
[1, x, x_i x_j for i <= j].

Near the optimum, a smooth function is close to a quadratic, whose axes need not be those of the
space. So the local trend contains all products: minimising it is a Newton step (Powell 2006, Wild
et al. 2008), and the kernel models the residual. The outcome transform is the one with the largest
evidence, which is often none. The trust region grows after a success and shrinks after a failure;
its sides are proportional to the length scales (Eriksson et al. 2019).
"""

from __future__ import annotations

import numpy as np

from metaopt.core.types import FloatArray
from metaopt.space.encoding import BoolArray
from metaopt.space.values import IntArray
from metaopt_strategies.bayes.acquisition_search import Box
from metaopt_strategies.bayes.features import Features
from metaopt_strategies.bayes.transforms import Shape

PRODUCTS = 20  # with more numeric columns, only squares are features, not all products
INF = float("inf")
SHAPES: tuple[Shape, ...] = ((INF, INF), (1.0, INF), (1.0, 1.0))  # candidate transforms
LARGEST = 150  # points in the local model
LONGEST = 4.0  # the longest side of the trust region, relative to the mean side
# A radius below LEAST is reset to START: on rugged functions a smaller region only finds ripples,
# and on smooth functions the model finds the optimum within a larger region.
START, LEAST, MOST = 0.2, 0.02, 0.5
GROW, SHRINK = 2.0, 0.85


def radius_of(U: FloatArray, c: FloatArray, numbers: IntArray) -> float:
    """Return the radius R of a neighbourhood: the largest distance from c in a numeric column."""
    return max(float(np.abs(U[:, numbers] - c[numbers]).max(initial=0.0)), 1e-6)


class Quadratic:
    """Constant, linear and all quadratic features around a centre.

    Args:
        numbers: indices of the numeric columns, shape (k,).
        centre: the point c, shape (d,).
        radius: the radius R.
    """

    def __init__(self, numbers: IntArray, centre: FloatArray, radius: float) -> None:
        self._numbers, self._c, self._R = numbers, centre[numbers], radius
        k = len(numbers)
        i, j = np.triu_indices(k) if k <= PRODUCTS else (np.arange(k), np.arange(k))
        self._i, self._j = i, j
        self._only_squares = k > PRODUCTS
        self._pair = np.zeros((k, k), dtype=np.int64)  # index of the feature x_i x_j
        self._pair[i, j] = self._pair[j, i] = np.arange(len(i))
        self.q = 1 + k + len(i)
        # Squares have weight 1, products weight sqrt 2, as in the kernel (x x')^2.
        self._weight = np.where(i == j, 1.0, np.sqrt(2.0))
        self._slope = np.where(i == j, 2.0, np.sqrt(2.0))

    def features(self, U: FloatArray, A: BoolArray) -> FloatArray:
        """Return the trend features Phi, shape (m, q)."""
        x = np.where(A[:, self._numbers], (U[:, self._numbers] - self._c) / self._R, 0.0)
        products = self._weight * x[:, self._i] * x[:, self._j]
        return np.concatenate([np.ones((len(U), 1)), x, products], axis=1)

    def pull_back(self, U: FloatArray, A: BoolArray, G: FloatArray) -> FloatArray:
        """Map derivatives with respect to Phi, G (m, q), to derivatives with respect to U."""
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
    """Return how many points the local model uses: three per coefficient of a full quadratic.

    With one point per coefficient, a quadratic fits any function. At least 20, at most LARGEST.
    """
    return min(max(3 * (k + 1) * (k + 2) // 2, 20), LARGEST)


def neighbourhood(U: FloatArray, c: FloatArray, size: int) -> IntArray:
    """Return the indices of the `size` rows nearest to c, in ascending order."""
    if len(U) <= size:
        return np.arange(len(U))
    near = np.argsort(np.square(U - c).sum(axis=1), kind="stable")[:size]
    return np.sort(near)


def region(columns: Features, c: FloatArray, radius: float, theta: FloatArray | None) -> Box:
    """Return the trust region: a box around c in the movable numbers; all others are frozen.

    Args:
        columns: the features of the space.
        c: the centre, shape (d,).
        radius: geometric mean of the half-sides, before they are limited.
        theta: hyperparameters, whose length scales set the proportions; None: all sides equal.
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
    """Return the new radius of the trust region; `better`: whether a better point was found."""
    radius *= GROW if better else SHRINK
    return START if radius < LEAST else min(radius, MOST)
