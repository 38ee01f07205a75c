import pickle

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error
from torch import nn

from metaopt.core.errors import TrainingError
from metaopt.train import accuracy, cnn, cross_entropy, mlp, mse
from metaopt.train.settings.metrics import find_loss, find_metric
from metaopt.train.settings.networks import ReadyMade, find_build

G = torch.Generator().manual_seed(0)
OUTPUTS, CODES = torch.randn(20, 3, generator=G), torch.randint(0, 3, (20,), generator=G)


def test_metrics_equal_those_of_scikit_learn():
    probabilities = OUTPUTS.double().softmax(1).numpy()
    assert float(cross_entropy(OUTPUTS, CODES)) == pytest.approx(log_loss(CODES, probabilities))
    assert accuracy(OUTPUTS, CODES) == accuracy_score(CODES, OUTPUTS.argmax(1))
    values = torch.linspace(0, 1, 20)
    expected = mean_squared_error(values, OUTPUTS[:, 0])
    assert float(mse(OUTPUTS[:, :1], values)) == pytest.approx(expected)
    assert float(mse(OUTPUTS[:, 0], values)) == pytest.approx(expected)


def test_directions_and_defaults():
    assert find_metric(None, "cross_entropy").direction == "minimize"
    assert find_metric("accuracy", "cross_entropy").direction == "maximize"
    assert find_metric(lambda o, t: 0.0, "mse", "maximize").direction == "maximize"


def test_a_custom_metric_gets_arguments_that_scikit_learn_accepts():
    metric = find_metric(lambda o, t: accuracy_score(t, o.argmax(1)), "cross_entropy", "maximize")
    assert metric(OUTPUTS, CODES) == accuracy(OUTPUTS, CODES)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: find_loss("mes"), "got 'mes'; did you mean 'mse'"),
        (lambda: find_metric("acuracy", "cross_entropy"), "did you mean 'accuracy'"),
        (lambda: find_metric("accuracy", "mse"), "'accuracy' does not fit loss 'mse'"),
        (lambda: find_metric("mse", "mse", "maximize"), "direction 'minimize', got 'maximize'"),
        (lambda: find_metric(max, "mse", "up"), "direction must be"),
        (lambda: find_build("mpl", (4,), 2), "build must be .*'mlp' or 'cnn', got 'mpl'"),
        (lambda: mlp(4, 2, activation="rellu"), "got 'rellu'; did you mean 'relu'"),
        (lambda: mlp(4, 2, depth=-1), "'depth' must be an integer from 0, got -1"),
        (lambda: mlp(4, 2, width=2.5), "'width' must be an integer from 1, got 2.5"),
        (lambda: mlp(4, 2, dropout=1.0), "'dropout' must be at least 0 and below 1"),
        (lambda: cnn((4,), 2), r"cnn needs inputs \(n, c, h, w\)"),
    ],
)
def test_wrong_names_and_values_are_refused(call, message):
    with pytest.raises(TrainingError, match=message):
        call()


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "gelu"])
def test_mlp_has_the_requested_layers(depth, activation):
    net = mlp(6, 2, depth=depth, width=5, activation=activation, dropout=0.1)
    sizes = [(m.in_features, m.out_features) for m in net if isinstance(m, nn.Linear)]
    assert sizes == list(zip([6] + [5] * depth, [5] * depth + [2], strict=True))
    assert sum(isinstance(m, nn.Dropout) for m in net) == depth
    assert net(torch.ones(3, 2, 3)).shape == (3, 2)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 7), (8, 8), (2, 1, 1)])
@pytest.mark.parametrize("depth", [1, 4])
def test_cnn_accepts_images_of_any_size(shape, depth):
    net = cnn(shape, 5, depth=depth, channels=2, width=6, dropout=0.2)
    assert net(torch.ones(2, *shape)).shape == (2, 5)


def test_ready_made_builds_pickle_and_read_the_configuration():
    build = pickle.loads(pickle.dumps(ReadyMade("mlp", (4,), 3)))
    net = build({"depth": 1, "width": np.int64(7)})
    assert [tuple(p.shape) for p in net.parameters()] == [(7, 4), (7,), (3, 7), (3,)]
