"""Who runs an objective: here, in this process. An executor turns proposals into results."""

from metaopt.execute.evaluate import Driver, Executor, evaluate
from metaopt.execute.inline import Inline

__all__ = ["Driver", "Executor", "Inline", "evaluate"]
