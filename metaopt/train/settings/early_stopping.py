"""Early stopping: when an epoch counts as an improvement, and when to stop."""

from __future__ import annotations

import math
from dataclasses import dataclass

from metaopt.core.errors import TrainingError
from metaopt.core.types import Direction


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when the validation metric no longer improves, and restore the best weights.

    Attributes:
        patience: stop after this many epochs in a row without an improvement; None never stops
            early.
        min_delta: the smallest improvement that counts, as a fraction of the absolute value to
            beat: a minimised -10 is beaten by anything below -10 - min_delta * 10. Small
            improvements add up: the value to beat only changes when it is beaten by that much.
        restore_best: whether the network keeps the weights of its best epoch, and the trial that
            epoch's value. Here every improvement counts, however small. False keeps the weights
            and the value of the last epoch.

    Raises:
        TrainingError: `patience` is below 1 or `min_delta` is negative or not finite.

    Example:
        >>> import numpy as np
        >>> from metaopt.train import EarlyStopping, Trainer
        >>> X = np.random.default_rng(0).normal(size=(200, 4))
        >>> trainer = Trainer("mlp", X, X[:, 0] > 0, epochs=100, stopping=EarlyStopping(patience=3))
        >>> trainer.refit({"lr": 0.01}).metrics["epochs"] <= 100
        True

    """

    patience: int | None = 5
    min_delta: float = 1e-4
    restore_best: bool = True

    def __post_init__(self) -> None:
        patience = self.patience
        if patience is not None and (
            not isinstance(patience, int) or isinstance(patience, bool) or patience < 1
        ):
            raise TrainingError(f"patience must be an integer from 1 or None, got {patience!r}")
        if not (math.isfinite(self.min_delta) and self.min_delta >= 0):
            raise TrainingError(f"min_delta must be finite and not negative, got {self.min_delta}")


class Tracker:
    """The state of early stopping for one training run.

    Args:
        stopping: the rule.
        direction: of the metric.

    Attributes:
        best: the best value so far, with the sign of the metric; None before the first epoch.
        best_epoch: the epoch of the best value; 0 before the first epoch.
        waited: epochs since the last improvement that counted.

    """

    def __init__(self, stopping: EarlyStopping, direction: Direction) -> None:
        self._stopping = stopping
        self._sign = 1.0 if direction == "minimize" else -1.0
        self._to_beat: float | None = None
        self.best: float | None = None
        self.best_epoch = 0
        self.waited = 0

    def update(self, value: float, epoch: int) -> bool:
        """Record the finite metric of an epoch; return whether it is the best so far."""
        loss = self._sign * value
        # abs(), because a threshold best * (1 - delta) has the wrong sign for negative values.
        if self._to_beat is None or (
            loss < self._to_beat - self._stopping.min_delta * abs(self._to_beat)
        ):
            self._to_beat, self.waited = loss, 0
        else:
            self.waited += 1
        if self.best is not None and loss >= self._sign * self.best:
            return False
        self.best, self.best_epoch = value, epoch
        return True

    @property
    def exhausted(self) -> bool:
        """Whether `patience` epochs have passed without an improvement."""
        return self._stopping.patience is not None and self.waited >= self._stopping.patience
