"""Ways to other tools, as callbacks of `Study.optimize`; each needs its extra and says so."""

from metaopt.integrations.mlflow import MLflow
from metaopt.integrations.tensorboard import TensorBoard

__all__ = ["MLflow", "TensorBoard"]
