"""Law 9: networks give the same results whether trained alone or in any batch."""

import logging

import cloudpickle
import numpy as np
import pytest
import torch
from populations import (
    MIX,
    REAL,
    X,
    check_no_team_failed,
    outcome,
    random_config,
    trainer,
    trials,
)
from torch import nn

from metaopt import Study
from metaopt.problems.training import training_space
from metaopt.pruning import MedianPruner
from metaopt.train.population import optimizers
from metaopt.train.scheduling import grouping


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


def test_a_batch_equals_training_alone_bit_for_bit(dtype, caplog):
    t = trainer(dtype=dtype)
    together = dict(t.many(trials(MIX)))
    assert sorted(together) == list(range(len(MIX)))
    for trial in trials(MIX):
        alone = t(trial)
        assert outcome(together[trial.number]) == outcome(alone)
        assert alone.data["engine"] == "lowered"
    stopped = {r.data["stopped"] for r in together.values()}
    assert stopped >= {"epochs", "patience"}  # so members left while others stayed
    check_no_team_failed(caplog)


def test_wide_layers_and_long_inputs_are_the_same_too():
    wide = np.random.default_rng(0).normal(size=(150, 784))
    t = trainer(X=wide, epochs=2)
    configs = [random_config(k, width=96, depth=2, batch_size=48) for k in range(10)]
    together = dict(t.many(trials(configs)))
    for trial in trials(configs):
        assert outcome(together[trial.number]) == outcome(t(trial))


@pytest.mark.parametrize("inputs", [1, 2, 40])
def test_a_single_output_a_single_input_and_widths_of_any_size(inputs, dtype, caplog):
    # PyTorch sums products with a side of 1 in another order for a single network.
    some = np.random.default_rng(0).normal(size=(150, inputs))
    t = trainer(X=some, y=REAL, loss="mse", metrics=[], epochs=2, dtype=dtype)
    widths = [1, 7, 20, 32, 33, 64, 100, 128, 130, 200, 256, 300]
    configs = [random_config(k, width=w, depth=1 + k % 2) for k, w in enumerate(widths * 2)]
    together = dict(t.many(trials(configs)))
    for trial in trials(configs):
        assert outcome(together[trial.number]) == outcome(t(trial))
    one = trainer(X=some, y=REAL, loss="mse", metrics=[], epochs=1, validation=(some[:1], REAL[:1]))
    together = dict(one.many(trials(configs)))
    for trial in trials(configs):
        assert outcome(together[trial.number]) == outcome(one(trial))
    check_no_team_failed(caplog)


def test_networks_with_equal_padded_widths_share_a_team_and_padding_stays_zero(monkeypatch):
    teams = []
    form = grouping.Lowered

    def watched(members, nets):
        teams.append(form(members, nets))
        monkeypatch.setattr(teams[-1], "close", lambda: None)
        return teams[-1]

    monkeypatch.setattr(grouping, "Lowered", watched)
    names = ["relu", "gelu", "tanh", "sigmoid"]
    configs = [
        {"width": 3 + k, "activation": names[k % 4], "optimizer": o, "lr": 0.01, "l2": 1e-3,
         "l1": 1e-4, "dropout": 0.2, "epochs": 3}
        for k, o in enumerate(["sgd", "adam", "adamw", "rmsprop"] * 7)
    ]  # fmt: skip
    assert len(dict(trainer(stopping=None).many(trials(configs)))) == 28
    (team,) = teams
    for row, net in enumerate(team._nets):
        w = net.dense[1].in_features
        first, second, last, biases = (region[row] for region in team._stack.w)
        for padding in (first[:, w:], second[w:], second[:, w:], last[w:], biases[w:32]):
            assert not padding.any()
        assert second[:w, :w].all() and biases[:w].all()


def test_neither_order_nor_other_members_nor_team_size_change_results(monkeypatch):
    t = trainer()
    whole = dict(t.many(trials(MIX)))
    order = np.random.default_rng(3).permutation(len(MIX))[:40].tolist()
    some = dict(t.many(trials([MIX[k] for k in order], numbers=order)))
    assert list(some) != sorted(some)
    for k in order:
        assert outcome(some[k]) == outcome(whole[k])
    monkeypatch.setattr(grouping, "CPU_MEMBERS", 3)
    monkeypatch.setattr(grouping, "CPU_BYTES", 1)
    small = dict(t.many(trials(MIX)))
    assert {k: outcome(r) for k, r in small.items()} == {k: outcome(r) for k, r in whole.items()}


