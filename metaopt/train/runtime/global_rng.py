"""Private states of all global random generators that a user's Dataset may use."""

from __future__ import annotations

import random
from types import TracebackType
from typing import Any

import numpy as np

from metaopt.train.runtime.rng import Noise


class GlobalNoise:
    """Like `Noise` on the CPU, and also for the global generators of `random` and NumPy.

    In a block ``with noise:`` they continue where the last block of this object ended; the first
    block starts from `seed`. Afterwards the old states are restored. Blocks of other threads wait.
    """

    def __init__(self, seed: int) -> None:
        self._seed, self._torch = seed, Noise(seed)
        self._states: tuple[Any, Any] | None = None

    def __enter__(self) -> GlobalNoise:
        self._torch.__enter__()
        self._outer = _states()
        if self._states is None:
            random.seed(self._seed)
            np.random.seed(self._seed)  # noqa: NPY002 - augmentations often use it
        else:
            _restore(self._states)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._states = _states()
            _restore(self._outer)
        finally:
            self._torch.__exit__(kind, error, trace)


def _states() -> tuple[Any, Any]:
    return random.getstate(), np.random.get_state()  # noqa: NPY002


def _restore(states: tuple[Any, Any]) -> None:
    random.setstate(states[0])
    np.random.set_state(states[1])  # noqa: NPY002
