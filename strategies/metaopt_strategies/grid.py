"""Grid search: every cell of a grid once, in a random order that needs no list of the cells.

Notation: cell c in 0..N-1 is a mixed-radix number with one digit a parameter; the order is a
permutation of 0..N-1, computed cell by cell (a Feistel network with cycle walking; Black and
Rogaway 2002), so that a grid of 10^60 cells costs no memory.
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
PATIENCE = 500  # known cells passed over at once before the base looks for a new point


class Grid(Strategy):
    """Every cell of a grid once, in random order; continuous parameters at `levels` values.

    Args:
        levels: how many values a continuous parameter takes: both ends and equal steps between,
            on its own scale. When all cells are used up, the grid is refined to 2 levels - 1.
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
        """Return the next cell in the order; refine the grid behind the last one."""
        radices = self._radices()
        size = math.prod(radices)
        if self._next >= size:
            if any(p.cells is None for p in self.space.parameters.values()):
                self._levels = 2 * self._levels - 1  # holds all old values as well
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
    """Return where the permutation `key` of 0..size-1 sends i."""
    half = max(1, math.ceil(size.bit_length() / 2))
    mask = (1 << half) - 1
    while True:
        left, right = i >> half, i & mask
        for r in range(ROUNDS):
            text = f"{key}/{r}/{right}".encode()
            digest = hashlib.shake_256(text).digest((half + 7) // 8)
            left, right = right, left ^ (int.from_bytes(digest, "little") & mask)
        i = left << half | right
        if i < size:  # else walk on along the cycle: the domain is a power of four
            return i
