"""A new configuration for a strategy that proposes only known ones: a neighbour, or any other."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import numpy as np

from metaopt.space import Config, Space

SCALES = (0.02, 0.1, 0.3)  # scales of the neighbourhoods that are searched, one after the other


def find_new(
    space: Space, config: Config, rng: np.random.Generator, is_new: Callable[[Config], bool]
) -> Config | None:
    """Return a new configuration, near `config` if there is one; None if all are known.

    Args:
        space: of the configurations.
        config: the known configuration that was proposed.
        rng: source of the choice.
        is_new: returns whether a configuration is new.
    """
    return _near(space, config, rng, is_new) or _unseen(space, rng, is_new)


def _near(
    space: Space, config: Config, rng: np.random.Generator, is_new: Callable[[Config], bool]
) -> Config | None:
    if space.is_forbidden(config):
        return None
    for scale in SCALES:
        new = [c for c in space.neighbours(config, rng, scale) if is_new(c)]
        if new:
            return new[int(rng.integers(len(new)))]
    return None


def _unseen(
    space: Space, rng: np.random.Generator, is_new: Callable[[Config], bool]
) -> Config | None:
    finite = all(p.cells is not None for p in space.parameters.values())
    for config in space.sample(rng, 64 if finite else 1024):
        if is_new(config):
            return config
    if not finite:
        return None
    rest = (c for c in space.configurations() if is_new(c))
    some = list(islice(rest, 256))
    return some[int(rng.integers(len(some)))] if some else None
