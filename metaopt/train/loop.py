"""One training run: a network, a recipe, a split, epoch by epoch.

Nothing is read back from the device within an epoch: losses stay tensors until it ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from metaopt.seeds import derive
from metaopt.train.data import Prepared
from metaopt.train.metrics import LossFunction, Metric, check_loss, check_outputs
from metaopt.train.noise import Noise, keyed_dropout
from metaopt.train.optimizers import FlatParameters, Snapshot, make_optimizer
from metaopt.train.reading import Part
from metaopt.train.recipe import Recipe
from metaopt.train.splitting import epoch_order
from metaopt.train.stopping import EarlyStopping, Tracker

Stopped = Literal["epochs", "patience", "diverged", "pruned"]
Watch = Callable[[float, int], None]


@dataclass(frozen=True)
class Task:
    """What is the same for every run of a trainer."""

    loss: str | LossFunction
    loss_function: LossFunction
    metric: Metric
    stopping: EarlyStopping | None
    n_classes: int
    evaluation_rows: int


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


class Run:
    """Trains `network` in place; use once.

    Attributes:
        network, device: what is trained, and where.
        batch_size: samples a step; all of them for "gd", at most all of them otherwise.
        history: what has happened so far.

    """

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        data: Prepared,
        task: Task,
        seed: int,
        data_seed: int,
    ) -> None:
        self.network, self._recipe, self._data, self._task = network, recipe, data, task
        self._seed, self._data_seed = seed, data_seed
        self.device = data.train.X.device
        self._noise = Noise(derive(seed, "noise"), self.device)
        self._flat = FlatParameters(network)
        self._optimizer = make_optimizer(self._flat, recipe)
        n = len(data.train.y)
        self.batch_size = n if recipe.optimizer == "gd" else min(recipe.batch_size, n)
        self.history = History()

    def train(self, watch: Watch | None = None, halt: Callable[[], bool] | None = None) -> History:
        """Train to the end.

        Args:
            watch: told the metric and the number of every epoch that stayed finite.
            halt: asked after every epoch that others would follow whether to stop ("pruned").

        """
        try:
            with torch.enable_grad(), keyed_dropout(self.network, self._seed, self.device):
                self._train(watch, halt)
        finally:
            self._flat.release()
            self.network.eval()
        return self.history

    def _train(self, watch: Watch | None, halt: Callable[[], bool] | None) -> None:
        history, stopping = self.history, self._task.stopping
        keep_best = stopping is not None and stopping.restore_best
        tracker = Tracker(stopping or EarlyStopping(patience=None), self._task.metric.direction)
        best: Snapshot | None = None
        for epoch in range(1, self._recipe.epochs + 1):
            history.epochs = epoch
            train_loss = self._epoch(epoch)
            value = self.score(self._data.validation, self._task.metric)
            if not (math.isfinite(train_loss) and math.isfinite(value)):
                history.stopped = "diverged"
                break
            history.curve.append((epoch, value))
            history.train_loss.append(train_loss)
            if watch is not None:
                watch(value, epoch)
            if tracker.update(value, epoch) and keep_best:
                best = self._flat.snapshot()
            if tracker.exhausted:
                history.stopped = "patience"
                break
            if halt is not None and epoch < self._recipe.epochs and halt():
                history.stopped = "pruned"
                break
        self._settle(best, tracker)

    def _settle(self, best: Snapshot | None, tracker: Tracker) -> None:
        """Decide which epoch's weights and value stand."""
        history = self.history
        if best is not None:
            self._flat.restore(best)
            history.best_epoch, history.value = tracker.best_epoch, tracker.best
        elif history.curve and history.stopped != "diverged":
            history.best_epoch, history.value = history.curve[-1]

    def _context(self) -> AbstractContextManager[object]:
        # A network that draws from the default generator must not be disturbed, nor disturb.
        return self._noise if self._noise.used else nullcontext()

    def _epoch(self, epoch: int) -> float:
        """Visit every training sample once; return the mean loss over them."""
        self.network.train()
        lr = self._recipe.lr_at(epoch)
        batches = self._batches(epoch)
        losses: list[Tensor] = []
        if epoch == 1:
            with self._noise:  # the first step shows whether the network draws by itself
                losses.append(self._step(batches[0], lr, check=True))
        with self._context():
            losses += [self._step(rows, lr) for rows in batches[len(losses) :]]
        sizes = [len(rows) for rows in batches]
        values: list[float] = torch.stack(losses).tolist()  # the epoch's one synchronisation
        return sum(v * n for v, n in zip(values, sizes, strict=True)) / sum(sizes)

    def _batches(self, epoch: int) -> list[Tensor]:
        """Row numbers of each step's samples; a last batch of one joins the one before it."""
        n = len(self._data.train.y)
        order = torch.from_numpy(epoch_order(n, self._data_seed, epoch))
        if self.device.type == "cuda":
            order = order.pin_memory().to(self.device, non_blocking=True)
        batches = list(torch.split(order, self.batch_size))
        if len(batches) > 1 and len(batches[-1]) == 1 < self.batch_size:
            batches[-2:] = [torch.cat(batches[-2:])]  # batch normalisation fails on one sample
        return batches

    def _step(self, rows: Tensor, lr: float, check: bool = False) -> Tensor:
        X, y = self._data.train
        targets = y.index_select(0, rows)
        flat, recipe, task = self._flat, self._recipe, self._task
        flat.gradient.zero_()
        outputs = self.network(X.index_select(0, rows))
        if check:
            check_outputs(outputs, targets, task.loss, task.n_classes)
        loss = task.loss_function(outputs, targets)
        if check:
            check_loss(loss)
        loss.backward()  # type: ignore[no-untyped-call]
        flat.penalise(recipe.l1, recipe.l2)
        self._optimizer.step(lr)
        return loss.detach()

    def outputs(self, X: Tensor) -> Tensor:
        """Return the outputs for all of `X`, (n, ...), without dropout."""
        return evaluate(self.network, X, self._task.evaluation_rows, self._context())

    def score(self, part: Part, metric: Metric) -> float:
        """Return the metric of the network, as it is now, on a part."""
        return metric(self.outputs(part.X), part.y)


def evaluate(
    network: nn.Module,
    X: Tensor,
    rows: int,
    context: AbstractContextManager[object] | None = None,
) -> Tensor:
    """Apply `network` to `X` in evaluation mode, at most `rows` samples at a time."""
    network.eval()
    with torch.no_grad(), context or nullcontext():
        pieces = [network(piece) for piece in torch.split(X, rows)]
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces)
