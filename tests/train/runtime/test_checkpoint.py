"""An interrupted training resumes from its checkpoint and gives bit-identical results."""

import numpy as np
import pytest
import torch
from populations import MIX, REAL, X, Y, check_no_team_failed, outcome, random_config, trainer
from populations import trials as trials_of
from torch import nn

from metaopt import Float, Int, Space, Study
from metaopt.core.errors import TrainingError
from metaopt.train import EarlyStopping
from metaopt.trials.records import Proposal
from metaopt.trials.trial import Trial

EPOCHS = 6


class Cut(Exception):
    """Simulates kill -9 in a process that survives it."""


class Channel:
    """Records all reports; interrupts training at one of them, or stops trials."""

    def __init__(self, cut=None, stop=()):
        self.cut, self.stop, self.log = cut, dict(stop), []

    def reported(self, number, value, step):
        if step == self.cut:
            raise Cut
        self.log.append((number, step, value))

    def should_stop(self, number):
        return self.stop.get(number) == self.log[-1][1]


def own_randomness(config):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(7, 4, num_layers=2, dropout=0.5)
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            return self.head(nn.functional.dropout(self.rnn(x)[0], 0.5, self.training))

    return Net()


def with_buffers(config):
    return nn.Sequential(
        nn.Linear(7, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3)
    )


BASE = {"lr": 0.03, "width": 8, "dropout": 0.3, "l1": 1e-4, "schedule": "cosine"}
CASES = {
    "adam": ("mlp", BASE, {}),
    "adamw": ("mlp", {**BASE, "optimizer": "adamw"}, {}),
    "momentum": ("mlp", {**BASE, "optimizer": "sgd", "momentum": 0.9, "activation": "tanh"}, {}),
    "rmsprop": ("mlp", {**BASE, "optimizer": "rmsprop", "momentum": 0.5}, {}),
    "gd": ("mlp", {**BASE, "optimizer": "gd", "lr": 0.3}, {}),
    "last weights": ("mlp", BASE, {"stopping": None}),
    "patience": ("mlp", {**BASE, "lr": 0.3}, {"stopping": EarlyStopping(2)}),
    "folds": ("mlp", {**BASE, "lr": 0.1}, {"validation": 3, "stopping": EarlyStopping(1)}),
    "single adam": ("mlp", BASE, {"engine": "single"}),
    "single momentum": ("mlp", {**BASE, "optimizer": "sgd", "momentum": 0.9}, {"engine": "single"}),
    "single rmsprop": ("mlp", {**BASE, "optimizer": "rmsprop"}, {"engine": "single"}),
    "batch norm": (with_buffers, {"lr": 0.03}, {}),
    "own randomness": (own_randomness, {"optimizer": "rmsprop", "momentum": 0.2}, {}),
    "half": ("mlp", BASE, {"precision": "bf16"}),
    "traced": (with_buffers, {"lr": 0.03}, {"engine": "traced"}),
}


def make(name, **more):
    build, _, options = CASES[name]
    usual = {"epochs": EPOCHS, "stopping": EarlyStopping(None), "metrics": ["accuracy"]}
    return trainer(build, **{**usual, **options, **more})


def trial(config, channel=None, seed=5):
    return Trial(Proposal(0, config, seed), 7, channel)


def cut_off(t, config, epoch, many):
    with pytest.raises(Cut):
        run_once(t, trial(config, Channel(cut=epoch)), many)


def run_once(t, one, many):
    return dict(t.many([one]))[0] if many else t(one)


@pytest.mark.parametrize("name", CASES)
def test_training_interrupted_after_any_epoch_gives_the_same_result(name, tmp_path, caplog):
    config = CASES[name][1]
    whole = Channel()
    expected = outcome(make(name)(trial(config, whole)))
    assert expected[0] == "complete" and len(whole.log) > 2
    for many in (False, True):
        for _, epoch, _ in whole.log:
            cut_off(make(name, checkpoints=tmp_path), config, epoch, many)
            assert len(list(tmp_path.iterdir())) == (3 if name == "folds" else 1)
            again, t = Channel(), make(name, checkpoints=tmp_path)
            assert outcome(run_once(t, trial(config, again), many)) == expected
            assert again.log == whole.log  # all reports are made again
            assert not list(tmp_path.iterdir())
    check_no_team_failed(caplog)
    assert not caplog.records


