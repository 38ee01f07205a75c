"""Search strategies: the base class to derive from, and the registry that finds them by name."""

from metaopt.strategy.base import Strategy
from metaopt.strategy.registry import make_strategy, strategies

__all__ = ["Strategy", "make_strategy", "strategies"]
