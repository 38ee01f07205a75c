"""Networks as scikit-learn estimators."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metaopt.core.errors import TrainingError
from metaopt.train import NetworkClassifier, NetworkRegressor, Trainer

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]


def test_it_equals_the_network_of_the_trainer() -> None:
    model = NetworkClassifier(config={"lr": 0.02}, epochs=5, random_state=4).fit(X, NAMES)
    trainer = Trainer("mlp", X, NAMES, epochs=5, validation=0.2, test=None, standardize=True)
    fitted = trainer.refit({"lr": 0.02}, 4)
    np.testing.assert_array_equal(model.predict(X), fitted.predict(X))
    np.testing.assert_array_equal(model.predict_proba(X), fitted.predict_proba(X))
    assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert model.score(X, NAMES) == (model.predict(X) == NAMES).mean()


def test_it_works_with_clone_pipelines_and_grid_search() -> None:
    search = GridSearchCV(
        make_pipeline(StandardScaler(), NetworkClassifier(epochs=2)),
        {"networkclassifier__config": [{"lr": 0.1}, {"lr": 1e-6}]},
        cv=2,
    ).fit(X, NAMES)
    assert search.best_params_["networkclassifier__config"] == {"lr": 0.1}
    twin = clone(NetworkClassifier(epochs=7, random_state=3))
    assert (twin.epochs, twin.random_state) == (7, 3)
    with pytest.raises(NotFittedError):
        twin.predict(X)


def test_regression_predicts_in_the_units_of_y() -> None:
    features, target = load_diabetes(return_X_y=True)
    model = NetworkRegressor(config={"lr": 0.01}, random_state=1).fit(features, 1000 + target)
    assert model.predict(features).shape == target.shape
    assert model.score(features, 1000 + target) > 0.4
    whole = NetworkRegressor(epochs=2).fit(features, target.astype(int))
    assert whole.predict(features[:3]).shape == (3,)
    with pytest.raises(TrainingError, match="for labels use NetworkClassifier"):
        NetworkRegressor().fit(X, NAMES)
