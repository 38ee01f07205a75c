"""Intervals of the shares of the variance that single parameters explain.

Notation: n values y; r are the values without the effects of all other parameters, as trees see
them that did not see the trial; B are m functions of one parameter (polynomials, or indicators of
its categories); s^2 is the residual variance of the regression of r on B, and W that of y after
the same fit is subtracted.

The F statistic of that regression has about the noncentral F distribution with noncentrality
n V / s^2, where V is the variance of the parameter's effect. Inverting this distribution gives an
interval of V / s^2 that begins at 0 exactly if the F test does not reject. The share is
V / (V + W). The uncertainty of V as the variance over the space, and of W / s^2, comes from the
fourth moments, and is combined with the first interval on the logarithmic scale (Zou and Donner
2008). Unlike the forest, B has no bias towards 0 with few trials, so the interval holds the
true share where the estimate is too small.

Why not resample? A bootstrap of the trials puts copies of a trial on both sides of "unseen", so it
would take noise for an effect; forests of half samples are more biased than the forest itself.
"""

from __future__ import annotations

import math

import numpy as np

from metaopt.core.types import FloatArray
from metaopt.importance.columns import ParameterColumn, TrialTable, cells_of, filled
from metaopt.importance.effects import Effects
from metaopt.importance.forest import IntArray
from metaopt.importance.shares import Shares, centered

LEVEL = 0.95
# The level at which the interval is computed. The normal approximations of the fourth moments are
# too short with few trials: LEVEL itself attained 0.935 in the worst of the simulated cases with 30
# trials (two steps and noise), this level 0.96.
COMPUTED_AT = 0.97
MOST = 20  # functions of one parameter
TINY = 1e-12


def intervals(
    data: TrialTable, found: Effects, shares: Shares, rng: np.random.Generator
) -> list[tuple[float, float]]:
    """Interval of the share of each parameter, in the order of the columns."""
    cells = cells_of(data.columns, filled(data, rng))[found.judged]
    y = centered(data.y[found.judged])
    effect = centered(found.unseen[found.judged]) * shares.slopes
    both = effect.sum(axis=1)
    stretch = _stretch(found, shares, cells)
    ends = []
    for j, column in enumerate(data.columns):
        B = _functions(column, cells[:, j])
        r = y - (both - effect[:, j])
        low, high = _interval(y, r, B, len(data.columns)) if B.any() else (0.0, 0.0)
        share = float(shares.parts[j])
        ends.append((min(low * stretch[j], share, 1.0), min(max(high * stretch[j], share), 1.0)))
    return ends


def _stretch(found: Effects, shares: Shares, cells: IntArray) -> FloatArray:
    """Factors from shares over the observed trials to shares over the space, shape (d,).

    They are close to 1 if the trials are spread evenly over the space.
    """
    here = np.stack([f[cells[:, j]] for j, f in enumerate(found.alone)], axis=1).var(axis=0)
    space, weight = found.variances[:-1], np.square(shares.slopes[:-1])
    used = (weight > 0) & (here > TINY * (space + TINY)) & (space > 0)
    factor = np.ones(len(space))
    if used.any():
        factor[used] = (space / np.where(used, here, 1.0))[used]
        factor[used] /= (weight * space)[used].sum() / (weight * here)[used].sum()
    return factor


