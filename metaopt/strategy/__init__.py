"""Search strategies: the base class, and the registry that finds strategies by name."""

from metaopt.strategy.base import Strategy
from metaopt.strategy.registry import make_strategy, strategies

__all__ = ["Strategy", "make_strategy", "strategies"]
