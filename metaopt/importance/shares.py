"""Shares of the variance of the observed values, from a forest judged on unseen trials.

Notation: y are the n values; g_j and h are the effects of parameter j and the interaction, from the
trees that did not see a trial; V_j and V_h are their variances over the space.

A forest fits noise, and shrinks real effects. Both are seen on unseen trials: the values are
regressed on g_1 ... g_d and h with coefficients b >= 0. The coefficient of an effect that is noise
is about 0. The share of the variance that this regression explains, R2, is divided in proportion to
b_j^2 V_j and b_h^2 V_h.

Why not V_j / V times the plain out-of-bag R2, 1 - mean (y - f)^2 / variance of y? Simulated with
five shapes of effects, 2 and 5 parameters, 30 to 300 trials and noise from none to all of the
variance, its root mean square error is 1.1 to 2.6 times as large: the plain R2 counts the shrinkage
as unexplained, and V counts fitted noise as interaction. With y = x + noise of equal variance and
100 trials it gives x a share of 0.33 instead of 0.5, the regression 0.43. A correction of R2 for
the number of coefficients makes the error larger, too: the regression is pessimistic already,
because a forest of few trials misses part of every effect.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metaopt.core.types import FloatArray
from metaopt.importance.effects import Effects


@dataclass(frozen=True, eq=False)
class Shares:
    """How the variance of the observed values is divided.

    Attributes:
        slopes: b_1 ... b_d and b_h, at least 0, shape (d + 1,).
        parts: shares of the d parameters and of the interaction, shape (d + 1,).
        r2: their sum, the share that the forest explains on trials that its trees did not see.
    """

    slopes: FloatArray
    parts: FloatArray
    r2: float


def divide(y: FloatArray, found: Effects) -> Shares:
    """Divide the variance of the values, shape (n,)."""
    from scipy.optimize import nnls

    seen_as = found.unseen[found.judged]
    away, G = centered(y[found.judged]), centered(seen_as)
    slopes, _ = nnls(G, away)
    left = away - G @ slopes
    r2 = max(0.0, 1 - float(left @ left) / float(away @ away)) if away.any() else 0.0
    weight = np.square(slopes) * found.variances
    total = float(weight.sum())
    if r2 == 0 or total == 0:
        return Shares(slopes, np.zeros_like(weight), 0.0)
    return Shares(slopes, weight / total * r2, r2)


def centered(values: FloatArray) -> FloatArray:
    """Values minus their mean over the first axis."""
    around: FloatArray = values - values.mean(axis=0)
    return around
