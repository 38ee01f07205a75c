"""The parameters of K networks of one architecture, with their gradients and optimizer states.

Notation: a region is one tensor (K, *shape) that holds the same parameter of all members, or
several of them side by side; weights (parameters of two or more dimensions) come before biases,
so that penalties act on the first `n_weights` regions. w, g, a, v are the parameters, gradients
and the optimizer's two states; each region is contiguous, because PyTorch's batched products
fall back to a loop when they write into anything else.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from metaopt.train.runtime.checkpoint import State, copy_all, listed, numbered


class Stack:
    """K rows of parameters.

    Attributes:
        w, g, a, v: regions, each (K, *shape); all but `w` are zero at first.
        n_weights: how many regions, from the first, hold weights.

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
        """K."""
        return len(self.w[0])

    def keep(self, rows: Sequence[int]) -> None:
        """Remember these rows' parameters."""
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
        """Return one member's part of every region: as kept, or as it is now."""
        regions = self._kept if kept else self.w
        assert regions is not None
        return [region[row] for region in regions]

    def _regions(self) -> dict[str, list[Tensor]]:
        return {"w": self.w, "a": self.a, "v": self.v, "kept": self._kept or []}

    def state(self, row: int) -> dict[str, Tensor]:
        """Return all that is one member's, by name."""
        return {
            name: tensor
            for kind, regions in self._regions().items()
            for name, tensor in numbered(kind, [region[row] for region in regions]).items()
        }

    def load(self, row: int, state: State) -> None:
        """Give a member what `state` returned."""
        if self._kept is None and listed("kept", state):
            self._kept = [torch.empty_like(w) for w in self.w]
        for kind, regions in self._regions().items():
            if kind != "kept" or listed("kept", state):
                copy_all(kind, state, [region[row] for region in regions])

    def admit(self, other: Stack, order: Sequence[int]) -> None:
        """Append another stack's rows; then row k is the one that was row order[k].

        Where memory lacks for it, nothing has changed.
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
            # Rows of which nothing is kept yet have anything there; nobody looks at it.
            kept = joined(self._kept or self.w, other._kept or other.w)
        g = [torch.zeros_like(region) for region in w]
        self.w, self.a, self.v, self.g, self._kept = w, a, v, g, kept

    def select(self, rows: Sequence[int]) -> None:
        """Drop all other rows."""
        index = torch.tensor(rows, device=self.w[0].device)
        for regions in (self.w, self.a, self.v, self._kept or []):
            regions[:] = [region.index_select(0, index) for region in regions]
        self.g = [torch.zeros_like(w) for w in self.w]
