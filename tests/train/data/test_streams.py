"""Inputs that stay in their Dataset give the same results as inputs in memory."""

import cloudpickle
import numpy as np
import pytest
import torch
from populations import MIX, REAL, X, Y, check_no_team_failed, outcome, trials
from torch import nn
from torch.utils.data import Dataset, TensorDataset

from metaopt.core.errors import TrainingError
from metaopt.train import EarlyStopping, Trainer
from metaopt.trials.trial import fixed_trial

USUAL = {"epochs": 4, "device": "cpu", "stopping": EarlyStopping(2), "metrics": ["accuracy"]}


class Watched(Dataset):
    """Records which samples are read."""

    def __init__(self, X, y):
        self.X, self.y, self.reads = X, y, []

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        self.reads.append(i)
        return self.X[i], self.y[i]


class InBatches(Watched):
    def __getitem__(self, i):
        raise AssertionError("there is a faster way")

    def __getitems__(self, rows):
        self.reads += rows
        return [(self.X[i], self.y[i]) for i in rows]


def trainer(data, build="mlp", **options):
    return Trainer(build, data, **{**USUAL, **options})


def conv(config):
    return nn.Sequential(
        nn.Unflatten(1, (1, 7)), nn.Conv1d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2),
        nn.Linear(20, 3),
    )  # fmt: skip


def tokens(config):
    return nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(28, 3))


