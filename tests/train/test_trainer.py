"""The trainer: reproducible, isolated from global state, and correct about its results."""

import random
import subprocess
import sys
import threading

import cloudpickle
import numpy as np
import pytest
import torch
from torch import nn

from metaopt.core.errors import TrainingError
from metaopt.train import EarlyStopping, Trainer, mlp
from metaopt.train.data.splitting import epoch_order
from metaopt.train.runtime.rng import Noise
from metaopt.trials.records import Proposal
from metaopt.trials.trial import Trial, fixed_trial

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 5))
Y = (X[:, 0] + X[:, 1] ** 2 > 0.8).astype(int)
REAL = X @ [1.0, -2.0, 0.5, 0.0, 3.0] + RNG.normal(size=120) / 10
COST = {"wall_seconds", "cpu_seconds", "memory_mb", "gpu_seconds", "gpu_memory_mb"}
CONFIG = {"lr": 0.01, "width": 8, "depth": 2, "dropout": 0.3, "l1": 1e-4, "l2": 1e-3}


def trainer(build="mlp", X=X, y=Y, **options):
    return Trainer(build, X, y, **{"epochs": 4, "device": "cpu", **options})


def outcome(result):
    """Return all of a result but its cost."""
    metrics = {k: v for k, v in result.metrics.items() if k not in COST}
    return result.status, result.value, result.curve, metrics, result.data


# -- reproducibility -------------------------------------------------------------------------------


