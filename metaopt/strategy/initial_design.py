"""The initial design: one scrambled Sobol sequence per seed, the same for all strategies.

Sobol' (1967), scrambled after Matousek (1998) as in `scipy.stats.qmc`. Point i depends only on
the space, the seed and i. So strategies with initial designs of different lengths share a prefix,
and a resumed study continues with the next point.
"""

from __future__ import annotations

import numpy as np

from metaopt.core.seeds import stream
from metaopt.core.types import FloatArray
from metaopt.space import Config, Space

BLOCK = 64  # points generated at once; a power of two keeps the sequence balanced
MAX_DIMENSION = 21201  # direction numbers are known up to this dimension (Joe and Kuo 2008)


class InitialDesign:
    """Configurations 0, 1, 2, ... of the sequence of a seed.

    Args:
        space: the search space.
        seed: of the strategy.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._seed = seed
        self._block = -1
        self._points: FloatArray = np.empty((0, len(space)))

    def config(self, i: int) -> Config:
        """Return configuration `i`, from 0; it may be forbidden (see `Space.decode`)."""
        block, row = divmod(i, BLOCK)
        if block != self._block:
            self._block, self._points = block, self._make(block)
        return self._space.decode(self._points[row : row + 1])[0]

    def _make(self, block: int) -> FloatArray:
        d = len(self._space)
        if d > MAX_DIMENSION:  # no Sobol sequence exists: independent uniform points
            return stream(self._seed, "initial", block).random((BLOCK, d))
        from scipy.stats import qmc  # slow to import and needed only here

        engine = qmc.Sobol(d, scramble=True, rng=stream(self._seed, "initial"))
        if block:
            engine.fast_forward(BLOCK * block)
        return np.asarray(engine.random(BLOCK), dtype=np.float64)
