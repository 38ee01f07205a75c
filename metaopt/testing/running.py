"""Run a strategy, and the error that reports how it failed."""

from __future__ import annotations

from collections.abc import Callable

from metaopt.core.errors import MetaoptError
from metaopt.strategy.base import Strategy
from metaopt.testing.spaces import objective
from metaopt.trials.records import Proposal

Factory = Callable[..., Strategy]  # called as factory(space, seed=..., budget=...)


class ConformanceError(MetaoptError, AssertionError):
    """A strategy violates the contract; the message names the check, the space and the fault."""


def require(holds: bool, message: str) -> None:
    """Raise a ConformanceError with the message unless `holds` is True."""
    if not holds:
        raise ConformanceError(message)


def drive(
    strategy: Strategy, trials: int, batch: int = 1, transform: Callable[[float], float] = float
) -> list[Proposal]:
    """Ask and tell until the strategy made `trials` proposals or the space is exhausted.

    Args:
        strategy: a new strategy, or one that continues.
        trials: number of proposals.
        batch: proposals per ask.
        transform: applied to the values of the objective.

    Returns:
        The proposals, in order.
    """
    asked: list[Proposal] = []
    while len(asked) < trials:
        proposals = strategy.ask(min(batch, trials - len(asked)))
        if not proposals:
            break
        for p in proposals:
            strategy.tell(p, transform(objective(strategy.space, p.config)))
        asked += proposals
    return asked
