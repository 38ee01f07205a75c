"""Base class of the engines, which train K networks in lockstep, and `Member`, one such network.

Notation: K members, each a network with its own recipe, in rows 0..K-1 of the engine. All members
take steps of the same sizes, either on the same samples or each on the samples of its own split.
The random numbers of a member (initial weights, dropout) depend on its own seed only. Rows never
mix: a member gives the same result whether trained alone or in a batch, and a member that diverges
or leaves does not change the others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from metaopt.core.errors import TrainingError
from metaopt.core.seeds import derive
from metaopt.train.data.batches import Feed
from metaopt.train.data.preparation import Prepared
from metaopt.train.runtime.checkpoint import Checkpoint, Keeper, State, listed, numbered
from metaopt.train.runtime.resources import Cost
from metaopt.train.runtime.rng import Noise
from metaopt.train.settings.history import Progress, Task
from metaopt.train.settings.hyperparameters import Recipe
from metaopt.train.settings.metrics import LossFunction, check_loss, check_untouched


@dataclass(eq=False)
class Member:
    """One network with everything that its training needs.

    Attributes:
        network: starts with the initial weights; at the end it has the weights of the epoch whose
            metric is reported.
        recipe: the hyper-parameters of the training.
        data: the split with the training and validation samples.
        task: the loss, the metric and the rules that are the same for all runs of a trainer.
        seed: for dropout and other random numbers that the network draws.
        data_seed: for the order of the samples.
        epochs: number of epochs to train; None for the number in the recipe, which is always the
            horizon of the learning-rate schedule.
        progress: learning curve and early stopping so far.
        noise: generator state for networks that draw random numbers themselves.
        engine: name of the engine that trains it.
        cost: its share of the computing time so far.
        error: the exception that ended its training, if any.
        keeper: writes its checkpoints; None without checkpoints.
        resumed: the checkpoint of an interrupted attempt that it continues from, if any.
        device_index: index of its device in the trainer's list of devices.

    """

    network: nn.Module
    recipe: Recipe
    data: Prepared
    task: Task
    seed: int
    data_seed: int
    epochs: int | None = None
    progress: Progress = field(init=False)
    noise: Noise = field(init=False)
    engine: str = ""
    cost: Cost = field(default_factory=Cost)
    error: Exception | None = None
    keeper: Keeper | None = None
    resumed: Checkpoint | None = None
    device_index: int = 0

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Reset to the state before the first epoch; also after a failed attempt."""
        self.resumed = None
        self.progress = Progress(self.task, self.epochs or self.recipe.epochs)
        self.noise = Noise(derive(self.seed, "noise"), self.device)
        self.error = None

    @property
    def epoch(self) -> int:
        """Number of epochs trained so far."""
        return self.progress.history.epochs

    @property
    def over(self) -> bool:
        """Whether its training has ended or failed."""
        return self.error is not None or self.progress.ended

    def resume(self, found: Checkpoint) -> None:
        """Continue from a checkpoint; call `replay` for each epoch of it afterwards."""
        self.resumed, self.engine = found, found.engine
        self.noise.load(listed("noise", found.state))
        self.cost.add(found.cost)

    def replay(self, epoch: int) -> None:
        """Take the results of an epoch from the checkpoint instead of training it."""
        assert self.resumed is not None
        self.progress.take(epoch, self.resumed.losses[epoch - 1], self.resumed.values[epoch - 1])

    def keep(self, state: Mapping[str, Tensor]) -> None:
        """Write a checkpoint with the engine's state of this member."""
        assert self.keeper is not None
        history = self.progress.history
        values = tuple(value for _, value in history.curve)
        state = {**state, **numbered("noise", self.noise.states())}
        cost = self.cost.read()
        self.keeper.write(Checkpoint(tuple(history.train_loss), values, cost, self.engine, state))

    @property
    def keeps(self) -> bool:
        """Whether a checkpoint is due; never for a member that failed or diverged."""
        history = self.progress.history
        whole = self.error is None and len(history.curve) == history.epochs
        due = self.keeper is not None and history.epochs % self.keeper.every == 0
        return whole and (due or (self.keeper is not None and self.progress.ended))

    @property
    def device(self) -> torch.device:
        return self.data.train.X.device

    @property
    def batch_size(self) -> int:
        """Samples per step: all of them for "gd", otherwise at most all of them."""
        n = len(self.data.train.y)
        return n if self.recipe.optimizer == "gd" else min(self.recipe.batch_size, n)


