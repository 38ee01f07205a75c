"""DataLoaders: worker processes read the same samples as from memory."""

import multiprocessing
import os
import random
import threading
import time

import cloudpickle
import numpy as np
import pytest
import torch
from populations import X, Y, check_no_team_failed, outcome, trials
from torch.utils import data as torch_data
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from metaopt.core.errors import TrainingError
from metaopt.execution.process_pool import run_all
from metaopt.train import EarlyStopping, Trainer
from metaopt.train.population.mlp import Lowered
from metaopt.train.runtime.rng import Noise

USUAL = {"epochs": 3, "device": "cpu", "stopping": EarlyStopping(2)}
CONFIGS = [{"lr": 0.01 * (k + 1)} for k in range(3)] + [{"batch_size": 16}, {"batch_size": 10}]


class Pairs(Dataset):
    def __init__(self, X=X, y=Y):
        self.X, self.y = X, y

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.X[i], self.y[i]


def trainer(data, **options):
    return Trainer("mlp", data, **{**USUAL, "resident": False, **options})


def outcomes(trainer, configs=CONFIGS):
    found = {k: outcome(result) for k, result in trainer.many(trials(configs))}
    assert multiprocessing.active_children() == []  # not only after the trainer was deleted
    return found


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    def state():
        drawn = np.random.get_state()  # noqa: NPY002
        return torch.get_rng_state().tolist(), random.getstate(), drawn[1].tolist(), drawn[2:]

    before = state()
    yield
    assert multiprocessing.active_children() == []
    assert state() == before


@pytest.fixture(scope="module")
def expected():
    return outcomes(Trainer("mlp", X, Y, **USUAL))


@pytest.mark.parametrize("num_workers", [0, 1, 2])
def test_any_number_of_processes_gives_the_results_of_memory(num_workers, expected, caplog):
    loader = DataLoader(Pairs(), num_workers=num_workers, batch_size=7, shuffle=True)
    t = trainer(loader)
    assert outcomes(t) == expected
    assert outcome(t(trials(CONFIGS)[1])) == expected[1]
    assert outcomes(trainer(loader, resident=True)) == expected
    check_no_team_failed(caplog)


def test_separate_parts_can_be_loaders():
    parts = {"validation": (X[:20], Y[:20]), "test": (X[20:50], Y[20:50])}
    loaders = {k: DataLoader(Pairs(*part), num_workers=1) for k, part in parts.items()}
    plain = outcomes(Trainer("mlp", X, Y, **USUAL, **parts))
    assert outcomes(trainer(DataLoader(Pairs()), **loaders)) == plain
    tensors = TensorDataset(torch.tensor(X), torch.tensor(Y))
    assert outcomes(trainer(DataLoader(tensors), resident=True, **loaders)) == plain


class Augmented(Pairs):
    """Uses every global random generator."""

    def __getitem__(self, i):
        noise = np.random.normal(size=7) + torch.randn(7).numpy() + random.gauss(0, 1)  # noqa: NPY002
        return self.X[i] + 0.1 * noise, self.y[i]


def test_augmentation_depends_on_the_rows_only():
    first = outcomes(trainer(Augmented()))
    for num_workers in (0, 2):
        loader = DataLoader(Augmented(), num_workers=num_workers, worker_init_fn=seed_by_habit)
        assert outcomes(trainer(loader)) == first
    kept = trainer(loader, resident=True)
    assert outcomes(kept) == outcomes(trainer(Augmented(), resident=True)) != first


def seed_by_habit(worker):
    random.seed(torch.initial_seed())
    np.random.seed(torch.initial_seed() % 2**32)  # noqa: NPY002


def test_processes_live_as_long_as_the_training(tmp_path):
    class Logged(Pairs):
        pass

    def begin(worker):
        assert isinstance(torch_data.get_worker_info().dataset, Logged)
        with (tmp_path / "log").open("a") as log:
            log.write(f"{os.getpid()}\n")

    def started():
        pids = (tmp_path / "log").read_text().split()
        assert len(set(pids)) == len(pids)
        return len(pids)

    t = trainer(DataLoader(Logged(), num_workers=2, worker_init_fn=begin))
    t._data.prepare(7, torch.device("cpu"))
    before = started()
    assert before == 4  # for the first pass, and for validation and test
    outcomes(t)
    assert started() == before + 2  # for three teams and three epochs


