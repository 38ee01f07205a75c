"""Anytime performance of strategies: curves, ranks, profiles and runtime distributions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from metaopt import stats
from metaopt.core.errors import StudyError
from metaopt.core.types import FloatArray
from metaopt.plots import arrays, figure_text, style
from metaopt.plots.arguments import of_comparison
from metaopt.plots.convergence import curves
from metaopt.plots.style import styles
from metaopt.stats.checks import is_real, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from metaopt.analysis.comparison import ComparisonData

SOLVED = 0.1  # a run is solved when only this share of the gap to the best known value is left
MOMENTS = 100  # points of a curve by seconds


@of_comparison
def anytime(
    comparison: ComparisonData,
    problem: str | None = None,
    by: Literal["evaluations", "seconds"] = "evaluations",
) -> Figure:
    """Draw the best value so far on one problem: median and quartiles over the repeats.

    If the optimum of the problem is known, the distance to it is drawn instead.

    Args:
        comparison: result of `metaopt.compare`.
        problem: name of the problem; None for the only one.
        by: the horizontal axis: "evaluations" for the number of trials, "seconds" for the
            cumulative evaluation time, without the strategy's own computing time.

    Returns:
        The figure, with one curve per strategy.

    Raises:
        UnknownNameError: there is no such problem.
        StudyError: `by` is unknown, the trials have no recorded seconds, or `problem` is None and
            there are several problems.
    """
    p = comparison.problem(problem)
    how: dict[str, Any] = {
        "colors": comparison.strategies,
        "direction": p.direction,
        "optimum": p.optimum,
    }
    if not isinstance(by, str) or by not in ("evaluations", "seconds"):
        raise StudyError(f"by must be 'evaluations' or 'seconds', got {shown(by)}")
    if by == "evaluations":
        return curves(comparison.curves(p.name), **how)
    times = arrays.clocks(comparison, p)
    if times is None or not times.max() > 0:
        raise StudyError(
            f"the trials on {p.name!r} have no recorded evaluation time: use by='evaluations'"
        )
    # The axis ends where half of the slowest strategy's runs have ended: later values rest on few.
    grid = np.linspace(0, float(np.median(times[..., -1], axis=0).max()), MOMENTS + 1)[1:]
    best = p.sign * arrays.costs(comparison, p)
    rows = {}
    for j, label in enumerate(comparison.strategies):
        runs = zip(times[:, j], best[:, j], strict=True)
        rows[label] = [stats.at_times(t, y, grid, p.direction) for t, y in runs]
    return curves(rows, at=grid.tolist(), xlabel="evaluation time (seconds)", **how)


@of_comparison
def rank_over_time(comparison: ComparisonData, problem: str | None = None) -> Figure:
    """Draw the mean rank of each strategy after each trial.

    Strategies are ranked by the best value so far within each block (one repeat of one problem);
    tied strategies share the mean of their ranks. Rank 1 is best and at the top.

    Args:
        comparison: result of `metaopt.compare`.
        problem: name of a problem; None for the mean over all problems.

    Returns:
        The figure, with one line per strategy.

    Raises:
        UnknownNameError: there is no such problem.
    """
    ranks = ranks_over_time(comparison, problem)
    looks = styles(comparison.strategies)
    figure, (axes,) = style.panels(6.4 + figure_text.room_for(comparison.strategies), 4.0)
    trials = np.arange(1, ranks.shape[1] + 1)
    ends = {}
    for label, row in zip(comparison.strategies, ranks, strict=True):
        look = looks[label]
        axes.plot(trials, row, look.line, color=look.color, lw=1.8, label=label, zorder=3)
        ends[label] = (float(trials[-1]), float(row[-1]))
    axes.set_xlim(1, max(2, len(trials)))
    low, high = float(ranks.min()), float(ranks.max())
    margin = 0.05 * max(0.5, high - low)
    axes.set_ylim(high + margin, low - margin)
    axes.set_xlabel("trials")
    axes.set_ylabel("mean rank (1 is best)")
    figure_text.label_ends(axes, ends, looks)
    return figure


def ranks_over_time(c: ComparisonData, problem: str | None = None) -> FloatArray:
    """Mean ranks of k strategies after each of T trials, (k, T); see `rank_over_time`."""
    chosen = c.problems if problem is None else [c.problem(problem)]
    tables = [arrays.costs(c, p) for p in chosen]
    length = max(t.shape[-1] for t in tables)
    wide = [np.pad(t, ((0, 0), (0, 0), (0, length - t.shape[-1])), mode="edge") for t in tables]
    return stats.rank_over_time(np.concatenate(wide))


@of_comparison
def performance_profiles(comparison: ComparisonData, gap: float = SOLVED) -> Figure:
    """Draw performance profiles over all repeats of all problems.

    The cost of a run is the number of trials until it is solved. A run is solved when only the
    share `gap` is left of the distance from a typical first trial to the best known value (the
    optimum where it is known).

    Args:
        comparison: result of `metaopt.compare`.
        gap: the share of that distance that may be left, between 0 and 1.

    Returns:
        The figure, with one step function per strategy: the share of runs solved within a multiple
        of the number of trials that the fastest strategy needed.

    Raises:
        StudyError: `gap` is not between 0 and 1, or no run was better than its first trials.

    Source: Dolan and More (2002); the convergence test is that of More and Wild (2009).
    """
    profile = profiles_of(comparison, gap)
    finite = profile.ratios[np.isfinite(profile.ratios)]
    end = max(2.0, 1.1 * float(finite.max()) if len(finite) else 2.0)
    figure, (axes,) = style.panels(6.4 + figure_text.room_for(comparison.strategies), 4.0)
    _steps(axes, comparison, 1.0, end, profile.factor, profile.share)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("trials relative to the fastest strategy")
    axes.set_ylabel("share of runs solved")
    return figure


def profiles_of(comparison: ComparisonData, gap: float = SOLVED) -> stats.Profile:
    """Compute the profiles that `performance_profiles` draws, in the comparison's order."""
    if not is_real(gap) or not 0 < gap < 1:
        raise StudyError(f"gap must lie between 0 and 1, got {shown(gap)}")
    found = arrays.runtimes(comparison, np.array([gap]))
    if found is None:
        raise StudyError("no run found a value better than its first trials: no targets exist")
    return stats.performance_profile(found[..., 0])


