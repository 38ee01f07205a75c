"""IterableDatasets: samples come in the order of the Dataset."""

import multiprocessing
import random

import cloudpickle
import numpy as np
import pytest
import torch
from populations import REAL, X, Y, check_no_team_failed, outcome, trials
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from metaopt.core.errors import TrainingError
from metaopt.train import EarlyStopping, Trainer
from metaopt.train.data.splitting import epoch_order

DATA_SEED = 7  # of `trials`
HELD = {"validation": (X[100:130], Y[100:130]), "test": (X[130:], Y[130:])}
USUAL = {"epochs": 3, "device": "cpu", "stopping": EarlyStopping(2), **HELD}
CONFIGS = [{"lr": 0.01 * (k + 1)} for k in range(3)] + [{"batch_size": 16}, {"optimizer": "gd"}]


class Stream(IterableDataset):
    """Yields samples in the order in which a trainer visits samples in memory."""

    def __init__(self, X=X[:100], y=Y[:100]):
        self.X, self.y, self.epochs = X, y, []

    def set_epoch(self, epoch):
        self.epochs.append(epoch)

    def rows(self):
        n, epoch = len(self.y), self.epochs[-1]
        return epoch_order(n, DATA_SEED, epoch) if epoch else np.arange(n)

    def __iter__(self):
        for row in self.rows():
            yield self.X[row], self.y[row]


def trainer(data, build="mlp", **options):
    return Trainer(build, data, **{**USUAL, "resident": False, **options})


def outcomes(trainer, configs=CONFIGS):
    return {k: outcome(result) for k, result in trainer.many(trials(configs))}


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    before = torch.get_rng_state().tolist(), random.getstate()
    yield
    assert multiprocessing.active_children() == []
    assert (torch.get_rng_state().tolist(), random.getstate()) == before


@pytest.fixture(scope="module")
def expected():
    return outcomes(Trainer("mlp", X[:100], Y[:100], **USUAL))


def test_a_stream_in_the_same_order_gives_the_results_of_memory(expected, caplog):
    stream = Stream()
    for data in (stream, DataLoader(stream, batch_size=7), DataLoader(stream, num_workers=1)):
        t = trainer(data)
        assert outcomes(t) == expected
        assert outcome(t(trials(CONFIGS)[1])) == expected[1]
    assert outcomes(cloudpickle.loads(cloudpickle.dumps(t))) == expected
    check_no_team_failed(caplog)


def lazy(config):
    return nn.Sequential(nn.LazyLinear(6), nn.ReLU(), nn.Dropout(0.2), nn.Linear(6, 3))