def own_randomness(config):
    """Return a network with dropout inside functions, which uses the default generator."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(5, 4, num_layers=2, dropout=0.5)
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            return self.head(nn.functional.dropout(self.rnn(x)[0], 0.5, self.training))

    return Net()


BUILDS = {
    "mlp": ("mlp", CONFIG),
    "batch norm": (
        lambda c: nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2)),
        {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9},
    ),
    "own randomness": (own_randomness, {"optimizer": "rmsprop"}),
}


@pytest.mark.parametrize("name", BUILDS)
def test_the_same_seeds_give_the_same_result_bit_for_bit(name):
    build, config = BUILDS[name]
    t = trainer(build)
    first = outcome(t(fixed_trial(config, 3, 4)))
    torch.rand(7)
    assert outcome(t(fixed_trial(config, 3, 4))) == first
    assert outcome(trainer(build)(fixed_trial(config, 3, 4))) == first
    assert outcome(cloudpickle.loads(cloudpickle.dumps(t))(fixed_trial(config, 3, 4))) == first
    assert outcome(t(fixed_trial(config, 5, 4)))[1] != first[1]
    assert outcome(t(fixed_trial(config, 3, 6)))[1] != first[1]


def global_state():
    return (
        random.getstate(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002
        torch.get_rng_state().tolist(),
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_grad_enabled(),
    )


@pytest.mark.parametrize("name", BUILDS)
def test_no_global_state_is_touched(name):
    build, config = BUILDS[name]
    before = global_state()
    trainer(build)(fixed_trial(config))
    trainer(build).refit(config).predict(X)
    assert global_state() == before


def test_training_in_threads_gives_the_same_results_as_one_by_one():
    jobs = [(BUILDS[name], seed) for name in BUILDS for seed in (1, 2)]
    trainers = {id(build): trainer(build) for (build, _), _ in jobs}

    def run(job):
        (build, config), seed = job
        return outcome(trainers[id(build)](fixed_trial(config, seed, 9)))

    serial = [run(job) for job in jobs]
    parallel = [None] * len(jobs)

    def work(k):
        parallel[k] = run(jobs[k])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert parallel == serial


def first_weights(seed, data_seed):
    seen = []

    def build(config):
        net = mlp(5, 2, width=4)
        seen.append([p.detach().clone() for p in net.parameters()])
        return net

    trainer(build, epochs=1)(fixed_trial({}, seed, data_seed))
    return torch.cat([p.reshape(-1) for p in seen[0]])


def test_initial_weights_depend_on_the_seed_of_the_trial_only():
    assert torch.equal(first_weights(1, 2), first_weights(1, 3))
    assert not torch.equal(first_weights(1, 2), first_weights(2, 2))


def test_a_trial_equals_a_plain_pytorch_loop():
    t = trainer(lambda c: mlp(5, 2, width=6), stopping=None, dtype=torch.float64, epochs=3)
    result = t(fixed_trial({"optimizer": "sgd", "lr": 0.05, "batch_size": 16}, 1, 2))
    data = t._data.prepare(2, torch.device("cpu"))[0]
    from metaopt.core.seeds import derive

    with Noise(derive(1, "init")):
        net = mlp(5, 2, width=6).double()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    for epoch in (1, 2, 3):
        for rows in torch.from_numpy(epoch_order(len(data.train.y), 2, epoch)).split(16):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(data.train.X[rows]), data.train.y[rows]).backward()
            optimizer.step()
    with torch.no_grad():
        expected = float(nn.functional.cross_entropy(net(data.validation.X), data.validation.y))
    assert result.value == pytest.approx(expected, rel=1e-12)
    assert result.curve[-1] == (3, result.value)


# -- what a search can use -------------------------------------------------------------------------


def test_hidden_test_labels_only_change_the_test_score():
    flipped = (X[:20], Y[:20]), (X[:20], 1 - Y[:20])
    a, b = (trainer(test=t)(fixed_trial(CONFIG)) for t in flipped)
    assert (a.value, a.curve) == (b.value, b.curve)
    assert a.metrics["test"] != b.metrics["test"]


def test_value_and_test_score_belong_to_the_restored_weights():
    seen = {"validation": (X[40:80], Y[40:80]), "test": (X[:40], Y[:40])}
    t = trainer(metric="accuracy", metrics=["cross_entropy"], epochs=25, **seen)
    config = {"lr": 0.2, "width": 8}
    result = t(fixed_trial(config, 3, 4))
    curve = dict(result.curve)
    assert t.direction == "maximize"
    assert result.value == max(curve.values()) == curve[result.metrics["best_epoch"]]
    assert result.metrics["best_epoch"] < result.metrics["epochs"]  # so weights were restored
    fitted = t.refit(config, 3, 4)
    assert (fitted.value, fitted.curve) == (result.value, result.curve)
    assert (fitted.predict(X[40:80]) == Y[40:80]).mean() == result.value
    assert (fitted.predict(X[:40]) == Y[:40]).mean() == result.metrics["test"]
    logp = np.log(fitted.predict_proba(X[:40])[np.arange(40), Y[:40]])
    assert -logp.mean() == pytest.approx(result.metrics["test_cross_entropy"], rel=1e-5)


def test_without_stopping_the_value_is_that_of_the_last_epoch():
    result = trainer(stopping=None, epochs=25)(fixed_trial({"lr": 0.2, "width": 8}))
    assert result.value == result.curve[-1][1]
    assert len(result.curve) == 25


def test_patience_ends_training_without_improvement():
    result = trainer(epochs=50, stopping=EarlyStopping(2))(fixed_trial({"lr": 1e-12}))
    assert result.data["stopped"] == "patience"
    assert [step for step, _ in result.curve] == [1, 2, 3]


class Stop:
    def __init__(self, after):
        self.after, self.reports = after, []

    def reported(self, number, value, step):
        self.reports.append((step, value))

    def should_stop(self, number):
        return len(self.reports) >= self.after


def test_a_pruner_stops_training_and_the_curve_is_kept():
    channel = Stop(after=2)
    result = trainer()(Trial(Proposal(0, CONFIG, 1), 0, channel))
    assert (result.status, result.value) == ("pruned", None)
    assert list(result.curve) == channel.reports
    assert result.metrics["epochs"] == 2 and "test" not in result.metrics
    complete = trainer()(Trial(Proposal(0, CONFIG, 1), 0, Stop(after=4)))
    assert complete.status == "complete"  # a stop after the last epoch has no effect
    assert complete.curve[:2] == result.curve


def test_reports_have_the_sign_of_the_metric():
    channel = Stop(after=99)
    trainer(metric="accuracy")(Trial(Proposal(0, CONFIG, 1), 0, channel))
    assert all(0 <= value <= 1 for _, value in channel.reports)


# -- failures --------------------------------------------------------------------------------------

EXPLODING = {"optimizer": "sgd", "lr": 1e30, "width": 8}


def test_divergence_from_the_start_is_a_failure():
    result = trainer()(fixed_trial(EXPLODING))
    assert (result.status, result.value, result.error.kind) == ("failed", None, "not_finite")
    assert "epoch 1" in result.error.message and result.curve == ()
    with pytest.raises(TrainingError, match="diverged in epoch 1"):
        trainer().refit(EXPLODING)


def diverging_metric(after):
    seen = []

    def metric(outputs, targets):
        seen.append(1)
        return float("nan") if len(seen) == after + 1 else 1.0 / len(seen)

    return metric


def test_after_a_divergence_the_best_epoch_counts_if_it_was_kept():
    result = trainer(metric=diverging_metric(2), test=None)(fixed_trial(CONFIG))
    assert (result.status, result.value) == ("complete", 0.5)
    assert result.data["stopped"] == "diverged" and len(result.curve) == 2
    result = trainer(metric=diverging_metric(2), test=None, stopping=None)(fixed_trial(CONFIG))
    assert (result.status, result.error.kind) == ("failed", "not_finite")
    assert len(result.curve) == 2 and result.metrics["epochs"] == 3


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_out_of_memory_is_a_failed_trial(error):
    def build(config):
        raise error

    result = trainer(build)(fixed_trial({}))
    assert (result.status, result.error.kind) == ("failed", "out_of_memory")


def test_other_errors_of_build_propagate_and_restore_global_state():
    def build(config):
        torch.rand(3)
        raise ZeroDivisionError

    before = global_state()
    with pytest.raises(ZeroDivisionError):
        trainer(build)(fixed_trial({}))
    assert global_state() == before


@pytest.mark.parametrize(
    ("build", "config", "message"),
    [
        ("mlp", {"learning_rate": 0.1}, "'learning_rate' is read neither .*"),
        ("mlp", {"learn": 0.1, "lrr": 1}, "parameter 'learn' is read neither"),
        ("mlp", {"dropuot": 0.1}, r"did you mean 'dropout'\?"),
        ("mlp", {"momentum": 1.0}, "parameter 'momentum'"),
        ("mlp", {"width": 0}, "parameter 'width' must be an integer from 1"),
        (lambda c: 3, {}, "build.config. must return an nn.Module, got 3"),
        (lambda c: nn.Linear(5, 1), {}, r"one score per class, of shape \(32, 2\), got \(32, 1\)"),
        (lambda c: nn.LSTM(5, 2), {}, "the network must return one tensor, got tuple"),
    ],
)
def test_errors_name_the_wrong_parameter(build, config, message):
    with pytest.raises(TrainingError, match=message):
        trainer(build)(fixed_trial(config))


def test_lr_is_suggested_for_a_misspelt_name():
    with pytest.raises(TrainingError, match=r"'lr_' .*did you mean 'lr'\?"):
        trainer()(fixed_trial({"lr_": 0.1}))


def test_a_column_and_a_vector_are_not_broadcast():
    def build(config):
        return nn.Linear(5, 1)

    t = trainer(build, y=REAL, loss="mse", dtype=torch.float64, test=(X, REAL))
    fitted = t.refit({"lr": 0.1})
    assert fitted.predict(X).shape == (120, 1)
    assert ((fitted.predict(X)[:, 0] - REAL) ** 2).mean() == pytest.approx(fitted.metrics["test"])
    with pytest.raises(TrainingError, match=r"outputs of shape \(32,\), got \(32, 2\)"):
        trainer(lambda c: nn.Linear(5, 2), y=REAL, loss="mse")(fixed_trial({}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"defaults": {"lr": -1}}, "parameter 'lr'"),
        ({"epochs": 0}, "parameter 'epochs'"),
        ({"metric": "accurcy"}, "did you mean 'accuracy'"),
        ({"dtype": torch.int64}, "dtype must be a real type"),
        ({"threads": 0}, "threads must be"),
        ({"evaluation_rows": 0}, "evaluation_rows"),
        ({"stopping": 5}, "stopping must be"),
    ],
)
def test_wrong_options_are_refused_at_once(options, message):
    with pytest.raises(TrainingError, match=message):
        trainer(**options)


# -- options ---------------------------------------------------------------------------------------


def test_defaults_apply_to_missing_hyperparameters():
    a = trainer(defaults=CONFIG)(fixed_trial({}))
    b = trainer(defaults={"lr": 9.0})(fixed_trial(CONFIG))
    assert outcome(a) == outcome(b) == outcome(trainer()(fixed_trial(CONFIG)))


def test_hyperparameters_of_other_optimizers_are_ignored():
    extra = {"momentum": 0.5, "weight_decay": 3.0, "decay": 0.5, "restart_every": 2}
    plain = trainer()(fixed_trial(CONFIG))
    assert outcome(trainer()(fixed_trial({**CONFIG, **extra}))) == outcome(plain)


def test_a_batch_is_at_most_the_training_part_and_gd_uses_all_of_it():
    sgd = {"optimizer": "sgd", "lr": 0.1}
    huge = trainer()(fixed_trial({**sgd, "batch_size": len(X)}))
    full = trainer()(fixed_trial({"optimizer": "gd", "lr": 0.1, "batch_size": 8}))
    assert outcome(huge) == outcome(full)
    with pytest.raises(TrainingError, match="'batch_size' must be at most the 120 samples"):
        trainer()(fixed_trial({**sgd, "batch_size": 121}))
    few = {"X": X[:20], "y": REAL[:20], "loss": "mse"}  # fewer than the default batch size
    assert trainer(**few)(fixed_trial({})).status == "complete"


def test_a_last_batch_of_one_joins_the_one_before_it():
    sizes = []

    class Watch(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))

        def forward(self, x):
            if self.training:
                sizes.append(len(x))
            return self.net(x)

    parts = {"validation": (X[:9], Y[:9]), "test": None, "epochs": 1}
    trainer(lambda c: Watch(), X=X[:33], y=Y[:33], **parts)(fixed_trial({"batch_size": 16}))
    assert sizes == [16, 17]


def test_lazy_layers_take_their_sizes_from_the_data():
    def build(config):
        return nn.Sequential(nn.LazyLinear(7), nn.ReLU(), nn.LazyLinear(2))

    assert trainer(build)(fixed_trial({})).metrics["parameters"] == 5 * 7 + 7 + 7 * 2 + 2


def test_a_standardised_target_is_predicted_in_its_units():
    y = 1000 + 50 * REAL
    t = trainer(y=y, loss="mse", standardize=True, standardize_target=True, epochs=30)
    fitted = t.refit({"lr": 0.01, "width": 32})
    assert fitted.value < 0.2
    assert np.corrcoef(fitted.predict(X)[:, 0], y)[0, 1] > 0.95
    assert abs(fitted.predict(X).mean() - y.mean()) < 50


def test_custom_losses_and_metrics():
    def loss(outputs, targets):
        return nn.functional.l1_loss(outputs[:, 0], targets)

    def largest_error(outputs, targets):
        return -np.abs(outputs.numpy()[:, 0] - targets.numpy()).max()

    t = trainer(y=REAL, loss=loss, metric=largest_error, direction="maximize", metrics=[loss])
    result = t(fixed_trial({"lr": 0.01}))
    assert result.value == max(v for _, v in result.curve) < 0
    assert {"loss", "test_loss", "test"} <= {*result.metrics}
    with pytest.raises(TrainingError, match="must return one number"):
        trainer(y=REAL, loss=lambda o, t: o[:, 0] - t)(fixed_trial({}))


def test_images_and_the_ready_made_cnn():
    images = RNG.normal(size=(40, 6, 6))
    result = trainer("cnn", images, np.arange(40) % 2)(fixed_trial({"channels": 2, "depth": 1}))
    assert result.status == "complete"


def test_evaluation_in_pieces_gives_the_same_scores():
    a = trainer(dtype=torch.float64)(fixed_trial(CONFIG))
    b = trainer(dtype=torch.float64, evaluation_rows=7)(fixed_trial(CONFIG))
    assert [v for _, v in b.curve] == pytest.approx([v for _, v in a.curve], rel=1e-12)


def test_the_cost_of_a_trial_is_recorded():
    metrics = trainer()(fixed_trial(CONFIG)).metrics
    assert metrics["parameters"] == 5 * 8 + 8 + 8 * 8 + 8 + 8 * 2 + 2
    assert metrics["epochs"] == 4
    assert 0 < metrics["wall_seconds"] < 60 and metrics["cpu_seconds"] > 0
    if sys.platform != "win32":
        assert 10 < metrics["memory_mb"] < 100_000


def test_training_does_not_load_the_compiler():
    code = """