@of_comparison
def runtime_distribution(comparison: ComparisonData) -> Figure:
    """Draw the share of targets reached within each number of trials.

    There are 31 targets per problem, evenly spaced on a logarithmic scale: from a typical first
    trial to where 1/1000 of the distance to the best known value is left. Runs, targets and
    problems are pooled.

    Args:
        comparison: result of `metaopt.compare`.

    Returns:
        The figure, with one empirical distribution function per strategy.

    Raises:
        StudyError: no run was better than its first trials.

    Source: the runtime distributions of COCO (Hansen et al. 2021).
    """
    found = arrays.runtimes(comparison)
    if found is None:
        raise StudyError("no run found a value better than its first trials: no targets exist")
    budget = np.arange(1.0, comparison.n_trials + 1)
    shares = np.array(
        [
            stats.runtime_distribution(found[:, j], budget).share
            for j in range(len(comparison.strategies))
        ]
    )
    figure, (axes,) = style.panels(6.4 + figure_text.room_for(comparison.strategies), 4.0)
    _steps(axes, comparison, 1.0, max(2.0, float(budget[-1])), budget, shares)
    style.log_axis(axes, "x", np.array([1.0, min(99.0, budget[-1])]))  # 99: ticks at 1, 2, 5
    axes.set_xlabel("trials")
    axes.set_ylabel("share of targets reached")
    return figure


def _steps(
    axes: Axes, c: ComparisonData, start: float, end: float, x: FloatArray, shares: FloatArray
) -> None:
    """Draw one step function per strategy, with steps at `x`, from `start` to `end`."""
    looks, ends = styles(c.strategies), {}
    for label, share in zip(c.strategies, shares, strict=True):
        look, last = looks[label], float(share[-1])
        axes.step(
            [*x, max(end, float(x[-1]))], [*share, last], look.line, where="post",
            color=look.color, lw=1.8, label=label, zorder=3,
        )  # fmt: skip
        ends[label] = (end, last)
    axes.set_xlim(start, end)
    axes.set_ylim(0, 1.02)
    figure_text.label_ends(axes, ends, looks)
