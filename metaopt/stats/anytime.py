"""Anytime performance: areas under curves, ranks over time, profiles, runtime distributions.

A curve is the best value so far after each trial (or at each time of a common grid), shape (...,
T); raw values of trials are turned into best-so-far curves first. Where a run has no value yet
(NaN), it counts as worse than all others and has reached no target.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.stats.checks import as_floats, as_number, as_sample
from metaopt.stats.curves import best_so_far
from metaopt.stats.extremes import LARGEST, unit_of, with_room


def area(curves: Any, best: float, worst: float) -> FloatArray:
    """Area under each best-so-far curve, scaled to lie between 0 (best) and 1 (worst).

    The mean over trials of (value - best) / (worst - best), clipped to [0, 1]; trials before the
    first value count as 1. Of two runs with the same final value, the one that reached it earlier
    has the smaller area.

    Args:
        curves: values of the trials, shape (..., T).
        best: value that counts as 0, such as the optimum of the problem.
        worst: value that counts as 1, such as the typical value of one random trial. `worst` below
            `best` means that higher values are better. Use the same two for all compared runs.

    Returns:
        The areas, shape (...).

    Raises:
        StatisticsError: there is no trial, or `best` and `worst` are equal or not finite.
    """
    best = as_number(best, "best", "a finite number", -math.inf)
    worst = as_number(worst, "worst", "a finite number", -math.inf)
    if best == worst:
        raise StatisticsError(f"best and worst must differ to set a scale, got {best!r} for both")
    curve = _curves(curves, "minimize" if best < worst else "maximize")
    (curve, ends), _ = with_room(curve, np.array([best, worst]))
    with np.errstate(over="ignore"):  # what is infinite is clipped to 1
        scaled = np.clip((curve - ends[0]) / (ends[1] - ends[0]), 0.0, 1.0)
    means: FloatArray = np.where(np.isnan(scaled), 1.0, scaled).mean(axis=-1)
    return means


def rank_over_time(curves: Any, direction: str = "minimize") -> FloatArray:
    """Mean rank of each treatment after each trial; rank 1 is best.

    Treatments are ranked within each block. Tied treatments get the mean of their ranks; treatments
    without a value yet share the last ranks.

    Args:
        curves: values of the trials, shape (N, k, T): N blocks (repeats, or repeats of all
            problems), k treatments, T trials.
        direction: "minimize" or "maximize".

    Returns:
        Mean ranks over the blocks, shape (k, T).

    Raises:
        StatisticsError: `curves` has another shape, or `direction` is not valid.
    """
    curve = _curves(curves, direction)
    if curve.ndim != 3:
        raise StatisticsError(
            f"curves must have the shape (blocks, treatments, trials), got shape {curve.shape}"
        )
    cost = np.where(np.isnan(curve), np.inf, curve if direction == "minimize" else -curve)
    ranks = np.empty(curve.shape)
    for j in range(curve.shape[1]):  # all k^2 comparisons at once need too much memory
        below = (cost < cost[:, j : j + 1]).sum(axis=1)
        equal = (cost == cost[:, j : j + 1]).sum(axis=1)  # itself included
        ranks[:, j] = below + (equal + 1) / 2
    means: FloatArray = ranks.mean(axis=0)
    return means


@dataclass(frozen=True, eq=False)
class Profile:
    """Performance profiles of k treatments.

    Attributes:
        factor: factors tau of the best cost, shape (m,), ascending from 1.
        share: share of problems solved within tau times the best cost, shape (k, m).
        ratios: cost divided by the best cost of the problem, shape (problems, k); inf where the
            problem was not solved.
    """

    factor: FloatArray
    share: FloatArray
    ratios: FloatArray


def performance_profile(costs: Any, factor: Any = None) -> Profile:
    """Performance profiles of k treatments over problems.

    rho_j(tau) is the share of problems on which the cost of treatment j is at most tau times the
    lowest cost of all treatments. rho_j(1) is how often treatment j is the best; for large tau it
    is how often treatment j solves the problem. A problem that no treatment solves counts against
    all. The best cost depends on which treatments are compared: with more than two, interpret the
    order of the profiles with care (Gould and Scott 2016).

    Args:
        costs: shape (problems, k), above 0; +inf where a problem was not solved.
        factor: values of tau, shape (m,), at least 1; by default all values at which a profile
            steps.

    Returns:
        The profiles, with `factor` sorted.

    Raises:
        StatisticsError: `costs` is not (problems, k), holds NaN or a value not above 0, or a factor
            is below 1.

    Source: Dolan and More (2002, section 2).
    """
    table = as_floats(costs, "costs", infinite=True)
    if table.ndim != 2 or not table.size:
        raise StatisticsError(
            f"costs must have the shape (problems, treatments), got shape {table.shape}"
        )
    if table.min() <= 0:
        raise StatisticsError(
            f"costs must be above 0 because ratios are computed, got {float(table.min())!r};"
            f" count trials from 1, or use runtime_distribution"
        )
    least = table.min(axis=1, keepdims=True)
    with np.errstate(over="ignore"):
        finite = np.minimum(table / np.where(np.isinf(least), 1.0, least), LARGEST)
    ratios = np.where(np.isinf(table), np.inf, finite)
    if factor is None:
        tau = np.unique(np.append(ratios[np.isfinite(ratios)], 1.0))
    else:
        tau = np.sort(as_sample(factor, "factor"))
        if tau[0] < 1:
            raise StatisticsError(f"factor must be at least 1, got {float(tau[0])!r}")
    share = (ratios[:, :, None] <= tau).mean(axis=0)
    return Profile(tau, share, ratios)


def runtimes(
    curves: Any, targets: Any, direction: str = "minimize", times: Any = None
) -> FloatArray:
    """Number of trials, or seconds, until each target is reached.

    A target is reached by a value that is at least as good.

    Args:
        curves: values of the trials, shape (..., T).
        targets: values to reach, shape (m,).
        direction: "minimize" or "maximize".
        times: when each trial ended, in seconds, shape (..., T), ascending; the result is then in
            seconds. None counts trials.

    Returns:
        Runtimes, shape (..., m): 1 is the first trial; inf where a target is not reached.

    Raises:
        StatisticsError: there is no trial or no target, `direction` is not valid, or `times` has
            another shape than `curves`, does not ascend or starts below 0.
    """
    curve, goal = _curves(curves, direction), as_sample(targets, "targets")
    when = np.arange(1.0, curve.shape[-1] + 1)
    if times is not None:
        when = as_floats(times, "times")
        if when.shape != curve.shape or (when[..., 1:] < when[..., :-1]).any():
            raise StatisticsError(
                f"times must be ascending and have the shape of curves, {curve.shape}, got shape"
                f" {when.shape}; use at_times to put runs on a common grid"
            )
        if when.min() < 0:
            raise StatisticsError(f"times must be seconds since the start, got {float(when.min())}")
    at = np.broadcast_to(when, curve.shape)
    found = np.empty((*curve.shape[:-1], len(goal)))
    for i, target in enumerate(goal):
        # Comparisons with NaN are False: a run without a value reaches no target.
        reached = curve <= target if direction == "minimize" else curve >= target
        first = np.take_along_axis(at, reached.argmax(axis=-1)[..., None], axis=-1)[..., 0]
        found[..., i] = np.where(reached.any(axis=-1), first, np.inf)
    return found


@dataclass(frozen=True, eq=False)
class RuntimeDistribution:
    """Empirical distribution of runtimes.

    Attributes:
        budget: budgets in trials or seconds, shape (m,), ascending.
        share: share of (run, target) pairs reached within each budget, shape (m,).
        n: number of (run, target) pairs.
    """

    budget: FloatArray
    share: FloatArray
    n: int


def runtime_distribution(found: Any, budget: Any = None) -> RuntimeDistribution:
    """Share of all (run, target) pairs that are reached within a budget.

    The runtime ECDF of COCO. Runs, targets and problems are pooled, so targets must be chosen by
    the same rule on all problems, such as a fixed set of distances to the optimum. A target that
    was not reached counts as not reached at any budget; restarts are not simulated.

    Args:
        found: result of `runtimes`, any shape.
        budget: budgets, shape (m,); by default all values at which the distribution steps.

    Returns:
        The distribution, with `budget` sorted.

    Raises:
        StatisticsError: there is no runtime, or one is NaN or below 0.

    Source: Hansen et al. (2021).
    """
    flat = np.sort(as_floats(found, "runtimes", infinite=True).ravel())
    if not len(flat):
        raise StatisticsError("a runtime distribution needs at least one runtime, got none")
    if flat[0] < 0:
        raise StatisticsError(f"runtimes must be at least 0, got {float(flat[0])!r}")
    at = np.unique(flat[np.isfinite(flat)]) if budget is None else as_sample(budget, "budget")
    at = np.sort(at)
    share = np.searchsorted(flat, at, side="right") / len(flat)
    return RuntimeDistribution(at, share, len(flat))


def expected_runtime(found: Any, spent: float) -> FloatArray:
    """Average runtime (ERT) to each target if failed runs are restarted.

    The total that all runs spent until they reached the target or ended, divided by the number of
    runs that reached it.

    Args:
        found: result of `runtimes`, shape (runs, m).
        spent: budget of each run, in the unit of `found`; what a run costs that fails.

    Returns:
        The average runtimes, shape (m,); inf for a target that no run reached.

    Raises:
        StatisticsError: `found` is not (runs, m), a runtime is NaN or below 0, or `spent` is not a
            finite number that is at least as large as all runtimes.

    Source: Hansen et al. (2021).
    """
    table = as_floats(found, "runtimes", infinite=True)
    if table.ndim != 2 or not len(table):
        raise StatisticsError(f"runtimes must have the shape (runs, targets), got {table.shape}")
    if table.size and table.min() < 0:
        raise StatisticsError(f"runtimes must be at least 0, got {float(table.min())!r}")
    spent = as_number(spent, "spent", "the budget of each run, a number of at least 0", 0.0)
    reached = np.isfinite(table)
    if (table[reached] > spent).any():
        raise StatisticsError(
            f"spent must be the budget of each run, at least {float(table[reached].max())!r},"
            f" got {spent!r}"
        )
    used, hits = np.where(reached, table, spent), reached.sum(axis=0)
    unit = unit_of(used)
    with np.errstate(over="ignore"):
        average = (used / unit).sum(axis=0) / np.maximum(hits, 1) * unit
    mean: FloatArray = np.where(hits > 0, average, np.inf)
    return mean


def _curves(curves: Any, direction: str) -> FloatArray:
    curve = best_so_far(curves, direction)
    if not curve.size:
        raise StatisticsError(f"curves need at least one trial, got shape {curve.shape}")
    return curve
