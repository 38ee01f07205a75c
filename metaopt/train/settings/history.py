"""What happens to one network while it trains: its curve, when it ends, whose weights stand.

Every engine uses these rules, whether it trains one network or many.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from metaopt.train.settings.early_stopping import EarlyStopping, Tracker
from metaopt.train.settings.metrics import LossFunction, Metric

Stopped = Literal["epochs", "patience", "diverged", "pruned"]
Precision = Literal["full", "bf16", "fp16"]


@dataclass(frozen=True)
class Task:
    """What is the same for every run of a trainer.

    Attributes:
        compile: whether networks that train one by one run through torch.compile.
        precision: of what PyTorch's autocast finds safe to compute in less than `dtype`.

    """

    loss: str | LossFunction
    loss_function: LossFunction
    metric: Metric
    stopping: EarlyStopping | None
    n_classes: int
    evaluation_rows: int
    precision: Precision = "full"
    compile: bool = False

    @property
    def half(self) -> bool:
        """Whether networks compute in 16 bits where that is safe."""
        return self.precision != "full"


@dataclass
class History:
    """What happened in a run.

    Attributes:
        curve: (epoch, validation metric) of the epochs that stayed finite.
        train_loss: mean loss over the samples of each of these epochs, without penalties.
        epochs: begun, the diverged one included.
        best_epoch: whose weights the network has now.
        value: the validation metric at these weights; None if no epoch stayed finite.
        stopped: why the run ended.

    """

    curve: list[tuple[int, float]] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    epochs: int = 0
    best_epoch: int = 0
    value: float | None = None
    stopped: Stopped = "epochs"


class Progress:
    """The rules for one run.

    Attributes:
        history: what has happened so far.
        ended: whether no epoch follows.

    """

    def __init__(self, task: Task, epochs: int) -> None:
        stopping = task.stopping
        self.history = History()
        self.ended = False
        self._epochs = epochs
        self._keeps_best = stopping is not None and stopping.restore_best
        self._tracker = Tracker(stopping or EarlyStopping(patience=None), task.metric.direction)

    def take(self, epoch: int, train_loss: float, value: float) -> bool:
        """Take in an epoch; return whether its weights must be kept as the best so far."""
        history, tracker = self.history, self._tracker
        history.epochs = epoch
        if not (math.isfinite(train_loss) and math.isfinite(value)):
            history.stopped, self.ended = "diverged", True
            return False
        history.curve.append((epoch, value))
        history.train_loss.append(train_loss)
        best = tracker.update(value, epoch)
        if tracker.exhausted:
            history.stopped = "patience"
        self.ended = tracker.exhausted or epoch >= self._epochs
        return best and self._keeps_best

    def prune(self) -> None:
        """End the run because the study said so."""
        self.history.stopped, self.ended = "pruned", True

    def settle(self) -> bool:
        """Decide which epoch's value stands; return whether its weights are the kept ones."""
        history, tracker = self.history, self._tracker
        if self._keeps_best and tracker.best is not None:
            history.best_epoch, history.value = tracker.best_epoch, tracker.best
            return True
        if history.curve and history.stopped != "diverged":
            history.best_epoch, history.value = history.curve[-1]
        return False
