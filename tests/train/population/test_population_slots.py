"""Law 9 with slots: members that start at different times give the same results as alone."""

import random

import numpy as np
import pytest
import torch
from populations import (
    MIX,
    REAL,
    check_no_team_failed,
    outcome,
    random_config,
    trainer,
    trials,
)
from torch import nn

from metaopt import Study
from metaopt.execution import evaluate
from metaopt.execution.replicates import replicated
from metaopt.problems.training import training_space
from metaopt.pruning import MedianPruner
from metaopt.train import EarlyStopping
from metaopt.train.population import optimizers
from metaopt.train.population.mlp import Lowered
from metaopt.train.scheduling import grouping
from metaopt.trials.records import Proposal
from metaopt.trials.trial import Trial


class Arriving:
    """Yields trials as slots become free; `beside` has the number in training at each tick."""

    def __init__(self, waiting, size=6, late=()):
        self.waiting, self.size, self.late = list(waiting), size, dict(late)
        self.ended, self.begun, self.beside = {}, 0, []

    def __iter__(self):
        while self.waiting or self.begun > len(self.ended):
            free = self.size - (self.begun - len(self.ended))
            starting, self.waiting = self.waiting[:free], self.waiting[free:]
            self.begun += len(starting)
            self.beside.append(self.begun - len(self.ended))
            yield starting


def streamed(t, waiting, size=6):
    arrivals = Arriving(waiting, size)
    for number, result in t.stream(iter(arrivals)):
        assert number not in arrivals.ended
        arrivals.ended[number] = result
    return arrivals.ended, arrivals


def check_each_is_what_it_is_alone(t, waiting, size=6):
    found, arrivals = streamed(t, waiting, size)
    assert sorted(found) == sorted(trial.number for trial in waiting)
    fresh = [Trial(Proposal(w.number, w.params, w.seed), w.data_seed) for w in waiting]
    alone = {trial.number: t(trial) for trial in fresh}
    for number, result in found.items():
        assert outcome(result) == outcome(alone[number]), f"trial {number}"
    return found, arrivals


def in_some_order(count, seed=3):
    order = list(range(count))
    random.Random(seed).shuffle(order)
    return trials([MIX[k] for k in order], numbers=order)


@pytest.fixture
def ages(monkeypatch):
    """Return a list that gets the epochs of the members of a team, at each of its epochs."""
    seen, train = [], Lowered.train

    def watched(self, epoch):
        seen.append([m.epoch for m in self.members])
        return train(self, epoch)

    monkeypatch.setattr(Lowered, "train", watched)
    return seen


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("fused", [True, False])
def test_members_at_any_epoch_equal_training_alone(dtype, fused, ages, monkeypatch, caplog):
    if not fused:
        monkeypatch.setattr(optimizers, "has_fused_adam", lambda dtype: False)
    t = trainer(dtype=dtype)
    found, _ = check_each_is_what_it_is_alone(t, in_some_order(len(MIX)), size=24)
    assert {r.data["stopped"] for r in found.values()} >= {"epochs", "patience"}
    assert {r.data["engine"] for r in found.values()} == {"lowered"}
    assert max(len(set(own)) for own in ages) > 2  # teams with members at several epochs
    check_no_team_failed(caplog)


@pytest.mark.parametrize("inputs", [1, 2, 40])
def test_with_inputs_and_widths_of_any_size(inputs, caplog):
    some = np.random.default_rng(0).normal(size=(150, inputs))
    t = trainer(X=some, y=REAL, loss="mse", metrics=[], dtype=torch.float32)
    widths = [1, 7, 20, 32, 33, 64, 100, 128, 130, 200, 256, 300]
    sizes = [16, 29, 50]
    configs = [random_config(k, width=w, depth=1 + k % 2, batch_size=sizes[k % 3])
               for k, w in enumerate(widths * 3)]  # fmt: skip
    check_each_is_what_it_is_alone(t, trials(configs), size=20)
    check_no_team_failed(caplog)


def test_long_inputs_are_the_same_too(caplog):
    wide = np.random.default_rng(0).normal(size=(150, 784))
    t = trainer(X=wide, epochs=3)
    configs = [random_config(k, width=96, depth=2, batch_size=48) for k in range(14)]
    check_each_is_what_it_is_alone(t, trials(configs), size=5)
    check_no_team_failed(caplog)


