"""Named random streams: each is a pure function of a seed and a path of names and numbers.

A stream is a counter-based generator (Philox 4x64; Salmon, Moraes, Dror and Shaw 2011) seeded
with a hash of the seed and the path. So it does not depend on other streams, on the process or on
PYTHONHASHSEED.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

Part = int | str


def _digest(seed: int, path: tuple[Part, ...]) -> bytes:
    # repr distinguishes 1 from "1"; it escapes newlines, so the separator is unambiguous.
    parts = [p if isinstance(p, str) else int(p) for p in (int(seed), *path)]
    text = "\n".join(map(repr, parts))
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def stream(seed: int, *path: Part) -> np.random.Generator:
    """Return the generator of `path` under `seed`; the same arguments give the same numbers."""
    entropy = int.from_bytes(_digest(seed, path), "little")
    # With a SeedSequence, so that libraries can call `spawn` of the generator.
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


def derive(seed: int, *path: Part) -> int:
    """Return a seed in [0, 2^31), a range that numpy, scikit-learn and torch all accept."""
    return int.from_bytes(_digest(seed, path)[:4], "little") >> 1


@contextmanager
def global_random_kept() -> Iterator[None]:
    """Restore the state of the module `random` afterwards; importing rich draws from it."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)
