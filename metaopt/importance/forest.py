"""A regression forest as a sum of boxes in the unit cube, which can be integrated exactly.

Notation: n trials; d columns divided into cells; T trees; a leaf covers the cells [low, high) of
every column; there are M leaves in total. The forest is the mean of its trees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaopt.core.types import FloatArray
from metaopt.importance.columns import ParameterColumn, TrialTable, cells_of, filled
from metaopt.space.encoding import BoolArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Grown:
    """A fitted tree, with what is needed to judge it on the trials that it has not seen.

    Attributes:
        tree: the fitted tree of scikit-learn.
        cells: cell of each trial in each column, with the coordinates that this tree was given for
            inactive parameters, shape (n, d).
        predicted: its prediction for each trial, shape (n,).
        unseen: mask of the trials that are not in its bootstrap sample, shape (n,).
    """

    tree: Any
    cells: IntArray
    predicted: FloatArray
    unseen: BoolArray


@dataclass(frozen=True, eq=False)
class Boxes:
    """The leaves of all trees.

    Attributes:
        value: value of a leaf inside its box, shape (M,).
        tree: number of the tree of a leaf, ascending, shape (M,).
        low: first cell of the leaf in each column, shape (M, d).
        high: cell after the last one in each column, shape (M, d).
        widths: measures of the cells, one array (c,) per column.
    """

    value: FloatArray
    tree: IntArray
    low: IntArray
    high: IntArray
    widths: tuple[FloatArray, ...]

    def sides(self) -> FloatArray:
        """Measure of each leaf along each column, shape (M, d)."""
        found = []
        for j, width in enumerate(self.widths):
            ends = np.concatenate([[0.0], np.cumsum(width)])
            found.append(ends[self.high[:, j]] - ends[self.low[:, j]])
        return np.stack(found, axis=1)


def grow(data: TrialTable, trees: int, rng: np.random.Generator) -> list[Grown]:
    """Fit regression trees to bootstrap samples (Breiman 2001).

    Coordinates of inactive parameters are drawn again for each tree.
    """
    from sklearn.tree import DecisionTreeRegressor

    n, d = data.U.shape
    made = []
    for _ in range(trees):
        U, rows = filled(data, rng), rng.integers(n, size=n)
        model = DecisionTreeRegressor(
            min_samples_leaf=2,
            max_features=max(1, round(0.75 * d)),
            random_state=int(rng.integers(2**31)),
        )
        tree = model.fit(U[rows], data.y[rows]).tree_
        unseen = np.ones(n, dtype=np.bool_)
        unseen[rows] = False
        predicted = tree.predict(U.astype(np.float32))[:, 0]
        made.append(Grown(tree, cells_of(data.columns, U), predicted, unseen))
    return made


def boxes(columns: tuple[ParameterColumn, ...], trees: list[Any]) -> Boxes:
    """Express every leaf of the trees as ranges of cells of the columns."""
    leaves = [_leaves(tree, len(columns)) for tree in trees]
    low = np.concatenate([leaf[0] for leaf in leaves])
    high = np.concatenate([leaf[1] for leaf in leaves])
    value = np.concatenate([leaf[2] for leaf in leaves])
    number = np.repeat(np.arange(len(trees)), [len(leaf[2]) for leaf in leaves])
    first, last = [], []
    for j, column in enumerate(columns):
        # A tree compares in single precision; values equal to the threshold go to the lower side.
        at = column.at.astype(np.float32)
        first.append(np.searchsorted(at, low[:, j], side="right"))
        last.append(np.searchsorted(at, high[:, j], side="right"))
    widths = tuple(c.width for c in columns)
    return Boxes(value, number, np.stack(first, axis=1), np.stack(last, axis=1), widths)


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