NAMES = np.array(["a", "bb", "c"])
KINDS = {
    "names": ("mlp", NAMES[Y], {"class_weights": "balanced"}),
    "regression": ("mlp", REAL, {"loss": "mse", "standardize_target": True}),
    "single": (lazy, Y, {"engine": "single"}),
    "traced": (lazy, Y, {"engine": "traced"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_targets_and_networks_of_every_kind(kind):
    build, y, options = KINDS[kind]
    options = {**options, "validation": (X[100:130], y[100:130]), "test": None}
    whole = Trainer(build, X[:100], y[:100], **{**USUAL, **options})
    t = trainer(Stream(y=y[:100]), build, **options)
    assert outcomes(t) == outcomes(whole)
    fitted, same = (one.refit(CONFIGS[0], 101, DATA_SEED) for one in (t, whole))
    assert np.array_equal(fitted.predict(X), same.predict(X))


def test_a_team_makes_one_pass_per_epoch():
    stream = Stream()
    t = trainer(stream, stopping=None)
    assert stream.epochs == [0]
    outcomes(t, [{"lr": 0.01 * (k + 1)} for k in range(8)])
    assert stream.epochs == [0, 1, 2, 3]
    outcomes(t, [{"batch_size": 16}, {"batch_size": 8}])
    assert stream.epochs == [0, 1, 2, 3, 1, 1, 2, 2, 3, 3]


def test_a_stream_can_be_read_into_memory_and_split():
    t = trainer(Stream(X, Y), resident=True, validation=3, test=0.2)
    plain = Trainer("mlp", X, Y, **{**USUAL, "validation": 3, "test": 0.2})
    assert outcomes(t, CONFIGS[:1]) == outcomes(plain, CONFIGS[:1])
    held = {k: Stream(*part) for k, part in HELD.items()}
    assert outcomes(trainer(Stream(), **held)) == outcomes(trainer(Stream()))


class Sharded(Stream):
    def rows(self):
        info = get_worker_info()
        return super().rows()[info.id :: info.num_workers]


class Listed(Stream):
    """Yields the samples of a DataLoader, epoch by epoch."""

    def __iter__(self):
        sharded = Sharded()
        sharded.set_epoch(self.epochs[-1])
        loader = DataLoader(sharded, 8, num_workers=2, generator=torch.Generator())
        for inputs, targets in loader:
            yield from zip(inputs.numpy(), targets.numpy(), strict=True)


def test_several_processes_take_turns_as_in_a_data_loader():
    loader = DataLoader(Sharded(), batch_size=8, num_workers=2)
    assert outcomes(trainer(loader), CONFIGS[:1]) == outcomes(trainer(Listed()), CONFIGS[:1])


class Augmented(Stream):
    def __iter__(self):
        for x, y in super().__iter__():
            yield x + 0.1 * torch.randn(7).numpy() + 0.1 * random.gauss(0, 1), y


def test_augmentation_depends_on_the_epoch_only():
    stream = Augmented()
    first = outcomes(trainer(stream))
    assert first == outcomes(trainer(stream))
    assert first == outcomes(trainer(DataLoader(stream, batch_size=7, num_workers=1)))
    assert first != outcomes(trainer(stream, resident=True))


def test_an_interrupted_training_resumes(tmp_path, expected):
    class Cut(Exception):
        pass

    class Channel:
        def reported(self, number, value, step):
            if step == 2:
                raise Cut

        def should_stop(self, number):
            return False

    stream = Stream()
    t = trainer(stream, checkpoints=tmp_path)
    with pytest.raises(Cut):
        list(t.many(trials(CONFIGS[:3], Channel())))
    stream.epochs.clear()
    assert outcomes(t, CONFIGS[:3]) == {k: expected[k] for k in range(3)}
    assert stream.epochs == [3]


def shorter(stream):
    stream.X, stream.y = stream.X[:-1], stream.y[:-1]


def longer(stream):
    stream.X, stream.y = X, Y


def narrower(stream):
    stream.X = stream.X[:, :6]


def newer(stream):
    stream.y = stream.y + 5


def broken(stream):
    stream.y = stream.y[:50]
    stream.rows = lambda: np.arange(100)


CHANGES = {
    shorter: "the same number of samples in every pass, 100 as in the first pass, got only 99 in",
    longer: "100 as in the first pass, got more in epoch 1",
    narrower: "inputs of one shape, got (6,) in sample 0 and (7,) before",
    newer: "which y does not have, in epoch 1",
    broken: "X cannot be read: IndexError: index 50 is out of bounds",
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_stream_that_changes_fails_its_trials(change, num_workers):
    stream = Stream()
    t = trainer(DataLoader(stream, num_workers=num_workers, batch_size=9))
    change(stream)
    found = dict(t.many(trials(CONFIGS)))
    assert [r.status for r in found.values()] == ["failed"] * len(CONFIGS)
    assert all(CHANGES[change] in r.error.message for r in found.values())


class Ragged(Stream):
    def __iter__(self):
        for k, (x, y) in enumerate(super().__iter__()):
            yield x[: 7 - (k == 70)], y


class Nothing(Stream):
    def __iter__(self):
        return iter(())


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (
            Stream(),
            {"validation": 0.2},
            "which cannot be split: validation must be separate data, got the",
        ),
        (Stream(), {"test": 0.2}, "test must be separate data, or None for no hidden test, got"),
        (Stream(), {"validation": 4}, "folds need the data in memory"),
        (Stream(), {"validation": 0}, "validation must be a fraction above 0"),
        (Stream(), {"standardize": True}, "scale the inputs in the Dataset"),
        (Stream(), {"y": Y}, "do not pass y"),
        (Nothing(), {}, "X is empty"),
        (DataLoader(Nothing(), num_workers=1), {}, "X is empty"),
        (Stream(np.where(X > 3, np.nan, X), Y), {}, "X must be finite; the first bad sample is"),
        (Ragged(), {}, r"got \(6,\) in sample 70 and \(7,\) before"),
        (DataLoader(Stream(), collate_fn=list), {}, r"custom collate_fn \(list\)"),
        (Stream(), {"validation": Ragged()}, "validation X must give inputs of one shape"),
    ],
)
def test_invalid_streams_are_refused(data, options, message):
    with pytest.raises(TrainingError, match=message):
        trainer(data, **options)
