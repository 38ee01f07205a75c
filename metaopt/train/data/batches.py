"""Batches for members that train in step: samples that members share are gathered once.

Notation: K members and B samples per step. Members with the same split and epoch share one batch
(B, ...). If a team has members of several splits (folds, say), each member gets its own samples,
stacked to (K, B, ...). Members that joined later are at an earlier epoch and use its sample order,
so they get their own samples, too. All splits of a team have the same size, so that all members
take the same steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import lru_cache
from math import prod

import torch
from torch import Tensor

from metaopt.train.data.arrays import Part, StreamedPart
from metaopt.train.data.splitting import epoch_order
from metaopt.train.data.streams import Pairs, StreamedPasses, StreamedRows

GATHER_WHOLE = 2**26  # bytes of inputs up to which a whole epoch is gathered at once
KEPT_SAMPLES = 2**16  # up to which the sample orders of epochs are cached


class Feed:
    """Batches for K members.

    Args:
        train: the training part of each member.
        validation: the validation part of each member.
        data_seeds: seed of the sample order of each member.
        batch_size: samples per step.
        ahead: how many epochs each member is ahead of the first; None means 0 for all.

    """

    def __init__(
        self,
        train: Sequence[Part | StreamedPart],
        validation: Sequence[Part],
        data_seeds: Sequence[int],
        batch_size: int,
        ahead: Sequence[int] | None = None,
    ) -> None:
        self._batch_size = batch_size
        of: dict[tuple[int, int], int] = {}  # (id of the tensor, seed) -> number of the split
        splits = [
            of.setdefault((id(part.X), seed), len(of))
            for part, seed in zip(train, data_seeds, strict=True)
        ]
        firsts = [splits.index(k) for k in range(len(of))]
        self._train = [train[row] for row in firsts]
        self._validation = [validation[row] for row in firsts]
        self._seeds = [data_seeds[row] for row in firsts]
        self.device = train[0].X.device
        self._splits = torch.tensor(splits, device=self.device)
        ages = zip(splits, ahead or [0] * len(splits), strict=True)
        orders: dict[tuple[int, int], int] = {}  # (split, epochs ahead) -> number of the order
        numbers = [orders.setdefault(age, len(orders)) for age in ages]
        self._orders = list(orders)
        self._order_of = torch.tensor(numbers, device=self.device)
        self._validated: Part | None = None
        self._begun: list[Pairs] = []

    @property
    def shared(self) -> bool:
        """Whether all members have the same samples in every step."""
        return len(self._orders) == 1

    @property
    def validated_alike(self) -> bool:
        """Whether all members have the same validation samples."""
        return len(self._train) == 1

    @property
    def n(self) -> int:
        """Number of training samples."""
        return len(self._train[0].y)

    @property
    def sizes(self) -> list[int]:
        """Number of samples in each step."""
        return step_sizes(self.n, self._batch_size)

    def _steps(self, epoch: int, order: tuple[int, int]) -> list[Tensor]:
        split, ahead = order
        seed = self._seeds[split]
        return batches(self.n, self._batch_size, seed, epoch + ahead, self.device)

    def _pairs(self, epoch: int, order: tuple[int, int]) -> Pairs:
        split, ahead = order
        part = self._train[split]
        if isinstance(part.X, StreamedPasses):
            return part.X.epoch(epoch + ahead, self.sizes)
        return gathered(part, self._steps(epoch, order), len(self._orders))

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield inputs and targets of each step; `epoch` is that of the first member."""
        if not self.shared and self.validated_alike and isinstance(self._train[0].X, Tensor):
            yield from self._in_orders([self._steps(epoch, order) for order in self._orders])
            return
        streams = self._begun = [self._pairs(epoch, order) for order in self._orders]
        if self.shared:
            yield from streams[0]
            return
        for pairs in zip(*streams, strict=True):
            yield self._of_members([Part(*pair) for pair in pairs], self._order_of)

    def _in_orders(self, steps: Sequence[Sequence[Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
        """Gather samples of one split in one call, for each member in the order of its epoch."""
        rows = [torch.stack(step)[self._order_of] for step in zip(*steps, strict=True)]
        pairs = gathered(self._train[0], [own.view(-1) for own in rows])
        for (X, y), own in zip(pairs, rows, strict=True):
            yield X.view(*own.shape, *X.shape[1:]), y.view(*own.shape, *y.shape[1:])

    def _of_members(self, parts: Sequence[Part], of: Tensor) -> Part:
        X = torch.stack([p.X for p in parts]).index_select(0, of)
        return Part(X, torch.stack([p.y for p in parts]).index_select(0, of))

    def close(self) -> None:
        """Abandon an epoch that was not completed, for instance because a step raised an error."""
        for pairs in self._begun:
            pairs.close()

    def validation(self) -> Part:
        """Return the validation samples: (n, ...) if all members share them, else (K, n, ...)."""
        if self._validated is None:
            parts = self._validation
            alike = self.validated_alike
            self._validated = parts[0] if alike else self._of_members(parts, self._splits)
        return self._validated


def step_sizes(n: int, size: int) -> list[int]:
    """Return the number of samples in each step; a last batch of one joins the one before it."""
    whole, rest = divmod(n, size)
    sizes = [size] * whole + [rest] * (rest > 0)
    if len(sizes) > 1 and rest == 1:
        sizes[-2:] = [size + 1]  # batch normalisation fails on a single sample
    return sizes


def batches(n: int, size: int, data_seed: int, epoch: int, device: torch.device) -> list[Tensor]:
    """Return the row numbers of the samples of each step."""
    make = _kept_order if n <= KEPT_SAMPLES else _order
    order = make(n, data_seed, epoch)
    if device.type == "cuda":
        order = order.pin_memory().to(device, non_blocking=True)
    return list(torch.split(order, step_sizes(n, size)))


def _order(n: int, data_seed: int, epoch: int) -> Tensor:
    return torch.from_numpy(epoch_order(n, data_seed, epoch))


# Members at different epochs need the same orders at different times, as do batches of trials.
_kept_order = lru_cache(maxsize=128)(_order)


def gathered(part: Part | StreamedPart, steps: Sequence[Tensor], times: int = 1) -> Pairs:
    """Yield inputs and targets of each step; `times` is the number of gathers in parallel."""
    X = part.X
    if isinstance(X, StreamedRows):
        with closing(X.batches(steps)) as batches:
            for rows, inputs in zip(steps, batches, strict=True):
                yield inputs, part.y.index_select(0, rows)
        return
    assert isinstance(X, Tensor)
    size = times * sum(map(len, steps)) * prod(X.shape[1:]) * X.element_size()
    if size > GATHER_WHOLE:
        for rows in steps:
            yield X.index_select(0, rows), part.y.index_select(0, rows)
        return
    order, sizes = torch.cat(list(steps)), [len(rows) for rows in steps]
    whole = (torch.split(x.index_select(0, order), sizes) for x in (X, part.y))
    yield from zip(*whole, strict=True)