def test_several_splits_are_read_at_once(expected):
    def population(t):
        mixed = trials(CONFIGS[:4])
        for trial in mixed[:2]:
            trial.__dict__["data_seed"] = 8
        return {k: outcome(r) for k, r in t.many(mixed)}

    plain = population(Trainer("mlp", X, Y, **USUAL))
    assert plain[0] != expected[0] and plain[3] == expected[3]
    assert population(trainer(DataLoader(Pairs(), num_workers=1))) == plain


def test_threads_share_a_trainer(expected):
    t = trainer(DataLoader(Pairs(), num_workers=1))
    found = [None] * 3

    def work(k):
        found[k] = outcome(t(trials(CONFIGS)[k]))

    threads = [threading.Thread(target=work, args=[k]) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected[k] for k in range(3)]


def test_a_process_does_not_wait_for_threads_of_its_parent(expected):
    taken, done = threading.Event(), threading.Event()

    def hold():
        with Noise(0):
            taken.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    try:
        t = trainer(DataLoader(Pairs(), num_workers=1, timeout=5), resident=True)
    finally:
        done.set()
        thread.join()
    assert outcomes(t) == expected


def test_a_trainer_can_be_pickled(expected):
    t = trainer(DataLoader(Pairs(), num_workers=1, generator=torch.Generator()))
    outcomes(t)
    assert outcomes(cloudpickle.loads(cloudpickle.dumps(t))) == expected


@pytest.mark.slow
def test_processes_of_processes(expected):
    t = trainer(DataLoader(Pairs(), num_workers=1))
    (found,) = run_all([lambda tick: outcome(t(trials(CONFIGS)[1]))], 1, lambda: None)
    assert found == expected[1]


@pytest.mark.slow
def test_processes_can_be_started_by_spawn(expected):
    loader = DataLoader(Pairs(), num_workers=1, multiprocessing_context="spawn")
    assert outcomes(trainer(loader, resident=True)) == expected


class Cut(Exception):
    pass


class Channel:
    def __init__(self, cut=None, stop=None):
        self.cut, self.stop = cut, stop

    def reported(self, number, value, step):
        self.step = step
        if step == self.cut:
            raise Cut

    def should_stop(self, number):
        return self.step == self.stop


def test_an_interrupted_training_resumes(tmp_path, expected):
    t = trainer(DataLoader(Pairs(), num_workers=1), checkpoints=tmp_path)
    with pytest.raises(Cut) as held:
        list(t.many(trials(CONFIGS, Channel(cut=2))))
    assert multiprocessing.active_children() == [] and held.value is not None
    assert len(list(tmp_path.iterdir())) == len(CONFIGS)
    assert outcomes(t) == expected
    (_, pruned), *_ = t.many(trials(CONFIGS[:1], Channel(stop=1)))
    assert pruned.status == "pruned"


def test_a_step_that_raises_ends_the_processes():
    calls = []

    def loss(outputs, targets):
        calls.append(len(multiprocessing.active_children()))
        if len(calls) == 3:
            raise ArithmeticError("no more")
        return (outputs - targets).square().mean()

    t = trainer(DataLoader(Pairs(), num_workers=1), loss=loss, metric="mse", engine="single")
    with pytest.raises(ArithmeticError) as held:
        t(trials([{"width": 3}])[0])
    assert calls == [1, 1, 1]
    assert multiprocessing.active_children() == [] and held.value is not None
    calls.clear()
    found = dict(t.many(trials([{"width": 3}, {"batch_size": 16}])))
    assert [found[k].status for k in range(2)] == ["failed", "complete"]
    assert calls[-5:] == [1] * 5  # the processes of the failed one have ended


class Failing(Pairs):
    """Calls `fail` once a file exists."""

    def __init__(self, folder, fail):
        super().__init__()
        self.sign, self.fail = folder / "fail", fail

    def __getitem__(self, i):
        if self.sign.exists() and i == 77:
            self.fail()
        return super().__getitem__(i)


def boom():
    raise LookupError("no such file")


FAILURES = {
    "raises here": (boom, {}, r"ReadingError: X cannot be read: LookupError: no such file"),
    "raises": (boom, {"num_workers": 2}, "ReadingError: X cannot be read: LookupError: no such"),
    "dies": (lambda: os._exit(3), {"num_workers": 1}, "exit code 3"),
    "hangs": (lambda: time.sleep(1), {"num_workers": 1, "timeout": 0.5}, "timed out"),
}


