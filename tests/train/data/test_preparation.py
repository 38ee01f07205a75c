import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, TensorDataset

from metaopt.core.errors import TrainingError
from metaopt.train import Trainer
from metaopt.train.data.preparation import Data, Preparation, Scaler
from metaopt.train.data.splitting import epoch_order, split_rows

CPU = torch.device("cpu")
RNG = np.random.default_rng(0)
X, Y = RNG.normal(3, 5, (90, 4)), np.repeat([0, 1, 2], 30)


def data(X=X, y=Y, **options):
    how = {"validation": 0.2, "test": 0.2, "classify": True, "stratify": True, "standardize": False}
    how |= {"standardize_target": False, "dtype": torch.float32}
    return Data(X, y, Preparation(**{**how, **options}))


def test_parts_are_disjoint_complete_and_stratified():
    rows = split_rows(90, Y, {"validation": 0.2, "test": 0.3}, data_seed=4)
    assert sorted(np.concatenate(list(rows.values())).tolist()) == list(range(90))
    assert {k: np.bincount(Y[r]).tolist() for k, r in rows.items()} == {
        "train": [15] * 3, "validation": [6] * 3, "test": [9] * 3,
    }  # fmt: skip
    other = split_rows(90, Y, {"validation": 0.2, "test": 0.3}, data_seed=5)
    assert not np.array_equal(rows["test"], other["test"])


def test_a_rare_class_is_in_every_part():
    y = np.array([0] * 97 + [1] * 3)
    for seed in range(10):
        rows = split_rows(100, y, {"validation": 0.1, "test": 0.1}, seed)
        assert all((y[r] == 1).sum() == 1 for r in rows.values())


def test_orders_are_permutations_that_differ_by_epoch_and_seed():
    orders = [epoch_order(50, s, e) for s in (0, 1) for e in (1, 2)]
    assert all(sorted(o.tolist()) == list(range(50)) for o in orders)
    assert len({tuple(o) for o in orders}) == 4


def test_standardising_uses_the_training_part_only():
    moved = X.copy()
    rows = split_rows(90, Y, {"validation": 0.2, "test": 0.2}, 0)
    moved[rows["test"]] += 1e3
    moved[rows["validation"]] -= 1e3
    a, b = (data(x, standardize=True).prepare(0, CPU)[0] for x in (X, moved))
    assert torch.equal(a.train.X, b.train.X)
    assert torch.allclose(a.train.X.mean(0), torch.zeros(4), atol=1e-6)
    assert torch.allclose(a.train.X.std(0, correction=0), torch.ones(4), atol=1e-5)


@pytest.mark.parametrize("shape", [(7, 3), (7, 3, 4, 5), (7, 4, 5), (7,)])
def test_undo_inverts_a_scaler_and_constants_become_zero(shape):
    x = torch.from_numpy(RNG.normal(2, 3, shape))
    scaler = Scaler.fit(x)
    assert torch.allclose(scaler.undo(scaler.apply(x)), x)
    assert torch.equal(Scaler.fit(torch.full(shape, 0.1)).apply(torch.full(shape, 0.1)), x * 0)


def test_labels_of_any_type_become_codes_in_sorted_order():
    names = np.array(["cat", "ant", "bee"])[Y]
    for labels in (names, names.astype(object), names.tolist()):
        read = data(y=labels)
        assert read.classes.tolist() == ["ant", "bee", "cat"]
        assert read.outputs == 3
    assert data(y=torch.tensor(Y) * 10 - 5).classes.tolist() == [-5, 5, 15]


class Pairs(Dataset):
    def __init__(self, X, y):
        self.X, self.y = X, y

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        torch.rand(1)  # an augmentation that uses the default generator
        return self.X[i], self.y[i]


