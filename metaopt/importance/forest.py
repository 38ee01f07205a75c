"""A regression forest as a sum of boxes in the unit cube, which can be integrated exactly.

Notation: d columns divided into cells; a leaf covers the cells [low, high) of every column; there
are M leaves in total. The weight of a leaf is its value / number of trees, so that the forest is
the sum of its leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaopt.core.types import FloatArray
from metaopt.importance.columns import ParameterColumn, TrialTable, filled

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Boxes:
    """The leaves of all trees.

    Attributes:
        weight: what a leaf adds inside its box, shape (M,).
        low: first cell of the leaf in each column, shape (M, d).
        high: cell after the last one in each column, shape (M, d).
        widths: measures of the cells, one array (c,) per column.
    """

    weight: FloatArray
    low: IntArray
    high: IntArray
    widths: tuple[FloatArray, ...]

    def shares(self) -> FloatArray:
        """Measure of each leaf along each column, shape (M, d)."""
        sides = []
        for j, width in enumerate(self.widths):
            ends = np.concatenate([[0.0], np.cumsum(width)])
            sides.append(ends[self.high[:, j]] - ends[self.low[:, j]])
        return np.stack(sides, axis=1)


def grow(data: TrialTable, trees: int, rng: np.random.Generator) -> list[Any]:
    """Fit regression trees to bootstrap samples (Breiman 2001).

    Coordinates of inactive parameters are drawn again for each tree.
    """
    from sklearn.tree import DecisionTreeRegressor

    n, d = data.U.shape
    made = []
    for _ in range(trees):
        U, rows = filled(data, rng), rng.integers(n, size=n)
        tree = DecisionTreeRegressor(
            min_samples_leaf=2,
            max_features=max(1, round(0.75 * d)),
            random_state=int(rng.integers(2**31)),
        )
        made.append(tree.fit(U[rows], data.y[rows]).tree_)
    return made


def boxes(columns: tuple[ParameterColumn, ...], trees: list[Any]) -> Boxes:
    """Express every leaf of the trees as ranges of cells of the columns."""
    leaves = [_leaves(tree, len(columns)) for tree in trees]
    low = np.concatenate([leaf[0] for leaf in leaves])
    high = np.concatenate([leaf[1] for leaf in leaves])
    weight = np.concatenate([leaf[2] for leaf in leaves]) / len(trees)
    first, last = [], []
    for j, column in enumerate(columns):
        # A tree compares in single precision; values equal to the threshold go to the lower side.
        at = column.at.astype(np.float32)
        first.append(np.searchsorted(at, low[:, j], side="right"))
        last.append(np.searchsorted(at, high[:, j], side="right"))
    widths = tuple(c.width for c in columns)
    return Boxes(weight, np.stack(first, axis=1), np.stack(last, axis=1), widths)


def _leaves(tree: Any, d: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Bounds (leaves, d) and values (leaves,) of a tree's leaves; infinite if unbounded."""
    count, left = tree.node_count, tree.children_left
    low, high = np.full((count, d), -np.inf), np.full((count, d), np.inf)
    for node in range(count):  # parents have smaller indices than their children
        if left[node] >= 0:
            j, cut = tree.feature[node], tree.threshold[node]
            for child in (left[node], tree.children_right[node]):
                low[child], high[child] = low[node], high[node]
            high[left[node], j] = cut
            low[tree.children_right[node], j] = cut
    end = left < 0
    return low[end], high[end], tree.value[end, 0, 0]
