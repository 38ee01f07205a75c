"""Training in float16: close to full precision, scaled like torch.amp.GradScaler, resumable."""

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from populations import REAL, X, Y, outcome, trainer, trials
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from metaopt.core.errors import TrainingError
from metaopt.train.engines import loss_scale
from metaopt.train.engines.single import Single
from metaopt.trials.records import Proposal
from metaopt.trials.trial import Trial, fixed_trial

FP16 = {"precision": "fp16", "stopping": None}
STEEP = {"y": REAL * 2000, "loss": "mse", "metrics": [], **FP16}  # its first gradients overflow


def with_buffers(config):
    return nn.Sequential(
        nn.Linear(7, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3)
    )


def conv(config):
    return nn.Sequential(
        nn.Unflatten(1, (1, 7)), nn.Conv1d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(20, 3)
    )


def dense(config):
    return nn.Sequential(nn.Linear(7, 8), nn.Tanh(), nn.Linear(8, 1))


def engine_of(t, config):
    (split,) = t._data.prepare(7, torch.device("cpu"))
    return Single([t._factory.member(config, 5, 7, split)])


@pytest.mark.parametrize("build", ["mlp", with_buffers, conv])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
def test_results_are_near_full_precision_and_equal_in_a_batch(build, optimizer):
    config = {"optimizer": optimizer, "lr": 0.003, "eps": 1e-3, "l2": 1e-3}
    full, half = trainer(build, stopping=None, engine="single"), trainer(build, **FP16)
    expected, found = full(fixed_trial(config)), half(fixed_trial(config))
    assert np.asarray(found.curve) == pytest.approx(np.asarray(expected.curve), abs=0.02)
    assert found.curve != expected.curve and found.data["engine"] == "single"
    assert found.data["train_loss"] == pytest.approx(expected.data["train_loss"], abs=0.02)
    alone = [outcome(half(trial)) for trial in trials([config, {**config, "lr": 0.02}])]
    many = dict(half.many(trials([config, {**config, "lr": 0.02}])))
    assert [outcome(many[k]) for k in (0, 1)] == alone


class Reference:
    """The loop in PyTorch's documentation: autocast, GradScaler, and torch.optim."""

    def __init__(self, engine, make):
        self.network = copy.deepcopy(engine._member.network)
        for p in self.network.parameters():
            p.grad = None
        self.optimizer = make(self.network.parameters())
        self.scaler = torch.amp.GradScaler("cpu", growth_interval=loss_scale.GROW_EVERY)

    def step(self, X, y):
        self.optimizer.zero_grad()
        with torch.autocast("cpu", torch.float16):
            outputs = self.network(X)
        loss = nn.functional.mse_loss(outputs.float()[:, 0], y)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return float(loss.detach())


OPTIMIZERS = {
    "gd": (lambda p: torch.optim.SGD(p, lr=1e-6), {"lr": 1e-6}),
    "sgd": (lambda p: torch.optim.SGD(p, lr=1e-6, momentum=0.9), {"lr": 1e-6, "momentum": 0.9}),
    "adam": (lambda p: torch.optim.Adam(p, lr=0.1), {"lr": 0.1}),
    "adamw": (
        lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.0),
        {"lr": 0.1, "weight_decay": 0.0},
    ),
    "rmsprop": (lambda p: torch.optim.RMSprop(p, lr=0.01), {"lr": 0.01, "alpha": 0.99}),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_step_equals_that_of_pytorchs_scaler(name, monkeypatch):
    monkeypatch.setattr(loss_scale, "GROW_EVERY", 5)  # so that the scale grows, and overflows again
    make, config = OPTIMIZERS[name]
    engine = engine_of(
        trainer(dense, **{**STEEP, "epochs": 40}),
        {"optimizer": name, "batch_size": 150, **config},
    )
    reference = Reference(engine, make)
    skips, scales = 0, []
    for epoch in range(1, 41):  # one step per epoch
        before = engine._flat.vector.clone()
        (loss,) = engine.train(epoch)
        X, y = next(engine.feed.epoch(epoch))
        assert loss == pytest.approx(reference.step(X, y), rel=1e-3)
        scales.append(float(engine._scale.scale))
        assert scales[-1] == reference.scaler.get_scale()
        skips += torch.equal(before, engine._flat.vector)
        pairs = zip(engine._network.parameters(), reference.network.parameters(), strict=True)
        for ours, theirs in pairs:
            torch.testing.assert_close(ours.detach(), theirs.detach(), rtol=2e-3, atol=2e-3)
    assert skips >= 4 and scales[0] == 2.0**15  # the first step overflows
    assert any(a < b for a, b in pairwise(scales))
    assert sum(a > b for a, b in pairwise([2.0**16, *scales])) == skips


