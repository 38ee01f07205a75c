"""Executors, which evaluate objectives, and the loop that drives a study with them."""

from metaopt.execution.base import Executor, Monitor
from metaopt.execution.evaluate import evaluate
from metaopt.execution.inline import Inline

__all__ = ["Executor", "Inline", "Monitor", "evaluate"]
