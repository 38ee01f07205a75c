"""Stacked parameters, gradients and optimizer states of K networks of one architecture.

Notation: a region is one tensor (K, *shape) that holds one parameter of all members, or several
parameters next to each other. Weights (parameters of two or more dimensions) come before biases, so
that penalties act on the first `n_weights` regions. w are the parameters, g the gradients, a and v
the two states of the optimizer. Each region is contiguous, because PyTorch's batched products use a
slow loop to write into other tensors.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from metaopt.train.runtime.checkpoint import State, copy_all, listed, numbered


class Stack:
    """The parameters of K members, with gradients and optimizer states.

    Args:
        regions: the initial parameters.
        n_weights: number of regions, from the first, that hold weights.

    Attributes:
        w, g, a, v: lists of regions (K, *shape); all but `w` are initially zero.
        n_weights: number of regions, from the first, that hold weights.

    """

    def __init__(self, regions: Sequence[Tensor], n_weights: int) -> None:
        self.n_weights = n_weights
        self.w = list(regions)
        self.g = [torch.zeros_like(w) for w in self.w]
        self.a = [torch.zeros_like(w) for w in self.w]
        self.v = [torch.zeros_like(w) for w in self.w]
        self._kept: list[Tensor] | None = None

    @property
    def size(self) -> int:
        """K, the number of members."""
        return len(self.w[0])

    def keep(self, rows: Sequence[int]) -> None:
        """Save a copy of the parameters of these rows."""
        if self._kept is None:
            self._kept = [torch.empty_like(w) for w in self.w]
        if len(rows) == self.size:
            for kept, w in zip(self._kept, self.w, strict=True):
                kept.copy_(w)
        elif rows:
            index = torch.tensor(rows, device=self.w[0].device)
            for kept, w in zip(self._kept, self.w, strict=True):
                kept.index_copy_(0, index, w.index_select(0, index))

    def row(self, row: int, kept: bool) -> list[Tensor]:
        """Return one member's row of each region: the saved one if `kept`, else the current one."""
        regions = self._kept if kept else self.w
        assert regions is not None
        return [region[row] for region in regions]

    def _regions(self) -> dict[str, list[Tensor]]:
        return {"w": self.w, "a": self.a, "v": self.v, "kept": self._kept or []}

    def state(self, row: int) -> dict[str, Tensor]:
        """Return all tensors of one member, by name, for a checkpoint."""
        return {
            name: tensor
            for kind, regions in self._regions().items()
            for name, tensor in numbered(kind, [region[row] for region in regions]).items()
        }

    def load(self, row: int, state: State) -> None:
        """Restore what `state` returned for a member."""
        if self._kept is None and listed("kept", state):
            self._kept = [torch.empty_like(w) for w in self.w]
        for kind, regions in self._regions().items():
            if kind != "kept" or listed("kept", state):
                copy_all(kind, state, [region[row] for region in regions])

    def admit(self, other: Stack, order: Sequence[int]) -> None:
        """Append the rows of another stack, then reorder: new row k is old row order[k].

        If memory runs out, this stack is unchanged.
        """
        index = torch.tensor(order, device=self.w[0].device)

        def joined(mine: list[Tensor], theirs: list[Tensor]) -> list[Tensor]:
            pairs = zip(mine, theirs, strict=True)
            return [torch.cat(pair).index_select(0, index) for pair in pairs]

        w, a, v = (
            joined(*pair) for pair in ((self.w, other.w), (self.a, other.a), (self.v, other.v))
        )
        kept = None
        if self._kept is not None or other._kept is not None:
            # Rows without a saved copy get arbitrary values there, which are never read.
            kept = joined(self._kept or self.w, other._kept or other.w)
        g = [torch.zeros_like(region) for region in w]
        self.w, self.a, self.v, self.g, self._kept = w, a, v, g, kept

    def select(self, rows: Sequence[int]) -> None:
        """Drop all other rows."""
        index = torch.tensor(rows, device=self.w[0].device)
        for regions in (self.w, self.a, self.v, self._kept or []):
            regions[:] = [region.index_select(0, index) for region in regions]
        self.g = [torch.zeros_like(w) for w in self.w]
