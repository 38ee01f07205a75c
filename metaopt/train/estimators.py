"""Networks as scikit-learn estimators, so that they stand beside any other model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from metaopt.core.errors import TrainingError
from metaopt.space import Scalar
from metaopt.train.results.fitted import Fitted
from metaopt.train.settings.early_stopping import EarlyStopping
from metaopt.train.settings.networks import Build
from metaopt.train.trainer import STOPPING, Trainer


class _Network(BaseEstimator):  # type: ignore[misc]
    """Trains ``build(config)`` by `Trainer`; see its subclasses."""

    _loss = ""

    def __init__(
        self,
        build: Build | str = "mlp",
        config: Mapping[str, Scalar] | None = None,
        *,
        epochs: int = 30,
        validation: float = 0.2,
        stopping: EarlyStopping | Literal["default"] | None = "default",
        standardize: bool = True,
        device: str = "auto",
        random_state: int | None = None,
    ) -> None:
        self.build = build
        self.config = config
        self.epochs = epochs
        self.validation = validation
        self.stopping = stopping
        self.standardize = standardize
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Train on (n, ...) inputs and (n,) targets; part of them is held out for early stopping.

        Raises:
            TrainingError: data, network and hyper-parameters do not fit together, or the training
                diverges.
        """
        trainer = Trainer(
            self.build,
            np.asarray(X),
            self._targets(y),
            loss=self._loss,
            epochs=self.epochs,
            validation=self.validation,
            test=None,
            stopping=STOPPING if self.stopping == "default" else self.stopping,
            standardize=self.standardize,
            standardize_target=self._loss == "mse",
            device=self.device,
        )
        seed = 0 if self.random_state is None else int(self.random_state)
        self.fitted_: Fitted = trainer.refit(self.config or {}, seed)
        self.n_features_in_ = int(np.prod(np.shape(X)[1:]))
        return self

    def _targets(self, y: Any) -> NDArray[Any]:
        return np.asarray(y)

    def predict(self, X: Any) -> NDArray[Any]:
        """Labels, or values in y's own units, (n,)."""
        check_is_fitted(self)
        return self.fitted_.predict(np.asarray(X))


class NetworkClassifier(ClassifierMixin, _Network):  # type: ignore[misc]
    """A network as a scikit-learn classifier, trained with cross-entropy.

    Args:
        build: a function of the configuration that returns an `nn.Module`, or "mlp" or "cnn".
        config: the configuration that `build` and the training read: learning rate, width, ...;
            what it lacks has the defaults of `Recipe`.
        epochs: the most epochs, unless the configuration says.
        validation: share of the training data that early stopping looks at.
        stopping: when to stop early ("default": as `Trainer` does); None trains all epochs.
        standardize: scale inputs by the training part's mean and deviation.
        device: "auto" (CUDA if there is one), "cpu", "cuda", ...
        random_state: of weights, dropout, split and order; None is 0.

    Attributes:
        fitted_: the trained network, which saves itself without pickle.
        classes_: labels in the order of `predict_proba`'s columns.
    """

    _loss = "cross_entropy"

    @property
    def classes_(self) -> NDArray[Any]:
        check_is_fitted(self)
        return np.asarray(self.fitted_.classes)

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Probabilities (n, c)."""
        check_is_fitted(self)
        return self.fitted_.predict_proba(np.asarray(X))


class NetworkRegressor(RegressorMixin, _Network):  # type: ignore[misc]
    """A network as a scikit-learn regressor, trained with squared error on standardized targets.

    Arguments as for `NetworkClassifier`.
    """

    _loss = "mse"

    def _targets(self, y: Any) -> NDArray[Any]:
        try:
            return np.asarray(y, dtype=np.float64)
        except (TypeError, ValueError):
            raise TrainingError("y must hold numbers; for labels use NetworkClassifier") from None

    def predict(self, X: Any) -> NDArray[Any]:
        """Values in y's own units, of the shape that y had in training."""
        values = super().predict(X)
        return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
