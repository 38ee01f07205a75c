"""Traced networks give the same bits in any batch, for any kind of layer."""

import numpy as np
import pytest
import torch
from populations import check_no_team_failed, outcome, trainer, trials
from torch import nn

from metaopt.core.seeds import stream
from metaopt.train.population.ops import multiply
from metaopt.train.runtime.resources import limit_threads
from metaopt.train.settings.hyperparameters import ConfigView
from metaopt.train.traced.convolutions import MOST_PATCHES
from metaopt.train.traced.skeleton import signature

RNG = np.random.default_rng(5)
FLAT = RNG.normal(size=(141, 7))
GRIDS = RNG.normal(size=(141, 6, 6))
TOKENS = torch.from_numpy(RNG.integers(0, 5, size=(141, 4)))
LABELS = RNG.integers(0, 3, 141)
CONFIGS = [
    {"optimizer": name, "lr": lr, "batch_size": 20, "momentum": 0.5, "l1": l1}
    for name in ("adam", "sgd", "rmsprop", "adamw")
    for lr, l1 in ((0.003, 0.0), (0.01, 1e-4))
]


class Residual(nn.Module):
    """Adds in place, as networks for images do, and calls one dropout layer twice."""

    def __init__(self, width):
        super().__init__()
        self.first, self.second = nn.Linear(7, width), nn.Linear(width, width)
        self.norm, self.drop = nn.LayerNorm(width), nn.Dropout(0.2)
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        h = self.drop(torch.nn.functional.silu(self.first(x)))
        z = self.second(self.norm(h))
        z += h
        return self.head(self.drop(z))


class Attention(nn.Module):
    def __init__(self, heads):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(6, heads, 10, 0.0, "gelu", batch_first=True)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.layer(x).mean(1))


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.cells, self.head = kind(6, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.cells(x)[0][:, -1])


def normed(width):
    return nn.Sequential(
        nn.Linear(7, width), nn.BatchNorm1d(width), nn.GELU(), nn.Dropout(0.3),
        nn.Linear(width, width), nn.LayerNorm(width), nn.Sigmoid(), nn.Linear(width, 3),
    )  # fmt: skip


def images(channels, **options):
    return nn.Sequential(
        nn.Unflatten(1, (1, 6)), nn.Conv2d(1, channels, 3, **options), nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True), nn.Dropout2d(0.2), nn.AdaptiveMaxPool2d(3),
        nn.Conv2d(channels, 4, 2, bias=False), nn.Tanh(), nn.Flatten(), nn.Linear(16, 3),
    )  # fmt: skip


def signal():
    return nn.Sequential(
        nn.Conv1d(6, 5, 3, padding=1, stride=2), nn.ELU(), nn.MaxPool1d(2), nn.Flatten(),
        nn.Linear(5, 3),
    )  # fmt: skip


def embedded():
    return nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(12, 33), nn.Mish(),
                         nn.Linear(33, 3))  # fmt: skip


