"""What figures need of a comparison, as arrays; costs are minimised, whatever the direction.

Notation: R repeats, k strategies in the comparison's order, T trials, P problems.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metaopt import stats
from metaopt.core.types import FloatArray

if TYPE_CHECKING:
    from metaopt.analysis.comparison import ComparisonData
    from metaopt.problems.problem import Problem

GAPS = np.logspace(0, -3, 31)  # targets as shares of the way that is left; COCO takes 51 of 10


def costs(c: ComparisonData, p: Problem) -> FloatArray:
    """Best cost so far, (R, k, T); NaN before the first value. Shorter runs keep their last."""
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
    """Seconds of evaluation until each trial ended, (R, k, T); None where they are not known.

    The sum over trials, so that interruptions and other processes do not count, nor the
    strategy's own time. A shorter run stands still at its end.
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
    """The ends of a common scale: the least cost, and the typical cost of the first trials.

    The least is the optimum where it is known, else the best that any run found. None where no
    run has a value or nothing was better than the first trials.
    """
    curve = costs(c, p)
    known = np.isfinite(curve)
    if not known.any():
        return None
    first = np.take_along_axis(curve, known.argmax(axis=-1)[..., None], axis=-1)[..., 0]
    start = float(np.median(first[np.isfinite(first)]))
    least = float(np.nanmin(curve))
    if p.optimum is not None:
        least = min(least, p.sign * p.optimum)  # noise may have found less
    return (least, start) if least < start else None


def scaled_finals(c: ComparisonData) -> FloatArray | None:
    """Final costs on a common scale, (P, R, k): 0 the least known, 1 a typical first trial.

    A run without a value gets the worst of its problem. Problems without a scale are left out;
    None if that leaves none.
    """
    tables = []
    for p in c.problems:
        ends, table = scale(c, p), finals(c, p)
        if ends is not None:
            worst = np.nanmax(table)
            table = np.where(np.isfinite(table), table, worst)
            tables.append((table - ends[0]) / (ends[1] - ends[0]))
    return np.array(tables) if tables else None


def runtimes(c: ComparisonData, gaps: FloatArray = GAPS) -> FloatArray | None:
    """Trials until targets are reached, (P R, k, m); inf where they are not.

    The targets of a problem leave the shares `gaps`, (m,), of the way from a typical first trial
    to the least known cost (the convergence test of More and Wild 2009). Problems without a scale
    are left out; None if that leaves none.
    """
    tables = []
    for p in c.problems:
        ends = scale(c, p)
        if ends is not None:
            targets = ends[0] + gaps * (ends[1] - ends[0])
            tables.append(stats.runtimes(costs(c, p), targets))
    return np.concatenate(tables) if tables else None


def blocks(c: ComparisonData, problem: str | None = None) -> tuple[FloatArray, str]:
    """Scores of a rank test, (N, k), and of what its blocks are.

    Of one problem, the costs of its repeats; of several, the mean ranks within each (Demsar 2006).
    """
    over_all = problem is None and len(c.problems) > 1
    return c.scores(problem), "problems" if over_all else "paired repeats"