def test_only_epochs_after_the_checkpoint_are_trained_again(tmp_path):
    seen = []

    def build(config):
        net = with_buffers(config)
        net.register_forward_hook(lambda m, i, o: seen.append(1) if m.training else None)
        return net

    def steps(run):
        seen.clear()
        run()
        return len(seen)

    options = {"epochs": EPOCHS, "stopping": None, "checkpoints": tmp_path}
    each = steps(lambda: trainer(build, **{**options, "epochs": 1})(trial({})))
    for every, kept in ((1, 5), (2, 4), (3, 3), (9, 0)):
        t = trainer(build, **options, checkpoint_every=every)
        assert steps(lambda t=t: cut_off(t, {}, 5, False)) == 5 * each
        assert steps(lambda t=t: t(trial({}))) == (EPOCHS - kept) * each


def test_the_refitted_network_has_the_same_weights(tmp_path):
    expected = make("adam").refit(BASE, 5, 7).network.state_dict()
    cut_off(make("adam", checkpoints=tmp_path), BASE, 4, False)
    t = make("adam", checkpoints=tmp_path)
    found = t.refit(BASE, 5, 7)
    assert all(torch.equal(found.network.state_dict()[k], v) for k, v in expected.items())
    assert not list(tmp_path.iterdir())


def test_a_batch_interrupted_within_an_epoch_resumes(tmp_path, caplog):
    configs = [random_config(k, batch_size=16 if k % 2 else 32) for k in range(10)] + MIX[:4]
    expected = Channel(stop={3: 2, 8: 1, 9: 3})
    whole = {k: outcome(r) for k, r in trainer().many(trials_of(configs, expected))}
    assert {o[0] for o in whole.values()} == {"complete", "pruned"}
    for cut in range(1, len(expected.log), 11):
        ended = {}

        class Dying(Channel):
            def reported(self, number, value, step, cut=cut):
                if len(self.log) == cut:
                    raise Cut
                super().reported(number, value, step)

        channel = Dying(stop=expected.stop)
        with pytest.raises(Cut):
            for k, result in trainer(checkpoints=tmp_path).many(trials_of(configs, channel)):
                ended[k] = outcome(result)
        # As in a study, only trials without a stored result run again.
        left = [k for k in range(len(configs)) if k not in ended]
        mine = trials_of(configs, again := Channel(stop=expected.stop))
        found = dict(trainer(checkpoints=tmp_path).many([mine[k] for k in left]))
        assert {**ended, **{k: outcome(r) for k, r in found.items()}} == whole
        assert again.log == [entry for entry in expected.log if entry[0] in left]
        assert not list(tmp_path.iterdir())
    assert not caplog.records


def test_members_at_different_epochs_resume_in_step(tmp_path):
    configs = [{**BASE, "lr": 0.01 * (k + 1)} for k in range(4)]
    expected = {k: outcome(r) for k, r in trainer(stopping=None).many(trials_of(configs))}
    for k, one in enumerate(trials_of(configs)):
        with pytest.raises(Cut):
            cut = Trial(Proposal(k, one.params, one.seed), 7, Channel(cut=k + 1))
            trainer(stopping=None, checkpoints=tmp_path)(cut)
    channel = Channel()
    t = trainer(stopping=None, checkpoints=tmp_path)
    found = dict(t.many(trials_of(configs, channel)))
    assert {k: outcome(r) for k, r in found.items()} == expected
    assert [step for _, step, _ in channel.log] == sorted(step for _, step, _ in channel.log)


def test_an_interrupted_study_resumes_with_the_same_results(tmp_path):
    space = Space(lr=Float(1e-3, 1e-1, log=True), width=Int(4, 9), dropout=Float(0, 0.5))

    def search(path, t):
        study = Study(space, "random", seed=3, storage=path)
        study.optimize(t, n_trials=6, batch_size=3)
        return [(r.params, outcome(r.result)) for r in study.trials]

    def squared(outputs, targets):
        if (left := len(squared.left)) == 1:
            raise KeyboardInterrupt
        squared.left = squared.left[: left - 1]
        return float((outputs[:, 0] - targets).square().mean())

    squared.left = ()
    options = {"y": REAL, "loss": "mse", "metrics": [], "metric": squared, "test": None}
    expected = search(tmp_path / "a.db", trainer(**options))
    squared.left = "x" * 20
    folder = tmp_path / "checkpoints"
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "b.db", trainer(**options, checkpoints=folder))
    assert list(folder.iterdir())
    squared.left = ()
    assert search(tmp_path / "b.db", trainer(**options, checkpoints=folder)) == expected
    assert not list(folder.iterdir())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["adam", "single adam", "own randomness"])
def test_interrupted_on_a_gpu(name, tmp_path):
    config = CASES[name][1]
    expected = outcome(make(name, device="cuda")(trial(config)))
    cut_off(make(name, device="cuda", checkpoints=tmp_path), config, 4, True)
    again = run_once(make(name, device="cuda", checkpoints=tmp_path), trial(config), True)
    assert again.value == pytest.approx(expected[1], rel=1e-4)
    assert [step for step, _ in again.curve] == [step for step, _ in expected[2]]
    assert not list(tmp_path.iterdir())


