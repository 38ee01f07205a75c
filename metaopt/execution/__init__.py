"""Executors, which evaluate objectives, and the loop that runs a study."""

from metaopt.execution.base import Executor, Monitor
from metaopt.execution.evaluate import evaluate
from metaopt.execution.inline import Inline

__all__ = ["Executor", "Inline", "Monitor", "evaluate"]
