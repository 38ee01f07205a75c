"""Learning-rate schedules: the learning rate of each epoch; one entry of `SCHEDULES` for each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol


class Rates(Protocol):
    """What a schedule reads of a recipe; see `metaopt.train.Recipe`."""

    @property
    def lr(self) -> float: ...

    @property
    def decay(self) -> float: ...

    @property
    def restart_every(self) -> int: ...

    @property
    def epochs(self) -> int: ...


def _constant(r: Rates, k: int) -> float:
    return r.lr


def _exponential(r: Rates, k: int) -> float:
    return r.lr * r.decay**k


def _exponential_restarts(r: Rates, k: int) -> float:
    return r.lr * r.decay ** (k % r.restart_every)


def _cosine(r: Rates, k: int) -> float:
    """Loshchilov and Hutter (2017), eq. 5: one period, down to 0."""
    return r.lr * (1 + math.cos(math.pi * k / r.epochs)) / 2


# Each returns the learning rate of epoch k, counted from 0. Names are values of the parameter
# `schedule`; a name that is not here is refused.
SCHEDULES: dict[str, Callable[[Rates, int], float]] = {
    "constant": _constant,
    "exponential": _exponential,
    "exponential_restarts": _exponential_restarts,
    "cosine": _cosine,
}
