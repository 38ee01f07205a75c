"""Importance from the densities of the best trials (PED-ANOVA; Watanabe, Bansal and Hutter 2023).

Notation: p is the density of a parameter over all trials, q over the best of them, a share `top`.
The variance of the indicator "is among the best" that the parameter alone explains is
top^2 E_p[(q / p - 1)^2].
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metaopt.core.errors import StudyError
from metaopt.core.types import FloatArray
from metaopt.importance.columns import ParameterColumn, read
from metaopt.space import Space

PRIOR = 1.0  # number of uniform observations added to a sample


def ped_anova(
    space: Space,
    configs: Sequence[Mapping[str, Any]],
    values: Any,
    *,
    top: float = 0.1,
) -> dict[str, float]:
    """Importance of each parameter for whether a trial is among the best.

    Only the order of the values counts, so outliers have no influence. The densities are
    one-dimensional, so it is fast but does not see interactions. The best trials are compared with
    all trials and not with the whole space: the importances hold for the region that the search
    explored. For conditional parameters, the densities are those of the trials in which the
    parameter is active, and the divergence is weighted by a^2 / b, where a and b are the shares of
    the best and of all trials in which it is active (the regimes of conditional PED-ANOVA,
    arXiv:2601.20800).

    Args:
        space: space of the configurations.
        configs: n configurations, at least 10.
        values: shape (n,), finite; lower is better.
        top: share of trials that count as the best, between 0 and 1; at least 5 trials do.

    Returns:
        Share of each parameter with more than one value, by name, largest first. The shares add
        up to 1; all are 0 if no parameter explains anything.

    Raises:
        StudyError: fewer than 10 trials, values not finite or all equal, no parameter with more
            than one value, or `top` is not between 0 and 1.
        SpaceError: a configuration is not in the space.

    Source: Watanabe, Bansal and Hutter (2023).
    """
    if not 0 < top < 1:
        raise StudyError(f"top must lie between 0 and 1, got {top!r}")
    data = read(space, configs, values)
    count = min(max(math.ceil(top * len(data.y)), 5), len(data.y) - 1)
    # Trials that tie with the last of the best are included: the order of ties means nothing.
    best = data.y <= np.sort(data.y)[count - 1]
    if best.all():
        best = data.y < data.y.max()
    found = {}
    for j, column in enumerate(data.columns):
        on = data.A[:, j]
        among_best, among_all = on[best].mean(), on.mean()
        if not on[best].any():
            found[column.name] = 0.0
            continue
        p = _density(column, data.U[on, j])
        q = _density(column, data.U[on & best, j])
        divergence = float(np.sum(np.square(q - p) / p))
        found[column.name] = float(among_best**2 / among_all) * divergence
    total = sum(found.values())
    shares = {k: v / total if total > 0 else 0.0 for k, v in found.items()}
    return dict(sorted(shares.items(), key=lambda pair: -pair[1]))


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