def test_datasets_give_the_same_parts_as_arrays():
    before = torch.get_rng_state()
    a = data().prepare(0, CPU)[0]
    sets = Pairs(X, Y), TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    for b in (data(s, None).prepare(0, CPU)[0] for s in sets):
        assert torch.equal(a.train.X, b.train.X) and torch.equal(a.test.y, b.test.y)
    assert torch.equal(torch.get_rng_state(), before)


def test_explicit_parts_are_used_unchanged():
    parts = data(validation=(X[:6], Y[:6] + 0), test=Pairs(X[:3], Y[:3])).prepare(0, CPU)[0]
    assert len(parts.train.y) == 90
    assert torch.equal(parts.validation.X, torch.tensor(X[:6], dtype=torch.float32))
    assert len(parts.test.y) == 3


@pytest.mark.parametrize("kind", ["<f8", ">f8", ">i4", ">f4"])
def test_views_and_foreign_byte_orders_are_read_correctly(kind):
    plain = (X * 10).astype(kind[1:]) if kind[1] == "f" else (X * 10).astype("i4")
    foreign = np.asfortranarray(plain.astype(kind))[::-1, ::-1]
    a = data(plain[::-1, ::-1].copy(), Y[::-1].copy()).prepare(0, CPU)[0]
    b = data(foreign, Y[::-1]).prepare(0, CPU)[0]
    assert torch.equal(a.train.X, b.train.X) and torch.equal(a.train.y, b.train.y)


def test_no_test_part_on_request():
    for none in (None, 0, 0.0):
        parts = data(test=none).prepare(0, CPU)[0]
        assert parts.test is None and len(parts.train.y) == 72


def test_later_changes_of_the_given_arrays_have_no_effect():
    mine = X.copy()
    read = data(mine)
    mine[:] = 0
    assert read.prepare(0, CPU)[0].train.X.any()


def test_int64_tensors_stay_integers_and_other_integers_become_floats():
    assert (
        data(torch.ones(90, 4, dtype=torch.int64)).prepare(0, CPU)[0].train.X.dtype == torch.int64
    )
    assert data(np.ones((90, 4), dtype=int)).prepare(0, CPU)[0].train.X.dtype == torch.float32


BAD = X.copy()
BAD[17, 2] = np.nan


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X": X[:-1]}, "X and y must have the same length, got 89 and 90"),
        ({"X": BAD}, "X must be finite; the first bad sample is 17"),
        ({"X": X[:0], "y": Y[:0]}, "y is empty"),
        ({"X": X.astype(str)}, "X must hold numbers"),
        ({"y": None}, "y is missing; it is only optional if X is a Dataset"),
        ({"X": Pairs(X, Y)}, "X is a Dataset and contains the targets; do not pass y"),
        ({"y": Y * 0}, "at least two classes"),
        ({"y": Y + 0.5}, "class labels .*use loss='mse'"),
        ({"y": np.array([0] * 88 + [1] * 2)}, "2 samples of class 1 are too few"),
        ({"validation": 0}, "validation must be a fraction above 0"),
        ({"validation": 1.5}, "validation must be a fraction between 0 and 1, got 1.5"),
        ({"validation": 0.6, "test": 0.5}, "30 samples of class 0 are too few"),
        ({"test": "half"}, "test must be a fraction of the data, a pair"),
        ({"test": (X[:4], Y[:4] + 9)}, "test y holds the class 9, which y does not have"),
        ({"test": (X[:4, :2], Y[:4])}, r"test X must have samples of shape \(4,\)"),
        ({"validation": (X[:4], Y[:3])}, "validation X and validation y must have the same"),
        ({"X": np.full((90, 4), 1e300)}, "overflow"),
        (
            {"X": torch.ones(90, 4, dtype=torch.int64), "standardize": True},
            "needs floating-point inputs",
        ),
        ({"y": Y, "standardize_target": True}, "needs floating-point targets"),
    ],
)
def test_wrong_data_is_refused_at_once(arguments, message):
    with pytest.raises(TrainingError, match=message):
        Trainer("mlp", **{"X": X, "y": Y, **arguments})
