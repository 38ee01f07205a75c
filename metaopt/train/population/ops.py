"""Building blocks of the batched engines: matrix products, dropout masks, cross-entropy.

Each computes K members at once and gives each member the same bits as for K = 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import gcd

import torch
import torch.nn.functional as F
from torch import Tensor

from metaopt.train.runtime.rng import Bits, threshold
from metaopt.train.settings.metrics import LossFunction, WeightedCrossEntropy

VECTORS = 64  # numbers; a multiple of the vector width of PyTorch's elementwise loops
ALIGNED = 16  # bytes; products of matrices that start at multiples of it use the same code
Write = Callable[[], None]


def multiply(
    a: Tensor, b: Tensor, start: Tensor | None = None, out: Tensor | None = None
) -> Tensor:
    """Return the batched product a b, or start + a b, with the same bits per matrix for any K.

    PyTorch sums in another order if a factor or the result does not start at a multiple of
    `ALIGNED` bytes. In a stack of matrices this happens unless their sizes fit, so they are padded.

    Args:
        a: (K, r, s).
        b: (K, s, c).
        start: (K, r or 1, c or 1); None for 0.
        out: (K, r, c), overwritten and returned; None for a new tensor.

    Returns:
        The products, (K, r, c).

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
    """Copy (K, rows, columns) so that each matrix is aligned; the memory order stays the same."""
    if x.stride(0) == 0:
        return x
    numbers = x.shape[1] * x.shape[2]
    buffer = x.new_empty(len(x), -(-numbers // unit) * unit)
    turned = x.stride(1) < x.stride(2)
    strides = (1, x.shape[1]) if turned else (x.shape[2], 1)
    begun: Tensor = buffer.as_strided(x.shape, (buffer.stride(0), *strides))
    return begun.copy_(x)


class Mask:
    """The masks of one dropout layer for K members, each with its own random stream.

    Args:
        p: dropout probability of each member; 0 for members without this layer.
        bits: random streams of the members; None where `p` is 0 or 1.
        dtype, device: of the masks.
        units: number of units that each member has without padding; None if none is padded.
            Nothing is drawn for padding.

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
        self._buffers: dict[tuple[int, int], tuple[Tensor, Tensor, list[Write]]] = {}

    def draw(self, n: int, units: int) -> Tensor:
        """Return new masks (K, n, units) of 0 and 1 / (1 - p); the next call overwrites them."""
        buffer = self._buffers.get((n, units))
        if buffer is None:
            buffer = self._buffers[n, units] = self._make_buffer(n, units)
        drawn, mask, writes = buffer
        for write in writes:
            write()
        return torch.ge(drawn, self._threshold, out=mask).mul_(self._scale)

    def _make_buffer(self, n: int, units: int) -> tuple[Tensor, Tensor, list[Write]]:
        """Return buffers for the integers and masks, and the functions that draw the integers."""
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
    """Return the gradient of each member's cross-entropy with respect to its outputs.

    Args:
        z: outputs (K, C, B), classes before samples.
        y: classes (B,), or (K, B) if each member has its own.
        targets: onehot(y) / B, (C, B) or (K, C, B); without the factor 1 / B if `share` is given.
        losses: (K, B), overwritten by -log softmax(z)[y] times B share.
        share: weight of each sample in the loss, (B,) or (K, B), with sum 1; None is 1 / B.

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
    """The cross-entropy of K members with C outputs each, with or without class weights.

    Args:
        loss: the loss of the trainer, which has the class weights, if any.
        outputs: C, including padding.
        like: a tensor with the dtype and device of the outputs.

    """

    def __init__(self, loss: LossFunction, outputs: int, like: Tensor) -> None:
        self._eye = torch.eye(outputs, dtype=like.dtype, device=like.device)
        self._shares: dict[int, Tensor] = {}  # eye / B, for each B
        self._weights: Tensor | None = None
        if isinstance(loss, WeightedCrossEntropy):
            self._weights = F.pad(loss.weights, (0, outputs - len(loss.weights))).to(self._eye)

    def pull(self, z: Tensor, y: Tensor, losses: Tensor) -> Tensor:
        """Write the losses (K, B); return the gradients with respect to z (K, C, B).

        `y` holds the classes: (B,) if all members share them, else (K, B).
        """
        n, share = y.shape[-1], None
        if self._weights is None:
            eye = self._shares.get(n)
            if eye is None:
                eye = self._shares[n] = self._eye / n
        else:
            eye, weights = self._eye, self._weights.take(y)
            # Not `sum`: its order of summation depends on the number of rows.
            share = weights / weights.cumsum(-1)[..., -1:]
        targets = eye.index_select(1, y.flatten()).view(len(eye), *y.shape)
        targets = targets if y.ndim == 1 else targets.transpose(0, 1)
        return pull_cross_entropy(z, y, targets, losses, share)
