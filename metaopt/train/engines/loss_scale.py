"""Dynamic loss scaling for training in float16, like torch.amp.GradScaler.

Notation: s is the scale, L the loss, g the gradient of s L with respect to the weights. float16
represents 6e-8 to 65504: without s small gradients would become 0, with too large an s some would
overflow. As in Micikevicius et al. (2018), section 3.2, and torch.amp.GradScaler: a step whose g
is not finite is skipped and halves s; s doubles after `GROW_EVERY` steps in a row without a skip.

Nothing is read back from the device: whether a step is skipped is a tensor, and `torch.where`
selects between the old and the new values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from metaopt.train.runtime.checkpoint import State, copy_all, numbered

FIRST = 2.0**16  # the initial scale
GROWTH, BACKOFF = 2.0, 0.5
GROW_EVERY = 2000  # steps in a row that were not skipped


class LossScale:
    """The loss scale of one network; also records which steps of an epoch were skipped.

    Args:
        network: its floating-point buffers are protected from batches that overflow.
        device: of the network.

    Attributes:
        scale: s, a tensor () of float32.
        taken: steps in a row that were not skipped since s last changed, a tensor () of int32.

    """

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self.scale = torch.full((), FIRST, dtype=torch.float32, device=device)
        self.taken = torch.zeros((), dtype=torch.int32, device=device)
        self._finite: list[Tensor] = []
        self._buffers = [b.detach() for b in network.buffers() if b.is_floating_point()]
        self._before: list[Tensor] = []

    def begin(self) -> None:
        """Copy the buffers at the beginning of a step."""
        self._before = [buffer.clone() for buffer in self._buffers]

    def __call__(self, loss: Tensor) -> Tensor:
        """Return s L."""
        return loss * self.scale

    @torch.no_grad()
    def unscale(self, gradient: Tensor) -> Tensor:
        """Divide g by s in place and update s; return whether all of g was finite, a tensor ().

        Values in buffers that are no longer finite are set back to those before the step:
        otherwise one batch that overflows would spoil running means for all later steps.
        """
        finite = gradient.isfinite().all()
        gradient.mul_(self.scale.double().reciprocal().float())
        taken = self.taken + 1
        grows = finite & (taken >= GROW_EVERY)
        larger = self.scale * GROWTH
        larger = torch.where(larger.isfinite(), larger, self.scale)
        kept = torch.where(grows, larger, self.scale)
        self.scale.copy_(torch.where(finite, kept, self.scale * BACKOFF))
        self.taken.copy_(torch.where(finite & ~grows, taken, 0))
        self._finite.append(finite)
        for buffer, old in zip(self._buffers, self._before, strict=True):
            buffer.copy_(torch.where(finite | buffer.isfinite(), buffer, old))
        return finite

    def mean(self, losses: Tensor, sizes: Sequence[int]) -> float:
        """Return the mean over samples from the means over batches, `losses` (S,).

        Non-finite losses of skipped steps are left out. If no loss is left, training has
        diverged and the mean is NaN. This is the only device synchronisation of an epoch.
        """
        skipped = ~torch.stack(self._finite)
        self._finite.clear()
        out = (skipped & ~losses.isfinite()).to(losses.dtype)
        values, outs = torch.stack([losses, out]).tolist()
        counted = [(v, n) for v, n, gone in zip(values, sizes, outs, strict=True) if not gone]
        total = sum(n for _, n in counted)
        return sum(v * n for v, n in counted) / total if total else math.nan

    def state(self) -> dict[str, Tensor]:
        """Return s and the count of steps, for a checkpoint."""
        return numbered("scale", [self.scale, self.taken])

    def load(self, state: State) -> None:
        """Restore what `state` returned."""
        copy_all("scale", state, [self.scale, self.taken])
