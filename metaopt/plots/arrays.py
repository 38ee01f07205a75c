"""Results of a comparison as arrays for the figures; costs are always minimised.

Costs are values with their sign changed if the problem is to be maximised. Notation: R repeats,
k strategies in the comparison's order, T trials, P problems.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metaopt import stats
from metaopt.core.types import FloatArray
from metaopt.stats.extremes import LARGEST, median, with_room
from metaopt.stats.friedman import ranks_within
from metaopt.trials.failures import as_worst_known

if TYPE_CHECKING:
    from metaopt.analysis.comparison import ComparisonData
    from metaopt.problems.problem import Problem

# Targets, as shares of the distance to the best known value that are left; COCO uses 51 targets.
GAPS = np.logspace(0, -3, 31)


def costs(c: ComparisonData, p: Problem) -> FloatArray:
    """Best cost so far, (R, k, T); NaN before the first value. Shorter runs repeat their last."""
    rows = c.curves(p.name)
    length = max(1, max(len(row) for table in rows.values() for row in table))
    table = np.full((c.repeats, len(rows), length), np.nan)
    for j, runs in enumerate(rows.values()):
        for r, row in enumerate(runs):
            table[r, j, : len(row)] = np.array(row, dtype=np.float64)
    return stats.best_so_far(p.sign * table)


def finals(c: ComparisonData, p: Problem) -> FloatArray:
    """Final cost, (R, k); NaN for a run without a value."""
    return p.sign * c.values(p.name)


def clocks(c: ComparisonData, p: Problem) -> FloatArray | None:
    """Cumulative evaluation time in seconds after each trial, (R, k, T); None if it is unknown.

    The sum over the trials' own seconds excludes interruptions, other processes and the strategy's
    own computing time. A shorter run repeats its last value.
    """
    length = max((len(r.trials) for r in c.runs if r.problem == p.name), default=0)
    table = np.zeros((c.repeats, len(c.strategies), length))
    for run in c.runs:
        if run.problem == p.name:
            spent = [t.seconds for t in run.trials]
            if any(s is None for s in spent):
                return None
            at = run.repeat, c.strategies.index(run.strategy)
            table[at][: len(spent)] = np.array(spent, dtype=np.float64)
    return table.cumsum(axis=-1) if length else None


def scale(c: ComparisonData, p: Problem) -> tuple[float, float] | None:
    """The ends of a common scale: the lowest known cost, and the median cost of first trials.

    The lowest known cost is the optimum where it is known, else the best that any run found. None
    if no run has a value, or if nothing was better than the first trials.
    """
    curve = costs(c, p)
    known = np.isfinite(curve)
    if not known.any():
        return None
    first = np.take_along_axis(curve, known.argmax(axis=-1)[..., None], axis=-1)[..., 0]
    start = float(median(first[np.isfinite(first)]))
    least = float(np.nanmin(curve))
    if p.optimum is not None:
        least = min(least, p.sign * p.optimum)  # noise can give values below the optimum
    return (least, start) if least < start else None


def scaled_finals(c: ComparisonData) -> FloatArray | None:
    """Final costs on a common scale, (P, R, k): 0 is the lowest known, 1 a typical first trial.

    A run without a value gets the worst cost of its problem. Problems without a scale are left
    out; None if no problem has one.
    """
    tables = []
    for p in c.problems:
        ends, table = scale(c, p), finals(c, p)
        if ends is not None:
            (known, limits), _ = with_room(as_worst_known(table), np.array(ends))
            with np.errstate(over="ignore"):
                scaled = (known - limits[0]) / (limits[1] - limits[0])
            tables.append(np.minimum(scaled, LARGEST))
    return np.array(tables) if tables else None


def runtimes(c: ComparisonData, gaps: FloatArray = GAPS) -> FloatArray | None:
    """Number of trials until each target is reached, (P R, k, m); inf if it is not reached.

    At a target, the share `gaps`, (m,), of the distance from a typical first trial to the lowest
    known cost is left (the convergence test of More and Wild 2009). Problems without a scale are
    left out; None if no problem has one.
    """
    tables = []
    for p in c.problems:
        ends = scale(c, p)
        if ends is not None:
            (limits,), unit = with_room(np.array(ends))
            targets = unit * (limits[0] + gaps * (limits[1] - limits[0]))
            tables.append(stats.runtimes(costs(c, p), targets))
    return np.concatenate(tables) if tables else None


def rank_blocks(c: ComparisonData, problem: str | None = None) -> FloatArray:
    """Ranks within each repeat, (N, k): of one problem, or of all problems one after the other.

    Their mean over repeats is the mean rank of the standings.
    """
    names = [p.name for p in c.problems] if problem is None else [problem]
    return np.concatenate([ranks_within(c.scores(name)) for name in names])
