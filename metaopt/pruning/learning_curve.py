"""Extrapolation of learning curves: will this trial beat the best?

Notation: n reports y_i at steps x_i, T the last step of a full trial; u = 1 + (x - x_1) / (x_2 -
x_1) counts steps in units of the first, t = (x - x_1) / (T - x_1) is the share of the way. A
shape g falls from g(x_1) towards 0, and a curve is y = c + a g(x) + noise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from metaopt.core.errors import StudyError, real, whole
from metaopt.core.types import Curve, FloatArray
from metaopt.pruning.base import Candidate, TrialPruner, best
from metaopt.pruning.successive_halving import resource

PRIOR_WEIGHT = 1.0  # reports that the noise's prior counts for
PRIOR_NOISE = 0.02  # its scale, as a share of the curve's range
FLAT = 1e-9  # shapes that fall by less over the reports say nothing
TEMPER = 0.5  # power of the likelihood in the weights of shapes; see `probability_below`


class CurvePruner(TrialPruner):
    """Stops a trial that will hardly beat the best, by extrapolation of its own learning curve.

    After Domhan, Springenberg and Hutter (2015): a trial stops when the probability that its
    report at the last step will be better than the best report of any other trial is below a
    threshold. The curve is modelled by five of their parametric families with two linear
    parameters each (`probability_below`). Simplified: families are averaged by their posterior
    probabilities instead of summed with weights, and their shape parameters lie on a grid, so
    that all else has a closed form and nothing is sampled. A trial that has beaten the others
    already goes on; a report that is NaN stops a trial.

    Args:
        max_resource: T, steps that a full trial takes.
        threshold: stop below this probability.
        k: the trial must come to beat the k-th best of the others.
        min_reports: finite reports before the first extrapolation, at least 3.
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
        with np.errstate(all="ignore"):  # extremes become NaN, and the trial goes on
            chance = probability_below(reached[self.k - 1], x, y, self.max_resource)
        return chance < self.threshold


def probability_below(target: float, x: FloatArray, y: FloatArray, end: float) -> float:
    """Return the probability that the next report, at step `end`, lies below `target`.

    Given a shape, c and a have a flat prior (on the curve's values at its first and last report,
    so that families are comparable) and the noise's variance a weak scaled inverse chi-squared
    one; the prediction is Student's t (Gelman et al. 2013, section 14.2). Families have equal
    prior probabilities, and so have the shapes of each. No shape is quite the true one, and
    neighbouring residuals are alike: with the square root of the likelihood (a power posterior,
    Holmes and Walker 2017) the probabilities hold what they promise, with all of it they are too
    sure.

    Args:
        target: in the unit of `y`.
        x: (n,) steps, ascending, n at least 3.
        y: (n,) reports, finite.
        end: a step after them.
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
    """Return location and scale of the prediction under each shape, and its probability.

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

    The families of Domhan et al. (2015, table 1), after taking out their linear parameters.

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
        np.exp(-np.sqrt(rates * t)),  # exp4, its power at 1/2
        np.concatenate([1 / (1 + (u / middles) ** c) for c in (1, 1.5, 2, 3)]),  # log power
        1 / np.log1p(u)[None, :],  # ilog2
    ]
    prior = np.concatenate([np.full(len(f), 1 / len(f)) for f in families])
    return np.concatenate(families), prior / len(families)
