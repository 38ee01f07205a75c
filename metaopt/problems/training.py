"""Training problems: small networks on data sets of scikit-learn, with a held-out test set.

The objective is the validation loss, which is smooth; the score on the test set is recorded as
``metrics["test"]``. Data, scikit-learn and torch are loaded when an objective is first called.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from metaopt.problems.problem import LazyObjective, Problem
from metaopt.space import Categorical, Float, Int, Ordinal, Space

if TYPE_CHECKING:
    from metaopt.train import Trainer

PATIENCE = 4


def training_space() -> Space:
    """Return the space of an MLP and its training: 14 parameters, 5 of them conditional."""
    decaying = ["exponential", "exponential_restarts"]
    return Space(
        optimizer=Categorical(["sgd", "adam", "adamw", "rmsprop"]),
        lr=Float(1e-4, 1e-1, log=True),
        momentum=Float(0.0, 0.99, when={"optimizer": ["sgd"]}),
        weight_decay=Float(1e-4, 1.0, log=True, when={"optimizer": ["adamw"]}),
        schedule=Categorical(["constant", *decaying, "cosine"]),
        decay=Float(0.5, 0.99, when={"schedule": decaying}),
        restart_every=Int(2, 5, when={"schedule": ["exponential_restarts"]}),
        batch_size=Ordinal([16, 32, 64, 128]),
        l1=Float(1e-7, 1e-3, log=True),
        l2=Float(1e-7, 1e-2, log=True, when={"optimizer": ["sgd", "adam", "rmsprop"]}),
        dropout=Float(0.0, 0.5),
        depth=Int(1, 3),
        width=Ordinal([16, 32, 64, 128]),
        activation=Categorical(["relu", "tanh", "sigmoid", "gelu"]),
    )


def digits(epochs: int = 10) -> Problem:
    """Handwritten digits of 8x8 pixels, 10 classes, 1797 samples; validation cross-entropy."""
    return _problem("digits", digits, epochs)


def breast_cancer(epochs: int = 15) -> Problem:
    """Breast tumours, malignant or benign, 30 features, 569 samples; validation cross-entropy."""
    return _problem("breast_cancer", breast_cancer, epochs)


def diabetes(epochs: int = 20) -> Problem:
    """Progress of diabetes, 10 features, 442 samples; validation squared error, standardised."""
    return _problem("diabetes", diabetes, epochs)


TRAINING: dict[str, Callable[[], Problem]] = {
    "digits": digits,
    "breast_cancer": breast_cancer,
    "diabetes": diabetes,
}


def _problem(name: str, function: Callable[[], Problem], epochs: int) -> Problem:
    description = (function.__doc__ or "").strip()
    objective = LazyObjective(partial(make_trainer, name, epochs))
    return Problem(name, training_space(), objective, "minimize", None, description)


def make_trainer(name: str, epochs: int) -> Trainer:
    """Load the data of a training problem and return its objective."""
    from sklearn import datasets

    from metaopt.train import EarlyStopping, Trainer

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    stopping = EarlyStopping(patience=PATIENCE)
    if name == "diabetes":
        return Trainer(
            "mlp",
            X,
            y,
            loss="mse",
            epochs=epochs,
            stopping=stopping,
            standardize=True,
            standardize_target=True,
        )
    return Trainer(
        "mlp",
        X / 16 if name == "digits" else X,  # pixels from 0 to 16, some of them almost always 0
        y,
        metrics=["accuracy"],
        epochs=epochs,
        stopping=stopping,
        standardize=name != "digits",
    )
