"""The samples of members that train in step: gathered once for all who share them.

Notation: K members and B samples a step. Members of one split get (B, ...); if a team holds
members of several splits (folds, say), each gets its own samples, stacked member by member,
(K, B, ...). All splits of a team are of the same size, so that all members take the same steps.
Members that began later than others are at earlier epochs, and so in another order of samples:
they too get their own.
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

GATHER_WHOLE = 2**26  # bytes of inputs below which an epoch is brought into order all at once
KEPT_SAMPLES = 2**16  # up to which the orders of epochs are kept


class Feed:
    """Batches for K members.

    Args:
        train: the training part of each member.
        validation: its validation part.
        data_seeds: what the order of its samples derives from.
        batch_size: samples a step.
        ahead: by how many epochs each member is ahead of the first; None for 0 throughout.

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
        of: dict[tuple[int, int], int] = {}  # a tensor's identity and the seed: number of a split
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
        orders: dict[tuple[int, int], int] = {}  # a split and how far ahead: number of an order
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
        """Whether all members have the same samples to validate on."""
        return len(self._train) == 1

    @property
    def n(self) -> int:
        """Training samples."""
        return len(self._train[0].y)

    @property
    def sizes(self) -> list[int]:
        """Samples of each step."""
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
        """Inputs and targets of each step, in an epoch of the first member."""
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
        """The same samples for all, each in the order of its own epoch: gathered in one go."""
        rows = [torch.stack(step)[self._order_of] for step in zip(*steps, strict=True)]
        pairs = gathered(self._train[0], [own.view(-1) for own in rows])
        for (X, y), own in zip(pairs, rows, strict=True):
            yield X.view(*own.shape, *X.shape[1:]), y.view(*own.shape, *y.shape[1:])

    def _of_members(self, parts: Sequence[Part], of: Tensor) -> Part:
        X = torch.stack([p.X for p in parts]).index_select(0, of)
        return Part(X, torch.stack([p.y for p in parts]).index_select(0, of))

    def close(self) -> None:
        """Give up an epoch that did not come to its end, as when a step raised."""
        for pairs in self._begun:
            pairs.close()

    def validation(self) -> Part:
        """All that is validated on: (n, ...) or (K, n, ...)."""
        if self._validated is None:
            parts = self._validation
            alike = self.validated_alike
            self._validated = parts[0] if alike else self._of_members(parts, self._splits)
        return self._validated


def step_sizes(n: int, size: int) -> list[int]:
    """Samples of each step; a last batch of one joins the one before it."""
    whole, rest = divmod(n, size)
    sizes = [size] * whole + [rest] * (rest > 0)
    if len(sizes) > 1 and rest == 1:
        sizes[-2:] = [size + 1]  # batch normalisation fails on one sample
    return sizes


def batches(n: int, size: int, data_seed: int, epoch: int, device: torch.device) -> list[Tensor]:
    """Row numbers of each step's samples."""
    make = _kept_order if n <= KEPT_SAMPLES else _order
    order = make(n, data_seed, epoch)
    if device.type == "cuda":
        order = order.pin_memory().to(device, non_blocking=True)
    return list(torch.split(order, step_sizes(n, size)))


def _order(n: int, data_seed: int, epoch: int) -> Tensor:
    return torch.from_numpy(epoch_order(n, data_seed, epoch))


# Members of different ages visit the same epochs at different times, batches one after the other.
_kept_order = lru_cache(maxsize=128)(_order)


def gathered(part: Part | StreamedPart, steps: Sequence[Tensor], times: int = 1) -> Pairs:
    """Inputs and targets of each step; `times` as many are gathered side by side."""
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
