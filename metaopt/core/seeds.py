"""Randomness by name: every stream is a pure function of a seed and a path.

A stream is a counter-based generator (Philox 4x64; Salmon, Moraes, Dror and Shaw 2011) that is
seeded with a hash of the seed and the path, so that streams never depend on how many numbers were
drawn elsewhere, on the process or on PYTHONHASHSEED.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

Part = int | str


def _digest(seed: int, path: tuple[Part, ...]) -> bytes:
    # repr keeps 1 and "1" apart; the separator cannot occur unescaped inside a repr.
    parts = [p if isinstance(p, str) else int(p) for p in (int(seed), *path)]
    text = "\n".join(map(repr, parts))
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def stream(seed: int, *path: Part) -> np.random.Generator:
    """Return the generator of `path` under `seed`; the same arguments give the same numbers."""
    entropy = int.from_bytes(_digest(seed, path), "little")
    # Through a SeedSequence, so that libraries may `spawn` from the generator.
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


def derive(seed: int, *path: Part) -> int:
    """Return a seed in [0, 2^31), a range that numpy, scikit-learn and torch all accept."""
    return int.from_bytes(_digest(seed, path)[:4], "little") >> 1


@contextmanager
def global_random_kept() -> Iterator[None]:
    """Leave `random` as it was: rich, and what imports it, draw from it when they are loaded."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)