def test_skipped_steps_are_not_divergence_and_their_losses_count():
    t = trainer(dense, **{**STEEP, "epochs": 9})
    engine = engine_of(t, {"lr": 0.1, "batch_size": 32})
    before = engine._flat.vector.clone()
    (loss,) = engine.train(1)
    assert torch.equal(before, engine._flat.vector)  # three steps, all skipped
    assert np.isfinite(loss) and loss > 1e5
    result = t(fixed_trial({"lr": 10, "batch_size": 32}))
    assert result.status == "complete" and result.data["stopped"] == "epochs"
    assert result.value < result.curve[0][1]


class Spiky(nn.Module):
    """Overflows in its forward pass for one sample, in any batch."""

    def __init__(self):
        super().__init__()
        self.dense, self.norm, self.head = nn.Linear(7, 7), nn.BatchNorm1d(7), nn.Linear(7, 3)

    def forward(self, x):
        spike = torch.where(self.training & (x[:, :1] == SPIKE), 1e30, 1.0)
        return self.head(self.norm(self.dense(x * spike)))


SPIKE = np.float32(X[0, 0]).item()


def test_a_batch_that_overflows_changes_no_weight_or_buffer():
    t = trainer(lambda c: Spiky(), test=None, validation=(X[1:], Y[1:]), **FP16)
    result = t(fixed_trial({"lr": 0.01}))
    assert result.status == "complete" and result.data["stopped"] == "epochs"
    assert np.isfinite(result.data["train_loss"]).all()
    network = t.refit({"lr": 0.01}).network
    assert all(tensor.isfinite().all() for tensor in network.state_dict().values())


@pytest.mark.parametrize("metric", [None, "accuracy"])
def test_a_training_that_explodes_has_diverged(metric):
    exploding = {"optimizer": "sgd", "lr": 1e30}
    result = trainer(metric=metric, **FP16)(fixed_trial(exploding))
    assert (result.status, result.error.kind) == ("failed", "not_finite")
    assert result.curve == ()


class Cut(Exception):
    pass


class Channel:
    def __init__(self, cut=None):
        self.cut, self.log = cut, []

    def reported(self, number, value, step):
        if step == self.cut:
            raise Cut
        self.log.append((step, value))

    def should_stop(self, number):
        return False


@pytest.mark.parametrize("cut", range(1, 6))
def test_interrupted_training_resumes_with_its_scale(cut, tmp_path, monkeypatch):
    monkeypatch.setattr(loss_scale, "GROW_EVERY", 4)  # epochs have 3 steps: tests the count, too
    config = {"lr": 0.1, "batch_size": 32}

    def run(channel, **more):
        t = trainer(dense, **{**STEEP, "epochs": 6, **more})
        return outcome(t(Trial(Proposal(0, config, 5), 7, channel)))

    whole, again = Channel(), Channel()
    expected = run(whole)
    with pytest.raises(Cut):
        run(Channel(cut), checkpoints=tmp_path)
    assert run(again, checkpoints=tmp_path) == expected and again.log == whole.log


def test_float64_is_refused_because_autocast_does_not_convert_it():
    with pytest.raises(TrainingError, match=r"needs dtype=torch.float32.*got torch.float64"):
        trainer(dtype=torch.float64, **FP16)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_nothing_is_read_back_from_the_device_within_an_epoch(name):
    """`bool(tensor)`, `float(tensor)` and `item()` all run `_local_scalar_dense`."""

    class Reads(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            Reads.count += function is torch.ops.aten._local_scalar_dense.default
            return function(*args, **(kwargs or {}))

    engine = engine_of(trainer(dense, **STEEP), {"optimizer": name, **OPTIMIZERS[name][1]})
    with Reads():
        engine.train(1)
        assert Reads.count == 0
        bool(engine._scale.scale > 1)
    assert Reads.count == 1
