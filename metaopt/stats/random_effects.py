"""Effects that vary between units, such as problems: their mean, their spread, and the next one.

Notation: y_i is the estimated effect on unit i and v_i its sampling variance; the true effect is
theta_i, so y_i ~ N(theta_i, v_i) and theta_i ~ N(mu, tau^2). This is the model of a random-effects
meta-analysis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.stats.checks import as_level, as_sample, shown
from metaopt.stats.effect import Interval
from metaopt.stats.extremes import unit_of

RATIO = 1e12  # of two variances; with larger ones, sums of weights lose the smaller weight
NODES = 200  # quantiles that stand for the distribution of tau; more change intervals by 0.1 %
STEPS = 50  # of a bisection


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of m normal distributions with equal shares, or n such mixtures.

    Attributes:
        means: of the parts, shape (m,) or (n, m).
        deviations: standard deviations of the parts, same shape, above 0.
    """

    means: FloatArray
    deviations: FloatArray

    def below(self, limit: Any) -> Any:
        """Return the probability of a value below `limit`.

        Args:
            limit: any number; one per mixture, shape (n,), if there are several.
        """
        from scipy.special import ndtr

        z = (np.asarray(limit)[..., None] - self.means) / self.deviations
        return ndtr(z).mean(axis=-1)

    def quantile(self, p: float) -> Any:
        """Return the value below which the share p lies.

        Args:
            p: between 0 and 1.
        """
        from scipy.special import ndtri

        parts = self.means + float(ndtri(p)) * self.deviations
        low, high = parts.min(axis=-1), parts.max(axis=-1)
        for _ in range(STEPS):
            middle = (low + high) / 2
            under = self.below(middle) < p
            low, high = np.where(under, middle, low), np.where(under, high, middle)
        return (low + high) / 2


@dataclass(frozen=True, eq=False)
class RandomEffects:
    """The distribution of an effect over units.

    Attributes:
        mean: mu, the mean effect over all units of this kind, with its interval.
        spread: tau, the standard deviation of the true effects, with its interval.
        next_effect: the true effect on the next unit of this kind, with its prediction interval.
        effects: the true effect on each unit given, shrunken towards the mean, with its interval.
        standard_error: of `mean`, as if tau were known.
        n: number of units.
        method: description of the method.
        prediction: distribution of the true effect on the next unit.
    """

    mean: Interval
    spread: Interval
    next_effect: Interval
    effects: tuple[Interval, ...]
    standard_error: float
    n: int
    method: str
    prediction: Mixture = field(repr=False)


def random_effects(effects: Any, variances: Any, level: float = 0.95) -> RandomEffects:
    """Estimate how an effect is distributed over units, from one estimate per unit.

    Estimates of mu and tau are those of restricted maximum likelihood (REML); effects of units are
    the best linear unbiased predictions. All intervals come from one confidence distribution of
    tau, that of the Q profile: sum (y_i - m)^2 / (v_i + tau^2), where m is the mean with these
    weights, has a chi-square distribution with n - 1 degrees of freedom. Mean, next effect and
    effects of units are normal for a given tau, and their distributions are averaged over it. With
    equal variances and a large tau, the interval of the mean is that of a t test with n - 1 degrees
    of freedom; it never becomes shorter than the variances allow. The usual prediction interval
    takes tau as known (Higgins et al. 2009) and is too short where few units tell of it.

    Args:
        effects: estimated effect on each unit, shape (n,), at least 2.
        variances: sampling variance of each, shape (n,), above 0.
        level: confidence level of all intervals, between 0 and 1.

    Returns:
        Mean, spread, next effect and the effects of the units.

    Raises:
        StatisticsError: there are fewer than 2 units, lengths differ, a value is not finite, a
            variance is not above 0 or more than 1e12 times another one, or `level` is not between
            0 and 1.

    Source: REML: Harville (1977); Q profile: Viechtbauer (2007); prediction with a confidence
        distribution of tau: Nagashima, Noma and Furukawa (2019).

    Example:
        >>> from metaopt.stats import random_effects
        >>> found = random_effects([-0.9, -0.4, -1.2, -0.1], [0.04, 0.05, 0.04, 0.06])
        >>> round(found.mean.estimate, 2), round(found.spread.estimate, 2)
        (-0.66, 0.44)
    """
    y, v = _checked(effects, variances)
    level, unit = as_level(level), unit_of(np.concatenate([y, np.sqrt(v)]))
    y, v = y / unit, np.maximum(v / unit / unit, 1e-30)
    tau2 = reml(y, v)
    (mean,), (variance,) = _mean(y, v, np.array([tau2]))
    spreads = Spreads.of(y, v)
    about = spreads.mixtures(y, v)
    estimates = np.concatenate([[mean, mean], (tau2 * y + v * mean) / (v + tau2)])
    m, ahead, *units = _intervals(estimates, about, level, unit)
    return RandomEffects(
        m,
        _spread(y, v, tau2, level, unit),
        ahead,
        tuple(units),
        math.sqrt(variance) * unit,
        len(y),
        f"random effects over {len(y)} units, REML, confidence distribution by the Q profile",
        Mixture(about.means[1] * unit, about.deviations[1] * unit),
    )


