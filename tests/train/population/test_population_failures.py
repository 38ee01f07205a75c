"""A failure of one member is the result of its trial and does not change the others."""

import random
import time

import numpy as np
import pytest
import torch
from populations import MIX, REAL, X, Y, outcome, trainer, trials
from torch import nn

from metaopt import Categorical, Float, Space, Study
from metaopt.core.errors import TrainingError
from metaopt.train import EarlyStopping, Trainer, mlp
from metaopt.train.population.mlp import Lowered

GOOD = {"lr": 0.01, "width": 8}
EXPLODING = {"optimizer": "sgd", "lr": 1e30, "width": 8}


def check_the_others(t, configs, bad):
    """Check that every config but the bad ones equals its training alone; return all results."""
    many = dict(t.many(trials(configs)))
    assert sorted(many) == list(range(len(configs)))
    for trial in trials(configs):
        if trial.number not in bad:
            assert outcome(many[trial.number]) == outcome(t(trial))
    return many


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"momentum": 1.0}, "TrainingError: parameter 'momentum'"),
        ({"widht": 3}, "did you mean 'width'"),
        ({"width": 0}, "parameter 'width' must be an integer from 1"),
    ],
)
def test_a_bad_hyper_parameter_fails_its_trial(config, message):
    many = check_the_others(trainer(), [GOOD, config, GOOD], bad={1})
    assert (many[1].status, many[1].error.kind) == ("failed", "exception")
    assert message in many[1].error.message and "Traceback" in many[1].data["traceback"]


def test_a_build_that_raises_or_returns_a_wrong_network_fails_its_trial():
    def build(config):
        if config["kind"] == "raises":
            raise ZeroDivisionError("no")
        if config["kind"] == "memory":
            raise MemoryError
        return mlp(7, 1 if config["kind"] == "narrow" else 3, width=8)

    kinds = ["good", "raises", "memory", "narrow", "good", "narrow"]
    many = check_the_others(trainer(build), [{"kind": k} for k in kinds], bad={1, 2, 3, 5})
    assert many[1].error.message == "ZeroDivisionError: no"
    assert many[2].error.kind == "out_of_memory"
    for k in (3, 5):
        assert "one score per class, of shape (32, 3), got (32, 1)" in many[k].error.message


def test_divergence_fails_its_member_only():
    configs = [{**GOOD, "optimizer": k} for k in ("sgd", "adam", "rmsprop")]
    configs.insert(1, EXPLODING)
    many = check_the_others(trainer(), configs, bad=set())
    assert (many[1].status, many[1].error.kind) == ("failed", "not_finite")
    assert many[1].metrics["epochs"] == 1


def test_divergence_after_the_best_epoch_keeps_its_weights():
    config = {"optimizer": "sgd", "lr": 3.0, "momentum": 0.99, "width": 8, "l2": 2.0}
    t = trainer(epochs=40, stopping=EarlyStopping(None))
    many = check_the_others(t, [GOOD, config, GOOD], bad=set())
    assert many[1].data["stopped"] == "diverged" and many[1].status == "complete"
    assert 1 < many[1].metrics["epochs"] < 40


def picky_loss(outputs, targets):
    if not torch.isfinite(outputs).all():
        raise ArithmeticError("outputs are not finite")
    return (outputs[:, 0] - targets).square().mean()


def picky_metric(outputs, targets):
    if outputs.abs().max() > 50:
        raise ArithmeticError("outputs are large")
    return float((outputs[:, 0] - targets).abs().mean())


def test_a_loss_or_a_metric_that_raises_fails_its_trial():
    configs = [GOOD, {**EXPLODING, "lr": 1e4}, {**GOOD, "lr": 0.003}]
    own = {"loss": picky_loss, "metrics": []}
    many = check_the_others(trainer(y=REAL, **own), configs, bad={1})
    assert many[1].error.message == "ArithmeticError: outputs are not finite"
    configs[1] = {**EXPLODING, "lr": 3.0, "optimizer": "adam"}
    own = {"loss": "mse", "metric": picky_metric, "metrics": []}
    many = check_the_others(trainer(y=REAL, epochs=9, **own), configs, bad={1})
    assert many[1].error.message == "ArithmeticError: outputs are large"
    with pytest.raises(ArithmeticError, match="outputs are large"):
        trainer(y=REAL, epochs=9, **own)(trials(configs)[1])


def test_a_loss_without_a_gradient_fails_every_trial():
    t = trainer(y=REAL, loss=lambda o, y: (o[:, 0] - y).detach().mean(), metrics=[])
    many = dict(t.many(trials([GOOD, GOOD])))
    assert all("must return one number" in r.error.message for r in many.values())
    with pytest.raises(TrainingError, match="must return one number"):
        t(trials([GOOD])[0])


def lack(monkeypatch, enough):
    """Make teams run out of memory, unless `enough(epoch, size)`."""
    train, seen = Lowered.train, []

    def short(self, epoch):
        seen.append((epoch, len(self.members)))
        if not enough(epoch, len(self.members)):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return train(self, epoch)

    monkeypatch.setattr(Lowered, "train", short)
    return seen


CONFIGS = [{**GOOD, "lr": 0.01 * (k + 1), "dropout": 0.2} for k in range(7)]


def test_a_team_too_large_for_memory_is_halved_and_restarted(monkeypatch):
    whole = {k: outcome(r) for k, r in trainer().many(trials(CONFIGS))}
    seen = lack(monkeypatch, lambda epoch, k: k <= 2)
    many = dict(trainer().many(trials(CONFIGS)))
    assert {k: outcome(r) for k, r in many.items()} == whole
    assert [k for epoch, k in seen if epoch == 1] == [7, 3, 1, 2, 4, 2, 2]


