"""What happened in a study, trial by trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from metaopt.errors import StudyError
from metaopt.plots import style
from metaopt.records import TrialRecord
from metaopt.stats import best_so_far

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from metaopt.view import StudyView

COMPLETE, BEST, PRUNED, FAILED = (style.PALETTE[i] for i in (0, 1, 4, 7))


def finished(study: StudyView) -> list[TrialRecord]:
    """Trials that have an outcome, by number.

    Raises:
        StudyError: there is none.
    """
    found = [r for r in study.trials if r.result is not None]
    if not found:
        raise StudyError(f"no trial of the study {study.name!r} is finished: nothing to draw yet")
    return found


def value_of(record: TrialRecord) -> float:
    """The value of a complete trial, what a pruned one last reported, else NaN."""
    if record.value is not None:
        return record.value
    return record.curve[-1][1] if record.status == "pruned" and record.curve else np.nan


def history(study: StudyView) -> Figure:
    """Draw every trial's value by its number, and the best so far as a line.

    Complete trials are dots; pruned ones stand as triangles at their last report; failed ones, and
    those pruned without a report, are marked on the lower edge.

    Raises:
        StudyError: no trial is finished.
    """
    records = finished(study)
    figure, (axes,) = style.panels(6.4, 4.0)
    at = np.array([r.number for r in records], dtype=np.float64)
    y = np.array([value_of(r) for r in records])
    status = np.array([r.status for r in records])
    complete, pruned = status == "complete", (status == "pruned") & np.isfinite(y)
    best = best_so_far(np.where(complete, y, np.nan), study.direction)
    size = 5.0 if len(records) < 150 else 3.0
    how: dict[str, Any] = {"ls": "none", "ms": size, "mew": 0, "alpha": 0.7}
    axes.plot(at[complete], y[complete], "o", color=COMPLETE, label="complete", **how)
    if pruned.any():
        axes.plot(at[pruned], y[pruned], "v", color=PRUNED, label="pruned (last report)", **how)
    axes.step(at, best, where="post", color=BEST, lw=1.8, label="best so far", zorder=3)
    style.robust(axes, y[complete | pruned], study.direction)
    lost = ~complete & ~pruned
    if lost.any():
        axes.plot(
            at[lost], np.full(lost.sum(), 0.015), "x", color=FAILED, ms=size + 1, mew=1.4,
            label="failed", transform=axes.get_xaxis_transform(), clip_on=False, zorder=4,
        )  # fmt: skip
    axes.set_xlabel("trial")
    axes.set_ylabel(f"value ({study.direction})")
    style.legend(figure)
    return figure
