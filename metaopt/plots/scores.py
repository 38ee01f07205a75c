"""Quality of final results: probability of improvement, interquartile means, test values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from metaopt import stats
from metaopt.core.errors import StudyError
from metaopt.core.types import FloatArray
from metaopt.plots import arrays, figure_text, style
from metaopt.plots.arguments import of_comparison
from metaopt.plots.final_values import write_right_of
from metaopt.plots.style import styles
from metaopt.trials.failures import loses_to_all

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from metaopt.analysis.comparison import ComparisonData

DIVERGING = "PuOr"  # a diverging colour map that is safe for colour-blind readers


def improvement_of(comparison: ComparisonData) -> stats.Improvement:
    """Probabilities that one strategy ends better than another; a run without a value loses.

    Raises:
        StatisticsError: fewer than 2 repeats or strategies.
    """
    scores = np.array([loses_to_all(arrays.finals(comparison, p)) for p in comparison.problems])
    return stats.improvement(scores)


@of_comparison
def improvement(comparison: ComparisonData) -> Figure:
    """Draw the matrix of probabilities of improvement, the best strategy on top.

    A cell holds the probability that the strategy of its row ends better than that of its column
    in a repeat, averaged over problems. It is bold if the 95 % interval excludes 0.5.

    Args:
        comparison: result of `metaopt.compare`.

    Returns:
        The figure.

    Raises:
        StatisticsError: fewer than 2 repeats or strategies.

    Source: Agarwal et al. (2021).
    """
    found, labels = improvement_of(comparison), comparison.strategies
    order = np.argsort(-found.probability.mean(axis=1), kind="stable")
    table = found.probability[np.ix_(order, order)]
    k = len(labels)
    names = [figure_text.cut(labels[j], 18) for j in order]
    size = 1.0 + 0.52 * k + figure_text.room_for(names)
    figure, (axes,) = style.panels(max(size, 3.2), size)
    axes.grid(visible=False)
    edges = np.arange(k + 1) - 0.5
    shown = np.ma.masked_array(table, np.eye(k, dtype=bool))
    axes.pcolormesh(
        edges, edges, shown, cmap=DIVERGING, vmin=0, vmax=1, edgecolors="face", linewidth=0.4
    )
    axes.set_aspect("equal")
    axes.set_ylim(k - 0.5, -0.5)
    for i in range(k):
        for j in range(k):
            if i != j:
                at = order[i], order[j]
                sure = not found.low[at] <= 0.5 <= found.high[at]
                axes.text(
                    j, i, f"{table[i, j]:.2f}", ha="center", va="center", fontsize=9,
                    fontweight="bold" if sure else "normal",
                    color="#FFFFFF" if abs(table[i, j] - 0.5) > 0.32 else "#111111",
                )  # fmt: skip
    axes.set_yticks(range(k), names, parse_math=False)
    how: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(k), names, parse_math=False, **how)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("P(row better than column)")
    return figure


def aggregates(comparison: ComparisonData) -> dict[str, stats.Interval]:
    """Interquartile mean of the scaled final values of each strategy, with its interval.

    On the scale, 0 is the best known value (the optimum where it is known) and 1 is the median of
    the first trials.

    Raises:
        StudyError: no run was better than its first trials.
        StatisticsError: fewer than 2 repeats.
    """
    scores = arrays.scaled_finals(comparison)
    if scores is None:
        raise StudyError("no run found a value better than its first trials: no scale exists")
    return {
        s: stats.interquartile_mean(scores[:, :, j]) for j, s in enumerate(comparison.strategies)
    }


@of_comparison
def interquartile_means(comparison: ComparisonData) -> Figure:
    """Draw interquartile means of scaled final values with their intervals, best on top.

    On the scale, 0 is the best known value (the optimum where it is known) and 1 is a typical
    first trial. The intervals hold for these problems: they reflect the repeats of each.

    Args:
        comparison: result of `metaopt.compare`.

    Returns:
        The figure, with one row per strategy.

    Raises:
        StudyError: no run was better than its first trials.
        StatisticsError: fewer than 2 repeats.

    Source: Agarwal et al. (2021).
    """
    found, looks = aggregates(comparison), styles(comparison.strategies)
    order = sorted(found, key=lambda s: found[s].estimate)
    figure, (axes,) = style.panels(6.4 + figure_text.room_for(order), 1.1 + 0.36 * len(order))
    for y, label in enumerate(order):
        x, look = found[label], looks[label]
        axes.plot([x.low, x.high], [y, y], color=look.color, lw=2.2, alpha=0.55, zorder=2)
        axes.plot([x.estimate], [y], look.marker, color=look.color, ms=8, label=label, zorder=3)
        write_right_of(axes, y, f"{x.estimate:.3g}")
    shown = np.array([[x.low, x.high] for x in found.values()]).ravel()
    if style.wants_log(shown):
        style.log_axis(axes, "x", shown)
    figure_text.rows(axes, order)
    axes.set_xlabel("scaled final value (interquartile mean; lower is better)")
    return figure


@of_comparison
def validation_against_test(comparison: ComparisonData, problem: str | None = None) -> Figure:
    """Draw the hidden test value of each run's best trial against its validation value.

    On the diagonal both are equal; runs on its worse side have overfitted the validation data.

    Args:
        comparison: result of `metaopt.compare`.
        problem: name of the problem; None for the only one.

    Returns:
        The figure, with one point per run.

    Raises:
        UnknownNameError: there is no such problem.
        StudyError: the problem has no test values, or `problem` is None and there are several.
    """
    p = comparison.problem(problem)
    tests = comparison.tests(p.name)
    if tests is None:
        raise StudyError(f"the problem {p.name!r} has no hidden test values")
    values, tests = style.drawable(comparison.values(p.name)), style.drawable(tests)
    looks = styles(comparison.strategies)
    figure, (axes,) = style.panels(5.4 + figure_text.room_for(looks), 4.6)
    for j, label in enumerate(comparison.strategies):
        axes.plot(
            values[:, j], tests[:, j], looks[label].marker, color=looks[label].color, ms=6,
            alpha=0.75, mew=0, ls="none", label=label, zorder=3,
        )  # fmt: skip
    both = np.isfinite(values) & np.isfinite(tests)
    shown: FloatArray = np.concatenate([values[both], tests[both]])
    if len(shown):
        ends = [float(shown.min()), float(shown.max())]
        axes.plot(ends, ends, color=style.INK, lw=1, ls=":", label="equal", zorder=2)
    axes.set_xlabel("validation value")
    axes.set_ylabel("test value")
    figure_text.legend(figure)
    return figure
