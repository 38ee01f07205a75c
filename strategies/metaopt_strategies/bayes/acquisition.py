"""Log expected improvement, exact far into the tail, and the log probability of feasibility.

Notation: mu, sd (m,) posterior; best the model's posterior mean at the incumbent;
z = (best - mu) / sd; EI = sd h(z), h(z) = phi(z) + z Phi(z); mills(z) = Phi(z) / phi(z).

Jones et al. (1998); the logarithm after Ament et al. (2023), equation 9: it has a useful gradient
even where EI underflows. The incumbent is the point with the smallest posterior mean plus one sd,
not the smallest observation, which under noise may be low by chance.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import erfcx, log_ndtr

from metaopt.core.types import FloatArray
from metaopt.space.encoding import BoolArray
from metaopt_strategies.bayes.model import Model

HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
# Maximise EI P^RISK, where P is the probability of feasibility: with EI P (Gardner et al. 2014)
# too many proposals fail near an uncertain boundary.
RISK = 4.0
TAIL = -40.0  # below it, 1 + z mills(z) loses 12 digits to cancellation; the series loses none


def h_over_phi(z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return h(z) / phi(z) and mills(z), for z <= 0."""
    mills = math.sqrt(math.pi / 2.0) * erfcx(-z * math.sqrt(0.5))
    ratio = 1.0 + z * mills
    far = z < TAIL
    if far.any():
        t = 1.0 / np.square(z[far])
        ratio[far] = t * (1.0 - t * (3.0 - t * (15.0 - t * (105.0 - t * (945.0 - t * 10395.0)))))
    return ratio, mills


def log_h(z: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return log h(z), Phi(z) / h(z) and phi(z) / h(z), (m,) each."""
    down = np.minimum(z, 0.0)
    ratio, mills = h_over_phi(down)
    value = np.log(ratio) - 0.5 * down * down - HALF_LOG_2PI
    by_mean, by_sd = mills / ratio, 1.0 / ratio
    up = z > 0.0
    if up.any():
        phi = np.exp(-0.5 * z[up] * z[up] - HALF_LOG_2PI)
        Phi = np.exp(log_ndtr(z[up]))
        h = phi + z[up] * Phi
        value[up], by_mean[up], by_sd[up] = np.log(h), Phi / h, phi / h
    return value, by_mean, by_sd


def log_ei(mu: FloatArray, sd: FloatArray, best: float) -> FloatArray:
    """Return the log expected improvement below `best`, shape (m,)."""
    return log_h((best - mu) / sd)[0] + np.log(sd)


def log_ei_slopes(
    mu: FloatArray, sd: FloatArray, best: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return log expected improvement and its derivatives with respect to mu and sd, (m,) each.

    dEI/dmu = -Phi(z), dEI/dsd = phi(z) (Jones et al. 1998, equations 15 and 16 differentiated).
    """
    value, by_mean, by_sd = log_h((best - mu) / sd)
    return value + np.log(sd), -by_mean / sd, by_sd / sd


def log_feasible(mu: FloatArray, sd: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the log probability that a label is positive, and its derivatives, (m,) each.

    The value is log Phi(mu / s), s^2 = sd^2 + 0.01; derivatives are with respect to mu and sd.
    """
    s = np.sqrt(sd * sd + 0.01)
    z = mu / s
    value = log_ndtr(z)
    ratio = np.exp(-0.5 * z * z - HALF_LOG_2PI - value)  # phi / Phi
    return value, ratio / s, -ratio * z * sd / (s * s)


class Acquisition:
    """Log EI of a model, plus RISK times the log probability of feasibility.

    Args:
        model: the model of the outcomes.
        best: posterior mean at the incumbent.
        feasible: the model of success; None if no trial failed.
    """

    def __init__(self, model: Model, best: float, feasible: Model | None = None) -> None:
        self.model, self.best, self.feasible = model, best, feasible

    def value(self, U: FloatArray, A: BoolArray) -> FloatArray:
        """Return the values at points, shape (m,); they need not be snapped (`Features.snap`)."""
        value = log_ei(*self.model.predict(U, A), self.best)
        if self.feasible is not None:
            value = value + RISK * log_feasible(*self.feasible.predict(U, A))[0]
        return value

    def slopes(self, U: FloatArray, A: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Return the values, shape (m,), and their derivatives with respect to U, (m, d)."""
        mu, sd, pull = self.model.slopes(U, A)
        value, a, b = log_ei_slopes(mu, sd, self.best)
        slope = pull(a, b)
        if self.feasible is not None:
            mu, sd, pull = self.feasible.slopes(U, A)
            more, a, b = log_feasible(mu, sd)
            value = value + RISK * more
            slope = slope + pull(RISK * a, RISK * b)
        return value, slope