# -- files that must not be used -------------------------------------------------------------------


def left(tmp_path, name="adam", config=BASE, **more):
    cut_off(make(name, checkpoints=tmp_path, **more), config, 4, False)
    (path,) = tmp_path.iterdir()
    return path


@pytest.mark.parametrize(
    ("config", "seed", "options"),
    [
        ({**BASE, "lr": 0.02}, 5, {}),
        (BASE, 6, {}),
        (BASE, 5, {"X": X + 1e-6}),
        (BASE, 5, {"y": (Y + 1) % 3}),
        (BASE, 5, {"stopping": EarlyStopping(3)}),
        (BASE, 5, {"metric": "accuracy"}),
        (BASE, 5, {"dtype": torch.float64}),
        (BASE, 5, {"epochs": 9}),
        (BASE, 5, {"validation": 0.3}),
        (BASE, 5, {"class_weights": "balanced"}),
        (BASE, 5, {"standardize": True}),
        (BASE, 5, {"engine": "single"}),
        (BASE, 5, {"metric": lambda o, y: 1.0}),
    ],
    ids=[
        "lr",
        "seed",
        "X",
        "y",
        "stopping",
        "metric",
        "dtype",
        "epochs",
        "split",
        "weights",
        "scaled",
        "engine",
        "own metric",
    ],
)
def test_a_checkpoint_of_another_training_is_not_used(config, seed, options, tmp_path):
    path = left(tmp_path)
    expected = outcome(make("adam", **options)(trial(config, seed=seed)))
    found = make("adam", checkpoints=tmp_path, **options)(trial(config, seed=seed))
    assert outcome(found) == expected
    assert path.exists()  # the file belongs to another training


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-200])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 255
    path.write_bytes(bytes(data))


def empty(path):
    path.write_bytes(b"")


def change(path, **arrays):
    with np.load(path) as file:
        held = {name: file[name] for name in file.files}
    with path.open("wb") as file:
        np.savez(file, **{**held, **arrays})


def no_state(path):
    with np.load(path) as file:
        held = {k: file[k] for k in file.files if not k.startswith("state/v")}
    with path.open("wb") as file:
        np.savez(file, **held)


def other_shape(path):
    change(path, **{"state/w/0": np.zeros((1, 1))})


def pickled(path):
    change(path, values=np.array([print], dtype=object))


def no_values(path):
    change(path, values=np.array([np.nan] * 4))


SPOILERS = [cut_short, flip, empty, no_state, other_shape, pickled, no_values]


@pytest.mark.parametrize("spoil", SPOILERS, ids=lambda spoil: spoil.__name__)
@pytest.mark.parametrize("name", ["adam", "single adam"])
def test_a_broken_file_is_ignored_with_a_warning(spoil, name, tmp_path, caplog):
    path = left(tmp_path, name)
    spoil(path)
    path.with_suffix(".12.34.part").write_bytes(b"of a process that was killed")
    channel = Channel()
    found = make(name, checkpoints=tmp_path)(trial(BASE, channel))
    assert outcome(found) == outcome(make(name)(trial(BASE)))
    assert [step for _, step, _ in channel.log] == list(range(1, EPOCHS + 1))
    if not (name == "single adam" and spoil is no_state):  # it has no such entry
        assert [r.levelname for r in caplog.records] == ["WARNING"]
        assert "checkpoint" in caplog.text and "starts from epoch 1" in caplog.text
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_does_not_stop_training(tmp_path, caplog):
    t = make("adam", checkpoints=tmp_path / "a")
    (tmp_path / "a").write_text("in the way")
    assert outcome(t(trial(BASE))) == outcome(make("adam")(trial(BASE)))
    assert "could not be written" in caplog.text


def test_a_failed_or_pruned_trial_leaves_no_files(tmp_path):
    t = make("adam", checkpoints=tmp_path)
    assert t(trial(BASE, Channel(stop={0: 3}))).status == "pruned"
    assert t(trial({**BASE, "optimizer": "sgd", "lr": 1e30})).status == "failed"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"checkpoints": 3}, "checkpoints must be a folder or None, got 3"),
        ({"checkpoint_every": 0}, "checkpoint_every must be an integer from 1, got 0"),
        ({"checkpoint_every": True}, "checkpoint_every must be an integer from 1"),
        ({"checkpoints": __file__}, "is a file"),
    ],
    ids=["no folder", "never", "no number", "a file"],
)
def test_wrong_checkpoint_options_are_refused(options, message):
    with pytest.raises(TrainingError, match=message):
        trainer(**options)
