"""Data, configurations and trainers shared by the tests of populations."""

import numpy as np

from metaopt.train import EarlyStopping, Trainer
from metaopt.train.settings.hyperparameters import OPTIMIZERS
from metaopt.train.settings.schedules import SCHEDULES
from metaopt.trials.records import Proposal
from metaopt.trials.trial import Trial

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 7))
Y = (X[:, 0] + X[:, 1] ** 2 > 0.8).astype(int) + (X[:, 2] > 0.5)
REAL = X @ RNG.normal(size=7) + RNG.normal(size=150) / 10
COST = {"wall_seconds", "cpu_seconds", "memory_mb", "gpu_seconds", "gpu_memory_mb"}


def trainer(build="mlp", X=X, y=Y, **options):
    usual = {"epochs": 5, "device": "cpu", "metrics": ["accuracy"], "stopping": EarlyStopping(1)}
    return Trainer(build, X, y, **{**usual, **options})


def outcome(result):
    """Return all of a result but its cost."""
    metrics = {k: v for k, v in result.metrics.items() if k not in COST}
    return result.status, result.value, result.curve, metrics, result.data


def trials(configs, channel=None, numbers=None):
    numbers = range(len(configs)) if numbers is None else numbers
    return [Trial(Proposal(k, c, 100 + k), 7, channel) for k, c in zip(numbers, configs)]  # noqa: B905


def random_config(k, **fixed):
    rng = np.random.default_rng(k)
    optimizer = OPTIMIZERS[k % len(OPTIMIZERS)]
    config = {
        "optimizer": optimizer,
        "lr": float(10 ** rng.uniform(-3, -1)),
        "schedule": list(SCHEDULES)[k % len(SCHEDULES)],
        "decay": 0.8,
        "restart_every": 2,
        "batch_size": int(rng.choice([16, 32])),
        "width": int(rng.choice([8, 9])),
        "depth": int(rng.choice([0, 1, 2])),
        "activation": str(rng.choice(["relu", "tanh", "sigmoid", "gelu"])),
        "epochs": int(rng.integers(2, 9)),
    }
    if rng.random() < 0.5:
        config["l1"] = float(10 ** rng.uniform(-5, -3))
    if rng.random() < 0.5:
        config["l2"] = float(10 ** rng.uniform(-4, -2))
    if rng.random() < 0.6:
        config["dropout"] = float(rng.uniform(0.05, 0.5))
    if optimizer in ("sgd", "rmsprop") and rng.random() < 0.5:
        config["momentum"] = float(rng.uniform(0.1, 0.95))
    if optimizer in ("adam", "adamw"):
        config |= {"beta1": float(rng.uniform(0.5, 0.95)), "beta2": float(rng.uniform(0.9, 0.999))}
    return config | fixed


def check_no_team_failed(caplog):
    """Check that no team failed: it would train again in halves, which could hide a defect."""
    assert "train again in halves" not in caplog.text


MIX = [random_config(k) for k in range(60)]
