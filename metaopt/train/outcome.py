"""What comes of a trained member: its scores and the result of its trial."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from typing import Any

from metaopt.records import FailureKind, Result
from metaopt.train.engine import Member
from metaopt.train.loop import outputs_of
from metaopt.train.metrics import Metric
from metaopt.train.resources import is_out_of_memory
from metaopt.trial import Trial

TRACEBACK = 4000  # characters kept of a failure's traceback


def scores(member: Member, main: Metric, extra: Sequence[Metric]) -> dict[str, float]:
    """Return what a result's metrics say of the training, and of the weights that stand.

    Args:
        member: has ended.
        main: the trainer's metric, on the hidden test part "test".
        extra: further ones, recorded as ``name`` and ``test_name``.

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


def result_of(member: Member, trial: Trial, metrics: dict[str, float]) -> Result:
    """Return the result of a trial whose member was trained."""
    history = member.progress.history
    common: dict[str, Any] = {
        "curve": trial.curve,
        "metrics": metrics,
        "seconds": metrics.get("wall_seconds"),
        "data": {
            "stopped": history.stopped,
            "engine": member.engine,
            "device": str(member.device),
            "train_loss": history.train_loss,
        },
    }
    if history.stopped == "pruned":
        return Result(status="pruned", **common)
    if history.value is None:
        message = f"the loss or the metric was not finite in epoch {history.epochs}"
        return Result.failed("not_finite", message, **common)
    return Result(history.value, **common)


def failure(error: Exception, trial: Trial, member: Member | None) -> Result:
    """Return the result of a trial that raised."""
    cost = {} if member is None else member.cost.read()
    kind: FailureKind = "out_of_memory" if is_out_of_memory(error) else "exception"
    text = "".join(traceback.format_exception(error))[-TRACEBACK:]
    return Result.failed(
        kind,
        f"{type(error).__name__}: {error}".strip(),
        curve=trial.curve,
        metrics=cost,
        seconds=cost.get("wall_seconds"),
        data={"traceback": text},
    )