def single_engine(monkeypatch):
    monkeypatch.setattr(grouping, "read_perceptron", lambda *args: "this is a test")


@pytest.mark.parametrize("fused", [True, False])
def test_the_single_engine_gives_the_same_numbers(fused, monkeypatch):
    # eps: otherwise adaptive steps amplify gradients that are only rounding errors.
    configs = [random_config(k, eps=1e-3, activation="tanh") for k in range(40)]
    t = trainer(dtype=torch.float64)
    if not fused:
        monkeypatch.setattr(optimizers, "has_fused_adam", lambda dtype: False)
    many = dict(t.many(trials(configs)))
    single_engine(monkeypatch)
    for trial in trials(configs):
        one = t(trial)
        assert one.data["engine"] == "single"
        found = many[trial.number]
        assert found.data["stopped"] == one.data["stopped"]
        assert np.asarray(found.curve) == pytest.approx(np.asarray(one.curve), abs=1e-10)
        assert found.metrics["test"] == pytest.approx(one.metrics["test"], abs=1e-10)
        losses = found.data["train_loss"], one.data["train_loss"]
        assert losses[0] == pytest.approx(losses[1], abs=1e-10)


def test_the_single_engine_gives_the_same_numbers_in_single_precision(monkeypatch):
    configs = [random_config(k, eps=1e-3, activation="tanh", epochs=2, lr=0.01) for k in range(20)]
    many = dict(trainer().many(trials(configs)))
    single_engine(monkeypatch)
    for trial in trials(configs):
        curve = trainer()(trial).curve
        assert np.asarray(many[trial.number].curve) == pytest.approx(np.asarray(curve), abs=1e-5)


def own_loss(outputs, targets):
    return nn.functional.smooth_l1_loss(outputs[:, 0], targets)


@pytest.mark.parametrize("loss", ["mse", own_loss])
def test_regression_and_user_defined_losses(loss, monkeypatch):
    t = trainer(y=REAL, loss=loss, metrics=[], dtype=torch.float64)
    configs = [random_config(k, eps=1e-3, activation="gelu", batch_size=29) for k in range(12)]
    many = dict(t.many(trials(configs)))
    for trial in trials(configs):
        assert outcome(t(trial)) == outcome(many[trial.number])
    single_engine(monkeypatch)
    for trial in trials(configs):
        curve = t(trial).curve
        assert np.asarray(many[trial.number].curve) == pytest.approx(np.asarray(curve), abs=1e-10)


def layers(*modules):
    return lambda config: nn.Sequential(*[m() for m in modules])


CHAINS = {
    "no bias": layers(lambda: nn.Linear(7, 8, bias=False), nn.ReLU, lambda: nn.Linear(8, 3)),
    "no bias at all": layers(lambda: nn.Linear(7, 3, bias=False)),
    "dropped inputs": layers(lambda: nn.Dropout(0.2), lambda: nn.Linear(7, 3)),
    "all dropped": layers(
        lambda: nn.Linear(7, 8), nn.ReLU, lambda: nn.Dropout(1.0), lambda: nn.Linear(8, 3)
    ),
    "two dense layers": layers(lambda: nn.Linear(7, 8), nn.Identity, lambda: nn.Linear(8, 3)),
    "nested": lambda c: nn.Sequential(
        nn.Flatten(), nn.Sequential(nn.Linear(7, 8), nn.SiLU()), nn.Sequential(nn.Linear(8, 3))
    ),
    "a layer for all": lambda c: nn.Linear(7, 3),
    "more scores than classes": lambda c: nn.Linear(7, 5),
    "approximate gelu": lambda c: nn.Sequential(
        nn.Linear(7, 5), nn.GELU(approximate="tanh"), nn.Linear(5, 3)
    ),
}


def shared_modules(config):
    act, drop = nn.Tanh(), nn.Dropout(0.3)
    return nn.Sequential(nn.Linear(7, 8), act, drop, nn.Linear(8, 6), act, drop, nn.Linear(6, 3))


CHAINS["shared activation and dropout"] = shared_modules


@pytest.mark.parametrize("name", CHAINS)
def test_every_chain_of_supported_layers_uses_the_engine_lowered(name, monkeypatch):
    t = trainer(CHAINS[name], dtype=torch.float64)
    configs = [{"lr": 0.01, "eps": 1e-3}, {"optimizer": "sgd", "lr": 0.1}]
    many = dict(t.many(trials(configs)))
    assert all(r.data["engine"] == "lowered" for r in many.values())
    single_engine(monkeypatch)
    for trial in trials(configs):
        curve = t(trial).curve
        assert np.asarray(many[trial.number].curve) == pytest.approx(np.asarray(curve), abs=1e-10)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cells = nn.LSTM(7, 4, num_layers=2, dropout=0.3)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.cells(x)[0])


