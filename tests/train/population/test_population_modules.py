"""The engine "traced" trains networks correctly, or refuses them with the reason."""

import logging

import numpy as np
import pytest
import torch
from populations import X, Y, outcome, trainer, trials
from torch import nn

from metaopt.core.errors import TrainingError

IMAGES = np.random.default_rng(1).normal(size=(60, 6, 6))
LABELS = (IMAGES[:, 2, 3] > 0).astype(int)
TOKENS = torch.from_numpy(np.random.default_rng(2).integers(0, 5, size=(60, 4)))
CONFIGS = [
    {"lr": 0.01, "eps": 1e-3, "l1": 1e-4, "epochs": 2},
    {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9},
    {"optimizer": "rmsprop", "lr": 0.01, "eps": 1e-2, "schedule": "cosine"},
    {"optimizer": "adamw", "lr": 0.01, "eps": 1e-3, "weight_decay": 0.1},
    {"optimizer": "sgd", "lr": 0.05, "l2": 0.01},
]


class Block(nn.Module):
    """Layer normalisation, a residual and dropout, as users write them."""

    def __init__(self, p):
        super().__init__()
        self.dense, self.norm, self.drop = nn.Linear(7, 7), nn.LayerNorm(7), nn.Dropout(p)
        self.head = nn.Linear(7, 3)

    def forward(self, x):
        return self.head(self.norm(x + self.drop(torch.relu(self.dense(x)))))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(7, 7), nn.Linear(7, 7), nn.Linear(7, 3)
        self.second.weight = self.first.weight
        self.first.bias.requires_grad_(False)

    def forward(self, x):
        return self.head(torch.tanh(self.second(torch.tanh(self.first(x)))))


def batch_norm(config):
    return nn.Sequential(
        nn.Linear(7, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Dropout(0.2), nn.Linear(6, 3)
    )


def channels(config):
    return nn.Sequential(
        nn.Unflatten(1, (1, 6)), nn.Conv2d(1, 3, 3), nn.Dropout2d(0.3), nn.BatchNorm2d(3),
        nn.GELU(), nn.Flatten(), nn.Linear(48, 2),
    )  # fmt: skip


def tokens(config):
    return nn.Sequential(nn.Embedding(5, 6), nn.Flatten(), nn.Linear(24, 2))


CASES = {
    "block": (lambda c: Block(0.1 + c["lr"]), X, Y),
    "tied and frozen": (lambda c: Tied(), X, Y),
    "batch norm": (batch_norm, X, Y),
    "channels": (channels, IMAGES, LABELS),
    "cnn": ("cnn", IMAGES, LABELS),
    "tokens": (tokens, TOKENS, LABELS),
}


@pytest.mark.parametrize("name", CASES)
def test_members_equal_their_training_with_the_single_engine(name):
    build, inputs, labels = CASES[name]
    options = {"dtype": torch.float64, "stopping": None, "epochs": 4}
    many = dict(trainer(build, inputs, labels, engine="traced", **options).many(trials(CONFIGS)))
    alone = trainer(build, inputs, labels, engine="traced", **options)
    single = trainer(build, inputs, labels, **options)
    for trial in trials(CONFIGS):
        found, expected = many[trial.number], single(trial)
        assert (found.data["engine"], expected.data["engine"]) == ("traced", "single")
        for one in (expected, alone(trials(CONFIGS)[trial.number])):
            assert np.asarray(found.curve) == pytest.approx(np.asarray(one.curve), abs=1e-10)
            assert found.metrics["test"] == pytest.approx(one.metrics["test"], abs=1e-10)
            assert found.metrics["accuracy"] == one.metrics["accuracy"]


def test_best_weights_and_running_statistics_are_restored():
    options = {"dtype": torch.float64, "epochs": 12}
    many = dict(trainer(batch_norm, engine="traced", **options).many(trials(CONFIGS)))
    single = trainer(batch_norm, **options)
    assert {r.data["stopped"] for r in many.values()} >= {"patience"}
    for trial in trials(CONFIGS):
        expected = single(trial)
        found = many[trial.number]
        assert found.metrics["best_epoch"] == expected.metrics["best_epoch"]
        assert found.metrics["test"] == pytest.approx(expected.metrics["test"], abs=1e-8)


def picky_loss(outputs, targets):
    if outputs.abs().max() > 30:
        raise ArithmeticError("outputs are large")
    return (outputs.sum(1) - targets).square().mean()


def test_a_loss_that_raises_later_fails_its_member_only():
    configs = [{"lr": 0.01}, {"optimizer": "sgd", "lr": 0.35, "epochs": 40}, {"lr": 0.003}]
    own = {"loss": picky_loss, "metrics": [], "stopping": None, "dtype": torch.float64}
    many = dict(trainer(lambda c: Block(0.1), engine="traced", **own).many(trials(configs)))
    assert many[1].error.message == "ArithmeticError: outputs are large"
    assert many[1].curve
    single = trainer(lambda c: Block(0.1), **own)
    for k in (0, 2):
        expected = single(trials(configs)[k]).curve
        assert np.asarray(many[k].curve) == pytest.approx(np.asarray(expected), abs=1e-8)


class Functional(Block):
    def forward(self, x):
        return self.head(nn.functional.dropout(self.norm(x), 0.5, self.training))


class Counting(Block):
    def __init__(self, p):
        super().__init__(p)
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x):
        self.count = self.count + 1
        return super().forward(x) + self.count