def own_loss(outputs, targets):
    return nn.functional.smooth_l1_loss(outputs[:, 0], targets)


OPTIONS = {
    "folds": {"validation": 3},
    "class weights": {"class_weights": "balanced"},
    "own loss": {"loss": own_loss, "y": REAL, "metrics": []},
    "last weights": {"stopping": None},
    "gathered step by step": {},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_with_every_kind_of_data_loss_and_stopping(name, ages, monkeypatch, caplog):
    if name == "gathered step by step":
        monkeypatch.setattr("metaopt.train.data.batches.GATHER_WHOLE", 0)
    t = trainer(**OPTIONS[name])
    configs = [random_config(k, batch_size=29 if k % 3 else 16) for k in range(30)]
    check_each_is_what_it_is_alone(t, trials(configs), size=9)
    assert max(len(set(own)) for own in ages) > 1
    check_no_team_failed(caplog)


def test_slots_stay_full_and_members_are_one_team(ages):
    config = {"width": 8, "lr": 0.03, "dropout": 0.1, "batch_size": 16}
    configs = [{**config, "epochs": 2 + k % 5, "lr": 0.01 + k / 900} for k in range(40)]
    _, arrivals = streamed(trainer(stopping=None), trials(configs), size=8)
    tail = len(arrivals.beside) - max(c["epochs"] for c in configs)
    assert set(arrivals.beside[:tail]) == {8}
    assert [len(own) for own in ages] == arrivals.beside  # one team at every tick
    assert sum(len(own) for own in ages) == sum(c["epochs"] for c in configs)


@pytest.mark.parametrize("engine", ["traced", "single"])
def test_networks_of_other_engines_join_too(engine):
    def build(config):
        return nn.Sequential(
            nn.Linear(7, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3)
        )

    configs = [random_config(k, batch_size=16, epochs=2 + k % 4) for k in range(11)]
    read = {"width", "depth", "activation", "dropout"}
    configs = [{k: v for k, v in config.items() if k not in read} for config in configs]
    t = trainer(build, engine=engine)
    found, _ = check_each_is_what_it_is_alone(t, trials(configs), size=4)
    assert {r.data["engine"] for r in found.values()} == {engine}


def test_teams_hold_at_most_the_allowed_number_of_members(ages, monkeypatch):
    monkeypatch.setattr(grouping, "CPU_BYTES", 1)  # four at most
    t = trainer(stopping=None)
    check_each_is_what_it_is_alone(t, trials([random_config(k, width=8, depth=1, batch_size=16)
                                              for k in range(24)]), size=9)  # fmt: skip
    assert max(map(len, ages)) == 4


def lacking(monkeypatch, name, enough):
    plain, lacked = getattr(Lowered, name), []

    def short(self, *args):
        if not enough(self, *args):
            lacked.append(len(self.members))
            raise MemoryError
        return plain(self, *args)

    monkeypatch.setattr(Lowered, name, short)
    return lacked


CONFIGS = [{"width": 8, "lr": 0.01 * (k + 1), "dropout": 0.2, "epochs": 2 + k % 5,
            "batch_size": 16} for k in range(24)]  # fmt: skip


@pytest.mark.parametrize(("name", "enough"), [
    ("train", lambda engine, epoch: len(engine.members) <= 3),
    ("train", lambda engine, epoch: max(m.epoch for m in engine.members) < 3
     or len(engine.members) < 5),
    ("admit", lambda engine, members, states: len(engine.members) < 5),
    ("admit", lambda engine, members, states: False),
    ("select", lambda engine, rows: len(rows) < 5),
], ids=["too many", "too old", "some join", "none join", "some leave"])  # fmt: skip
def test_running_out_of_memory_changes_no_result(name, enough, monkeypatch, caplog):
    t = trainer()
    expected = {trial.number: outcome(t(trial)) for trial in trials(CONFIGS)}
    lacked = lacking(monkeypatch, name, enough)
    found, _ = streamed(t, trials(CONFIGS), size=8)
    assert {k: outcome(r) for k, r in found.items()} == expected
    assert lacked


def test_nothing_is_reported_twice_when_a_team_is_trained_again(monkeypatch):
    reports = []

    class Channel:
        def reported(self, number, value, step):
            reports.append((number, step))

        def should_stop(self, number):
            return False

    expected = {trial.number: outcome(trainer()(trial)) for trial in trials(CONFIGS)}
    lacking(monkeypatch, "train", lambda engine, epoch: len(engine.members) <= 3)
    found, _ = streamed(trainer(), trials(CONFIGS, Channel()), size=8)
    assert len(set(reports)) == len(reports)
    assert {k: outcome(r) for k, r in found.items()} == expected


def test_a_failing_new_member_changes_no_other():
    def picky(outputs, targets):
        if not torch.isfinite(outputs).all():
            raise ArithmeticError("outputs are not finite")
        return (outputs[:, 0] - targets).square().mean()

    bad = [{"lr": 1e4, "optimizer": "sgd"}, {"widht": 3}, {"momentum": 1.0}, {"lr": 1e30}]
    configs = [c for k, good in enumerate(CONFIGS) for c in [good, bad[k % 4]][: 1 + k % 2]]
    t = trainer(y=REAL, loss=picky, metrics=[])
    found, _ = streamed(t, trials(configs), size=6)
    assert len(found) == len(configs)
    statuses = [found[k].status for k, c in enumerate(configs) if c in bad]
    assert set(statuses) == {"failed"}
    for trial in trials(configs):
        if trial.params in CONFIGS:
            assert outcome(found[trial.number]) == outcome(t(trial))


# -- in a study ------------------------------------------------------------------------------------


class OneByOne:
    """The same objective without `many` and `stream`: trials run one by one."""

    def __init__(self, trainer):
        self.trainer, self.direction = trainer, trainer.direction

    def __call__(self, trial):
        return self.trainer(trial)


def search(objective, n_trials=24, which=None, storage=None, **options):
    study = Study(training_space(), "random", seed=5, pruner=which, storage=storage)
    study.optimize(objective, n_trials, **options)
    return study


def results(study):
    return {r.number: (r.params, outcome(r.result)) for r in study.trials}


@pytest.mark.parametrize("replicates", [1, 2])
def test_each_trial_of_a_study_with_slots_equals_the_trial_alone(replicates):
    t = trainer(epochs=4)
    study = search(t, 24 // replicates, slots=6, replicates=replicates)
    alone = replicated(OneByOne(t), replicates)
    for r in study.trials:
        expected = evaluate(alone, Trial(Proposal(r.number, r.params, r.seed), study.data_seed))
        assert (r.status, r.value, r.curve) == (expected.status, expected.value, expected.curve)
    assert [r.number for r in study.told] != sorted(r.number for r in study.told)


class Cut(BaseException):
    """Simulates kill -9: not caught by `except Exception`."""


@pytest.mark.parametrize("kept", [False, True], ids=["from the first epoch", "checkpoints"])
def test_a_killed_study_with_a_pruner_resumes_with_equal_results(kept, tmp_path, caplog):
    def begin(path, metric=None, **options):
        t = trainer(epochs=6, stopping=EarlyStopping(2), metrics=[], metric=metric, y=REAL,
                    loss="mse", test=None, **options)  # fmt: skip
        which = MedianPruner(min_trials=3)
        study = search(t, 20, which, path, slots=5)
        told = [r.number for r in study.told]
        study.close()
        return results(study), told

    left = [0]

    def squared(outputs, targets):
        left[0] -= 1
        if left[0] == 0:
            raise Cut
        return float((outputs[:, 0] - targets).square().mean())

    expected = begin(tmp_path / "whole.db", squared)
    assert {o[0] for _, o in expected[0].values()} == {"complete", "pruned"}
    options = {"checkpoints": tmp_path / "checkpoints"} if kept else {}
    for cuts in range(40):
        left[0] = 5 + 4 * cuts
        try:
            again = begin(tmp_path / "cut.db", squared, **options)
        except Cut:
            continue
        break
    assert cuts > 3
    assert again == expected
    assert not kept or not list((tmp_path / "checkpoints").iterdir())
    check_no_team_failed(caplog)
