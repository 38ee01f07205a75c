"""Gradients in float16: a loss is scaled up before it is differentiated, and steps may be skipped.

Notation: s is the scale, L the loss, g the gradient of s L at the weights; float16 holds 6e-8 to
65504, so that without s small gradients would become 0, and with too large an s some overflow.
As in Micikevicius et al. (2018), section 3.2, and torch.amp.GradScaler: a step whose g is not
finite is skipped and halves s; s doubles after so many steps in a row that were taken.

Nothing is read back from the device: whether a step is skipped is a tensor, and the choice between
what was and what is a `torch.where`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from metaopt.train.runtime.checkpoint import State, copy_all, numbered

FIRST = 2.0**16
GROWTH, BACKOFF = 2.0, 0.5
GROW_EVERY = 2000  # steps taken in a row


class LossScale:
    """The scale of one network's loss, with which steps of an epoch were skipped.

    Attributes:
        scale: s, a tensor () of float32.
        taken: steps in a row since s last changed, a tensor () of int32.

    """

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self.scale = torch.full((), FIRST, dtype=torch.float32, device=device)
        self.taken = torch.zeros((), dtype=torch.int32, device=device)
        self._finite: list[Tensor] = []
        self._buffers = [b.detach() for b in network.buffers() if b.is_floating_point()]
        self._before: list[Tensor] = []

    def begin(self) -> None:
        """Remember the buffers at the beginning of a step."""
        self._before = [buffer.clone() for buffer in self._buffers]

    def __call__(self, loss: Tensor) -> Tensor:
        """Return s L."""
        return loss * self.scale

    @torch.no_grad()
    def unscale(self, gradient: Tensor) -> Tensor:
        """Divide g by s in place; return whether all of it was finite, (), and adapt s to that.

        A buffer's numbers that are no longer finite become what they were: one batch that
        overflows would spoil running means for good, though its step is skipped.
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
        """Mean over samples from the means over batches, (S,): the epoch's one synchronisation.

        A loss that is not finite does not count if its step was skipped; if no loss counts, the
        training has diverged, and the mean is NaN.
        """
        skipped = ~torch.stack(self._finite)
        self._finite.clear()
        out = (skipped & ~losses.isfinite()).to(losses.dtype)
        values, outs = torch.stack([losses, out]).tolist()
        counted = [(v, n) for v, n, gone in zip(values, sizes, outs, strict=True) if not gone]
        total = sum(n for _, n in counted)
        return sum(v * n for v, n in counted) / total if total else math.nan

    def state(self) -> dict[str, Tensor]:
        """Return s and the count, for a checkpoint."""
        return numbered("scale", [self.scale, self.taken])

    def load(self, state: State) -> None:
        """Go on from what `state` returned."""
        copy_all("scale", state, [self.scale, self.taken])