class Twice(Block):
    def forward(self, x):
        return super().forward(self.drop(x))


class Branching(Block):
    def forward(self, x):
        return super().forward(x if x.mean() > 0 else -x)


class Warming(Block):
    steps = 0

    def forward(self, x):
        self.steps += 1
        return super().forward(x) * min(1.0, self.steps / 100)


class Constant(Block):
    def __init__(self, p):
        super().__init__(p)
        self.offset = [torch.rand(3)]

    def forward(self, x):
        return super().forward(x) + self.offset[0]


REFUSED = {
    "dropout of the functional kind": (lambda c: Functional(0.1), "draws random numbers"),
    "a buffer that is replaced": (lambda c: Counting(0.1), "replaces a buffer"),
    "a branch by values": (lambda c: Branching(0.1), "data-dependent control flow or shapes"),
    "a count in Python": (lambda c: Warming(0.1), "Python objects change"),
    "a tensor that is no buffer": (lambda c: Constant(0.1), "neither parameter nor buffer"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_networks_that_cannot_be_traced_are_trained_one_by_one(name, caplog):
    build, reason = REFUSED[name]
    with caplog.at_level(logging.DEBUG, "metaopt.train"):
        many = dict(trainer(build, engine="traced").many(trials(CONFIGS)))
    assert reason in caplog.text and "trains alone" in caplog.text
    for trial in trials(CONFIGS):
        assert outcome(many[trial.number]) == outcome(trainer(build)(trial))


def test_perceptrons_use_the_engine_lowered_unless_single_is_requested():
    ((_, result),) = trainer(engine="traced").many(trials([{}]))
    assert result.data["engine"] == "lowered"
    ((_, result),) = trainer(engine="single").many(trials([{}]))
    assert result.data["engine"] == "single"
    with pytest.raises(TrainingError, match="engine must be one of 'auto', 'single'"):
        trainer(engine="lowered")


@pytest.mark.parametrize("name", ["block", "cnn"])
def test_half_precision_is_near_full_precision_also_in_a_batch(name):
    build, inputs, labels = CASES[name]
    options = {"stopping": None, "epochs": 3}
    full = trainer(build, inputs, labels, **options)
    half = trainer(build, inputs, labels, precision="bf16", **options)
    many = trainer(build, inputs, labels, precision="bf16", engine="traced", **options)
    together = dict(many.many(trials(CONFIGS)))
    for trial in trials(CONFIGS):
        expected = np.asarray(full(trial).curve)
        for found in (half(trials(CONFIGS)[trial.number]), together[trial.number]):
            assert np.asarray(found.curve) == pytest.approx(expected, abs=0.03)
            assert found.curve != full(trials(CONFIGS)[trial.number]).curve
        assert found.data["engine"] == "traced"
    assert half(trials(CONFIGS)[0]).curve == half(trials(CONFIGS)[0]).curve
    with pytest.raises(TrainingError, match="one of 'full', 'bf16', 'fp16', got 'fp8'"):
        trainer(precision="fp8")
