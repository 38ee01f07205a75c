"""The trials of a study: their values, intermediate values and resources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from metaopt.core.errors import StudyError, unknown_name
from metaopt.core.types import FloatArray
from metaopt.plots import figure_text, style
from metaopt.plots.arguments import as_text, of_study
from metaopt.stats import best_so_far
from metaopt.trials.records import TrialRecord, completed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from metaopt.storage.study_view import StudyView

COMPLETE, BEST, PRUNED, FAILED = (style.PALETTE[i] for i in (0, 1, 4, 3))
MANY = 150  # with this number of trials or more, marks are smaller


def finished(study: StudyView) -> list[TrialRecord]:
    """Trials that are finished (complete, pruned or failed), by number.

    Raises:
        StudyError: there is none.
    """
    found = [r for r in study.trials if r.result is not None]
    if not found:
        raise StudyError(f"no trial of the study {study.name!r} is finished: nothing to draw yet")
    return found


def complete(study: StudyView) -> list[TrialRecord]:
    """Trials that are complete, so that they have a value, by number.

    Raises:
        StudyError: there is none.
    """
    found = completed(finished(study))
    if not found:
        raise StudyError(f"no trial of the study {study.name!r} is complete: nothing to draw yet")
    return found


def value_of(record: TrialRecord) -> float:
    """The value of a complete trial, the last report of a pruned one, else NaN."""
    found = record.value
    if found is None and record.status == "pruned" and record.curve:
        found = record.curve[-1][1]
    return np.nan if found is None else float(style.drawable(np.array(found)))


@of_study
def history(study: StudyView) -> Figure:
    """Draw the value of each trial by its number, and the best value so far as a line.

    Complete trials are dots, pruned trials are triangles at their last report. Failed trials, and
    trials pruned without a report, are crosses at the lower edge.

    Args:
        study: the study to draw.

    Returns:
        The figure.

    Raises:
        StudyError: no trial is finished.
    """
    records = finished(study)
    figure, (axes,) = style.panels(6.4, 4.0)
    at = np.array([r.number for r in records], dtype=np.float64)
    y = np.array([value_of(r) for r in records])
    status = np.array([r.status for r in records])
    whole, pruned = status == "complete", (status == "pruned") & np.isfinite(y)
    best = best_so_far(np.where(whole, y, np.nan), study.direction)
    size = 5.0 if len(records) < MANY else 3.0
    how: dict[str, Any] = {"ls": "none", "ms": size, "mew": 0, "alpha": 0.8}
    how["rasterized"] = len(records) > style.CROWD
    if whole.any():
        axes.plot(at[whole], y[whole], "o", color=COMPLETE, label="complete", **how)
        axes.step(at, best, where="post", color=BEST, lw=1.8, label="best so far", zorder=3)
    if pruned.any():
        axes.plot(at[pruned], y[pruned], "v", color=PRUNED, label="pruned (last report)", **how)
    style.robust(axes, y[whole | pruned], study.direction)
    lost = ~whole & ~pruned
    if lost.any():
        axes.plot(
            at[lost], np.full(lost.sum(), 0.015), "x", color=FAILED, ms=size + 1, mew=1.4,
            ls="none", label="failed" if (status[lost] == "failed").all() else "without a value",
            transform=axes.get_xaxis_transform(), clip_on=False, zorder=4,
        )  # fmt: skip
    axes.xaxis.set_major_locator(style.whole_numbers())
    axes.set_xlabel("trial")
    axes.set_ylabel(f"value (to {study.direction})")
    figure_text.legend(figure)
    return figure


@of_study
def intermediate(study: StudyView) -> Figure:
    """Draw the intermediate values of each trial by step; the best trial is thick.

    Curves of pruned trials end in a triangle, those of failed trials in a cross.

    Args:
        study: the study to draw.

    Returns:
        The figure, with one curve per finished trial that has reported values.

    Raises:
        StudyError: no finished trial has reported an intermediate value.
    """
    records = [r for r in finished(study) if r.curve]
    if not records:
        raise StudyError("no finished trial has reported a value: call trial.report(value, step)")
    best = study.best_record
    figure, (axes,) = style.panels(6.4, 4.0)
    crowd = len(records) > style.CROWD
    faint = 0.7 if len(records) < 40 else 0.4
    looks = {"complete": (COMPLETE, "-"), "pruned": (PRUNED, "-"), "failed": (FAILED, ":")}
    for record in records:
        color, line = looks[record.status]
        x, y = (np.array(part, dtype=np.float64) for part in zip(*record.curve, strict=True))
        x, y = style.drawable(x), style.drawable(y)
        how: dict[str, Any] = {"lw": 1.0, "alpha": faint, "label": record.status}
        if best is not None and record.number == best.number:
            color, how = BEST, {"lw": 2.2, "label": f"best (trial {best.number})", "zorder": 4}
        how["rasterized"] = crowd and "zorder" not in how  # the best trial stays a vector line
        axes.plot(x, y, line, color=color, gid=f"trial-{record.number}", **how)
        if record.status != "complete" or len(x) == 1:
            mark = "v" if record.status == "pruned" else "x"
            mark = "o" if record.status == "complete" else mark
            axes.plot(
                x[-1:], y[-1:], mark, color=color, ms=4, alpha=0.8, label="_end", rasterized=crowd
            )
    shown = np.concatenate([[v for _, v in r.curve] for r in records]).astype(np.float64)
    style.robust(axes, style.drawable(shown), study.direction)
    axes.set_xlabel("step")
    axes.set_ylabel(f"reported value (to {study.direction})")
    figure_text.legend(figure)
    return figure


def resource_of(record: TrialRecord, resource: str) -> float:
    """What a trial used: its seconds, or a metric such as ``"memory_mb"``; NaN if unknown."""
    found = record.seconds if resource == "seconds" else record.metrics.get(resource)
    return np.nan if found is None else float(found)


@of_study
def resources(study: StudyView, resource: str = "seconds") -> Figure:
    """Draw the value of complete trials against a resource, with the Pareto front as a line.

    A trial is on the front if no other trial is at least as cheap and as good, and better in one of
    the two.

    Args:
        study: the study to draw.
        resource: "seconds", or the name of a metric of the trials, such as "memory_mb" (megabytes).

    Returns:
        The figure.

    Raises:
        StudyError: no trial is complete.
        UnknownNameError: no complete trial has recorded such a resource.
    """
    records, resource = complete(study), as_text(resource, "resource")
    known = {"seconds"} | {name for r in records for name in r.metrics}
    records = [r for r in records if np.isfinite(resource_of(r, resource))]
    if not records:
        raise unknown_name("resource", resource, known)
    x = style.drawable(np.array([resource_of(r, resource) for r in records]))
    y = np.array([value_of(r) for r in records])
    front = pareto(x, y if study.direction == "minimize" else -y)
    figure, (axes,) = style.panels(6.4, 4.0)
    size = 5.0 if len(records) < MANY else 3.0
    axes.plot(
        x, y, "o", color=COMPLETE, ms=size, mew=0, alpha=0.75, ls="none", label="trials",
        rasterized=len(records) > style.CROWD,
    )  # fmt: skip
    axes.step(x[front], y[front], where="post", color=BEST, lw=1.4, label="_steps", zorder=3)
    axes.plot(
        x[front], y[front], "D", color=BEST, ms=size + 1, mew=0, ls="none", label="Pareto front",
        zorder=4,
    )  # fmt: skip
    if style.wants_log(x):
        style.log_axis(axes, "x", x)
    style.robust(axes, y, study.direction)
    axes.set_xlabel(resource.replace("_mb", " (MB)").replace("_", " "), parse_math=False)
    axes.set_ylabel(f"value (to {study.direction})")
    figure_text.legend(figure)
    return figure


def pareto(cost: FloatArray, loss: FloatArray) -> Any:
    """Indices of the points that no other point dominates, by ascending cost; inputs (n,)."""
    order = np.lexsort((loss, cost))
    ahead = np.concatenate([[np.inf], np.minimum.accumulate(loss[order])[:-1]])
    return order[loss[order] < ahead]
