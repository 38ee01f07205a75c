"""Networks as scikit-learn estimators, for comparisons with other models."""

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
    """Trains ``build(config)`` with a `Trainer`; see the subclasses."""

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
        """Train the network; a part of the samples is held out for early stopping.

        Args:
            X: inputs, shape (n, ...).
            y: labels or values, shape (n,).

        Returns:
            The estimator itself.

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
        """Return the predicted labels, or values in the units of y, shape (n,).

        Args:
            X: inputs, shape (n, ...).

        Raises:
            NotFittedError: `fit` was not called.
            TrainingError: the inputs have another shape than in training, or are not finite
                numbers.

        """
        check_is_fitted(self)
        return self.fitted_.predict(np.asarray(X))


class NetworkClassifier(ClassifierMixin, _Network):  # type: ignore[misc]
    """A network as a scikit-learn classifier, trained with cross-entropy.

    Args:
        build: a function of the configuration that returns an `nn.Module`, or "mlp" or "cnn".
        config: the configuration that `build` and the training read: learning rate, width, ...;
            hyper-parameters that it lacks have the defaults of `Recipe`.
        epochs: the largest number of epochs, unless the configuration has "epochs".
        validation: fraction of the training data that is held out for early stopping.
        stopping: when to stop early; "default" as in `Trainer`, None trains all epochs.
        standardize: whether inputs are scaled by the mean and the standard deviation of the
            samples that train.
        device: "auto" (CUDA if there is one), "cpu", "cuda", ...
        random_state: seed of weights, dropout, split and order of the samples; None means 0.

    Attributes:
        fitted_: the trained network, a `Fitted`; its `save` needs no pickle.
        classes_: labels in the order of the columns of `predict_proba`.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.model_selection import cross_val_score
        >>> from metaopt.train import NetworkClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = NetworkClassifier("mlp", {"lr": 0.02, "width": 32}, random_state=1)
        >>> float(cross_val_score(model, X, y, cv=3).mean()) > 0.8
        True

    """

    _loss = "cross_entropy"

    @property
    def classes_(self) -> NDArray[Any]:
        """Labels in the order of the columns of `predict_proba`."""
        check_is_fitted(self)
        return np.asarray(self.fitted_.classes)

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return the predicted probabilities of the c classes, shape (n, c).

        Args:
            X: inputs, shape (n, ...).

        Returns:
            Probabilities; the columns are in the order of `classes_`, each row sums to 1.

        Raises:
            NotFittedError: `fit` was not called.
            TrainingError: the inputs have another shape than in training, or are not finite
                numbers.

        """
        check_is_fitted(self)
        return self.fitted_.predict_proba(np.asarray(X))


class NetworkRegressor(RegressorMixin, _Network):  # type: ignore[misc]
    """A network as a scikit-learn regressor, trained with squared error on standardized targets.

    The arguments are those of `NetworkClassifier`.
    """

    _loss = "mse"

    def _targets(self, y: Any) -> NDArray[Any]:
        try:
            return np.asarray(y, dtype=np.float64)
        except (TypeError, ValueError):
            raise TrainingError("y must hold numbers; for labels use NetworkClassifier") from None

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the predicted values in the units of y.

        Args:
            X: inputs, shape (n, ...).

        Returns:
            Values of shape (n,), or (n, k) if y had k > 1 columns in training.

        Raises:
            NotFittedError: `fit` was not called.
            TrainingError: the inputs have another shape than in training, or are not finite
                numbers.

        """
        values = super().predict(X)
        return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
