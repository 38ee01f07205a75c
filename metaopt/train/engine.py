"""The contract of an engine: K networks that train in step, epoch by epoch.

Notation: K members, each a network with a recipe of its own, in rows 0..K-1 of the engine. All
visit the same samples in the same order, in batches of one size; what a member draws (initial
weights, dropout) depends on its own seed only. Rows never mix, so a member's results are those
that it has alone, and a member that diverges or leaves changes nothing for the others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from metaopt.seeds import derive
from metaopt.train.data import Prepared
from metaopt.train.metrics import LossFunction, check_loss
from metaopt.train.noise import Noise
from metaopt.train.progress import Progress, Task
from metaopt.train.recipe import Recipe
from metaopt.train.resources import Cost
from metaopt.train.splitting import epoch_order

GATHER_WHOLE = 2**26  # bytes of inputs below which an epoch is brought into order all at once


@dataclass(eq=False)
class Member:
    """One network and how it is to be trained.

    Attributes:
        network: has the initial weights, and at the end those that its value belongs to.
        watch: told the metric and the number of every epoch that stayed finite.
        halt: asked after every epoch that others would follow whether to stop ("pruned").
        progress: what has happened so far.
        noise: randomness of the network's own.
        engine: the name of what trains it.
        cost: its share of what ran so far.
        error: what made the training impossible, if anything did.

    """

    network: nn.Module
    recipe: Recipe
    data: Prepared
    task: Task
    seed: int
    data_seed: int
    watch: Callable[[float, int], None] | None = None
    halt: Callable[[], bool] | None = None
    progress: Progress = field(init=False)
    noise: Noise = field(init=False)
    engine: str = ""
    cost: Cost = field(default_factory=Cost)
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget an attempt that failed in its first epoch."""
        self.progress = Progress(self.task, self.recipe.epochs)
        self.noise = Noise(derive(self.seed, "noise"), self.device)
        self.error = None

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

    """

    name: ClassVar[str]

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = list(members)
        for member in self.members:
            member.engine = self.name
        self.errors: dict[int, Exception] = {}

    @abstractmethod
    def train(self, epoch: int) -> list[float]:
        """Visit every training sample once; return each member's mean loss over them."""

    @abstractmethod
    def outputs(self, X: Tensor) -> Tensor | list[Tensor]:
        """Return the outputs (K, n, ...) for all of `X`, (n, ...), without dropout."""

    @abstractmethod
    def keep(self, rows: Sequence[int]) -> None:
        """Remember the weights that these rows have now."""

    @abstractmethod
    def settle(self, row: int, kept: bool) -> None:
        """Give the member's network its weights: the kept ones, or those of now."""

    @abstractmethod
    def select(self, rows: Sequence[int]) -> None:
        """Go on with these rows only (ascending), which become 0, 1, ..."""

    def close(self) -> None:
        """Let go of the networks."""


def batches(n: int, size: int, data_seed: int, epoch: int, device: torch.device) -> list[Tensor]:
    """Row numbers of each step's samples; a last batch of one joins the one before it."""
    order = torch.from_numpy(epoch_order(n, data_seed, epoch))
    if device.type == "cuda":
        order = order.pin_memory().to(device, non_blocking=True)
    parts = list(torch.split(order, size))
    if len(parts) > 1 and len(parts[-1]) == 1 < size:
        parts[-2:] = [torch.cat(parts[-2:])]  # batch normalisation fails on one sample
    return parts


def gathered(X: Tensor, y: Tensor, steps: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs and targets of each step, gathered once for all members."""
    if X.numel() * X.element_size() > GATHER_WHOLE:
        for rows in steps:
            yield X.index_select(0, rows), y.index_select(0, rows)
        return
    order, sizes = torch.cat(list(steps)), [len(rows) for rows in steps]
    parts = (torch.split(whole.index_select(0, order), sizes) for whole in (X, y))
    yield from zip(*parts, strict=True)


def mean_losses(losses: Tensor, sizes: Sequence[int]) -> list[float]:
    """Mean over samples from the means over batches, (S, K): the epoch's one synchronisation."""
    total = sum(sizes)
    columns: list[list[float]] = losses.t().tolist()
    return [sum(v * n for v, n in zip(c, sizes, strict=True)) / total for c in columns]


def own_loss(
    function: LossFunction, outputs: Tensor, targets: Tensor, errors: dict[int, Exception]
) -> tuple[Tensor, Tensor]:
    """Apply a loss of the caller's to each member's outputs (K, B, ...).

    Returns:
        The losses (K,) and their gradients by the outputs (K, B, ...). A member whose loss
        raises gets NaN and a zero gradient, and its exception goes into `errors`.

    """
    values, gradients = [], []
    for row, member_outputs in enumerate(outputs):
        leaf = member_outputs.detach().requires_grad_()
        try:
            with torch.enable_grad():
                loss = function(leaf, targets)
                check_loss(loss)
                (gradient,) = torch.autograd.grad(loss, leaf)
            values.append(loss.detach().to(outputs.dtype))
        except Exception as error:
            errors.setdefault(row, error)
            values.append(outputs.new_full((), torch.nan))
            gradient = torch.zeros_like(leaf)
        gradients.append(gradient)
    return torch.stack(values), torch.stack(gradients)
