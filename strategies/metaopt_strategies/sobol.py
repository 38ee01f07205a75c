"""Quasi-random search: the scrambled Sobol sequence of the initial design, for all trials.

Sobol' (1967), scrambled after Matousek (1998); see `metaopt.strategy.initial_design`.
"""

from __future__ import annotations

import numpy as np

from metaopt.space import Config, Space
from metaopt.strategy.base import Strategy
from metaopt.strategy.initial_design import InitialDesign
from metaopt.trials.records import Json


class Sobol(Strategy):
    """A scrambled Sobol sequence: covers the space evenly and learns nothing from outcomes.

    It has no options beyond `space`, `seed` and `budget`.

    Source: Sobol' (1967), scrambled after Matousek (1998).
    """

    name = "sobol"
    rank_based = True

    def __init__(self, space: Space, seed: int = 0, budget: int | None = None) -> None:
        super().__init__(space, seed, budget)
        self._sequence = InitialDesign(space, self.seed)
        self._next = 0

    def _ask(self, rng: np.random.Generator) -> tuple[Config, Json]:
        config = self._sequence.config(self._next)
        self._next += 1
        return config, None

    def _state(self) -> Json:
        return self._next

    def _restore(self, state: Json) -> None:
        self._next = state
