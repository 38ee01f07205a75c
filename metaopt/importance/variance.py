"""Functional analysis of variance of a forest (Hutter, Hoos and Leyton-Brown 2014).

Notation: f is the forest on the unit cube, under the uniform measure of the space; f_j(x) is its
mean over all columns except j, minus the mean of f; V_j is the variance of f_j, and V that of f.
V_j / V is the first-order Sobol index of the model (Sobol 1993).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from metaopt.core.errors import StudyError, whole
from metaopt.core.types import FloatArray
from metaopt.importance.columns import TrialTable, read
from metaopt.importance.forest import Boxes, boxes, grow
from metaopt.space import Space

TREES = 64
POINTS = 12  # 2^12 points of the Sobol sequence


@dataclass(frozen=True, eq=False)
class Fanova:
    """Shares of the variance of the fitted function over the space.

    Attributes:
        main: name -> share that the parameter explains alone, largest first.
        pairs: (name, name) -> share of the interaction of two parameters, without the shares that
            each explains alone; largest first; empty if `pairs` was False.
        mean: mean of the fitted function over the space.
        variance: variance of the fitted function over the space.
    """

    main: dict[str, float]
    pairs: dict[tuple[str, str], float]
    mean: float
    variance: float


def fanova(
    space: Space,
    configs: Sequence[Mapping[str, Any]],
    values: Any,
    *,
    pairs: bool = False,
    trees: int = TREES,
    seed: int = 0,
) -> Fanova:
    """Decompose the variance of the values over the space into shares of the parameters.

    A random forest is fitted to the trials and integrated exactly, leaf by leaf, under uniform
    sampling from the space. Unlike in the paper, the mean of all trees is decomposed and not each
    tree, which reduces the noise of single trees. The fitted function does not depend on a
    conditional parameter where it is inactive, so a parameter that is seldom active explains
    little. Combinations that `forbid` excludes are integrated like all others.

    Args:
        space: space of the configurations.
        configs: n configurations, at least 10.
        values: shape (n,), finite.
        pairs: also compute the interactions of two parameters, which takes longer.
        trees: number of trees in the forest.
        seed: of the forest; the same seed gives the same shares.

    Returns:
        The shares; parameters with a single value are left out.

    Raises:
        StudyError: fewer than 10 trials, values not finite or all equal, no parameter with more
            than one value, or `trees` or `seed` is not valid.
        SpaceError: a configuration is not in the space.

    Source: Hutter, Hoos and Leyton-Brown (2014).
    """
    data = read(space, configs, values)
    rng = np.random.Generator(np.random.PCG64(whole("seed", seed, StudyError, least=0)))
    grown = grow(data, whole("trees", trees, StudyError), rng)
    forest = boxes(data.columns, grown)
    share = forest.shares()
    volume = share.prod(axis=1)
    mean = float(forest.weight @ volume)
    names = [c.name for c in data.columns]
    alone = [_main(forest, share, volume, mean, j) for j in range(len(names))]
    effect = [float(w @ (f * f)) for w, f in zip(forest.widths, alone, strict=True)]
    variance = sum(effect) + _rest(grown, data, alone, mean, rng)
    if variance <= 1e-14 * float(np.square(data.y).mean()):
        # No tree has a split.
        return Fanova(dict.fromkeys(names, 0.0), {}, mean * data.scale + data.center, 0.0)
    found = {name: v / variance for name, v in zip(names, effect, strict=True)}
    both = {}
    if pairs:
        for i, j in combinations(range(len(names)), 2):
            joint = _joint(forest, share, volume, mean, i, j) - alone[i][:, None] - alone[j]
            square = forest.widths[i] @ (joint * joint) @ forest.widths[j]
            both[names[i], names[j]] = float(square) / variance
    mean, variance = mean * data.scale + data.center, variance * data.scale * data.scale
    return Fanova(_sorted(found), _sorted(both), mean, variance)


def _sorted(shares: dict[Any, float]) -> dict[Any, float]:
    return dict(sorted(shares.items(), key=lambda pair: -pair[1]))


def _main(forest: Boxes, share: FloatArray, volume: FloatArray, mean: float, j: int) -> FloatArray:
    """f_j at the cells of column j, shape (c,)."""
    add = forest.weight * volume / share[:, j]
    steps = np.zeros(len(forest.widths[j]) + 1)
    np.add.at(steps, forest.low[:, j], add)
    np.add.at(steps, forest.high[:, j], -add)
    marginal: FloatArray = np.cumsum(steps)[:-1] - mean
    return marginal


def _joint(
    forest: Boxes, share: FloatArray, volume: FloatArray, mean: float, i: int, j: int
) -> FloatArray:
    """Mean over all columns except i and j, minus the total mean, at their cells, (c_i, c_j)."""
    add = forest.weight * volume / (share[:, i] * share[:, j])
    steps = np.zeros((len(forest.widths[i]) + 1, len(forest.widths[j]) + 1))
    for sign, a, b in (
        (1, forest.low, forest.low),
        (-1, forest.low, forest.high),
        (-1, forest.high, forest.low),
        (1, forest.high, forest.high),
    ):
        np.add.at(steps, (a[:, i], b[:, j]), sign * add)
    joint: FloatArray = steps.cumsum(axis=0).cumsum(axis=1)[:-1, :-1] - mean
    return joint


def _rest(
    grown: list[Any],
    data: TrialTable,
    alone: list[FloatArray],
    mean: float,
    rng: np.random.Generator,
) -> float:
    """Variance of f minus the sum of the f_j: its mean square over a Sobol sequence of points.

    Only this part of V is approximate; it is 0 for an additive forest.
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
    rest += np.mean([tree.predict(points)[:, 0] for tree in grown], axis=0)
    return float(np.square(rest).mean())