def test_a_team_that_runs_out_of_memory_later_is_halved_and_trained_again(monkeypatch):
    whole = {k: outcome(r) for k, r in trainer().many(trials(CONFIGS))}
    failed = []

    def enough(epoch, k):
        if epoch == 3 and k > 3:
            failed.append(k)
        return epoch != 3 or k <= 3

    lack(monkeypatch, enough)
    channel = Lockstep()
    many = dict(trainer().many(trials(CONFIGS, channel)))
    assert failed
    reports = [(step, number) for kind, step, number in channel.log if kind == "report"]
    assert len(set(reports)) == len(reports)
    stopped = {3} if many[3].status == "pruned" else set()
    assert {k: outcome(r) for k, r in many.items() if k not in stopped} == {
        k: o for k, o in whole.items() if k not in stopped
    }


def test_running_out_of_memory_when_members_leave_changes_no_result(monkeypatch):
    whole = {k: outcome(r) for k, r in trainer(epochs=9).many(trials(MIX[:20]))}
    select, lacked = Lowered.select, []

    def short(self, rows):
        if len(lacked) < 3:
            lacked.append(len(rows))
            raise MemoryError
        select(self, rows)

    monkeypatch.setattr(Lowered, "select", short)
    assert {k: outcome(r) for k, r in trainer(epochs=9).many(trials(MIX[:20]))} == whole
    assert len(lacked) == 3


def test_a_member_too_large_for_memory_fails_and_keeps_its_curve(monkeypatch):
    lack(monkeypatch, lambda epoch, k: False)
    for result in dict(trainer().many(trials(CONFIGS))).values():
        assert (result.status, result.error.kind) == ("failed", "out_of_memory")
    assert trainer()(trials(CONFIGS)[0]).error.kind == "out_of_memory"
    monkeypatch.undo()
    lack(monkeypatch, lambda epoch, k: epoch < 3)
    for result in dict(trainer(stopping=None).many(trials(CONFIGS))).values():
        assert result.error.kind == "out_of_memory" and len(result.curve) == 2


def global_state():
    return (
        random.getstate(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002
        torch.get_rng_state().tolist(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
    )


def test_global_state_never_changes_not_even_between_results():
    before = global_state()
    for count, _ in enumerate(trainer().many(trials(MIX[:20]))):
        assert global_state() == before
        if count == 10:
            break  # the rest is never requested
    assert global_state() == before


class Lockstep:
    """Records the order of reports and of requests to stop."""

    def __init__(self):
        self.log = []

    def reported(self, number, value, step):
        self.log.append(("report", step, number))

    def should_stop(self, number):
        self.log.append(("ask", self.log[-1][1], number))
        return number == 3 and self.log[-1][1] == 2


def test_all_report_an_epoch_before_any_may_be_stopped():
    channel = Lockstep()
    builds = [{**GOOD, "batch_size": b} for b in (16, 32, 16, 32, 64)]
    many = dict(trainer(epochs=4, stopping=None).many(trials(builds, channel)))
    for step in (1, 2, 3):
        kinds = [kind for kind, s, _ in channel.log if s == step]
        assert kinds == sorted(kinds, reverse=True)  # reports come first
        assert kinds.count("report") == kinds.count("ask") == (5 if step < 3 else 4)
    assert many[3].status == "pruned" and len(many[3].curve) == 2
    assert "test" not in many[3].metrics


def test_the_cost_is_divided_among_members():
    start = time.process_time()
    many = dict(trainer().many(trials(CONFIGS * 4)))
    whole = time.process_time() - start
    costs = [r.metrics["cpu_seconds"] for r in many.values()]
    assert min(costs) > 0 and 0.5 * whole < sum(costs) <= whole
    assert all(r.seconds == r.metrics["wall_seconds"] for r in many.values())


def test_networks_for_labels_with_several_axes_train_one_by_one():
    class PerPixel(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense = nn.Linear(7, 6)

        def forward(self, x):
            return self.dense(x).view(-1, 3, 2)

    t = Trainer(lambda c: PerPixel(), X, np.stack([Y, Y], 1), epochs=2, stratify=False,
                device="cpu")  # fmt: skip
    ((_, result),) = t.many(trials([{}]))
    assert result.status == "complete" and result.data["engine"] == "single"


def test_a_member_that_exceeds_its_time_fails_alone():
    def build(config):
        return nn.Sequential(nn.Linear(7, 3))

    slow = []

    def metric(outputs, targets):
        time.sleep(0.002)
        slow.append(1)
        return float(outputs.square().mean())

    t = trainer(build, metric=metric, stopping=None, epochs=3, metrics=[], test=None)
    space = Space(lr=Float(1e-3, 1e-1, log=True), epochs=Categorical([2, 10_000]))
    study = Study(space, "random", seed=1)
    study.optimize(t, n_trials=6, batch_size=6, trial_timeout=0.5)
    short = [r for r in study.trials if r.params["epochs"] == 2]
    long = [r for r in study.trials if r.params["epochs"] == 10_000]
    assert short and long
    assert all(r.status == "complete" for r in short)
    assert all((r.status, r.result.error.kind) == ("failed", "timeout") for r in long)
    assert all("trial_timeout=0.5 s" in r.result.error.message and r.curve for r in long)
