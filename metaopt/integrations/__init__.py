"""Callbacks of `Study.optimize` that log to other tools; each needs an optional package.

`metaopt.integrations.ioh` exports comparisons to IOHanalyzer; it needs none.
"""

from metaopt.integrations.mlflow import MLflow
from metaopt.integrations.tensorboard import TensorBoard

__all__ = ["MLflow", "TensorBoard"]
