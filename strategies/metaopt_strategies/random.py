"""Random search (Bergstra and Bengio 2012): the baseline that every strategy must beat."""

from __future__ import annotations

import numpy as np

from metaopt.space import Config
from metaopt.strategy.base import Strategy
from metaopt.trials.records import Json


class Random(Strategy):
    """Random search: independent random configurations; the baseline.

    It has no options beyond `space`, `seed` and `budget`.

    Source: Bergstra and Bengio (2012).
    """

    name = "random"
    rank_based = True

    def _ask(self, rng: np.random.Generator) -> tuple[Config, Json]:
        return self.space.sample(rng)[0], None