CASES = {
    "residual": (lambda c: Residual(9), FLAT),
    "residual of whole vectors": (lambda c: Residual(64), FLAT),
    "normed": (lambda c: normed(10), FLAT),
    "normed of whole vectors": (lambda c: normed(32), FLAT),
    "images": (lambda c: images(3, padding=1), GRIDS),
    "strides": (lambda c: images(8, stride=2, padding=2), GRIDS),
    "dilation": (lambda c: images(8, dilation=2, padding=(2, 1)), GRIDS),
    "grouped": (lambda c: nn.Sequential(nn.Conv1d(6, 6, 2, groups=3), nn.Flatten(),
                                        nn.Linear(30, 3)), GRIDS),
    "signal": (lambda c: signal(), GRIDS),
    "attention": (lambda c: Attention(2), GRIDS),
    "lstm": (lambda c: Recurrent(nn.LSTM), GRIDS),
    "gru": (lambda c: Recurrent(nn.GRU), GRIDS),
    "embedded": (lambda c: embedded(), TOKENS),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("validation", [0.2, 3])
def test_other_members_change_no_bit(name, validation, caplog):
    build, inputs = CASES[name]
    own = {"engine": "traced", "validation": validation, "epochs": 3}
    t = trainer(build, inputs, LABELS, **own)
    many = dict(t.many(trials(CONFIGS)))
    few = dict(t.many(trials(CONFIGS[5:2:-2], numbers=[5, 3])))
    for k in (0, 3, 5):
        expected = outcome(t(trials(CONFIGS)[k]))
        assert expected[-1]["engine"] == "traced"
        assert outcome(many[k]) == expected
        assert k not in few or outcome(few[k]) == expected
    check_no_team_failed(caplog)


@pytest.mark.parametrize("name", CASES)
def test_results_equal_the_single_engine(name):
    build, inputs = CASES[name]
    own = {"dtype": torch.float64, "stopping": None, "epochs": 3}
    configs = [{**c, "eps": 1e-3} for c in CONFIGS]  # else rounding matters at gradients of 0
    many = dict(trainer(build, inputs, LABELS, engine="traced", **own).many(trials(configs)))
    single = trainer(build, inputs, LABELS, engine="single", **own)
    for k in (0, 3, 4):
        expected = single(trials(configs)[k])
        assert many[k].data["engine"] == "traced"  # else the network was refused
        assert np.asarray(many[k].curve) == pytest.approx(np.asarray(expected.curve), abs=1e-10)
        assert many[k].metrics["test"] == pytest.approx(expected.metrics["test"], abs=1e-10)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", CASES)
def test_on_a_gpu_results_equal_the_single_engine_up_to_rounding(name):
    build, inputs = CASES[name]
    own = {"dtype": torch.float64, "stopping": None, "epochs": 3, "device": "cuda"}
    configs = [{**c, "eps": 1e-3} for c in CONFIGS]
    many = dict(trainer(build, inputs, LABELS, engine="traced", **own).many(trials(configs)))
    single = trainer(build, inputs, LABELS, engine="single", **own)
    for k in (0, 3, 4):
        assert many[k].data["engine"] == "traced"
        expected = np.asarray(single(trials(configs)[k]).curve)
        assert np.asarray(many[k].curve) == pytest.approx(expected, abs=1e-8)


def squared(outputs, targets):
    return (outputs - targets).square().mean()


@pytest.mark.parametrize("loss", ["mse", squared])
@pytest.mark.parametrize("columns", [(), (2,)])
def test_other_losses(loss, columns):
    y = stream(0, "targets").normal(size=(141, *columns))
    last = columns[0] if columns else 1

    def build(config):
        layers = [nn.Linear(7, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, last)]
        return nn.Sequential(*layers, *([] if columns else [nn.Flatten(0)]))

    own = {"loss": loss, "metrics": [], "dtype": torch.float64, "stopping": None, "epochs": 3}
    t = trainer(build, FLAT, y, engine="traced", **own)
    many = dict(t.many(trials(CONFIGS)))
    single = trainer(build, FLAT, y, engine="single", **own)
    for k in (0, 5):
        assert outcome(many[k]) == outcome(t(trials(CONFIGS)[k]))
        expected = single(trials(CONFIGS)[k])
        assert np.asarray(many[k].curve) == pytest.approx(np.asarray(expected.curve), abs=1e-9)


def test_auto_traces_only_where_it_saves_time():
    def engine(**config):
        t = trainer(lambda c: Residual(10), FLAT, LABELS, stopping=None)
        return t(trials([config])[0]).data["engine"]

    assert engine(batch_size=20, epochs=60) == "traced"
    assert engine(batch_size=20, epochs=2) == "single"  # few steps
    assert engine(batch_size=1, epochs=3) == "single"

    def large(config):
        return nn.Sequential(nn.Linear(7, 900), nn.LayerNorm(900), nn.Linear(900, 900),
                             nn.Linear(900, 3))  # fmt: skip

    t = trainer(large, FLAT, LABELS, stopping=None, epochs=60)
    assert t(trials([{"batch_size": 96, "epochs": 1}])[0]).data["engine"] == "single"


def test_large_convolutions_use_pytorchs_kernels():
    X = stream(0, "X").normal(size=(40, 3, 24, 24))
    assert 16 * 27 * 24 * 24 <= MOST_PATCHES < 32 * 27 * 24 * 24

    def wide(config):
        return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(),
                             nn.Linear(4 * 576, 3))  # fmt: skip

    for size in (16, 32):
        configs = [{"lr": 0.01, "batch_size": size}, {"optimizer": "sgd", "batch_size": size}]
        t = trainer(wide, X, LABELS[:40], engine="traced", epochs=2, stopping=None, test=None)
        many = dict(t.many(trials(configs)))
        for trial in trials(configs):
            assert outcome(many[trial.number]) == outcome(t(trial))


