"""A batch gives the same results on several devices as on one."""

import _thread
import threading
import time

import numpy as np
import pytest
import torch
from populations import MIX, X, Y, check_no_team_failed, outcome, random_config, trainer, trials
from torch import nn

from metaopt.core.errors import TrainingError
from metaopt.train import EarlyStopping
from metaopt.train.data.preparation import Data, Preparation
from metaopt.train.runtime.resources import limit_threads
from metaopt.train.scheduling.devices import Loads
from metaopt.trials.records import Proposal
from metaopt.trials.trial import Trial, fixed_trial

TWO = ["cpu", "cpu"]  # one device listed twice: two threads


class Net(nn.Module):
    """One of three kinds: with buffers and keyed dropout, drawing random numbers, or failing."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.rnn = nn.LSTM(7, 4, num_layers=2, dropout=0.5)
        self.norm, self.drop, self.head = nn.BatchNorm1d(4), nn.Dropout(0.3), nn.Linear(4, 3)
        self.calls = 0

    def forward(self, x):
        self.calls += self.training
        if self.kind == "failing" and self.calls == 8:
            raise ZeroDivisionError("on purpose")
        x = self.rnn(x)[0] if self.kind == "drawing" else x[:, :4]
        return self.head(self.drop(self.norm(x)))


def build(config):
    if config["kind"] == "perceptron":
        return nn.Sequential(
            nn.Linear(7, config["width"]), nn.Tanh(), nn.Linear(config["width"], 3)
        )
    return Net(config["kind"])


KINDS = ["perceptron", "buffers", "drawing", "failing", "perceptron", "buffers", "drawing"]
OWN = [
    {"kind": kind, "lr": 0.01 * (1 + k), **({"width": 4 + k % 2} if kind == "perceptron" else {})}
    for k, kind in enumerate(KINDS * 2)
]
SAME = {"width": 8, "depth": 1, "batch_size": 32, "optimizer": "adam"}
CASES = {
    "perceptrons": ("mlp", MIX[:30], {}),
    "one architecture": ("mlp", [random_config(k, **SAME) for k in range(20)], {}),
    "modules": (build, OWN, {"metrics": []}),
    "folds": ("mlp", MIX[:8], {"validation": 3}),
    "fp16": (build, OWN[:3] * 2, {"precision": "fp16"}),
}


class Channel:
    """Records reports and requests to stop; stops some trials, or interrupts all."""

    def __init__(self, cut=None):
        self.log, self.cut = [], cut

    def reported(self, number, value, step):
        if step == self.cut:
            raise KeyboardInterrupt
        self.log.append(("report", number, step, value))

    def should_stop(self, number):
        self.log.append(("judge", number))
        return number % 5 == 4 and sum(e[:2] == ("judge", number) for e in self.log) == 2


def metric(seen):
    """Return a metric that adds its threads to `seen`."""

    def accuracy_of_mine(outputs, targets):
        seen.add(threading.get_ident())
        return float((outputs.argmax(1) == targets).double().mean())

    return accuracy_of_mine


def facts(result):
    """Return an outcome without the traceback, which shows the frames of the thread."""
    status, value, curve, metrics, data = outcome(result)
    return status, value, curve, metrics, {k: v for k, v in data.items() if k != "traceback"}


def run(case, device, **more):
    kind, configs, options = CASES[case]
    t = trainer(kind, **{"stopping": EarlyStopping(2), **options, **more, "device": device})
    channel = Channel()
    found = {number: facts(r) for number, r in t.many(trials(configs, channel))}
    return found, channel.log


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("device", [TWO, ["cpu"] * 3])
def test_several_devices_give_the_results_and_reports_of_one(case, device, caplog):
    seen = {"one": set(), "several": set()}
    expected = run(case, "cpu", metric=metric(seen["one"]), direction="maximize")
    found = run(case, device, metric=metric(seen["several"]), direction="maximize")
    assert found[0] == expected[0] and list(found[0]) == list(expected[0])
    assert found[1] == expected[1]  # bit for bit, and in the same order because of lockstep
    assert {status for status, *_ in found[0].values()} >= {"complete"}
    assert len(seen["one"]) == 1 and len(seen["several"]) > 1
    check_no_team_failed(caplog)


def test_a_failure_on_one_device_fails_its_trial_only():
    found, _ = run("modules", TWO)
    for number, kind in enumerate(KINDS * 2):
        assert (found[number][0] == "failed") == (kind == "failing")


def test_device_threads_use_the_callers_number_of_threads():
    def counting(outputs, targets):
        seen.append(torch.get_num_threads())
        return 0.5

    for n in (1, 2):
        seen = []
        t = trainer(metric=counting, metrics=[], device=TWO, threads=n)
        assert len(dict(t.many(trials(MIX[:6])))) == 6
        assert set(seen) == {n}
    seen, more = [], torch.get_num_threads() + 1
    with limit_threads(more):  # only in the calling thread
        dict(trainer(metric=counting, metrics=[], device=TWO, threads=None).many(trials(MIX[:6])))
    assert set(seen) == {more}


def test_the_next_run_goes_to_the_device_with_the_least_work():
    t = trainer(lambda c: nn.Sequential(nn.Linear(7, c["wide"]), nn.Linear(c["wide"], 3)))
    loads, devices = Loads(), []
    for wide in (40, 10, 10, 10, 10, 10):
        devices.append(loads.least(2))
        loads.add(devices[-1], t._run(fixed_trial({"wide": wide})))
    assert devices == [0, 1, 1, 1, 1, 0]
    assert Loads().least(3) == 0


def asked_for(monkeypatch):
    """Return a list that gets the devices for which samples are prepared, in order."""
    asked, real = [], Data.prepare
    monkeypatch.setattr(
        Data, "prepare", lambda self, s, device: asked.append(str(device)) or real(self, s, device)
    )
    return asked


def test_a_batch_is_distributed_and_a_single_trial_goes_by_its_number(monkeypatch):
    asked = asked_for(monkeypatch)
    t = trainer(device=["cpu", "cpu:0"])
    dict(t.many(trials([{"lr": 0.01 * k} for k in range(1, 5)])))
    assert asked == ["cpu", "cpu:0"] * 2
    del asked[:]
    for number in (0, 3, 4):
        t(Trial(Proposal(number, {}, 1), 7))
    assert asked == ["cpu", "cpu:0", "cpu"]
    del asked[:]
    t.refit({}, 1, 7)
    assert asked == ["cpu"]


def test_samples_are_prepared_once_per_device():
    how = Preparation(0.2, 0.2, True, True, False, False, torch.float32)
    data, devices = Data(X, Y, how), [torch.device(name) for name in ("cpu", "cpu:0", "meta")]
    first = [data.prepare(seed, device) for seed in (1, 2) for device in devices]
    again = [data.prepare(seed, device) for seed in (1, 2) for device in devices]
    assert all(a is b for a, b in zip(first, again, strict=True))
    data.prepare(3, devices[0])
    assert data.prepare(2, devices[2]) is first[5] and data.prepare(1, devices[0]) is not first[0]


@pytest.mark.parametrize("where", ["metric", "report", "waiting"])
def test_an_interrupt_ends_all_device_threads(where):
    calls = []

    def interrupted(outputs, targets):
        calls.append(1)
        if where == "metric" and len(calls) == 9:
            raise KeyboardInterrupt
        if where == "waiting" and len(calls) == 9:
            _thread.interrupt_main()  # as Ctrl-C does
            time.sleep(0.2)
        return 0.5

    networks = []

    def watched(config):
        networks.append(Net("buffers"))
        return networks[-1]

    before = {thread.ident for thread in threading.enumerate()}
    t = trainer(watched, metric=interrupted, metrics=[], device=TWO)
    with pytest.raises(KeyboardInterrupt):
        dict(t.many(trials([{}] * 6, Channel(cut=2 if where == "report" else None))))
    assert {thread.ident for thread in threading.enumerate()} <= before
    assert all(type(network.drop) is nn.Dropout for network in networks)  # teams were closed


def test_interrupted_training_resumes_on_its_devices(tmp_path):
    configs = [random_config(k, epochs=4) for k in range(10)]
    expected = {k: outcome(r) for k, r in trainer().many(trials(configs))}
    t = trainer(device=TWO, checkpoints=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        dict(t.many(trials(configs, Channel(cut=3))))
    assert len(list(tmp_path.iterdir())) > 5
    t = trainer(device=TWO, checkpoints=tmp_path)
    assert {k: outcome(r) for k, r in t.many(trials(configs))} == expected
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("device", [[], ["auto", "cpu"], ["cpu", "auto"], 3, None])
def test_an_invalid_list_of_devices_is_refused_at_once(device):
    with pytest.raises(TrainingError, match="device must be 'auto', a device, or a list"):
        trainer(device=device)


def test_an_unknown_device_in_a_list_is_reported_when_a_trial_runs():
    with pytest.raises(TrainingError, match=r"device must be 'auto', 'cpu', .*, got 'gpu'"):
        trainer(device=["cpu", "gpu"])(fixed_trial({}))
    ((_, result),) = trainer(device=["cpu", 3]).many(trials([{}]))
    assert result.status == "failed" and "or a list of devices, got 3" in result.error.message


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_gpus_give_the_results_of_one():
    def facts(device):
        t = trainer(device=device, stopping=None)
        return {k: (r.value, r.data["device"]) for k, r in t.many(trials(MIX[:20]))}

    one, two = facts("cuda:0"), facts(["cuda:0", "cuda:1"])
    assert {device for _, device in two.values()} == {"cuda:0", "cuda:1"}
    values = np.asarray([[of[k][0] for k in range(20)] for of in (one, two)])
    assert values[0] == pytest.approx(values[1], rel=1e-3)
