"""Scores of a trained network and the result of its trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from statistics import fmean
from typing import Any

from metaopt.core.errors import TrainingError
from metaopt.train.engines.base import Member
from metaopt.train.engines.single import outputs_of
from metaopt.train.runtime.resources import COSTS, Cost, Meter
from metaopt.train.scheduling.run import TrainingRun
from metaopt.train.settings.history import TrainingHistory, Stopped
from metaopt.train.settings.metrics import Metric
from metaopt.trials.failures import failure
from metaopt.trials.records import Result
from metaopt.trials.trial import Trial


def scores(member: Member, main: Metric, extra: Sequence[Metric]) -> dict[str, float]:
    """Return the metrics of a result: numbers of the training and scores of the final weights.

    Args:
        member: one whose training has ended.
        main: the metric of the trainer; its score on the hidden test part is "test".
        extra: further metrics, recorded as ``name`` and ``test_name``.

    """
    history, data = member.progress.history, member.data
    out: dict[str, float] = {
        "epochs": history.epochs,
        "parameters": sum(p.numel() for p in member.network.parameters()),
    }
    if history.value is None or history.stopped == "pruned":
        return out
    out["best_epoch"] = history.best_epoch
    if extra:
        outputs = outputs_of(member, data.validation.X)
        out.update({m.name: m(outputs, data.validation.y) for m in extra})
    if data.test is not None:
        outputs = outputs_of(member, data.test.X)
        out["test"] = main(outputs, data.test.y)
        out.update({f"test_{m.name}": m(outputs, data.test.y) for m in extra})
    return out


def measured(
    run: TrainingRun,
    extra: Sequence[Metric],
    limit: Callable[[Member], AbstractContextManager[object]],
) -> list[dict[str, float]]:
    """Return scores and cost of every member; the cost includes that of computing the scores.

    Args:
        run: a training run that has ended.
        extra: metrics in addition to that of the task.
        limit: returns the context manager (threads, say) in which a member computes.

    """
    found = []
    for member in run.members:
        meter = Meter(member.device)
        with limit(member):
            own = scores(member, member.task.metric, extra)
        member.cost.add(meter.read())
        found.append({**own, **member.cost.read()})
    return found


def result_of(run: TrainingRun, trial: Trial, metrics: Sequence[dict[str, float]]) -> Result:
    """Return the result of a trial whose training run has ended.

    Args:
        run: a training run that has ended.
        trial: the trial, with its reports.
        metrics: scores and cost of each member.

    """
    first = run.members[0]
    histories = [m.progress.history for m in run.members]
    stopped = {h.stopped for h in histories}
    several = len(run.members) > 1
    data: dict[str, Any] = {
        "stopped": next(why for why in STOPS if why in stopped),
        "engine": first.engine,
        "device": str(first.device),
    }
    if several:
        data["folds"] = [_fold(h, m) for h, m in zip(histories, metrics, strict=True)]
    else:
        data["train_loss"] = histories[0].train_loss
    together = over_folds(metrics)
    common: dict[str, Any] = {
        "curve": trial.curve,
        "metrics": together,
        "seconds": together.get("wall_seconds"),
        "data": data,
    }
    failed = run.failed
    if failed is not None and histories[failed].stopped != "pruned":
        message = f"the loss or the metric was not finite in epoch {histories[failed].epochs}"
        return Result.failed("not_finite", _of_fold(run, failed) + message, **common)
    if "pruned" in stopped:
        return Result(status="pruned", **common)
    return Result(mean_value(run), **common)


# If folds ended for different reasons, the run has the first of these reasons that occurs.
STOPS: tuple[Stopped, ...] = ("diverged", "pruned", "epochs", "patience")


def mean_value(run: TrainingRun) -> float:
    """Return the mean over folds of their final values."""
    values = [m.progress.history.value for m in run.members]
    return fmean(v for v in values if v is not None)


def over_folds(metrics: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return means of the metrics that all folds have, sums of seconds, and largest peaks."""
    if len(metrics) == 1:
        return metrics[0]
    cost = Cost()
    for one in metrics:
        cost.add({k: v for k, v in one.items() if k in COSTS})
    shared = [k for k in metrics[0] if k not in COSTS and all(k in one for one in metrics)]
    return {k: fmean(one[k] for one in metrics) for k in shared} | cost.read()


def best_epochs(result: Result) -> tuple[list[float], float]:
    """Return the best epoch of every fold, and the mean of their values.

    Raises:
        TrainingError: the result is not complete or has no folds.

    """
    folds = result.data.get("folds", ())
    if result.value is None or not folds:
        raise TrainingError(f"a complete result with folds is needed, got a {result.status} one")
    return [fold["metrics"]["best_epoch"] for fold in folds], result.value


def _fold(history: TrainingHistory, metrics: dict[str, float]) -> dict[str, Any]:
    return {
        "value": history.value,
        "stopped": history.stopped,
        "metrics": {k: v for k, v in metrics.items() if k not in COSTS},
        "curve": [list(point) for point in history.curve],
        "train_loss": history.train_loss,
    }


def _of_fold(run: TrainingRun, fold: int) -> str:
    return f"fold {fold + 1} of {len(run.members)}: " if len(run.members) > 1 else ""


def failed_result(error: Exception, trial: Trial, run: TrainingRun | None) -> Result:
    """Return the result of a trial that raised an error."""
    members = [] if run is None else run.members
    cost = over_folds([m.cost.read() for m in members] or [{}])
    failed = next((k for k, m in enumerate(members) if m.error is error), None)
    where = "" if run is None or failed is None else _of_fold(run, failed)
    seconds = cost.get("wall_seconds")
    return failure(error, where=where, curve=trial.curve, metrics=cost, seconds=seconds)
