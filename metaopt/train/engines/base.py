"""The contract of an engine: K networks that train in step, epoch by epoch.

Notation: K members, each a network with a recipe of its own, in rows 0..K-1 of the engine. All
take steps of the same sizes, on the same samples or each on those of its own split; what a member
draws (initial weights, dropout) depends on its own seed only. Rows never mix, so a member's
results are those that it has alone, and one that diverges or leaves changes nothing for others.
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
    """One network and how it is to be trained.

    Attributes:
        network: has the initial weights, and at the end those that its value belongs to.
        epochs: to train; None is all that the recipe says, which is the schedule's horizon.
        progress: what has happened so far.
        noise: randomness of the network's own.
        engine: the name of what trains it.
        cost: its share of what ran so far.
        error: what made the training impossible, if anything did.
        keeper: of its checkpoints, if there are any.
        resumed: what an attempt that was cut off has left, if anything.
        device_index: which of the trainer's devices it trains on, counted from 0.

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
        """Begin, or forget an attempt that failed."""
        self.resumed = None
        self.progress = Progress(self.task, self.epochs or self.recipe.epochs)
        self.noise = Noise(derive(self.seed, "noise"), self.device)
        self.error = None

    @property
    def epoch(self) -> int:
        """How many epochs it has trained."""
        return self.progress.history.epochs

    @property
    def over(self) -> bool:
        """Whether it trains no more."""
        return self.error is not None or self.progress.ended

    def resume(self, found: Checkpoint) -> None:
        """Go on from a checkpoint; `replay` then takes in its epochs, one by one."""
        self.resumed, self.engine = found, found.engine
        self.noise.load(listed("noise", found.state))
        self.cost.add(found.cost)

    def replay(self, epoch: int) -> None:
        """Take in an epoch of the checkpoint."""
        assert self.resumed is not None
        self.progress.take(epoch, self.resumed.losses[epoch - 1], self.resumed.values[epoch - 1])

    def keep(self, state: Mapping[str, Tensor]) -> None:
        """Write a checkpoint with the state that the engine has of this member."""
        assert self.keeper is not None
        history = self.progress.history
        values = tuple(value for _, value in history.curve)
        state = {**state, **numbered("noise", self.noise.states())}
        cost = self.cost.read()
        self.keeper.write(Checkpoint(tuple(history.train_loss), values, cost, self.engine, state))

    @property
    def keeps(self) -> bool:
        """Whether a checkpoint is due: not of what failed, which would not go on from there."""
        history = self.progress.history
        whole = self.error is None and len(history.curve) == history.epochs
        due = self.keeper is not None and history.epochs % self.keeper.every == 0
        return whole and (due or (self.keeper is not None and self.progress.ended))

    @property
    def device(self) -> torch.device:
        return self.data.train.X.device

    @property
    def batch_size(self) -> int:
        """Samples a step: all of them for "gd", at most all of them otherwise."""
        n = len(self.data.train.y)
        return n if self.recipe.optimizer == "gd" else min(self.recipe.batch_size, n)


class Engine(ABC):
    """Trains members in step.

    Attributes:
        name: recorded with every trial.
        members: row by row.
        errors: of the last epoch, by row: a member's own loss may fail without the others.
        admits: whether members may join while others are under way; then they are at different
            epochs, each at its own.

    """

    name: ClassVar[str]
    admits: ClassVar[bool] = False

    def __init__(self, members: Sequence[Member]) -> None:
        self.errors: dict[int, Exception] = {}
        self._become(members)

    def _become(self, members: Sequence[Member]) -> None:
        """Have these members, row by row."""
        self.members = list(members)
        for member in self.members:
            member.engine = self.name
        self.feed = feed_of(self.members)

    @abstractmethod
    def train(self, epoch: int) -> list[float]:
        """Visit every training sample once; return each member's mean loss over them.

        Args:
            epoch: of the first member, and of all others if no member has joined later; else each
                is at its own, ``member.epoch + 1``.

        """

    @abstractmethod
    def outputs(self) -> Tensor | list[Tensor]:
        """Return the outputs (K, n, ...) for the members' validation parts, without dropout."""

    @abstractmethod
    def keep(self, rows: Sequence[int]) -> None:
        """Remember the weights that these rows have now."""

    @abstractmethod
    def settle(self, row: int, kept: bool) -> None:
        """Give the member's network its weights: the kept ones, or those of now."""

    def select(self, rows: Sequence[int]) -> None:
        """Go on with these rows only (ascending), which become 0, 1, ..."""
        self._become([self.members[k] for k in rows])

    def admit(self, members: Sequence[Member], states: Sequence[State | None]) -> None:
        """Take in members between two epochs; only where `admits`. Rows may change their order.

        Args:
            members: that could have trained with these from the beginning.
            states: from which each goes on, by an engine of this kind; None begins.

        Raises:
            Exception: memory lacks; then nothing can be done with this engine but to close it.

        """
        raise NotImplementedError(f"the engine {self.name!r} takes in no one")

    @abstractmethod
    def state(self, row: int) -> dict[str, Tensor]:
        """Return all from which a member's training could go on, but for its own noise."""

    @abstractmethod
    def load(self, states: Sequence[State]) -> None:
        """Go on from what `state` returned for each row; all have trained the same epochs."""

    def close(self) -> None:
        """Let go of the networks."""


def feed_of(members: Sequence[Member]) -> Feed:
    """Return the samples of members whose splits and batches have the same sizes."""
    return Feed(
        [m.data.train for m in members],
        [m.data.validation for m in members],
        [m.data_seed for m in members],
        members[0].batch_size,
        [m.epoch - members[0].epoch for m in members],
    )


def mean_losses(losses: Tensor, sizes: Sequence[int]) -> list[float]:
    """Mean over samples from the means over batches, (S, K): the epoch's one synchronisation."""
    total = sum(sizes)
    columns: list[list[float]] = losses.t().tolist()
    return [sum(v * n for v, n in zip(c, sizes, strict=True)) / total for c in columns]


def own_loss(
    function: LossFunction,
    outputs: Tensor,
    targets: Sequence[Tensor] | Tensor,
    errors: dict[int, Exception],
) -> tuple[Tensor, Tensor]:
    """Apply a loss of the caller's to each member's outputs (K, B, ...) and targets.

    Returns:
        The losses (K,) and their gradients by the outputs (K, B, ...). A member whose loss
        raises gets NaN and a zero gradient, and its exception goes into `errors`.

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
