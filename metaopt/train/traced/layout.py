"""Where the trained parameters of a network lie in the rows of a stack.

Notation: a member's weights (parameters of two or more dimensions) lie one behind the other in a
row of P numbers, and so do the others in a row of their own: the optimizers then have two regions
(K, P) to go through, however many layers there are. Every parameter begins at a whole vector and
every row is of whole vectors, so that a member's numbers come out the same in any row. What lies
between is 0 and stays 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import NamedTuple

from torch import Tensor, nn

from metaopt.train.population.ops import VECTORS

ALIGNED = 16  # numbers, at whose multiples a parameter begins


class Place(NamedTuple):
    """Of one parameter: its region, its first number there, and its shape."""

    region: int
    start: int
    shape: tuple[int, ...]


class Layout:
    """The places of the trained parameters of networks of one architecture.

    Attributes:
        places: by name.
        n_weights: how many regions, from the first, hold weights.

    """

    def __init__(self, network: nn.Module) -> None:
        trained = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
        kinds = ([x for x in trained if x[1].ndim > 1], [x for x in trained if x[1].ndim < 2])
        self.n_weights = int(bool(kinds[0]))
        self.places: dict[str, Place] = {}
        self._sizes: list[int] = []
        for kind in filter(None, kinds):
            start = 0
            for name, p in kind:
                self.places[name] = Place(len(self._sizes), start, tuple(p.shape))
                start += _up(p.numel(), ALIGNED)
            self._sizes.append(_up(start, VECTORS))

    def regions(self, members: Sequence[Mapping[str, Tensor]]) -> list[Tensor]:
        """Put the parameters of members, by name, into new regions (K, P)."""
        first = members[0][next(iter(self.places))]
        regions = [first.new_zeros(len(members), size) for size in self._sizes]
        for name, view in self.views(regions).items():
            for row, member in zip(view, members, strict=True):
                row.copy_(member[name].detach())
        return regions

    def views(self, regions: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return each parameter as a view (K, *shape) of its region."""
        return {
            name: regions[place.region][:, place.start : place.start + prod(place.shape)].view(
                -1, *place.shape
            )
            for name, place in self.places.items()
        }


def _up(number: int, unit: int) -> int:
    """The next multiple of a unit."""
    return -(-number // unit) * unit
