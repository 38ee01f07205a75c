"""Memory layout of all trained parameters of a network in two flat rows of a `Stack`.

Notation: the weights of a member (parameters of two or more dimensions) are stored one after the
other in a row of P numbers, all other parameters in a second row. The optimizers then update two
regions (K, P) for any number of layers. Each parameter starts at a multiple of `ALIGNED` and each
row is a multiple of `VECTORS`, so that a member gets the same bits in any row. The gaps are 0 and
stay 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import NamedTuple

from torch import Tensor, nn

from metaopt.train.population.ops import VECTORS

ALIGNED = 16  # numbers; parameters start at multiples of it


class Place(NamedTuple):
    """Where one parameter is stored: index of the region, offset of its first number, shape."""

    region: int
    start: int
    shape: tuple[int, ...]


class Layout:
    """Where the trained parameters of networks of one architecture are stored.

    Args:
        network: any of them.

    Attributes:
        places: by the name of the parameter.
        n_weights: number of regions, from the first, that hold weights.

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
        """Copy the parameters of each member, given by name, into new regions (K, P)."""
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
    """Round up to a multiple of `unit`."""
    return -(-number // unit) * unit
