"""Pieces of batched programs: products, dropout masks, the cross-entropy, member by member."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import gcd

import torch
import torch.nn.functional as F
from torch import Tensor

from metaopt.train.runtime.rng import Bits, threshold
from metaopt.train.settings.metrics import LossFunction, WeightedCrossEntropy

VECTORS = 64  # numbers; a multiple of what PyTorch's elementwise loops take at a time
ALIGNED = 16  # bytes at whose multiples PyTorch's products treat all matrices alike
Write = Callable[[], None]


def multiply(
    a: Tensor, b: Tensor, start: Tensor | None = None, out: Tensor | None = None
) -> Tensor:
    """Return a b, or start + a b, in which every matrix is computed as it would be alone.

    PyTorch's products sum another way for a matrix that begins in the middle of a vector, be it a
    factor or the result; in a stack of matrices most would, unless their sizes fit.

    Args:
        a: (K, r, s).
        b: (K, s, c).
        start: (K, r or 1, c or 1).
        out: (K, r, c), overwritten and returned.

    """
    (_, rows, inner), columns, unit = a.shape, b.shape[2], ALIGNED // a.element_size()
    if rows * columns % unit:
        surplus = -columns % (unit // gcd(rows, unit))
        if start is not None and start.shape[2] > 1:
            start = F.pad(start, (0, surplus))
        found = multiply(a, F.pad(b, (0, surplus)), start)[:, :, :columns]
        return found.contiguous() if out is None else out.copy_(found)
    if rows * inner % unit:
        a = _aligned(a, unit)
    if inner * columns % unit:
        b = _aligned(b, unit)
    if start is None:
        return torch.bmm(a, b) if out is None else torch.bmm(a, b, out=out)
    return torch.baddbmm(start, a, b) if out is None else torch.baddbmm(start, a, b, out=out)


def _aligned(x: Tensor, unit: int) -> Tensor:
    """Have every matrix of (K, rows, columns) begin at a whole vector, laid out as it was."""
    if x.stride(0) == 0:
        return x
    numbers = x.shape[1] * x.shape[2]
    room = x.new_empty(len(x), -(-numbers // unit) * unit)
    turned = x.stride(1) < x.stride(2)
    strides = (1, x.shape[1]) if turned else (x.shape[2], 1)
    begun: Tensor = room.as_strided(x.shape, (room.stride(0), *strides))
    return begun.copy_(x)


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


class CrossEntropy:
    """The cross-entropy, weighted by class or not, of K members with C outputs each.

    Args:
        loss: the trainer's, which has the weights if there are any.
        outputs: C, of which the last may be padding.
        like: a tensor of the outputs' type and device.

    """

    def __init__(self, loss: LossFunction, outputs: int, like: Tensor) -> None:
        self._eye = torch.eye(outputs, dtype=like.dtype, device=like.device)
        self._shares: dict[int, Tensor] = {}  # eye / B, by B
        self._weights: Tensor | None = None
        if isinstance(loss, WeightedCrossEntropy):
            self._weights = F.pad(loss.weights, (0, outputs - len(loss.weights))).to(self._eye)

    def pull(self, z: Tensor, y: Tensor, losses: Tensor) -> Tensor:
        """Write the losses (K, B), and return the gradients by z (K, C, B).

        `y` holds the classes of all members (B,), or of each (K, B).
        """
        n, share = y.shape[-1], None
        if self._weights is None:
            eye = self._shares.get(n)
            if eye is None:
                eye = self._shares[n] = self._eye / n
        else:
            eye, weights = self._eye, self._weights.take(y)
            # Not `sum`, whose order depends on how many rows there are.
            share = weights / weights.cumsum(-1)[..., -1:]
        targets = eye.index_select(1, y.flatten()).view(len(eye), *y.shape)
        targets = targets if y.ndim == 1 else targets.transpose(0, 1)
        return pull_cross_entropy(z, y, targets, losses, share)
