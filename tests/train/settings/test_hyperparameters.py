"""Optimizers, schedules and penalties against torch.optim and against formulas."""

import math
import re
from dataclasses import MISSING, fields

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from metaopt.core.errors import TrainingError
from metaopt.train import Trainer
from metaopt.train.engines.optimizers import RULES, FlatParameters, make_optimizer
from metaopt.train.population.optimizers import FORMS, SEGMENTS, update_form
from metaopt.train.settings import hyperparameters
from metaopt.train.settings.hyperparameters import NAMES, ConfigView, Recipe
from metaopt.train.settings.networks import mlp

STEPS = 30


def network(dtype=torch.float64):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return mlp(6, 3, depth=2, width=7, activation="tanh").to(dtype)


def batches(dtype=torch.float64):
    g = torch.Generator().manual_seed(1)
    for _ in range(STEPS):
        yield (
            torch.randn(8, 6, generator=g, dtype=dtype),
            torch.randint(0, 3, (8,), generator=g),
        )


def ours(recipe, dtype=torch.float64):
    net = network(dtype)
    flat = FlatParameters(net)
    optimizer = make_optimizer(flat, recipe)
    for k, (X, y) in enumerate(batches(dtype)):
        flat.gradient.zero_()
        nn.functional.cross_entropy(net(X), y).backward()
        flat.penalise(recipe.l1, recipe.l2)
        optimizer.step(recipe.lr_at(k + 1))
    flat.release()
    return net


def torchs(make, schedule=None, dtype=torch.float64):
    net = network(dtype)
    # Penalties apply to weights, not to biases.
    groups = [
        {"params": [p for p in net.parameters() if p.ndim >= 2]},
        {"params": [p for p in net.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = make(groups)
    scheduler = None if schedule is None else schedule(optimizer)
    for X, y in batches(dtype):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(X), y).backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    return net


def assert_same(a, b, tolerance=1e-12):
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        assert torch.allclose(p, q, rtol=tolerance, atol=tolerance)


OPTIMIZERS = {
    "gd": ({"lr": 0.1, "momentum": 0.5}, lambda g: torch.optim.SGD(g, lr=0.1)),
    "sgd": ({"lr": 0.1}, lambda g: torch.optim.SGD(g, lr=0.1)),
    "sgd momentum l2": (
        {"lr": 0.1, "momentum": 0.9, "l2": 0.03},
        lambda g: torch.optim.SGD(g, lr=0.1, momentum=0.9, weight_decay=0.03),
    ),
    "adam": ({"lr": 0.01}, lambda g: torch.optim.Adam(g, lr=0.01)),
    "adam betas l2": (
        {"lr": 0.01, "beta1": 0.7, "beta2": 0.9, "eps": 1e-4, "l2": 0.1},
        lambda g: torch.optim.Adam(g, lr=0.01, betas=(0.7, 0.9), eps=1e-4, weight_decay=0.1),
    ),
    "adamw": ({"lr": 0.01}, lambda g: torch.optim.AdamW(g, lr=0.01)),
    "adamw decay": (
        {"lr": 0.01, "weight_decay": 0.5},
        lambda g: torch.optim.AdamW(g, lr=0.01, weight_decay=0.5),
    ),
    "rmsprop": ({"lr": 0.01}, lambda g: torch.optim.RMSprop(g, lr=0.01)),
    "rmsprop momentum": (
        {"lr": 0.01, "alpha": 0.9, "momentum": 0.8, "l2": 0.1},
        lambda g: torch.optim.RMSprop(g, lr=0.01, alpha=0.9, momentum=0.8, weight_decay=0.1),
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_make_the_steps_of_torch_optim(name):
    config, make = OPTIMIZERS[name]
    recipe = Recipe.read({"optimizer": name.split()[0], **config}, 5)
    assert_same(ours(recipe), torchs(make))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_make_the_steps_of_torch_optim_in_single_precision(name):
    config, make = OPTIMIZERS[name]
    recipe = Recipe.read({"optimizer": name.split()[0], **config}, 5)
    f32 = torch.float32
    assert_same(ours(recipe, f32), torchs(make, dtype=f32), 1e-5)


SCHEDULES = {
    "constant": ({}, lambda o: lr_scheduler.ConstantLR(o, factor=1.0)),
    "exponential": ({"decay": 0.8}, lambda o: lr_scheduler.ExponentialLR(o, 0.8)),
    "exponential_restarts": (
        {"decay": 0.8, "restart_every": 4},
        lambda o: lr_scheduler.LambdaLR(o, lambda k: 0.8 ** (k % 4)),
    ),
    "cosine": ({}, lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=STEPS)),
}


def test_every_optimizer_and_schedule_of_the_tables_is_compared_here():
    assert set(SCHEDULES) == set(hyperparameters.SCHEDULES)
    assert {name.split()[0] for name in OPTIMIZERS} == set(hyperparameters.OPTIMIZERS)


def test_every_optimizer_has_a_rule_and_a_batched_form():
    assert set(hyperparameters.OPTIMIZERS) == set(RULES) == set(FORMS)
    recipes = [Recipe(5, name, momentum=momentum) for name in FORMS for momentum in (0.0, 0.9)]
    assert {update_form(recipe) for recipe in recipes} == set(SEGMENTS)


def test_an_optimizer_without_a_batched_form_is_an_error_there_and_never_another_one(monkeypatch):
    monkeypatch.setattr(hyperparameters, "CHOICES", {**hyperparameters.CHOICES, "optimizer": "x"})
    with pytest.raises(TrainingError, match=r"optimizer 'x' has no batched form.*engine 'single'"):
        update_form(Recipe(5, "x"))


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_equal_those_of_lr_scheduler(name):
    config, schedule = SCHEDULES[name]
    recipe = Recipe.read({"optimizer": "sgd", "lr": 0.3, "schedule": name, **config}, STEPS)
    theirs = torchs(lambda g: torch.optim.SGD(g, lr=0.3), schedule)
    assert_same(ours(recipe), theirs, 1e-10)


def test_restarts_return_to_the_first_rate():
    recipe = Recipe(9, schedule="exponential_restarts", decay=0.5, restart_every=3, lr=1.0)
    assert [recipe.lr_at(e) for e in range(1, 8)] == [1, 0.5, 0.25, 1, 0.5, 0.25, 1]


def test_penalties_have_the_gradient_of_their_formula():
    l1, l2 = 0.3, 0.7
    net, plain = network(), network()
    flat = FlatParameters(net)
    flat.penalise(l1, l2)
    weights = [p for p in plain.parameters() if p.ndim >= 2]
    sum(l1 * w.abs().sum() + l2 / 2 * w.square().sum() for w in weights).backward()
    for p, q in zip(net.parameters(), plain.parameters(), strict=True):
        expected = torch.zeros_like(p) if q.grad is None else q.grad
        assert torch.allclose(p.grad, expected, rtol=1e-14)


def test_flat_parameters_are_views_until_they_are_released():
    net = network()
    before = [p.detach().clone() for p in net.parameters()]
    flat = FlatParameters(net)
    for p, q in zip(net.parameters(), before, strict=True):
        assert torch.equal(p, q)
    flat.vector.zero_()
    assert all(not p.any() for p in net.parameters())
    flat.release()
    flat.vector.fill_(1)
    assert all(not p.any() and p.grad is None for p in net.parameters())


def test_snapshots_restore_weights_and_buffers():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    flat = FlatParameters(net)
    taken, state = flat.snapshot(), {k: v.clone() for k, v in net.state_dict().items()}
    net.train()(torch.ones(5, 3))
    flat.vector.add_(1)
    flat.restore(taken)
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())


def test_frozen_parameters_are_left_out_and_a_network_without_others_is_refused():
    net = network()
    net[1].weight.requires_grad_(False)
    assert FlatParameters(net).vector.numel() == sum(
        p.numel() for p in net.parameters() if p.requires_grad
    )
    with pytest.raises(TrainingError, match="without trainable parameters"):
        FlatParameters(nn.ReLU())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"lr": -0.1}, "parameter 'lr' must be above 0, got -0.1"),
        ({"lr": math.nan}, "parameter 'lr' must be above 0, got nan"),
        ({"lr": "0.1"}, "parameter 'lr' must be above 0, got '0.1'"),
        ({"momentum": 1.0}, "parameter 'momentum' must be at least 0 and below 1, got 1.0"),
        ({"decay": 1.5}, "parameter 'decay' must be above 0 and at most 1"),
        ({"batch_size": 0}, "parameter 'batch_size' must be an integer from 1"),
        ({"batch_size": True}, "parameter 'batch_size' must be an integer from 1"),
        ({"epochs": 2.5}, "parameter 'epochs' must be an integer from 1"),
        ({"l1": -1}, "parameter 'l1' must be at least 0"),
        ({"optimizer": "adamm"}, r"one of gd, sgd, .*, got 'adamm'; did you mean 'adam'\?"),
        ({"schedule": "cosin"}, r"got 'cosin'; did you mean 'cosine'\?"),
    ],
)
def test_errors_for_values_out_of_range_name_the_parameter(config, message):
    with pytest.raises(TrainingError, match=message):
        Recipe.read(config, 5)


