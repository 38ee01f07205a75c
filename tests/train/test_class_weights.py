import numpy as np
import pytest
import torch
from populations import (
    REAL,
    X,
    Y,
    check_no_team_failed,
    outcome,
    random_config,
    trainer,
    trials,
)
from sklearn.utils.class_weight import compute_class_weight

from metaopt.core.errors import TrainingError
from metaopt.train.settings.metrics import read_class_weights
from metaopt.trials.trial import fixed_trial

WEIGHTS = {0: 0.5, 1: 2.0, 2: 7.0}
CONFIGS = [random_config(k, eps=1e-3, activation="tanh", batch_size=29) for k in range(10)]


def test_balanced_weights_are_scikit_learns():
    classes = np.unique(Y)
    weights = read_class_weights("balanced", classes, np.bincount(Y).tolist())
    expected = compute_class_weight("balanced", classes=classes, y=Y)
    assert weights.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("validation", [0.2, 3])
def test_engines_agree_alone_and_in_batches(validation, caplog):
    own = {"class_weights": WEIGHTS, "dtype": torch.float64, "validation": validation}
    t, single = trainer(**own), trainer(engine="single", **own)
    many = dict(t.many(trials(CONFIGS)))
    for trial in trials(CONFIGS):
        found, alone = many[trial.number], t(trial)
        assert outcome(found) == outcome(alone) and found.data["engine"] == "lowered"
        expected = single(trials(CONFIGS)[trial.number])
        assert np.asarray(found.curve) == pytest.approx(np.asarray(expected.curve), abs=1e-10)
        parts = [r.data["folds"] if validation == 3 else [r.data] for r in (found, expected)]
        losses = [[part["train_loss"] for part in of] for of in parts]
        assert np.concatenate(losses[0]) == pytest.approx(np.concatenate(losses[1]), abs=1e-10)
    check_no_team_failed(caplog)


def test_a_weight_equals_copies_of_the_samples():
    # With full batches, weight 2 for a class is the same as every sample of it twice.
    config = {"optimizer": "gd", "lr": 0.5, "width": 8}
    own = {"test": None, "validation": (X, Y), "dtype": torch.float64, "stopping": None}
    weighted = trainer(class_weights={2: 2}, **own)(fixed_trial(config))
    rows = np.concatenate([np.arange(150), np.flatnonzero(Y == 2)])
    copied = trainer(X=X[rows], y=Y[rows], **own)(fixed_trial(config))
    assert np.asarray(weighted.curve) == pytest.approx(np.asarray(copied.curve), abs=1e-10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_weights": {3: 1.0}}, "the label 3, which y does not have"),
        ({"class_weights": {1: 0}}, r"class_weights\[1\] must be a number above 0"),
        ({"class_weights": {1: np.inf}}, "must be finite"),
        ({"class_weights": "balance"}, "must be 'balanced' or a dict"),
        ({"class_weights": "balanced", "y": REAL, "loss": "mse"}, "need loss='cross_entropy'"),
    ],
)
def test_wrong_weights_are_refused(options, message):
    with pytest.raises(TrainingError, match=message):
        trainer(**{"metrics": [], **options})
