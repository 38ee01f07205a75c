"""Networks of any kind, taken down as lists of PyTorch's operations, many at once."""

from metaopt.train.traced.engine import Traced
from metaopt.train.traced.plan import Plan, find_plan

__all__ = ["Plan", "Traced", "find_plan"]