def _checked(effects: Any, variances: Any) -> tuple[FloatArray, FloatArray]:
    y, v = as_sample(effects, "effects", least=2), as_sample(variances, "variances", least=2)
    if len(y) != len(v):
        raise StatisticsError(
            f"effects and variances must hold one value per unit, got {len(y)} and {len(v)} values"
        )
    if (v <= 0).any() or v.max() / RATIO > v.min():
        raise StatisticsError(
            f"variances must be above 0, the largest at most {RATIO:g} times the smallest,"
            f" got {shown(v.tolist())}"
        )
    return y, v


def reml(y: FloatArray, v: FloatArray) -> float:
    """The restricted maximum likelihood estimate of tau^2, by Fisher scoring."""
    tau2 = max(0.0, float(y.var(ddof=1) - v.mean()))
    for _ in range(200):
        w = 1 / (v + tau2)
        total, squares = w.sum(), (w**2).sum()
        rest = y - (w * y).sum() / total
        trace = total - squares / total
        information = squares - 2 * (w**3).sum() / total + (squares / total) ** 2
        step = float((((w * rest) ** 2).sum() - trace) / information)
        before, tau2 = tau2, max(0.0, tau2 + step)
        if abs(tau2 - before) <= 1e-12 * (tau2 + v.min()):
            break
    return tau2


def _mean(y: FloatArray, v: FloatArray, tau2: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weighted mean of the effects and its variance for each of several tau^2, (m,) each."""
    w = 1 / (v + tau2[:, None])
    total = w.sum(axis=1)
    return (w * y).sum(axis=1) / total, 1 / total


def heterogeneity(y: FloatArray, v: FloatArray, tau2: FloatArray) -> FloatArray:
    """Q for each of several tau^2, shape (m,); it falls as tau^2 rises."""
    mean, _ = _mean(y, v, tau2)
    q: FloatArray = ((y - mean[:, None]) ** 2 / (v + tau2[:, None])).sum(axis=1)
    return q


def solve(y: FloatArray, v: FloatArray, q: FloatArray) -> FloatArray:
    """The tau^2 at which Q has the values q, shape (m,); 0 where Q is smaller even at 0."""
    # Q is at most the sum of squares divided by tau^2.
    low, high = np.zeros_like(q), ((y - y.mean()) ** 2).sum() / q
    for _ in range(STEPS):
        middle = (low + high) / 2
        above = heterogeneity(y, v, middle) > q
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    at_zero = heterogeneity(y, v, np.zeros(1)) <= q
    return np.where(at_zero, 0.0, (low + high) / 2)


@dataclass(frozen=True, eq=False)
class Spreads:
    """Equally probable values of tau^2, with the mean and its variance for each, (m,) each."""

    tau2: FloatArray
    mean: FloatArray
    variance: FloatArray

    @classmethod
    def of(cls, y: FloatArray, v: FloatArray) -> Spreads:
        """The confidence distribution for effects `y`, (n,), and their variances."""
        from scipy.special import chdtri

        tau2 = solve(y, v, chdtri(len(y) - 1, (np.arange(NODES) + 0.5) / NODES))
        return cls(tau2, *_mean(y, v, tau2))

    def mixtures(self, y: FloatArray, v: FloatArray) -> Mixture:
        """The distributions of the mean, of the next effect and of the effect on each unit."""
        pull = v[:, None] / (v[:, None] + self.tau2)  # towards the mean
        units = (1 - pull) * y[:, None] + pull * self.mean
        variances = (1 - pull) * v[:, None] + pull**2 * self.variance
        means = np.concatenate([[self.mean, self.mean], units])
        spread = np.concatenate([[self.variance, self.variance + self.tau2], variances])
        return Mixture(means, np.sqrt(spread))


def _intervals(estimates: FloatArray, found: Mixture, level: float, unit: float) -> list[Interval]:
    low, high = found.quantile((1 - level) / 2), found.quantile((1 + level) / 2)
    rows = (unit * np.array([estimates, low, high])).T.tolist()
    return [Interval(m, a, b, level, "confidence distribution of tau") for m, a, b in rows]


def _spread(y: FloatArray, v: FloatArray, tau2: float, level: float, unit: float) -> Interval:
    from scipy.special import chdtri

    limits = chdtri(len(y) - 1, np.array([(1 - level) / 2, (1 + level) / 2]))
    low, high = np.sqrt(solve(y, v, limits))
    estimate = unit * math.sqrt(tau2)
    return Interval(estimate, unit * float(low), unit * float(high), level, "Q profile")
