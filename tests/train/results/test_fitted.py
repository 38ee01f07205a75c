import json
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from metaopt.core.errors import TrainingError
from metaopt.train import Trainer, load

RNG = np.random.default_rng(0)
X = RNG.normal(5, 3, size=(90, 5))
NAMES = np.array(["no", "yes"])[(X[:, 0] > 5).astype(int)]
CONFIG = {"lr": 0.02, "width": 8, "dropout": 0.2}


def fit(build="mlp", y=NAMES, **options):
    options = {"epochs": 3, "standardize": True, "device": "cpu", **options}
    return Trainer(build, X, y, **options).refit(CONFIG if build == "mlp" else {}, 1, 2)


def own(config):
    return nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))


def lazy(config):
    return nn.Sequential(nn.LazyLinear(4), nn.Tanh(), nn.LazyLinear(2))


@pytest.mark.parametrize("build", ["mlp", own, lazy])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_loaded_network_predicts_the_same(build, dtype, tmp_path):
    fitted = fit(build, dtype=dtype)
    fitted.save(tmp_path / "net")
    loaded = load(tmp_path / "net", None if build == "mlp" else build)
    assert np.array_equal(loaded.outputs(X), fitted.outputs(X))
    assert loaded.predict(X).tolist() == fitted.predict(X).tolist()
    assert set(loaded.predict(X)) <= {"no", "yes"}
    same = ("config", "value", "metrics", "curve", "shape", "dtype")
    assert all(getattr(loaded, name) == getattr(fitted, name) for name in same)
    assert [p.name for p in tmp_path.iterdir()] == ["net"]


def test_a_loaded_regression_predicts_in_the_units_of_y(tmp_path):
    fitted = fit(y=X[:, 0] * 100, loss="mse", standardize_target=True)
    fitted.save(tmp_path / "net.npz")
    loaded = load(tmp_path / "net.npz")
    assert np.array_equal(loaded.predict(X), fitted.predict(X))
    assert 300 < loaded.predict(X).mean() < 700
    with pytest.raises(TrainingError, match="needs a classifier"):
        loaded.predict_proba(X)


def test_probabilities_sum_to_one_in_the_order_of_the_classes():
    fitted = fit()
    probabilities = fitted.predict_proba(X)
    assert np.allclose(probabilities.sum(1), 1)
    assert (fitted.classes[probabilities.argmax(1)] == fitted.predict(X)).all()


def test_the_fitted_network_is_an_ordinary_module():
    network = fit().network
    assert not network.training
    assert any(type(m) is nn.Dropout for m in network)
    assert all(p.grad is None and p.is_contiguous() for p in network.parameters())
    assert len({p.untyped_storage().data_ptr() for p in network.parameters()}) == 6
    assert pickle.loads(pickle.dumps(network)) is not None


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("something from the file was executed",))


def test_pickles_are_refused_and_not_executed(tmp_path):
    path = tmp_path / "net"
    fit().save(path)
    good = dict(np.load(path, allow_pickle=False))
    trap = np.array(Trap(), dtype=object)
    for name in ("header", "state/1.weight", "classes"):
        with path.open("wb") as file:
            np.savez(file, **{**good, name: trap})
        with pytest.raises(TrainingError, match="is not a network saved by metaopt"):
            load(path)
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(TrainingError, match="is not a network saved by metaopt"):
        load(path)
    torch.save({"weight": torch.ones(2)}, path)
    with pytest.raises(TrainingError, match="is not a network saved by metaopt"):
        load(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "net"
    with pytest.raises(TrainingError, match="is not a file"):
        load(path)
    for content in (b"", b"hello", b"PK\x03\x04broken"):
        path.write_bytes(content)
        with pytest.raises(TrainingError, match="is not a network saved by metaopt"):
            load(path)
    for header in ({}, {"format": "metaopt network 1"}, [1]):
        with path.open("wb") as file:
            np.savez(file, header=np.array(json.dumps(header)))
        with pytest.raises(TrainingError, match="is not a network saved by metaopt"):
            load(path)


def test_a_build_that_does_not_fit_the_file_is_refused(tmp_path):
    fit(own).save(tmp_path / "net")
    with pytest.raises(TrainingError, match=r"needs the function that built it: load.path, build"):
        load(tmp_path / "net")
    with pytest.raises(TrainingError, match="does not fit the network that build returns"):
        load(tmp_path / "net", lambda config: nn.Linear(5, 2))


def test_inputs_of_another_shape_are_refused():
    with pytest.raises(TrainingError, match=r"samples of shape \(5,\) as in training"):
        fit().predict(X[:, :3])
