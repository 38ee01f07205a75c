"""Comparison at every moment of a run, as numbers: areas, ranks, profiles, runtime distributions.

A curve is the best value so far after each trial (or at each time of a common grid), shape (...,
T); values as they came are accumulated first. A run without a value yet (NaN) counts as worse than
all others and has reached no target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.stats.checks import as_floats, as_sample
from metaopt.stats.curves import best_so_far


def area(curves: Any, best: float, worst: float) -> FloatArray:
    """Area under each best-so-far curve, (..., T), between 0 (best) and 1 (worst), shape (...).

    The mean over trials of (value - best) / (worst - best), cut to [0, 1]; before the first value
    it is 1. Of two runs with the same end, the one that got there earlier has the smaller area.
    `best` and `worst` are the problem's, the same for all that are compared: the optimum and the
    typical value of one random trial. `worst` below `best` means that higher is better.

    Raises:
        StatisticsError: there is no trial, or `best` and `worst` are equal or not finite.
    """
    ends = as_sample([best, worst], "best and worst")
    if ends[0] == ends[1]:
        raise StatisticsError(f"best and worst must differ to give a scale, got {best!r} for both")
    curve = _curves(curves, "minimize" if ends[0] < ends[1] else "maximize")
    scaled = np.clip((curve - ends[0]) / (ends[1] - ends[0]), 0.0, 1.0)
    means: FloatArray = np.where(np.isnan(scaled), 1.0, scaled).mean(axis=-1)
    return means


def rank_over_time(curves: Any, direction: str = "minimize") -> FloatArray:
    """Mean rank of each treatment after each trial; curves (N, k, T), ranks (k, T), 1 is best.

    N blocks (repeats, or repeats of all problems) of k treatments. Treatments are ranked within
    each block; ties share the mean of their ranks, as do those without a value yet, last.

    Raises:
        StatisticsError: curves have another shape, or `direction` is wrong.
    """
    curve = _curves(curves, direction)
    if curve.ndim != 3:
        raise StatisticsError(
            f"curves must have the shape (blocks, treatments, trials), got shape {curve.shape}"
        )
    cost = np.where(np.isnan(curve), np.inf, curve if direction == "minimize" else -curve)
    ranks = np.empty(curve.shape)
    for j in range(curve.shape[1]):  # by treatment: k^2 comparisons at once would be large
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
        ratios: cost over the best cost of each problem, (problems, k); inf where not solved.
    """

    factor: FloatArray
    share: FloatArray
    ratios: FloatArray


def performance_profile(costs: Any, factor: Any = None) -> Profile:
    """Performance profiles of k treatments over problems; costs (problems, k), +inf: not solved.

    Dolan and More (2002, section 2): rho_j(tau) is the share of problems on which treatment j costs
    at most tau times the least cost of any. rho_j(1) is how often it is the best, its limit how
    often it solves the problem at all. A problem that none solves counts against all. `factor`
    are the tau, all places where a profile steps by default. What is best depends on who takes
    part: with more than two, read the order of profiles with care (Gould and Scott 2016).

    Raises:
        StatisticsError: costs are not (problems, k), NaN, or not above 0; a factor is below 1.
    """
    table = as_floats(costs, "costs", infinite=True)
    if table.ndim != 2 or not table.size:
        raise StatisticsError(
            f"costs must have the shape (problems, treatments), got shape {table.shape}"
        )
    if table.min() <= 0:
        raise StatisticsError(
            f"costs must be above 0, for ratios are taken, got {float(table.min())!r}; count from"
            f" one trial, or use runtime_distribution"
        )
    least = table.min(axis=1, keepdims=True)
    ratios = np.where(np.isinf(table), np.inf, table / np.where(np.isinf(least), 1.0, least))
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
    """Trials until each target is reached; curves (..., T), targets (m,), shape (..., m).

    1 is the first trial; inf where the target is not reached. A target is reached by a value at
    least as good. With `times`, (..., T), when each trial ended, ascending: seconds instead.

    Raises:
        StatisticsError: there is no trial or target, `direction` is wrong, or times do not fit.
    """
    curve, goal = _curves(curves, direction), as_sample(targets, "targets")
    when = np.arange(1.0, curve.shape[-1] + 1)
    if times is not None:
        when = as_floats(times, "times")
        if when.shape != curve.shape or (np.diff(when, axis=-1) < 0).any():
            raise StatisticsError(
                f"times must ascend and have the shape of curves, {curve.shape}, got shape"
                f" {when.shape}; at_times brings runs to a common grid"
            )
    at = np.broadcast_to(when, curve.shape)
    found = np.empty((*curve.shape[:-1], len(goal)))
    for i, target in enumerate(goal):
        # Comparisons with NaN are False: no value, no target.
        reached = curve <= target if direction == "minimize" else curve >= target
        first = np.take_along_axis(at, reached.argmax(axis=-1)[..., None], axis=-1)[..., 0]
        found[..., i] = np.where(reached.any(axis=-1), first, np.inf)
    return found


@dataclass(frozen=True, eq=False)
class RuntimeDistribution:
    """Empirical distribution of runtimes.

    Attributes:
        budget: budgets, shape (m,), ascending.
        share: share of (run, target) pairs reached within each budget, shape (m,).
        n: number of such pairs.
    """

    budget: FloatArray
    share: FloatArray
    n: int


def runtime_distribution(found: Any, budget: Any = None) -> RuntimeDistribution:
    """Share of all (run, target) pairs reached within a budget, from `runtimes`, any shape.

    The runtime ECDF of COCO (Hansen et al. 2021): runs, targets and problems are
    pooled, so targets of all problems must be chosen alike, such as a fixed set of distances to
    the optimum. Targets not reached count as not reached at any budget; there are no simulated
    restarts. `budget` are all places where the distribution steps by default.

    Raises:
        StatisticsError: there is no runtime, or one is NaN.
    """
    flat = np.sort(as_floats(found, "runtimes", infinite=True).ravel())
    if not len(flat):
        raise StatisticsError("a runtime distribution needs at least one runtime, got none")
    at = np.unique(flat[np.isfinite(flat)]) if budget is None else as_sample(budget, "budget")
    at = np.sort(at)
    share = np.searchsorted(flat, at, side="right") / len(flat)
    return RuntimeDistribution(at, share, len(flat))


def expected_runtime(found: Any, spent: float) -> FloatArray:
    """Average runtime to each target with restarts; `found` (runs, m) from `runtimes`, shape (m,).

    What all runs spent until the target or their end (`spent` for each), divided by the number of
    runs that reached it (Hansen et al. 2021); inf where none did.

    Raises:
        StatisticsError: `found` is not (runs, m), or a run lasted longer than `spent`.
    """
    table = as_floats(found, "runtimes", infinite=True)
    if table.ndim != 2 or not len(table):
        raise StatisticsError(f"runtimes must have the shape (runs, targets), got {table.shape}")
    reached = np.isfinite(table)
    if (table[reached] > spent).any():
        raise StatisticsError(
            f"spent must be what every run may use, at least {float(table[reached].max())!r},"
            f" got {spent!r}"
        )
    total, hits = np.where(reached, table, spent).sum(axis=0), reached.sum(axis=0)
    mean: FloatArray = np.where(hits > 0, total / np.maximum(hits, 1), np.inf)
    return mean


def _curves(curves: Any, direction: str) -> FloatArray:
    curve = best_so_far(curves, direction)
    if not curve.size:
        raise StatisticsError(f"curves need at least one trial, got shape {curve.shape}")
    return curve