def test_the_signature_covers_all_but_weights_and_dropout():
    a, b = Residual(9), Residual(9)
    b.drop.p = 0.4
    assert signature(a) == signature(b)
    b.norm.eps = 1e-3
    assert signature(a) != signature(b)
    assert signature(a) != signature(Residual(10))
    frozen = Residual(9)
    frozen.head.weight.requires_grad_(False)
    assert signature(a) != signature(frozen)


class Holding(nn.Module):
    """Stores its configuration and a table of integers."""

    def __init__(self, config, table, read=False):
        super().__init__()
        self.config, self.table, self.read = config, table, read
        self.head = nn.Linear(7, 3)

    def forward(self, x):
        scale = self.config["scale"] if self.read else 1.0
        return self.head(x[:, self.table] * scale)


def test_networks_that_store_different_tensors_have_different_signatures(caplog):
    order = np.random.default_rng(0).permutation(7)

    def build(config):
        return Holding(
            config, torch.from_numpy(order if config["scale"] < 5 else order[::-1].copy())
        )

    configs = [{"lr": 0.01, "scale": scale} for scale in (1, 2, 7)]
    own = {"engine": "traced", "stopping": None, "epochs": 3}
    t = trainer(build, FLAT, LABELS, **own)
    a, b, c = (build(ConfigView(config)) for config in configs)
    assert signature(a) == signature(b) != signature(c)
    many = dict(t.many(trials(configs)))
    single = trainer(build, FLAT, LABELS, **own | {"engine": "single"})
    for trial in trials(configs):
        assert outcome(many[trial.number]) == outcome(t(trial))
        assert many[trial.number].data["engine"] == "traced"
        expected = np.asarray(single(trials(configs)[trial.number]).curve)
        assert np.asarray(many[trial.number].curve) == pytest.approx(expected, abs=1e-5)

    def reading(config):
        assert config["scale"] == 1
        return Holding(config, torch.from_numpy(order), read=True)

    with caplog.at_level("DEBUG", "metaopt.train"):
        (found,) = dict(trainer(reading, FLAT, LABELS, **own).many(trials(configs[:1]))).values()
    assert found.data["engine"] == "single"
    assert "reads its configuration in every step" in caplog.text


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_batched_products_equal_those_of_each_matrix(dtype):
    rng = stream(1, "sides")
    with limit_threads(1):
        for _ in range(60):
            r, s, c = rng.integers(2, 40, 3).tolist()
            a, b, d = (
                torch.from_numpy(rng.normal(size=(17, *sides))).to(dtype)
                for sides in ((s, r), (s, c), (1, c))
            )
            for start in (None, d):
                whole = multiply(a.transpose(1, 2), b, start)
                expected = torch.einsum("ksr,ksc->krc", a, b) + (0 if start is None else d)
                assert torch.allclose(whole, expected, rtol=1e-4, atol=1e-4)
                for k in (1, 7, 16):
                    own = None if start is None else d[k : k + 1].clone()
                    x, y = a[k : k + 1].clone(), b[k : k + 1].clone()
                    assert torch.equal(multiply(x.transpose(1, 2), y, own)[0], whole[k])
