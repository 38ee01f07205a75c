"""Training of PyTorch networks as an objective. The only part of metaopt that imports torch."""

from metaopt.train.estimators import NetworkClassifier, NetworkRegressor
from metaopt.train.results.cross_validation import CrossValidation, FoldScore
from metaopt.train.results.fitted import Fitted, load
from metaopt.train.settings.early_stopping import EarlyStopping
from metaopt.train.settings.hyperparameters import Recipe
from metaopt.train.settings.metrics import Metric, accuracy, cross_entropy, mse
from metaopt.train.settings.networks import cnn, mlp
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