def test_a_process_that_dies_while_networks_compute_fails_their_trials_at_once(monkeypatch, caplog):
    caplog.set_level("INFO", "metaopt.train")

    def interrupted(self, epoch):  # PyTorch's signal handler raises in any line of the main thread
        raise RuntimeError("DataLoader worker (pid 7) exited unexpectedly with exit code 3. ...")

    monkeypatch.setattr(Lowered, "train", interrupted)
    found = dict(trainer(DataLoader(Pairs(), num_workers=1)).many(trials(CONFIGS)))
    assert [r.status for r in found.values()] == ["failed"] * len(CONFIGS)
    assert all("exit code 3" in r.error.message for r in found.values())
    check_no_team_failed(caplog)


# PyTorch's handler for a dead process may raise while PyTorch itself opens a file.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", FAILURES)
def test_samples_that_cannot_be_read_fail_their_trials(name, tmp_path, caplog):
    caplog.set_level("INFO", "metaopt.train")
    fail, options, message = FAILURES[name]
    t = trainer(DataLoader(Failing(tmp_path, fail), **options))
    for seed in range(9):  # find a split whose training part has the sample
        (split,) = t._data.prepare(seed, torch.device("cpu"))
        if 77 in split.train.X._rows:
            break
    (tmp_path / "fail").touch()
    configs = trials(CONFIGS)
    for trial in configs:
        trial.__dict__["data_seed"] = seed
    found = dict(t.many(configs))
    assert [r.status for r in found.values()] == ["failed"] * len(CONFIGS)
    assert {r.error.kind for r in found.values()} == {"exception"}
    assert [r.error.message for r in found.values() if message not in r.error.message] == []
    check_no_team_failed(caplog)  # no half of a team could read them
    if fail is boom:
        assert 'raise LookupError("no such file")' in found[0].data["traceback"]
        with pytest.raises(TrainingError, match="no such file"):
            t(configs[0])
        with pytest.raises(TrainingError, match="X cannot be read: LookupError: no such file"):
            trainer(DataLoader(Failing(tmp_path, fail), **options))
    (tmp_path / "fail").unlink()
    assert t(configs[0]).status == "complete"


class Growing(Failing):
    def __getitem__(self, i):
        x, y = super(Failing, self).__getitem__(i)
        return (x[:6] if self.sign.exists() else x), y


def test_samples_that_change_their_shape_are_noticed(tmp_path):
    t = trainer(DataLoader(Growing(tmp_path, boom), num_workers=1))
    t._data.prepare(7, torch.device("cpu"))
    (tmp_path / "fail").touch()
    (_, found), *_ = t.many(trials([{}]))
    assert "inputs of one shape, got (6,) in sample" in found.error.message
    assert "and (7,) before" in found.error.message


def stack(items):
    return items


WEIGHTED = torch_data.WeightedRandomSampler([1.0] * 150, 150)
SHORT = torch_data.RandomSampler(Pairs(), num_samples=20)


class Mixed(Pairs):
    def __getitem__(self, i):
        return (self.X[i] if i % 100 else [1] * 7), self.y[i]


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (DataLoader(Pairs(), collate_fn=stack), {}, r"custom collate_fn \(stack\), .* remove"),
        (DataLoader(Pairs(), sampler=WEIGHTED), {},
         "with a WeightedRandomSampler, but the trainer"),
        (DataLoader(Pairs(), sampler=SHORT), {}, "with a RandomSampler, .* pass a torch.*Subset"),
        (DataLoader(Pairs(), batch_sampler=[[1, 2], [3]]), {}, "chooses its samples with a list"),
        (DataLoader(Pairs(), sampler=torch_data.SequentialSampler(range(9))), {}, "SequentialSa"),
        (DataLoader(Pairs(), batch_sampler=torch_data.BatchSampler(WEIGHTED, 4, False)), {},
         "with a WeightedRandomSampler"),
        (DataLoader(Pairs()), {"y": Y}, "do not pass y"),
        (DataLoader(Pairs(X[:0], Y[:0])), {}, "X is empty"),
        (DataLoader(Subset(X, range(150))), {}, "must give pairs"),
        (DataLoader(Mixed()), {}, "one type, got float64 in sample 1 and torch.int64 before"),
        (Pairs(), {"validation": DataLoader(Pairs(), collate_fn=stack)}, "validation X is a DataL"),
    ],
    ids=["collate", "weighted", "short", "batches", "first", "weighted batches",
         "y", "empty", "single", "mixed", "validation"],
)  # fmt: skip
def test_invalid_loaders_are_refused(data, options, message, resident):
    with pytest.raises(TrainingError, match=message):
        trainer(data, resident=resident, **options)
