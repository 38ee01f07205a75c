"""Pieces of batched programs: dropout masks and the cross-entropy, member by member."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from metaopt.train.noise import Bits, threshold

Write = Callable[[], None]


class Mask:
    """The masks of one dropout layer of K members, each from its own stream.

    Args:
        p: probability of a zero, by member; 0 for members without this layer.
        bits: their streams; None where `p` is 0 or 1.
        dtype, device: of the masks.
        units: how many units of a layer a member has, if not all; the rest draws nothing.

    """

    def __init__(
        self,
        p: Sequence[float],
        bits: Sequence[Bits | None],
        dtype: torch.dtype,
        device: torch.device,
        units: Sequence[int] | None = None,
    ) -> None:
        self._bits = bits
        self._units = units
        self._dtype, self._device = dtype, device
        limits = torch.tensor([threshold(x) for x in p], dtype=torch.int32, device=device)
        scales = [0.0 if x == 1 else 1 / (1 - x) for x in p]
        self._threshold = limits.view(-1, 1, 1)
        self._scale = torch.tensor(scales, dtype=dtype, device=device).view(-1, 1, 1)
        self._rooms: dict[tuple[int, int], tuple[Tensor, Tensor, list[Write]]] = {}

    def draw(self, n: int, units: int) -> Tensor:
        """Return new masks (K, n, units) of 0 and 1 / (1 - p); the next call overwrites them."""
        room = self._rooms.get((n, units))
        if room is None:
            room = self._rooms[n, units] = self._make_room(n, units)
        drawn, mask, writes = room
        for write in writes:
            write()
        return torch.ge(drawn, self._threshold, out=mask).mul_(self._scale)

    def _make_room(self, n: int, units: int) -> tuple[Tensor, Tensor, list[Write]]:
        """Integers, masks, and what writes new integers into each row that needs them."""
        shape = len(self._bits), n, units
        drawn = torch.zeros(shape, dtype=torch.int32, device=self._device)
        writes: list[Write] = []
        # Views are made once: for a small layer they cost more than drawing.
        for row, bits in enumerate(self._bits):
            if bits is not None:
                out = drawn[row, :, : units if self._units is None else self._units[row]]
                on_cpu = self._device.type == "cpu"
                writes.append(
                    partial(bits.write, out.numpy()) if on_cpu else partial(bits.write_tensor, out)
                )
        return drawn, drawn.to(self._dtype), writes


def pull_cross_entropy(
    z: Tensor, y: Tensor, targets: Tensor, losses: Tensor, share: Tensor | None = None
) -> Tensor:
    """Return the gradient of the members' cross-entropies by their outputs.

    Args:
        z: (K, C, B), classes before samples.
        y: the classes (B,), or of each member (K, B).
        targets: onehot(y) / B as (C, B) or (K, C, B); without the 1 / B if shares are given.
        losses: (K, B), overwritten by -log softmax(z)[y], times B share.
        share: of each sample in the loss, (B,) or (K, B), of sum 1; None is 1 / B.

    Returns:
        share (softmax(z) - onehot(y)), (K, C, B).

    """
    n = z.shape[2]
    logs = torch.log_softmax(z, 1)
    torch.neg(logs.gather(1, y.unsqueeze(-2).expand(len(z), 1, n)).squeeze(1), out=losses)
    if share is None:
        return logs.exp_().mul_(1 / n).sub_(targets)
    losses.mul_(share * n)
    return logs.exp_().sub_(targets).mul_(share.unsqueeze(-2))
