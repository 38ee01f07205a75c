"""The effects of single parameters and of pairs in a forest, integrated exactly, leaf by leaf.

Notation: f is the forest on the unit cube, under the uniform measure of the space; f_j(x) is its
mean over all columns except j, minus the mean of f; V_j is the variance of f_j. What is left of f
without its mean and all f_j is the interaction of the parameters. "Unseen" are the values that a
trial gets from the trees which did not see it (out-of-bag): they hold nothing of its own noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metaopt.core.types import FloatArray
from metaopt.importance.columns import TrialTable
from metaopt.importance.forest import Boxes, Grown, boxes
from metaopt.space.encoding import BoolArray

POINTS = 12  # 2^12 points of the Sobol sequence


@dataclass(frozen=True, eq=False)
class Effects:
    """A forest, divided into its mean, the effects of single parameters and the interaction.

    Attributes:
        forest: the leaves.
        mean: mean of f.
        alone: f_j at the cells of column j, one array (c,) per column.
        variances: V_1 ... V_d, and last the variance of the interaction, shape (d + 1,).
        unseen: for each trial the effects f_1 ... f_d and the interaction, from the trees that did
            not see it, shape (n, d + 1).
        judged: mask of the trials that at least one tree did not see, shape (n,).
    """

    forest: Boxes
    mean: float
    alone: tuple[FloatArray, ...]
    variances: FloatArray
    unseen: FloatArray
    judged: BoolArray


def effects(data: TrialTable, grown: list[Grown], rng: np.random.Generator) -> Effects:
    """Divide a forest into its effects."""
    forest = boxes(data.columns, [g.tree for g in grown])
    sides = forest.sides()
    volume = sides.prod(axis=1)
    means: FloatArray = np.zeros(len(grown))
    np.add.at(means, forest.tree, forest.value * volume)
    by_tree = [_alone(forest, volume / sides[:, j], means, j) for j in range(len(data.columns))]
    alone = tuple(f.mean(axis=0) for f in by_tree)
    mean = float(means.mean())
    variances = [float(w @ (f * f)) for w, f in zip(forest.widths, alone, strict=True)]
    variances.append(_interaction(grown, data, alone, mean, rng))
    unseen, judged = _unseen(grown, by_tree, means)
    return Effects(forest, mean, alone, np.array(variances), unseen, judged)


def _alone(forest: Boxes, others: FloatArray, means: FloatArray, j: int) -> FloatArray:
    """f_j of each tree at the cells of column j, (T, c); `others`: measure along the rest, (M,)."""
    add, count = forest.value * others, len(forest.widths[j]) + 1
    steps = np.zeros((len(means), count))
    np.add.at(steps, (forest.tree, forest.low[:, j]), add)
    np.add.at(steps, (forest.tree, forest.high[:, j]), -add)
    marginal: FloatArray = np.cumsum(steps, axis=1)[:, :-1] - means[:, None]
    return marginal


def _interaction(
    grown: list[Grown],
    data: TrialTable,
    alone: tuple[FloatArray, ...],
    mean: float,
    rng: np.random.Generator,
) -> float:
    """Variance of the interaction: its mean square over a Sobol sequence of points.

    Only this variance is approximate; it is 0 for an additive forest.
    """
    from scipy.stats import qmc

    u = qmc.Sobol(len(alone), rng=rng).random_base2(POINTS)
    rest, at = np.full(len(u), -mean), np.empty_like(u)
    for j, f in enumerate(alone):
        ends = np.cumsum(data.columns[j].width)
        cell = np.minimum(np.searchsorted(ends, u[:, j], side="right"), len(ends) - 1)
        at[:, j] = data.columns[j].at[cell]
        rest -= f[cell]
    points = at.astype(np.float32)
    rest += np.mean([g.tree.predict(points)[:, 0] for g in grown], axis=0)
    return float(np.square(rest).mean())


def _unseen(
    grown: list[Grown], by_tree: list[FloatArray], means: FloatArray
) -> tuple[FloatArray, BoolArray]:
    """Effects of each trial, from the trees that did not see it, and mask of judged trials."""
    n, d = grown[0].cells.shape
    total, seen_not = np.zeros((n, d + 1)), np.zeros(n)
    for t, g in enumerate(grown):
        single = np.stack([by_tree[j][t, g.cells[:, j]] for j in range(d)], axis=1)
        rest = g.predicted - means[t] - single.sum(axis=1)
        total += np.where(g.unseen[:, None], np.column_stack([single, rest]), 0.0)
        seen_not += g.unseen
    return total / np.maximum(seen_not, 1)[:, None], seen_not > 0


def joint_variance(found: Effects, i: int, j: int) -> float:
    """Variance of the interaction of columns i and j, without the effect that each has alone."""
    forest = found.forest
    sides, trees = forest.sides(), forest.tree[-1] + 1
    add = forest.value * sides.prod(axis=1) / (sides[:, i] * sides[:, j]) / trees
    steps = np.zeros((len(forest.widths[i]) + 1, len(forest.widths[j]) + 1))
    for sign, a, b in (
        (1, forest.low, forest.low),
        (-1, forest.low, forest.high),
        (-1, forest.high, forest.low),
        (1, forest.high, forest.high),
    ):
        np.add.at(steps, (a[:, i], b[:, j]), sign * add)
    both = steps.cumsum(axis=0).cumsum(axis=1)[:-1, :-1] - found.mean
    both -= found.alone[i][:, None] + found.alone[j]
    return float(forest.widths[i] @ (both * both) @ forest.widths[j])