TOKENS = np.random.default_rng(1).integers(0, 9, size=(150, 7))
CASES = {
    "perceptron": (Watched(X, Y), "mlp", {}),
    "in batches": (InBatches(X, Y), "mlp", {}),
    "tensors": (TensorDataset(torch.tensor(X), torch.tensor(Y)), "mlp", {}),
    "single": (Watched(X, Y), conv, {}),
    "traced": (Watched(X, Y), conv, {"engine": "traced"}),
    "tokens": (Watched(TOKENS, Y), tokens, {}),
    "images": (Watched(X.reshape(150, 1, 7).astype(np.uint8), Y), "mlp", {}),
    "double": (Watched(X.astype(np.float32), Y), "mlp", {"dtype": torch.float64}),
    "validation of its own": (Watched(X, Y), "mlp", {"validation": Watched(X[:20], Y[:20])}),
    "names": (Watched(X, np.array(["a", "b", "c"])[Y]), "mlp", {"class_weights": "balanced"}),
    "regression": (
        Watched(X, REAL), "mlp", {"loss": "mse", "metrics": [], "standardize_target": True},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_streamed_equals_resident_bit_for_bit(name, caplog):
    data, build, options = CASES[name]
    configs = [{"lr": 0.01 * (k + 1), "batch_size": 32} for k in range(3)] + [{"optimizer": "gd"}]
    pair = data.tensors if name == "tensors" else (data.X, data.y)
    inputs = torch.tensor(pair[0]) if name == "tokens" else pair[0]
    whole = Trainer(build, inputs, pair[1], **{**USUAL, **options})
    streamed = trainer(data, build, resident=False, **options)
    expected = {k: outcome(r) for k, r in whole.many(trials(configs))}
    assert {o[0] for o in expected.values()} == {"complete"}
    assert {k: outcome(r) for k, r in streamed.many(trials(configs))} == expected
    assert outcome(streamed(trials(configs)[1])) == outcome(whole(trials(configs)[1]))
    fitted = streamed.refit(configs[1], 101, 7)
    assert np.array_equal(fitted.outputs(inputs), whole.refit(configs[1], 101, 7).outputs(inputs))
    check_no_team_failed(caplog)


def test_a_mixed_population_with_a_stream():
    whole = {k: outcome(r) for k, r in trainer(Watched(X, Y)).many(trials(MIX[:25]))}
    t = trainer(Watched(X, Y), resident=False)
    assert {k: outcome(r) for k, r in t.many(trials(MIX[:25]))} == whole


def test_one_pass_feeds_all_members():
    data = Watched(X, Y)
    t = trainer(data, resident=False, stopping=None, epochs=3)
    assert data.reads == list(range(150))  # one pass, for the targets
    data.reads.clear()
    configs = [{"lr": 0.01 * (k + 1)} for k in range(8)]
    assert len(dict(t.many(trials(configs)))) == 8
    (split,) = t._data.prepare(7, torch.device("cpu"))
    n = len(split.train.y)
    held, rest = data.reads[: 150 - n], data.reads[150 - n :]
    held = set(held)
    assert len(held) == 150 - n  # validation and test samples are read once
    epochs = [rest[k : k + n] for k in range(0, len(rest), n)]
    mine = sorted(set(range(150)) - held)
    assert len(epochs) == 3 and all(sorted(e) == mine for e in epochs)
    assert len({tuple(e) for e in epochs}) == 3


class Augmented(Watched):
    def __getitem__(self, i):
        return self.X[i] + 0.1 * torch.randn(7).numpy(), self.y[i]


def test_augmentation_differs_between_batches_and_is_reproducible():
    before = torch.get_rng_state()
    t = trainer(Augmented(X, Y), resident=False)
    first = outcome(t(fixed_trial({})))
    assert outcome(cloudpickle.loads(cloudpickle.dumps(t))(fixed_trial({}))) == first
    assert outcome(trainer(Augmented(X, Y))(fixed_trial({}))) != first
    ((_, many),) = t.many(trials([{}]))
    assert outcome(many) == outcome(t(trials([{}])[0]))
    (split,) = t._data.prepare(0, torch.device("cpu"))
    X1, X2 = split.train.X[:20], split.train.X[:30]
    assert not torch.equal(X1, X2[:20]) and torch.equal(X1, split.train.X[:20])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_with_random_numbers_of_its_own_is_not_disturbed():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(7, 4, num_layers=2, dropout=0.5)
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.rnn(x)[0])

    results = [
        outcome(trainer(Watched(X, Y), lambda c: Net(), resident=r)(fixed_trial({})))
        for r in (True, False)
    ]
    assert results[0] == results[1]


def test_arrays_on_disk_can_be_read_only_and_reversed(tmp_path):
    np.save(tmp_path / "X.npy", X[:, ::-1])
    held = np.load(tmp_path / "X.npy", mmap_mode="r")

    class Mirrored(Watched):
        def __getitem__(self, i):
            return self.X[i][::-1], self.y[i]

    plain = outcome(Trainer("mlp", X[:, ::-1], Y, **USUAL)(fixed_trial({})))
    mirrored = outcome(Trainer("mlp", X, Y, **USUAL)(fixed_trial({})))
    for r in (True, False):
        assert outcome(trainer(Watched(held, Y), resident=r)(fixed_trial({}))) == plain
        assert outcome(trainer(Mirrored(held, Y), resident=r)(fixed_trial({}))) == mirrored


def test_a_stream_and_checkpoints(tmp_path):
    class Cut(Exception):
        pass

    class Channel:
        def reported(self, number, value, step):
            if step == 3:
                raise Cut

        def should_stop(self, number):
            return False

    options = {"resident": False, "checkpoints": tmp_path}
    for data in (Watched(X, Y), Watched(X + 1e-6, Y)):
        with pytest.raises(Cut):
            next(trainer(data, **options).many(trials([{}], Channel())))
    assert len(list(tmp_path.iterdir())) == 2  # other samples have another checkpoint
    data = Watched(X, Y)
    t = trainer(data, **options)
    found = dict(t.many(trials([{}])))[0]
    assert outcome(found) == outcome(trainer(Watched(X, Y))(trials([{}])[0]))


BAD = X.copy()
BAD[17, 2] = np.nan


class Unsized(Dataset):
    def __getitem__(self, i):
        return X[i], Y[i]


class Ragged(Watched):
    def __getitem__(self, i):
        return self.X[i][: 7 - (i == 9)], self.y[i]


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (Watched(BAD, Y), {}, "X must be finite; the first bad sample is 17"),
        (Watched(X * 1e300, Y), {}, "overflow torch.float32, in sample 0"),
        (Watched(X.astype(str), Y), {}, "X must hold numbers, got <U"),
        (Ragged(X, Y), {}, r"got \(6,\) in sample 9 and \(7,\) before"),
        (Watched(X[:0], Y[:0]), {}, "X is empty"),
        (X, {}, "needs X to be a map-style Dataset with a length, .*, got ndarray"),
        (Unsized(), {}, "or an IterableDataset, got Unsized"),
        (Watched(X, Y), {"y": Y}, "do not pass y"),
        (Watched(X, Y), {"validation": 3}, "folds need the data in memory"),
        (Watched(X, Y), {"standardize": True}, "scale the inputs in the Dataset"),
        (Watched(X, Y * 0), {}, "at least two classes"),
        (TensorDataset(torch.tensor(X)), {}, "must give pairs"),
    ],
    ids=["nan", "overflow", "text", "ragged", "empty", "array", "unsized", "y", "folds",
         "standardize", "one class", "one tensor"],
)  # fmt: skip
def test_data_that_cannot_be_streamed_is_refused(data, options, message):
    with pytest.raises(TrainingError, match=message):
        trainer(data, resident=False, **options)


def test_folds_of_a_stream_are_refused():
    with pytest.raises(TrainingError, match="folds need the data in memory"):
        trainer(Watched(X, Y), resident=False).cross_validate({}, validation=3)
