"""Early stopping: when an epoch counts as better, and when to give up."""

from __future__ import annotations

import math
from dataclasses import dataclass

from metaopt.core.errors import TrainingError
from metaopt.core.types import Direction


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when the validation metric no longer gains, and return to the best weights.

    Attributes:
        patience: stop after this many epochs in a row without a gain; None never stops early.
        min_delta: the smallest gain that counts, relative to the size of the value to beat: a
            minimised -10 is beaten by anything below -10 - min_delta * 10. Small gains add up:
            the value to beat moves only when it is beaten by that much.
        restore_best: give the network the weights of its best epoch (the strictly best one,
            however small its lead) and the trial that epoch's value; otherwise the last epoch's.

    Raises:
        TrainingError: `patience` is below 1 or `min_delta` is negative or not finite.

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

    Attributes:
        best: the best value so far, in the metric's own sign; None before the first epoch.
        best_epoch: its epoch, 0 before the first.
        waited: epochs since the last gain that counted.

    """

    def __init__(self, stopping: EarlyStopping, direction: Direction) -> None:
        self._stopping = stopping
        self._sign = 1.0 if direction == "minimize" else -1.0
        self._to_beat: float | None = None
        self.best: float | None = None
        self.best_epoch = 0
        self.waited = 0

    def update(self, value: float, epoch: int) -> bool:
        """Take in the finite metric of an epoch; return whether it is the best so far."""
        loss = self._sign * value
        # The sign of a threshold like best * (1 - delta) is wrong for negative values; |best|.
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
        """Whether patience is at its end."""
        return self._stopping.patience is not None and self.waited >= self._stopping.patience
