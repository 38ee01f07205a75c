"""Importance from the densities of the best trials (PED-ANOVA; Watanabe, Bansal and Hutter 2023).

Notation: p is the density of a parameter over all trials, q over the best of them, a share `top`.
The variance of the indicator "is among the best" that the parameter alone explains is
top^2 D with D = E_p[(q / p - 1)^2]. D is above 0 also if the best trials are any trials: q is the
density of few of them. What D is on average under such a random choice is subtracted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metaopt.core.errors import StudyError, whole
from metaopt.core.types import FloatArray
from metaopt.importance.columns import ParameterColumn, TrialTable, read
from metaopt.importance.forest import IntArray
from metaopt.space import Space
from metaopt.space.encoding import BoolArray

PRIOR = 1.0  # number of uniform observations added to a sample
CHOICES = 300  # random choices of the best trials
LEVEL = 0.05  # chance that a random choice of the best trials seems to be more than that


def ped_anova(
    space: Space,
    configs: Sequence[Mapping[str, Any]],
    values: Any,
    *,
    top: float = 0.1,
    seed: int = 0,
) -> dict[str, float]:
    """Importance of each parameter for whether a trial is among the best.

    Only the order of the values counts, so outliers have no influence. The densities are
    one-dimensional, so it is fast but does not see interactions. The best trials are compared with
    all trials and not with the whole space: the importances hold for the region that the search
    explored. For conditional parameters, the densities are those of the trials in which the
    parameter is active, and the divergence is weighted by a^2 / b, where a and b are the shares of
    the best and of all trials in which it is active (the regimes of conditional PED-ANOVA,
    arXiv:2601.20800).

    Unlike in the paper, a parameter counts only by how far its divergence exceeds the mean under
    300 random choices of the best trials, and its share is 0 if that is not beyond chance: if the
    values are pure noise, all shares are 0 with a probability of 95 %. A tenth of few trials is a
    small sample: with fewer than 100 trials, an effect must be strong to be found.

    Args:
        space: space of the configurations.
        configs: n configurations, at least 10 of them with a finite value.
        values: shape (n,), lower is better; +inf for a trial that failed or was pruned, which is
            never among the best.
        top: share of trials that count as the best, between 0 and 1; at least 5 trials do.
        seed: of the random choices; the same seed gives the same shares.

    Returns:
        Share of each parameter with more than one value, by name, largest first. The shares add
        up to 1; all are 0 if no parameter separates the best trials more than chance does.

    Raises:
        StudyError: fewer than 10 trials with a value, all values equal, a value that is NaN or
            -inf, no parameter with more than one value, or `top` or `seed` is not valid.
        SpaceError: a configuration is not in the space.

    Source: Watanabe, Bansal and Hutter (2023).
    """
    number = isinstance(top, (int, float, np.number)) and not isinstance(top, bool)
    if not number or not 0 < top < 1:
        raise StudyError(f"top must lie between 0 and 1, the share of best trials, got {top!r}")
    rng = np.random.Generator(np.random.PCG64(whole("seed", seed, StudyError, least=0)))
    data = read(space, configs, values, infinite=True)
    best = _best(data.y, top)
    # One order of the trials for all columns, so that the largest of their excesses has the
    # distribution that it has if the best trials are any trials.
    orders = [rng.permutation(len(best)) for _ in range(CHOICES)]
    above = np.stack([_excess(data, j, best, orders) for j in range(len(data.columns))])
    weight, excess, chance = above[:, 0], above[:, 1], above[:, 2:]
    # First all parameters together, so that noise alone rarely gives a share to any of them; then
    # each by itself, so that one that matters does not hide others.
    found_any = excess.max() > _limit(chance.max(axis=0))
    beyond = found_any & (excess > np.array([_limit(c) for c in chance]))
    gain = np.where(beyond, weight * excess, 0.0)
    shares = gain / gain.sum() if gain.any() else gain
    found = zip((c.name for c in data.columns), shares.tolist(), strict=True)
    return dict(sorted(found, key=lambda pair: -pair[1]))


def _limit(chance: FloatArray) -> float:
    """What a random choice exceeds with a probability of at most LEVEL."""
    return float(np.sort(chance)[math.ceil((1 - LEVEL) * (len(chance) + 1)) - 1])


def _best(y: FloatArray, top: float) -> BoolArray:
    """Mask of the best trials; those that tie with the last of them are included."""
    known = int(np.isfinite(y).sum())
    count = min(max(math.ceil(top * len(y)), 5), known, len(y) - 1)
    best: BoolArray = y <= np.sort(y)[count - 1]
    return y < y.max() if best.all() else best


def _excess(data: TrialTable, j: int, best: BoolArray, orders: Sequence[IntArray]) -> FloatArray:
    """Weight of a column, its excess in standard deviations, and those of random choices.

    The weight turns an excess into a part of the variance of the indicator. A random choice keeps
    how many of the best have the parameter: whether they have it, is due to its condition.
    """
    column, on = data.columns[j], data.A[:, j]
    among_best, among_all = float(on[best].mean()), float(on.mean())
    count, u = int(on[best].sum()), data.U[:, j]
    nothing = np.zeros(2 + len(orders))
    if count in (0, int(on.sum())):
        return nothing
    p = _density(column, u[on])

    def divergence(sample: FloatArray) -> float:
        return float(np.sum(np.square(_density(column, sample) - p) / p))

    chance = np.array([divergence(u[order[on[order]][:count]]) for order in orders])
    mean, deviation = float(chance.mean()), float(chance.std())
    if deviation <= 1e-9 * mean:
        return nothing
    weight = deviation * among_best**2 / among_all
    excess = (np.append(divergence(u[on & best]), chance) - mean) / deviation
    return np.append(weight, excess)


def _density(column: ParameterColumn, u: FloatArray) -> FloatArray:
    """Probability of each cell of a column, shape (c,), from coordinates (n,)."""
    at, width = column.at, column.width
    if column.ordered:
        weight = np.exp(-0.5 * np.square((at - u[:, None]) / _bandwidth(u, width))) * width
        kernels = weight / weight.sum(axis=1, keepdims=True)  # truncated at the ends of the range
    else:
        kernels = (np.abs(at - u[:, None]) < 1e-9).astype(np.float64)
    mixed: FloatArray = (kernels.sum(axis=0) + PRIOR * width) / (len(u) + PRIOR)
    return mixed


def _bandwidth(u: FloatArray, width: FloatArray) -> float:
    """Scott's rule (1992), but large enough to reach the next cell."""
    q1, q3 = np.quantile(u, [0.25, 0.75])
    spread = min(float(u.std(ddof=1)) if len(u) > 1 else 0.0, float(q3 - q1) / 1.34)
    return float(max(1.059 * spread * len(u) ** -0.2, width.min() / 3.29))
