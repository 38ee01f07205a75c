"""Rules for the training of one network: its curve, when it ends, which weights are kept.

Every engine uses these rules, whether it trains one network or many.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

from metaopt.core.errors import TrainingError
from metaopt.train.settings.early_stopping import EarlyStopping, Tracker
from metaopt.train.settings.metrics import LossFunction, Metric

Stopped = Literal["epochs", "patience", "diverged", "pruned"]
Precision = Literal["full", "bf16", "fp16"]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How a trainer trains and evaluates, whatever its loss; see `Trainer`.

    Attributes:
        stopping: when to stop early; None trains all epochs.
        evaluation_rows: the largest number of samples that are evaluated at a time.
        precision: of the operations that PyTorch's autocast runs in 16 bits; "full" uses none.
        compile: whether networks that train one by one run through torch.compile.

    Raises:
        TrainingError: a value is not allowed.
    """

    stopping: EarlyStopping | None
    evaluation_rows: int
    precision: Precision = "full"
    compile: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.stopping, EarlyStopping | None):
            raise TrainingError(f"stopping must be an EarlyStopping or None, got {self.stopping!r}")
        if type(self.evaluation_rows) is not int or self.evaluation_rows < 1:
            raise TrainingError(f"evaluation_rows must be at least 1, got {self.evaluation_rows!r}")
        if self.precision not in get_args(Precision):
            known = ", ".join(map(repr, get_args(Precision)))
            raise TrainingError(f"precision must be one of {known}, got {self.precision!r}")
        if not isinstance(self.compile, bool):
            raise TrainingError(f"compile must be True or False, got {self.compile!r}")

    @property
    def half(self) -> bool:
        """Whether autocast runs the operations in 16 bits for which that is safe."""
        return self.precision != "full"


@dataclass(frozen=True, kw_only=True)
class Task(Rules):
    """The rules of a trainer, its loss and its metric: the same for all of its training runs.

    Attributes:
        loss: its name, or the user's own function.
        loss_function: the function of that name, with class weights if there are any.
        metric: the validation metric.
        n_classes: number of classes; 0 for regression.
    """

    loss: str | LossFunction
    loss_function: LossFunction
    metric: Metric
    n_classes: int


@dataclass
class TrainingHistory:
    """What happened in the training of one network.

    Attributes:
        curve: (epoch, validation metric) of the epochs with finite loss and metric.
        train_loss: mean training loss per sample in each of these epochs, without penalties.
        epochs: number of epochs that were started, including one that diverged.
        best_epoch: the epoch of the weights that the network has now.
        value: the validation metric at these weights; None if no epoch had a finite one.
        stopped: why the training ended.

    """

    curve: list[tuple[int, float]] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    epochs: int = 0
    best_epoch: int = 0
    value: float | None = None
    stopped: Stopped = "epochs"


class Progress:
    """Applies the rules to one network, epoch by epoch.

    Args:
        task: settings of the trainer.
        epochs: the largest number of epochs.

    Attributes:
        history: what has happened so far.
        ended: whether the training has ended.

    """

    def __init__(self, task: Task, epochs: int) -> None:
        stopping = task.stopping
        self.history = TrainingHistory()
        self.ended = False
        self._epochs = epochs
        self._keeps_best = stopping is not None and stopping.restore_best
        self._tracker = Tracker(stopping or EarlyStopping(patience=None), task.metric.direction)

    def take(self, epoch: int, train_loss: float, value: float) -> bool:
        """Record an epoch; return whether its weights must be kept as the best so far."""
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
        """End the training because the study has pruned the trial."""
        self.history.stopped, self.ended = "pruned", True

    def settle(self) -> bool:
        """Decide which epoch counts; return whether the best weights must be restored."""
        history, tracker = self.history, self._tracker
        if self._keeps_best and tracker.best is not None:
            history.best_epoch, history.value = tracker.best_epoch, tracker.best
            return True
        if history.curve and history.stopped != "diverged":
            history.best_epoch, history.value = history.curve[-1]
        return False
