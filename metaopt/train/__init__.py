"""Training of PyTorch networks as an objective. The only part of metaopt that imports torch."""

from metaopt.train.crossvalidation import CrossValidation, FoldScore
from metaopt.train.estimators import NetworkClassifier, NetworkRegressor
from metaopt.train.fitted import Fitted, load
from metaopt.train.metrics import Metric, accuracy, cross_entropy, mse
from metaopt.train.models import cnn, mlp
from metaopt.train.recipe import Recipe
from metaopt.train.stopping import EarlyStopping
from metaopt.train.trainer import Trainer

__all__ = [
    "CrossValidation",
    "EarlyStopping",
    "Fitted",
    "FoldScore",
    "Metric",
    "NetworkClassifier",
    "NetworkRegressor",
    "Recipe",
    "Trainer",
    "accuracy",
    "cnn",
    "cross_entropy",
    "load",
    "mlp",
    "mse",
]
