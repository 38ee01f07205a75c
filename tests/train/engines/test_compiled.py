"""Networks trained through torch.compile give the same results as without it."""

import pickle
import random
import shutil
import subprocess
import sys

import cloudpickle
import numpy as np
import pytest
import torch
from populations import X, Y, check_no_team_failed, outcome, trainer, trials
from torch import nn

from metaopt.core.errors import TrainingError
from metaopt.train.engines import compiled
from metaopt.trials.records import Proposal
from metaopt.trials.trial import Trial, fixed_trial

compiles = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler on this machine"),
    # Warnings inside PyTorch's compiler.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch"),
]
# Steps have 32 samples, validation has 48: two programs are compiled per architecture.
SIZES = {"X": X[:96], "y": Y[:96], "validation": (X[96:144], Y[96:144]), "test": (X, Y)}
CONFIGS = [
    {"optimizer": "sgd", "lr": 0.1, "dropout": 0.3},
    {"optimizer": "adam", "eps": 1e-3, "dropout": 0.1},
    {"optimizer": "rmsprop", "eps": 1e-3, "dropout": 0.5},
]


def normed(config):
    p = config.get("dropout", 0.2)
    return nn.Sequential(
        nn.Linear(7, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(p), nn.Linear(8, 3)
    )


class Noisy(nn.Module):
    """Calls one dropout layer twice, and draws numbers from the default generator."""

    def __init__(self):
        super().__init__()
        self.dense, self.head, self.drop = nn.Linear(7, 7), nn.Linear(7, 3), nn.Dropout(0.4)

    def forward(self, x):
        x = self.drop(torch.tanh(self.dense(self.drop(x))))
        return self.head(nn.functional.dropout(x, 0.3, self.training))


def make(build=normed, **options):
    usual = {**SIZES, "stopping": None, "epochs": 4, "metrics": ["accuracy"]}
    return trainer(build, **{**usual, **options})


def graphs():
    """Return the number of graphs that PyTorch has captured so far."""
    from torch._dynamo.utils import counters

    return counters["stats"]["unique_graphs"]


def near(found, expected, tolerance):
    assert found.data["engine"] == "compiled" and expected.data["engine"] == "single"
    assert np.asarray(found.curve) == pytest.approx(np.asarray(expected.curve), abs=tolerance)
    assert found.data["train_loss"] == pytest.approx(expected.data["train_loss"], abs=tolerance)
    assert found.metrics["test"] == pytest.approx(expected.metrics["test"], abs=tolerance)


def check_like_uncompiled(dtype, tolerance, caplog):
    t, plain = make(compile=True, dtype=dtype), make(dtype=dtype)
    alone = [t(trial) for trial in trials(CONFIGS[:1])]
    before = graphs()
    alone += [t(trial) for trial in trials(CONFIGS)[1:]]
    assert before > 0 and graphs() == before  # another `p` or optimizer compiles nothing
    for found, trial in zip(alone, trials(CONFIGS), strict=True):
        near(found, plain(trial), tolerance)
    many = dict(t.many(trials(CONFIGS)))
    assert [outcome(many[k]) for k in range(3)] == [outcome(result) for result in alone]
    assert graphs() == before
    check_no_team_failed(caplog)


class TestCompiled:
    pytestmark = compiles

    def test_results_equal_uncompiled_in_single_precision(self, caplog):
        check_like_uncompiled(torch.float32, 1e-5, caplog)

    def test_results_equal_uncompiled_in_double_precision(self, caplog):
        check_like_uncompiled(torch.float64, 1e-10, caplog)

    def test_random_numbers_are_the_same_as_uncompiled(self):
        before = (
            random.getstate(),
            np.random.get_state()[1].tolist(),  # noqa: NPY002
            torch.get_rng_state().tolist(),
            torch.get_num_threads(),
        )
        t, plain = make(lambda c: Noisy(), compile=True), make(lambda c: Noisy())
        near(t(fixed_trial({"lr": 0.01})), plain(fixed_trial({"lr": 0.01})), 1e-5)
        assert before == (
            random.getstate(),
            np.random.get_state()[1].tolist(),  # noqa: NPY002
            torch.get_rng_state().tolist(),
            torch.get_num_threads(),
        )

    def test_folds_are_compiled_too(self):
        folds = {"X": X[:144], "y": Y[:144], "validation": 3, "test": None}
        t, plain = make(compile=True, **folds), make(**folds)
        found, expected = t(fixed_trial(CONFIGS[0])), plain(fixed_trial(CONFIGS[0]))
        assert found.data["engine"] == "compiled"
        assert found.value == pytest.approx(expected.value, abs=1e-5)
        scores = t.cross_validate(CONFIGS[0], 1, 2).value
        assert scores == pytest.approx(plain.cross_validate(CONFIGS[0], 1, 2).value, abs=1e-5)

    def test_interrupted_training_resumes_bit_for_bit(self, tmp_path):
        class Cut(Exception):
            pass

        class Channel:
            def __init__(self, cut):
                self.cut = cut

            def reported(self, number, value, step):
                if step == self.cut:
                    raise Cut

            def should_stop(self, number):
                return False

        expected = outcome(make(compile=True)(Trial(Proposal(0, CONFIGS[1], 5), 7, Channel(99))))
        for cut in (1, 3):
            t = make(compile=True, checkpoints=tmp_path)
            with pytest.raises(Cut):
                t(Trial(Proposal(0, CONFIGS[1], 5), 7, Channel(cut)))
            assert len(list(tmp_path.iterdir())) == 1
            t = make(compile=True, checkpoints=tmp_path)
            assert outcome(t(Trial(Proposal(0, CONFIGS[1], 5), 7, Channel(99)))) == expected

    def test_refit_returns_a_plain_network(self, tmp_path):
        t = make(compile=True)
        fitted = t.refit(CONFIGS[0], 100, 7)
        kinds = [type(module) for module in fitted.network]
        assert kinds == [type(module) for module in normed({})]
        assert list(fitted.network.state_dict()) == list(normed({}).state_dict())
        copied = pickle.loads(pickle.dumps(fitted.network))
        assert torch.equal(copied(torch.ones(1, 7)), fitted.network(torch.ones(1, 7)))
        assert fitted.value == pytest.approx(t(trials(CONFIGS)[0]).value, abs=1e-12)
        plain = make().refit(CONFIGS[0], 100, 7)
        assert fitted.predict_proba(X) == pytest.approx(plain.predict_proba(X), abs=1e-5)

    def test_devices_compile_at_the_same_time(self):
        alone = dict(make(compile=True).many(trials(CONFIGS)))
        several = dict(make(compile=True, device=["cpu", "cpu"]).many(trials(CONFIGS)))
        assert {k: outcome(r) for k, r in several.items()} == {
            k: outcome(r) for k, r in alone.items()
        }

    def test_another_process_gives_the_same_result(self, tmp_path):
        t = make(compile=True)
        expected = [outcome(t(trial)) for trial in trials(CONFIGS)]
        cloudpickle.register_pickle_by_value(sys.modules[__name__])
        try:
            (tmp_path / "job").write_bytes(cloudpickle.dumps((t, CONFIGS[2])))
        finally:
            cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
        code = f"""
import cloudpickle, pathlib
from metaopt.trials.records import Proposal
from metaopt.trials.trial import Trial
folder = pathlib.Path({str(tmp_path)!r})
trainer, config = cloudpickle.loads((folder / "job").read_bytes())
result = trainer(Trial(Proposal(2, config, 102), 7))
(folder / "result").write_bytes(cloudpickle.dumps(result))
"""
        subprocess.run([sys.executable, "-c", code], check=True)
        assert outcome(cloudpickle.loads((tmp_path / "result").read_bytes())) == expected[2]


# -- without code generation -----------------------------------------------------------------------


@pytest.fixture
def captured_only(monkeypatch):
    """Have PyTorch capture graphs and run them without generating code."""
    real = torch.compile
    monkeypatch.setattr(compiled, "check_compiler", lambda device: None)
    monkeypatch.setattr(compiled, "PROGRAMS", compiled.Programs())
    monkeypatch.setattr(
        torch, "compile", lambda f, *, options, **more: real(f, backend="eager", **more)
    )


class Slope(nn.Module):
    def __init__(self, slope):
        super().__init__()
        self.slope, self.dense = slope, nn.Linear(7, 3)

    def forward(self, x):
        return self.dense(x) * self.slope


@pytest.mark.slow
def test_threads_may_create_the_first_dropout_at_once():
    code = """
import threading, time, torch
from metaopt.train.runtime.rng import dropout_bits
from metaopt.train.engines.compiled_dropout import CompiledDropout
cpu, start, drawn, made = torch.device("cpu"), threading.Barrier(6), [], []
real = torch.library.custom_op
def custom_op(name, *args, **more):
    if name == "metaopt::draw":
        made.append(1)
        time.sleep(0.2)  # so that all other threads arrive here
    return real(name, *args, **more)
torch.library.custom_op = custom_op
def draw():
    start.wait()
    layer = CompiledDropout(0.5, dropout_bits(1, 0, cpu))
    drawn.append(layer(torch.ones(3, 4)).tolist())
threads = [threading.Thread(target=draw) for _ in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(made) == 1 and len(drawn) == 6 and all(one == drawn[0] for one in drawn)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "build",
    [
        lambda c: nn.Sequential(nn.Linear(7, c["width"]), nn.ReLU(), nn.Linear(c["width"], 3)),
        lambda c: Slope(1 + c["width"]),  # only PyTorch sees a difference
    ],
)
def test_many_architectures_are_all_compiled(build, captured_only, caplog):
    own = {"engine": "single", "epochs": 1}
    t, plain = make(build, compile=True, **own), make(build, **own)
    configs, before = [{"width": k, "lr": 0.1} for k in range(1, 11)], graphs()
    for config in configs:
        near(t(fixed_trial(config)), plain(fixed_trial(config)), 1e-6)
    assert graphs() == before + 2 * len(configs)  # PyTorch would have given up after eight


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls, self.dense = 0, nn.Linear(7, 3)

    def forward(self, x):
        self.calls += 1
        return self.dense(x) * self.calls


class Deciding(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(7, 3)

    def forward(self, x):
        return self.dense(x if float(x.sum()) > 0 else -x)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.LSTM(7, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.rnn(x)[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Counting, "changes from call to call"),
        (Deciding, "cannot compile this network as one program.*data-dependent"),
        (Recurrent, "cannot compile this network as one program.*LSTM"),
    ],
)
def test_a_network_that_cannot_be_compiled_fails_its_trial(network, message, captured_only):
    t = make(lambda c: network() if c["bad"] else normed(c), compile=True)
    configs = [{"bad": True}, {"bad": False, "dropout": 0.1}]
    bad, good = (dict(t.many(trials(configs)))[k] for k in (0, 1))
    assert (bad.status, bad.error.kind, good.status) == ("failed", "exception", "complete")
    with pytest.raises(TrainingError, match=f"(?s)compile=True: .*{message}"):
        t(fixed_trial(configs[0]))


def test_a_missing_compiler_is_reported_at_once_and_in_workers(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("CXX", raising=False)
    (tmp_path / "g++").write_text("")
    (tmp_path / "g++").chmod(0o755)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("PATH", str(tmp_path))
    t = make(compile=True)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    message = r"needs a C\+\+ compiler, but 'g\+\+' is not on the PATH; install it"
    with pytest.raises(TrainingError, match=message):
        make(compile=True)
    with pytest.raises(TrainingError, match=message):
        t(fixed_trial(CONFIGS[0]))
    monkeypatch.setenv("CXX", "/nowhere/clang++")
    with pytest.raises(TrainingError, match="'/nowhere/clang"):
        make(compile=True)
    with pytest.raises(TrainingError, match="compile must be True or False, got 'yes'"):
        make(compile="yes")


def test_perceptrons_use_the_engine_lowered_even_with_compile():
    result = make("mlp", compile=True)(fixed_trial({}))
    assert result.data["engine"] == "lowered"
