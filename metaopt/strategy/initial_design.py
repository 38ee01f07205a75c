"""The initial design: one scrambled Sobol sequence a seed, the same for every strategy.

Sobol' (1967), scrambled after Matousek (1998) as in `scipy.stats.qmc`. Point i depends on the
space, the seed and i alone, so that strategies that start with different numbers of points share
a prefix, and a resumed study goes on where it was.
"""

from __future__ import annotations

import numpy as np

from metaopt.core.seeds import stream
from metaopt.core.types import FloatArray
from metaopt.space import Config, Space

BLOCK = 64  # points made at once; a power of two keeps the sequence balanced
MAX_DIMENSION = 21201  # the largest for which direction numbers are known (Joe and Kuo 2008)


class InitialDesign:
    """Configurations 0, 1, 2, ... of the sequence that belongs to a seed."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._seed = seed
        self._block = -1
        self._points: FloatArray = np.empty((0, len(space)))

    def config(self, i: int) -> Config:
        """Return configuration `i`, which may be forbidden (see `Space.decode`)."""
        block, row = divmod(i, BLOCK)
        if block != self._block:
            self._block, self._points = block, self._make(block)
        return self._space.decode(self._points[row : row + 1])[0]

    def _make(self, block: int) -> FloatArray:
        d = len(self._space)
        if d > MAX_DIMENSION:  # no Sobol sequence exists: independent uniform points
            return stream(self._seed, "initial", block).random((BLOCK, d))
        from scipy.stats import qmc  # heavy, and needed only here

        engine = qmc.Sobol(d, scramble=True, rng=stream(self._seed, "initial"))
        if block:
            engine.fast_forward(BLOCK * block)
        return np.asarray(engine.random(BLOCK), dtype=np.float64)
