"""Log expected improvement, exact far into the tail, and the log probability of feasibility.

Notation: mu, sd (m,) posterior; best the model's own best mean; z = (best - mu) / sd;
EI = sd h(z), h(z) = phi(z) + z Phi(z); mills(z) = Phi(z) / phi(z).

Jones et al. (1998); its logarithm after Ament et al. (2023), equation 9: where EI underflows its
logarithm still tells an ascent where to go. The incumbent is the posterior mean at the point that
the model is surest to be low, not the smallest observation, which under noise is only the luckiest.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import erfcx, log_ndtr

from metaopt.core.types import FloatArray
from metaopt.space.encoding import BoolArray
from metaopt_strategies.bayes.model import Model

HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
RISK = 4.0  # EI P^4: with EI P (Gardner et al. 2014) too many asks fail at an uncertain edge
TAIL = -40.0  # below it 1 + z mills(z) has lost 12 digits, and its series has them all


def h_over_phi(z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """h(z) / phi(z) and mills(z), for z <= 0."""
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
    """Log expected improvement below `best`, (m,)."""
    return log_h((best - mu) / sd)[0] + np.log(sd)


def log_ei_slopes(
    mu: FloatArray, sd: FloatArray, best: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Log expected improvement and its derivatives by mu and by sd, (m,) each.

    dEI/dmu = -Phi(z), dEI/dsd = phi(z) (Jones et al. 1998, equations 15 and 16 differentiated).
    """
    value, by_mean, by_sd = log_h((best - mu) / sd)
    return value + np.log(sd), -by_mean / sd, by_sd / sd


def log_feasible(mu: FloatArray, sd: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Log probability that a label is positive, log Phi(mu / s), s^2 = sd^2 + 0.01; slopes."""
    s = np.sqrt(sd * sd + 0.01)
    z = mu / s
    value = log_ndtr(z)
    ratio = np.exp(-0.5 * z * z - HALF_LOG_2PI - value)  # phi / Phi
    return value, ratio / s, -ratio * z * sd / (s * s)


class Acquisition:
    """Log EI of a model, plus the log probability of feasibility where failures were seen."""

    def __init__(self, model: Model, best: float, feasible: Model | None = None) -> None:
        self.model, self.best, self.feasible = model, best, feasible

    def value(self, U: FloatArray, A: BoolArray) -> FloatArray:
        """Values at snapped or relaxed points, (m,)."""
        value = log_ei(*self.model.predict(U, A), self.best)
        if self.feasible is not None:
            value = value + RISK * log_feasible(*self.feasible.predict(U, A))[0]
        return value

    def slopes(self, U: FloatArray, A: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Values (m,) and their derivatives by the coordinates (m, d)."""
        mu, sd, pull = self.model.slopes(U, A)
        value, a, b = log_ei_slopes(mu, sd, self.best)
        slope = pull(a, b)
        if self.feasible is not None:
            mu, sd, pull = self.feasible.slopes(U, A)
            more, a, b = log_feasible(mu, sd)
            value = value + RISK * more
            slope = slope + pull(RISK * a, RISK * b)
        return value, slope