def tied(config):
    layer = nn.Linear(7, 7)
    return nn.Sequential(layer, nn.ReLU(), layer, nn.ReLU(), nn.Linear(7, 3))


def hooked(config):
    net = nn.Sequential(nn.Linear(7, 3))
    net[0].register_forward_hook(lambda module, inputs, outputs: outputs * 2)
    return net


def frozen(config):
    net = nn.Sequential(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3))
    net[0].weight.requires_grad_(False)
    return net


OTHERS = {
    "LSTM": lambda c: Recurrent(),
    "batch norm": layers(
        lambda: nn.Linear(7, 6), lambda: nn.BatchNorm1d(6), nn.ReLU, lambda: nn.Linear(6, 3)
    ),
    "tied": tied,
    "hooked": hooked,
    "frozen": frozen,
    "weight norm": lambda c: nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(7, 5)), nn.ReLU(), nn.Linear(5, 3)
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_networks_train_one_by_one_with_the_reason_logged(name, caplog):
    t = trainer(OTHERS[name])
    configs = [{"lr": 0.01}, {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9}, {"lr": 0.003}]
    with caplog.at_level(logging.DEBUG, "metaopt.train"):
        many = dict(t.many(trials(configs)))
    assert "trains alone: " in caplog.text
    for trial in trials(configs):
        assert outcome(t(trial)) == outcome(many[trial.number])
        assert many[trial.number].data["engine"] == "single"


def test_a_refit_repeats_the_trial():
    t = trainer(X=X[:, :6].reshape(150, 2, 3))
    ((_, result),) = t.many(trials([MIX[1]]))
    fitted = t.refit(MIX[1], 100, 7)
    assert (fitted.value, fitted.curve) == (result.value, result.curve)
    assert not fitted.network.training
    again = cloudpickle.loads(cloudpickle.dumps(fitted))
    assert again.outputs(X[:, :6].reshape(150, 2, 3)).shape == (150, 3)


# -- in a study ------------------------------------------------------------------------------------


class OneByOne:
    """The same objective without `many`: trials run one by one."""

    def __init__(self, trainer):
        self.trainer, self.direction = trainer, trainer.direction

    def __call__(self, trial):
        return self.trainer(trial)


def run(objective, batch_size, **options):
    study = Study(training_space(), "random", seed=5, **options)
    study.optimize(objective, n_trials=24, batch_size=batch_size)
    return {r.number: (r.params, outcome(r.result)) for r in study.trials}


def test_a_study_in_batches_equals_the_study_one_by_one():
    t = trainer(epochs=3)
    batches = run(t, 8)
    assert batches == run(OneByOne(t), 8)
    assert all(o[4]["engine"] == "lowered" for _, o in batches.values())


def test_a_pruner_compares_all_members_of_a_batch_at_the_same_epoch():
    found = run(trainer(epochs=6, stopping=None), 24, pruner=MedianPruner(warmup_steps=2))
    status = [o[0] for _, o in found.values()]
    # Half of them after the second epoch, and more later.
    assert 12 <= status.count("pruned") < 24
    curves = {k: dict(o[2]) for k, (_, o) in found.items()}
    best = {k: min(c[1], c[2]) for k, c in curves.items()}
    for k, (_, o) in found.items():
        others = sorted(best[j] for j in best if j != k)
        if best[k] > np.percentile(others, 50, method="higher"):
            assert o[0] == "pruned" and o[3]["epochs"] == 2
        elif o[0] == "pruned":
            assert o[3]["epochs"] > 2


def test_networks_with_different_activations_share_a_team(monkeypatch):
    teams = []
    form = grouping.Lowered

    def watched(members, nets):
        teams.append([net.activations for net in nets])
        return form(members, nets)

    monkeypatch.setattr(grouping, "Lowered", watched)
    names = ["relu", "gelu", "tanh", "sigmoid", "relu", "gelu"]
    configs = [{"activation": name, "width": 9, "lr": 0.01, "dropout": 0.1} for name in names]
    together = dict(trainer().many(trials(configs)))
    assert len(teams) == 1 and sorted(teams[0]) == teams[0]
    for trial in trials(configs):
        assert outcome(together[trial.number]) == outcome(trainer()(trial))