class Engine(ABC):
    """Base class of engines, which train members in lockstep.

    Attributes:
        name: recorded with every trial.
        members: in the order of the rows.
        feed: the batches of samples for all members.
        errors: exceptions of the last epoch, by row; a loss function may fail for one member only.
        admits: whether members may join while others are being trained; members may then be at
            different epochs.

    """

    name: ClassVar[str]
    admits: ClassVar[bool] = False

    def __init__(self, members: Sequence[Member]) -> None:
        self.errors: dict[int, Exception] = {}
        self._become(members)

    def _become(self, members: Sequence[Member]) -> None:
        """Take over these members, in the order of the rows."""
        self.members = list(members)
        for member in self.members:
            member.engine = self.name
        self.feed = feed_of(self.members)

    @abstractmethod
    def train(self, epoch: int) -> list[float]:
        """Visit every training sample once; return each member's mean loss over them.

        Args:
            epoch: number of the epoch for the first member, from 1. It holds for all members
                unless some have joined later; those train their own, ``member.epoch + 1``.

        """

    @abstractmethod
    def outputs(self) -> Tensor | list[Tensor]:
        """Return the outputs (K, n, ...) for the validation samples, in evaluation mode."""

    @abstractmethod
    def keep(self, rows: Sequence[int]) -> None:
        """Save a copy of the current weights of these rows, as their best so far."""

    @abstractmethod
    def settle(self, row: int, kept: bool) -> None:
        """Write the saved weights (if `kept`) or the current ones into the member's network."""

    def select(self, rows: Sequence[int]) -> None:
        """Drop all other rows; the given ones (ascending) become rows 0, 1, ..."""
        self._become([self.members[k] for k in rows])

    def admit(self, members: Sequence[Member], states: Sequence[State | None]) -> None:
        """Add members between two epochs; the order of the rows may change.

        Args:
            members: new members, of the same architecture and step sizes as the present ones.
            states: what `state` of an engine of the same class returned for each; None for a
                member that starts with its first epoch.

        Raises:
            NotImplementedError: `admits` is false.
            Exception: out of memory; the engine must then be closed.

        """
        raise NotImplementedError(f"the engine {self.name!r} cannot add members")

    @abstractmethod
    def state(self, row: int) -> dict[str, Tensor]:
        """Return what a checkpoint needs to resume a member, except the state of its `noise`."""

    @abstractmethod
    def load(self, states: Sequence[State]) -> None:
        """Restore what `state` returned for each row; all rows must be at the same epoch."""

    def close(self) -> None:
        """Release the networks and memory."""


def feed_of(members: Sequence[Member]) -> Feed:
    """Return the batches of members whose splits and batches have equal sizes."""
    return Feed(
        [m.data.train for m in members],
        [m.data.validation for m in members],
        [m.data_seed for m in members],
        members[0].batch_size,
        [m.epoch - members[0].epoch for m in members],
    )


def mean_losses(losses: Tensor, sizes: Sequence[int]) -> list[float]:
    """Return each member's mean over samples from its means over batches, `losses` (S, K).

    This is the only device synchronisation of an epoch.
    """
    total = sum(sizes)
    columns: list[list[float]] = losses.t().tolist()
    return [sum(v * n for v, n in zip(c, sizes, strict=True)) / total for c in columns]


def own_loss(
    function: LossFunction,
    outputs: Tensor,
    targets: Sequence[Tensor] | Tensor,
    errors: dict[int, Exception],
) -> tuple[Tensor, Tensor]:
    """Apply a user-defined loss to the outputs (K, B, ...) and targets of each member.

    Args:
        function: the loss of one member.
        outputs: of all members, (K, B, ...).
        targets: of each member, (B, ...).
        errors: by row; gets the exceptions that the loss raises.

    Returns:
        The losses (K,) and their gradients with respect to the outputs (K, B, ...). A member
        whose loss raises gets NaN and a zero gradient.

    """
    values, gradients = [], []
    for row, (member_outputs, member_targets) in enumerate(zip(outputs, targets, strict=True)):
        leaf, versions = member_outputs.detach().requires_grad_(), [member_targets._version]
        try:
            with torch.enable_grad():
                loss = function(leaf, member_targets)
                check_loss(loss)
                (found,) = torch.autograd.grad(loss, leaf, allow_unused=True)
                check_untouched(versions, member_targets)
                if found is None:
                    raise TrainingError("loss(outputs, targets) does not depend on the outputs")
                gradient = found
            values.append(loss.detach().to(outputs.dtype))
        except Exception as error:
            errors.setdefault(row, error)
            values.append(outputs.new_full((), torch.nan))
            gradient = torch.zeros_like(leaf)
        gradients.append(gradient)
    return torch.stack(values), torch.stack(gradients)