def test_numpy_scalars_become_python_numbers():
    recipe = Recipe.read({"lr": np.float64(0.1), "batch_size": np.int64(8)}, 5)
    assert type(recipe.lr) is float and type(recipe.batch_size) is int


def test_epochs_of_the_configuration_take_precedence():
    assert Recipe.read({"epochs": 3}, 5).epochs == 3
    assert Recipe.read({}, 5).epochs == 5


def test_a_view_records_which_parameters_were_read():
    view = ConfigView({"width": 8, "lr": 0.1, "widht": 9})
    assert view["width"] == 8 and view.get("depth", 2) == 2
    with pytest.raises(TrainingError, match=r"'widht' is read neither .*did you mean 'width'"):
        view.check_all_read()
    with pytest.raises(KeyError, match="no parameter 'wide'; did you mean 'width'"):
        view["wide"]
    dict(view)
    view.check_all_read()


def test_every_recipe_name_is_documented_with_its_default():
    assert all(f"{name}" in (Recipe.__doc__ or "") for name in NAMES)
    listed = (Trainer.__doc__ or "").split("=====\n")[1]  # its table
    for field in fields(Recipe):
        default = field.default
        said = f'{field.name}="{default}"' if isinstance(default, str) else f"{field.name}="
        assert said in listed if default is not MISSING else field.name in listed
        if isinstance(default, float | int):
            value = re.search(rf"{field.name}=([\d.e-]+)", listed)
            assert value is not None and float(value[1]) == default, field.name