import sys, numpy as np, torch
from metaopt.train import Trainer
from metaopt.trials.trial import fixed_trial
X = np.random.default_rng(0).normal(size=(40, 3))
for name in ("gd", "sgd", "adam", "adamw", "rmsprop"):
    Trainer("mlp", X, X[:, 0] > 0, epochs=1)(fixed_trial({"optimizer": name}))
def build(config):
    return torch.nn.Sequential(torch.nn.LayerNorm(X.shape[1]), torch.nn.Linear(X.shape[1], 2))
found = Trainer(build, X, X[:, 0] > 0, epochs=1, engine="traced")(fixed_trial({}))
assert found.data["engine"] == "traced"
assert "torch._dynamo" not in sys.modules  # its import takes a second in every worker
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_reported():
    with pytest.raises(TrainingError, match="PyTorch finds 0 CUDA devices"):
        trainer(device="cuda")(fixed_trial({}))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", BUILDS)
def test_on_a_gpu(name):
    build, config = BUILDS[name]
    before = torch.cuda.get_rng_state()
    t = trainer(build, device="cuda")
    result = t(fixed_trial(config))
    assert result.status == "complete" and result.data["device"] == "cuda:0"
    assert result.metrics["gpu_seconds"] > 0 and result.metrics["gpu_memory_mb"] > 0
    assert torch.equal(torch.cuda.get_rng_state(), before)
    assert len(t.refit(config).predict(X)) == len(X)
