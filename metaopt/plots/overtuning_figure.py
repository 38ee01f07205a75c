"""Overtuning of the strategies of a comparison: better by validation, worse by the hidden test."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from metaopt import stats
from metaopt.core.errors import StudyError
from metaopt.core.types import FloatArray
from metaopt.plots import figure_text, style
from metaopt.plots.arguments import of_comparison
from metaopt.plots.style import styles
from metaopt.trials.records import completed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from metaopt.analysis.comparison import ComparisonData, Run
    from metaopt.problems.problem import Problem

FARTHEST = 3.0  # end of the axis of relative overtuning, unless a whole strategy lies beyond it


def overtuning_of(c: ComparisonData, p: Problem) -> dict[str, list[stats.Overtuning]]:
    """Overtuning of the runs of a problem, by strategy; runs without a complete trial are left out.

    Empty if not every complete trial has a hidden test value.
    """
    runs = [r for r in c.runs if r.problem == p.name and completed(r.trials)]
    if not runs or not all(_tested(r) for r in runs):
        return {}
    return {s: [_of(r, p.sign) for r in runs if r.strategy == s] for s in c.strategies}


def _tested(run: Run) -> bool:
    values = [t.metrics.get("test", math.nan) for t in completed(run.trials)]
    return bool(np.isfinite(values).all())


def _of(run: Run, sign: int) -> stats.Overtuning:
    values = [math.nan if t.value is None else sign * t.value for t in run.trials]
    return stats.overtuning(values, [sign * t.metrics.get("test", math.nan) for t in run.trials])


def relative(found: list[stats.Overtuning]) -> FloatArray:
    """Relative overtuning of the runs in which it is defined, ascending, shape (n,)."""
    values = np.array([x.relative for x in found], dtype=np.float64)
    return np.sort(values[~np.isnan(values)])


@of_comparison
def overtuning(comparison: ComparisonData, problem: str | None = None) -> Figure:
    """Draw the share of runs with at most a given relative overtuning, one line per strategy.

    At 0, the height is the share of runs without overtuning; beyond the dotted line at 1 are runs
    that ended with a worse test value than that of their first configuration. Runs whose test value
    never improved have no relative overtuning and are left out.

    Args:
        comparison: result of `metaopt.compare`.
        problem: name of the problem; None for the only one.

    Returns:
        The figure.

    Raises:
        UnknownNameError: there is no such problem.
        StudyError: not every complete trial has a hidden test value, or no run improved its test
            value, or `problem` is None and there are several.

    Source: Schneider, Bischl and Feurer (2025).
    """
    p = comparison.problem(problem)
    found = overtuning_of(comparison, p)
    if not found:
        raise StudyError(
            f"overtuning needs a hidden test value of every complete trial; the problem {p.name!r}"
            f" has none or lacks some"
        )
    known = {s: relative(runs) for s, runs in found.items()}
    drawn = {s: values for s, values in known.items() if len(values)}
    if not drawn:
        raise StudyError(
            f"no run on {p.name!r} improved its test value: there is no relative overtuning"
        )
    end = _end(list(drawn.values()))
    looks = styles(comparison.strategies)
    figure, (axes,) = style.panels(5.8 + figure_text.room_for(looks), 3.8)
    for label, values in drawn.items():
        x, y = _steps(values, end)
        look = looks[label]
        axes.plot(x, y, look.line, color=look.color, lw=1.8, alpha=0.85, label=label, zorder=3)
    axes.axvline(1.0, color=style.INK, lw=1, ls=":", zorder=2)
    axes.set_xlim(-0.02 * end, end)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("relative overtuning (0: none, 1: all that was gained is lost)")
    axes.set_ylabel("share of runs with at most so much")
    figure_text.legend(figure)
    return figure


def _end(samples: list[FloatArray]) -> float:
    """End of the axis: the largest value, or `FARTHEST` if each strategy has values before it."""
    largest = max(1.0, *(float(values[-1]) for values in samples))
    if all(values[0] < FARTHEST for values in samples):
        largest = min(largest, FARTHEST)
    return 1.08 * largest


def _steps(values: FloatArray, end: float) -> tuple[FloatArray, FloatArray]:
    """Corners of the empirical distribution function from 0 to the end of the axis."""
    share = np.arange(1, len(values) + 1) / len(values)
    x = np.concatenate([[0.0], np.repeat(values, 2), [max(end, float(values[-1]))]])
    y = np.concatenate([[0.0, 0.0], np.repeat(share, 2)])
    return x, y
