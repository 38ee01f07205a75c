"""Extrapolation of learning curves: will this trial become better than the best one?

Notation: n reports y_i at steps x_i; T is the last step of a full trial. u = 1 + (x - x_1) / (x_2
- x_1) is the step in units of the first step width; t = (x - x_1) / (T - x_1) is the fraction of
the full trial. A shape g decreases from g(x_1) towards 0; a curve is y = c + a g(x) + noise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from metaopt.core.errors import StudyError, real, whole
from metaopt.core.types import Curve, FloatArray
from metaopt.pruning.base import Candidate, TrialPruner, best
from metaopt.pruning.successive_halving import resource

PRIOR_WEIGHT = 1.0  # weight of the prior on the noise, as a number of reports
PRIOR_NOISE = 0.02  # scale of that prior, as a fraction of the range of the reports
FLAT = 1e-9  # shapes that decrease by less over the reports are left out
TEMPER = 0.5  # power of the likelihood in the weights of shapes; see `probability_below`


class CurvePruner(TrialPruner):
    """Stops a trial whose extrapolated learning curve will hardly beat the best trial.

    A trial stops if the probability is below a threshold that its report at the last step will be
    better than the best report of any other trial. The curve is modelled by five of the parametric
    families of Domhan et al., with two linear parameters each (`probability_below`). Two things
    are simplified: families are averaged by their posterior probabilities instead of summed with
    weights, and their shape parameters are on a grid, so that the rest has a closed form and
    needs no sampling. A trial that is already better than the others continues; NaN stops a trial.

    Args:
        max_resource: T, the steps of a full trial.
        threshold: the trial stops below this probability, between 0 and 1.
        k: the trial is compared with the k-th best of the others.
        min_reports: finite reports before the first extrapolation, at least 3.

    Raises:
        StudyError: a setting is out of range.

    Source: Domhan, Springenberg and Hutter (2015).
    """

    name = "curve"

    def __init__(
        self, max_resource: float, *, threshold: float = 0.05, k: int = 1, min_reports: int = 5
    ) -> None:
        self.max_resource = resource("max_resource", max_resource)
        self.threshold = real("threshold", threshold, StudyError, above=0)
        if self.threshold >= 1:
            raise StudyError(f"threshold must lie between 0 and 1, got {threshold!r}")
        self.k = whole("k", k, StudyError)
        self.min_reports = whole("min_reports", min_reports, StudyError, least=3)

    def judge(self, trial: Candidate, others: Mapping[int, Curve]) -> bool:
        if math.isnan(trial.value):
            return True
        reports = [(x, y) for x, y in trial.curve if math.isfinite(y)]
        reached = sorted(b for b in map(best, others.values()) if math.isfinite(b))
        if (
            len(reports) < self.min_reports
            or len(reached) < self.k
            or trial.step >= self.max_resource
            or best(reports) < reached[self.k - 1]
        ):
            return False
        x, y = np.array(reports, dtype=np.float64).T
        with np.errstate(all="ignore"):  # extreme values give NaN: the trial continues
            chance = probability_below(reached[self.k - 1], x, y, self.max_resource)
        return chance < self.threshold


def probability_below(target: float, x: FloatArray, y: FloatArray, end: float) -> float:
    """Return the probability that the next report, at step `end`, lies below `target`.

    Given a shape, c and a have a flat prior (on the values of the curve at the first and the last
    report, so that families are comparable) and the variance of the noise has a weak scaled
    inverse chi-squared prior; the prediction is then Student's t (Gelman et al. 2013, section
    14.2). All families have equal prior probabilities, and so have the shapes within a family. No
    shape is exactly the true one, and neighbouring residuals are correlated: with the full
    likelihood the probabilities are overconfident; with its square root (a power posterior, Holmes
    and Walker 2017) they are calibrated.

    Args:
        target: in the unit of `y`.
        x: (n,) steps, ascending, n at least 3.
        y: (n,) reports, finite.
        end: a step after all of `x`.
    """
    from scipy.special import stdtr

    scale = float(np.ptp(y))
    if scale == 0:
        return float(y[0] < target)
    g, prior = shapes(np.append(x, end))
    bent = g[:, 0] - g[:, -2] > FLAT
    g, last, prior = g[bent, :-1], g[bent, -1], prior[bent]
    z = (y - y[0]) / scale
    mean, spread, weight = _posterior(g, last, z, prior)
    freedom = len(y) - 2 + PRIOR_WEIGHT
    below = stdtr(freedom, ((target - y[0]) / scale - mean) / spread)
    return float(weight @ below)


def _posterior(
    g: FloatArray, last: FloatArray, z: FloatArray, prior: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return location and scale of the prediction for each shape, and the shape's probability.

    Args:
        g: (m, n) the shapes at the reports.
        last: (m,) the shapes at the last step.
        z: (n,) the reports.
        prior: (m,) probabilities of the shapes.
    """
    n = len(z)
    centre = g.mean(axis=1)
    off = g - centre[:, None]
    power = np.sum(off**2, axis=1)
    slope = np.sum(off * (z - z.mean()), axis=1) / power
    residual = np.sum((z - z.mean() - slope[:, None] * off) ** 2, axis=1)
    sum_of_squares = residual + PRIOR_WEIGHT * PRIOR_NOISE**2
    freedom = n - 2 + PRIOR_WEIGHT
    mean = z.mean() + slope * (last - centre)
    spread = np.sqrt(sum_of_squares / freedom * (1 + 1 / n + (last - centre) ** 2 / power))
    fall = g[:, 0] - g[:, -1]
    evidence = -0.5 * np.log(power / fall**2) - freedom / 2 * np.log(sum_of_squares)
    log = np.log(prior) + TEMPER * evidence
    weight = np.exp(log - log.max())
    return mean, spread, weight / weight.sum()


def shapes(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the shapes at steps `x`, the last of which is T, and their prior probabilities.

    The families of Domhan et al. (2015, table 1) without their linear parameters.

    Returns:
        (m, len(x)) and (m,).
    """
    u = (x - x[0]) / (x[1] - x[0]) + 1
    t = (x - x[0]) / (x[-1] - x[0])
    rates = 2.0 ** np.arange(-1, 6.5, 0.25)[:, None]
    powers = 2.0 ** np.arange(-3, 2, 0.25)[:, None]
    middles = u[-1] ** np.arange(0.1, 1, 0.05)[:, None]
    families = [
        u**-powers,  # pow3
        np.exp(-rates * t),  # exp3
        np.exp(-np.sqrt(rates * t)),  # exp4 with the power 1/2
        np.concatenate([1 / (1 + (u / middles) ** c) for c in (1, 1.5, 2, 3)]),  # log power
        1 / np.log1p(u)[None, :],  # ilog2
    ]
    prior = np.concatenate([np.full(len(f), 1 / len(f)) for f in families])
    return np.concatenate(families), prior / len(families)
