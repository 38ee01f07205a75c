"""Map points of the unit cube of a space to features for kernels, and gradients back.

Notation: U (m, d) coordinates in the space's unit cube; A (m, d) mask of active parameters;
Z (m, p) features; g groups: the features of one parameter, which share one length scale.

Squared distances between features of one parameter:
- a number: (u - u')^2, scaled so that the two ends of the range have distance 1;
- a category: 1 if the choices differ (Hamming), as a one-hot vector divided by sqrt 2;
- a parameter that is inactive in both points: 0; in one of them: 1, the distance between the two
  ends of a range. A conditional number is a point on an arc of the unit circle (after Swersky et
  al. 2014), an inactive one is the centre of the circle. So distances are Euclidean and the kernel
  is positive definite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metaopt.core.types import FloatArray
from metaopt.space import Space
from metaopt.space.encoding import INACTIVE, BoolArray
from metaopt.space.parameter import Parameter
from metaopt.space.values import IntArray


@dataclass(frozen=True)
class Feature:
    """One parameter with more than one value.

    Attributes:
        index: its position in the space.
        categories: number of choices; 0 for a number.
        conditional: whether it can be inactive.
        first, width: index of its first feature and number of its features.
        low, range: smallest coordinate that occurs, and largest minus smallest.
    """

    index: int
    categories: int
    conditional: bool
    first: int
    width: int
    low: float = 0.0
    range: float = 1.0


class Features:
    """The features of one space, and fast rounding of points to values that exist in it.

    Args:
        space: the search space.
    """

    def __init__(self, space: Space) -> None:
        self.d = len(space)
        self._index = {name: j for j, name in enumerate(space.names)}
        self._parameters: list[Parameter] = list(space.parameters.values())
        counts = [p.count for p in self._parameters]
        self.counts: IntArray = np.array([0 if c is None else c for c in counts], dtype=np.int64)
        self._when = [
            (self._index[name], self._conditions(space, name))
            for name in space.order
            if space.parameters[name].when
        ]
        self._forbid = [
            [(self._index[n], self._mask(n, space, values)) for n, values in f.items()]
            for f in space.forbid
        ]
        self._log = [j for j, p in enumerate(self._parameters) if p.cells and p.cells.log]
        self._even = np.flatnonzero((self.counts > 0) & ~np.isin(np.arange(self.d), self._log))
        self.columns = self._layout()
        self._read()

    # -- construction ----------------------------------------------------------------------------

    def _mask(self, name: str, space: Space, values: Sequence[object]) -> BoolArray:
        """Return a mask of the indices of a discrete parameter whose values are in `values`."""
        p = space.parameters[name]
        mask = np.zeros(p.count or 0, dtype=bool)
        mask[[p.index(v) for v in values]] = True
        return mask

    def _conditions(self, space: Space, name: str) -> list[tuple[int, BoolArray]]:
        when = space.parameters[name].when
        return [(self._index[n], self._mask(n, space, values)) for n, values in when.items()]

    def _layout(self) -> list[Feature]:
        columns, first = [], 0
        for j, p in enumerate(self._parameters):
            if p.count == 1 and not p.when:
                continue
            conditional = bool(p.when)
            if p.kind in ("categorical", "constant"):
                # Two choices need only one feature. "Inactive" counts as a choice.
                k = int(self.counts[j]) + conditional
                column = Feature(j, int(self.counts[j]), conditional, first, 1 if k == 2 else k)
            else:
                ends = np.array([0, self.counts[j] - 1])
                low, high = p.cells.unit(ends) if p.cells else (0.0, 1.0)
                scale = max(float(high - low), 1e-12)
                width = 2 if conditional else 1
                column = Feature(j, 0, conditional, first, width, float(low), scale)
            columns.append(column)
            first += column.width
        return columns

    def _read(self) -> None:
        numbers = [c for c in self.columns if not c.categories]
        plain = [c for c in numbers if not c.conditional]
        self.arcs = [c for c in numbers if c.conditional]
        self.groups: IntArray = np.array([c.first for c in self.columns], dtype=np.int64)
        self.p = sum(c.width for c in self.columns)
        self.plain: IntArray = np.array([c.index for c in plain], dtype=np.int64)
        self.plain_z: IntArray = np.array([c.first for c in plain], dtype=np.int64)
        self._low = np.array([c.low for c in plain])
        self._range = np.array([c.range for c in plain])
        self.numbers: IntArray = np.array([c.index for c in numbers], dtype=np.int64)
        self.categorical: IntArray = np.array(
            [c.index for c in self.columns if c.categories > 1], dtype=np.int64
        )
        self.continuous: IntArray = np.flatnonzero(self.counts == 0)
        parents = {j for _, conditions in self._when for j, _ in conditions}
        parents |= {j for entry in self._forbid for j, _ in entry}
        # An ascent may move only numbers that appear in no condition and no forbidden combination.
        self.movable: IntArray = np.array(
            [j for j in self.numbers if j not in parents], dtype=np.int64
        )
        self.discrete: IntArray = np.flatnonzero(self.counts > 1)

    # -- rounding --------------------------------------------------------------------------------

    def indices(self, U: FloatArray) -> IntArray:
        """Return the cell indices of U, shape (m, d); 0 for continuous parameters."""
        K = np.zeros(U.shape, dtype=np.int64)
        n = self.counts[self._even]
        K[:, self._even] = np.clip((U[:, self._even] * n).astype(np.int64), 0, n - 1)
        for j in self._log:
            cells = self._parameters[j].cells
            assert cells is not None
            K[:, j] = cells.index(U[:, j])
        return K

    def snap(self, U: FloatArray) -> tuple[FloatArray, BoolArray, BoolArray]:
        """Round points to values that exist in the space.

        Args:
            U: points, shape (m, d).

        Returns:
            The rounded points, shape (m, d), their mask of active parameters, shape (m, d), and
            which of them are not forbidden, shape (m,).
        """
        U = np.clip(U, 0.0, 1.0)
        K = self.indices(U)
        U[:, self._even] = (K[:, self._even] + 0.5) / self.counts[self._even]
        for j in self._log:
            cells = self._parameters[j].cells
            assert cells is not None
            U[:, j] = cells.unit(K[:, j])
        A = np.ones(U.shape, dtype=bool)
        for j, conditions in self._when:
            for parent, mask in conditions:
                A[:, j] &= A[:, parent] & mask[K[:, parent]]
        if self._when:
            U[~A] = INACTIVE
        allowed = np.ones(len(U), dtype=bool)
        for entry in self._forbid:
            match = np.ones(len(U), dtype=bool)
            for j, mask in entry:
                match &= A[:, j] & mask[K[:, j]]
            allowed &= ~match
        return U, A, allowed

    def unit(self, j: int, k: int) -> float:
        """Return the coordinate of the k-th value of the discrete parameter j."""
        cells = self._parameters[j].cells
        assert cells is not None
        return float(cells.unit(np.array([k]))[0])

    # -- features --------------------------------------------------------------------------------

    def features(self, U: FloatArray, A: BoolArray) -> FloatArray:
        """Return the features Z, shape (m, p), of points, which need not be snapped."""
        Z = np.zeros((len(U), self.p))
        Z[:, self.plain_z] = (U[:, self.plain] - self._low) / self._range
        for c in self.arcs:
            t = (U[:, c.index] - c.low) / c.range - 0.5
            Z[:, c.first] = np.where(A[:, c.index], np.sin(t), 0.0)
            Z[:, c.first + 1] = np.where(A[:, c.index], np.cos(t), 0.0)
        for c in self.columns:
            if c.categories:
                n = self.counts[c.index]
                k = np.minimum((U[:, c.index] * n).astype(np.int64), n - 1)
                k = np.where(A[:, c.index], k, n)
                if c.width == 1:
                    Z[:, c.first] = k
                else:
                    Z[np.arange(len(U)), c.first + k] = math.sqrt(0.5)
        return Z

    def pull_back(self, U: FloatArray, A: BoolArray, G: FloatArray) -> FloatArray:
        """Map derivatives with respect to features, G (m, p), to ones with respect to U (m, d)."""
        out = np.zeros(U.shape)
        out[:, self.plain] = G[:, self.plain_z] / self._range
        for c in self.arcs:
            t = (U[:, c.index] - c.low) / c.range - 0.5
            slope = np.cos(t) * G[:, c.first] - np.sin(t) * G[:, c.first + 1]
            out[:, c.index] = np.where(A[:, c.index], slope / c.range, 0.0)
        return out