def _functions(column: ParameterColumn, cells: IntArray) -> FloatArray:
    """Linearly independent functions of a parameter at its cells (n,), centred, shape (n, m)."""
    n = len(cells)
    if column.ordered:
        # The number of polynomials grows with n, so that also a step is described in the limit.
        degree = min(len(column.at) - 1, MOST, max(3, math.isqrt(n)))
        at: FloatArray = 2 * column.at[cells] - 1
        B: FloatArray = np.polynomial.legendre.legvander(at, degree)[:, 1:].astype(np.float64)
    else:
        # Rare categories share the last function, so that enough trials are left for the residuals.
        values, count = np.unique(cells, return_counts=True)
        common = values[np.argsort(-count, kind="stable")][: min(len(values) - 1, n // 4)]
        B = (cells[:, None] == common).astype(np.float64)
    left, size, _ = np.linalg.svd(centered(B), full_matrices=False)
    basis: FloatArray = left[:, size > 1e-9 * math.sqrt(n)]
    return basis


def _interval(y: FloatArray, r: FloatArray, B: FloatArray, tests: int) -> tuple[float, float]:
    """Ends of the interval of V / (V + W); B has orthonormal columns."""
    from scipy.stats import t

    n, m = B.shape
    fit = B @ (B.T @ r)
    free, rest, others = n - m - 1, r - fit, y - fit
    floor = TINY * float(y @ y) / free
    by_chance, m_used = _chance(rest, B, floor)
    s2, W = by_chance / m_used, max(float(others @ others) / free, floor)
    explained = float(fit @ fit)
    low, high = (v / n for v in noncentrality(explained / by_chance, m_used, free, tests))
    middle = min(max((explained - by_chance) / n / s2, TINY), high)
    spread = float(np.var(_relative(fit)) + np.var(_relative(others) - _relative(rest)))
    z = float(t.ppf(0.5 + COMPUTED_AT / 2, free)) * math.sqrt(spread / free)
    center = math.log(middle) - math.log(W / s2)
    upper = center + math.hypot(math.log(high / middle), z)
    if low == 0:
        return 0.0, _share(upper)
    return _share(center - math.hypot(max(math.log(middle / low), 0.0), z)), _share(upper)


def _chance(rest: FloatArray, B: FloatArray, floor: float) -> tuple[float, float]:
    """Sum of squares that B explains by chance, and its degrees of freedom.

    Interactions make the residuals larger in some regions of a parameter, so their variance is not
    taken as equal: B' diag(e^2) B is the covariance of the coefficients, with e^2 corrected for
    leverage (MacKinnon and White 1985), and the sum of squares is matched to a chi-squared
    distribution (Box 1954).
    """
    leverage = np.minimum(np.square(B).sum(axis=1) + 1 / len(B), 0.99)
    covariance = B.T @ (B * (np.square(rest) / (1 - leverage))[:, None])
    trace = float(np.trace(covariance))
    if trace <= floor * B.shape[1]:
        return floor * B.shape[1], float(B.shape[1])
    return trace, trace**2 / float(np.square(covariance).sum())


def _relative(x: FloatArray) -> FloatArray:
    """Squares divided by their mean; zeros if all are 0."""
    square = np.square(x)
    mean = square.mean()
    relative: FloatArray = square / mean if mean > 0 else square
    return relative


def _share(log_odds: float) -> float:
    """V / (V + W) from the logarithm of V / W."""
    return 1 / (1 + math.exp(-log_odds)) if log_odds > -700 else 0.0


def noncentrality(F: float, m: float, free: int, tests: int = 1) -> tuple[float, float]:
    """Interval of the noncentrality at which F would be observed, at the level COMPUTED_AT.

    The lower end is above 0 only if the F test rejects also after Bonferroni's correction for all
    parameters: of many parameters without an effect, one would else often seem to have one. For F
    below 1, its mean without any effect, the upper end is that of 1: that F is smaller than even
    noise makes it is luck and not precision.

    Args:
        F: observed statistic with m and `free` degrees of freedom.
        m: degrees of freedom of the numerator.
        free: degrees of freedom of the denominator.
        tests: number of parameters.

    Returns:
        Both ends.
    """
    from scipy.special import fdtrc, ncfdtrinc

    tail = (1 - COMPUTED_AT) / 2
    if F * m > 2000:  # SciPy's search ends at 10^4
        return _patnaik(F, m, free, 1 - tail), _patnaik(F, m, free, tail)
    rejected = fdtrc(m, free, F) < min(tail, (1 - LEVEL) / tests)
    low = float(ncfdtrinc(m, free, 1 - tail, F)) if rejected else 0.0
    return low, float(ncfdtrinc(m, free, tail, max(F, 1.0)))


def _patnaik(F: float, m: float, free: int, p: float) -> float:
    """Noncentrality at which P(statistic <= F) = p, for large F.

    A noncentral chi-squared variable is replaced by a multiple of a central one with the same mean
    and variance (Patnaik 1949).
    """
    from scipy.special import fdtri

    found = F * m
    for _ in range(5):
        h = min((m + found) ** 2 / (m + 2 * found), 1e8)
        found = F * m / float(fdtri(h, free, p)) - m
    return found
