"""Functional analysis of variance of a forest (Hutter, Hoos and Leyton-Brown 2014).

V_j / V, the variance of the effect of parameter j over that of the forest, is the first-order Sobol
index of the forest (Sobol 1993). The forest also fits noise: what part of these effects is real is
judged on trials that its trees did not see, see `shares`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from metaopt.core.errors import StudyError, whole
from metaopt.importance.columns import TrialTable, read
from metaopt.importance.effects import Effects, effects, joint_variance
from metaopt.importance.forest import grow
from metaopt.importance.intervals import LEVEL, intervals
from metaopt.importance.shares import Shares, divide
from metaopt.space import Space

TREES = 128
FEWEST_TREES = 8  # with fewer, many trials would be in the sample of every tree


@dataclass(frozen=True, eq=False)
class Fanova:
    """Shares of the variance of the observed values; all parts add up to 1.

    Attributes:
        main: name -> share that the parameter explains alone, largest first.
        intervals: name -> ends of the interval of that share.
        level: confidence level of the intervals.
        interactions: share that several parameters explain only together.
        pairs: (name, name) -> part of `interactions` that is due to these two parameters, largest
            first; empty if `pairs` was False.
        r2: share that the forest explains on trials that its trees did not see (out-of-bag R2):
            the sum of `main` and `interactions`.
        unexplained: 1 - r2: noise, and what the forest cannot see.
        mean: mean of the forest over the space.
        variance: variance of the forest over the space, which includes noise that it has fitted.
    """

    main: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    level: float
    interactions: float
    pairs: dict[tuple[str, str], float]
    r2: float
    unexplained: float
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
    """Divide the variance of the values into parameters, interactions and the unexplained rest.

    A random forest is fitted to the trials and integrated exactly, leaf by leaf, under uniform
    sampling from the space. Unlike in the paper, the mean of all trees is decomposed and not each
    tree, which reduces the noise of single trees; and the shares are shares of the variance of the
    observed values and not of the forest, which fits noise, too. The fitted function does not
    depend on a conditional parameter where it is inactive, so a parameter that is seldom active
    explains little. Combinations that `forbid` excludes are integrated like all others.

    The intervals hold for each parameter by itself, but begin above 0 only if the parameter's
    effect is beyond chance also among all parameters. They assume trials that were chosen without
    regard to their values, as by random or Sobol search; for other searches they are approximate.
    With additive functions they keep their level from 30 trials on (measured by
    studies/benchmark_statistics.py); strong interactions need more trials than that.

    Args:
        space: space of the configurations.
        configs: n configurations, at least 10.
        values: shape (n,), finite.
        pairs: also compute the interactions of two parameters, which takes longer.
        trees: number of trees in the forest, at least 8.
        seed: of the forest; the same seed gives the same shares.

    Returns:
        The shares; parameters with a single value are left out.

    Raises:
        StudyError: fewer than 10 trials, values not finite or all equal, no parameter with more
            than one value, or `trees` or `seed` is not valid.
        SpaceError: a configuration is not in the space.

    Source: Hutter, Hoos and Leyton-Brown (2014).
    """
    seed, trees = whole("seed", seed, StudyError, least=0), _trees(trees)
    data = read(space, configs, values)
    rng = np.random.Generator(np.random.PCG64(seed))
    found = effects(data, grow(data, trees, rng), rng)
    shares = divide(data.y, found)
    names = [c.name for c in data.columns]
    ends = dict(zip(names, intervals(data, found, shares, rng), strict=True))
    main = _sorted(dict(zip(names, shares.parts[:-1].tolist(), strict=True)))
    return Fanova(
        main=main,
        intervals={name: ends[name] for name in main},
        level=LEVEL,
        interactions=float(shares.parts[-1]),
        pairs=_pairs(data, found, shares) if pairs else {},
        r2=shares.r2,
        unexplained=1 - shares.r2,
        mean=found.mean * data.scale + data.center,
        variance=float(found.variances.sum()) * data.scale * data.scale,
    )


def _trees(trees: Any) -> int:
    return whole("trees", trees, StudyError, least=FEWEST_TREES)


def _sorted(shares: dict[Any, float]) -> dict[Any, float]:
    return dict(sorted(shares.items(), key=lambda pair: -pair[1]))


def _pairs(data: TrialTable, found: Effects, shares: Shares) -> dict[tuple[str, str], float]:
    """Parts of the interactions that are due to two parameters; the rest is due to more."""
    columns = list(enumerate(c.name for c in data.columns))
    variances = {
        (first, second): joint_variance(found, i, j)
        for (i, first), (j, second) in combinations(columns, 2)
    }
    # The sum is exact and the variance of the whole interaction is not: no part may exceed 1.
    total = max(float(found.variances[-1]), sum(variances.values()))
    share = float(shares.parts[-1]) / total if total > 0 else 0.0
    return _sorted({pair: share * v for pair, v in variances.items()})
