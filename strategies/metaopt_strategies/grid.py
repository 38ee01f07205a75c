"""Grid search: each point of a grid once, in a random order that is computed without a list.

Notation: cell c in 0..N-1 is a mixed-radix number with one digit per parameter; the order is a
permutation of 0..N-1, computed one cell at a time (a Feistel network with cycle walking; Black and
Rogaway 2002), so that a grid of 10^60 cells needs no memory.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np

from metaopt.core.errors import StrategyError
from metaopt.space import Config, Space
from metaopt.strategy.base import Strategy
from metaopt.trials.records import Json

ROUNDS = 6  # of the Feistel network; four already make it pseudo-random (Luby and Rackoff 1988)
PATIENCE = 500  # known cells skipped per ask before the base class looks for a new point


class Grid(Strategy):
    """Grid search: each point of a grid once, in random order.

    Discrete parameters take all their values.

    Args:
        levels: number of values of a continuous parameter, at least 2; default 5. They include both
            ends of the range and have equal distances on the parameter's (linear or logarithmic)
            scale. When all points of the grid are used, the grid is refined to 2 levels - 1 values.

    Raises:
        StrategyError: `levels` is not an integer of at least 2.

    Source: random order by Black and Rogaway (2002).
    """

    name = "grid"
    rank_based = True

    def __init__(
        self, space: Space, seed: int = 0, budget: int | None = None, *, levels: int = 5
    ) -> None:
        if not isinstance(levels, int) or isinstance(levels, bool) or levels < 2:
            raise StrategyError(f"levels must be an integer of at least 2, got {levels!r}")
        super().__init__(space, seed, budget, levels=levels)
        self._levels = levels
        self._next = 0

    def _ask(self, rng: np.random.Generator) -> tuple[Config, Json]:
        config: Config = {}
        for _ in range(min(PATIENCE, math.prod(self._radices()))):
            config = self._advance()
            if not self.space.is_forbidden(config) and self.is_new(config):
                break
        return config, None

    def _advance(self) -> Config:
        """Return the next cell in the order; refine the grid after the last one."""
        radices = self._radices()
        size = math.prod(radices)
        if self._next >= size:
            if any(p.cells is None for p in self.space.parameters.values()):
                self._levels = 2 * self._levels - 1  # includes all old values
                radices = self._radices()
                size = math.prod(radices)
            self._next = 0
        cell = permuted(self._next, size, f"{self.seed}/{self._levels}")
        self._next += 1
        u = np.empty((1, len(radices)))
        for j, parameter in enumerate(self.space.parameters.values()):
            cell, digit = divmod(cell, radices[j])
            if parameter.cells is None:
                u[0, j] = digit / (radices[j] - 1)
            else:
                u[0, j] = parameter.cells.unit(np.array([digit]))[0]
        return self.space.decode(u)[0]

    def _radices(self) -> list[int]:
        counts = [p.count for p in self.space.parameters.values()]
        return [self._levels if c is None else c for c in counts]

    def _state(self) -> Json:
        return [self._levels, self._next]

    def _restore(self, state: Json) -> None:
        self._levels, self._next = state


def permuted(i: int, size: int, key: str) -> int:
    """Return the image of i under a random permutation of 0..size-1, which `key` determines."""
    half = max(1, math.ceil(size.bit_length() / 2))
    mask = (1 << half) - 1
    while True:
        left, right = i >> half, i & mask
        for r in range(ROUNDS):
            text = f"{key}/{r}/{right}".encode()
            digest = hashlib.shake_256(text).digest((half + 7) // 8)
            left, right = right, left ^ (int.from_bytes(digest, "little") & mask)
        i = left << half | right
        if i < size:  # else apply it again ("cycle walking"): its domain is a power of four
            return i
