"""Train many networks of any architecture at once: traced as lists of ATen operations."""

from metaopt.train.traced.engine import Traced
from metaopt.train.traced.plan import Plan, find_plan

__all__ = ["Plan", "Traced", "find_plan"]
