"""Replicates: each configuration runs under several seeds; the mean is told."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from sklearn.datasets import load_iris

import metaopt
from metaopt import Float, Int, Result, Space, Study, Trainer
from metaopt.core.errors import StudyError
from metaopt.pruning import Pruner

SPACE = Space(x=Float(0, 1), k=Int(1, 3))


def _noisy(trial) -> Result:
    noise = np.random.default_rng(trial.seed).normal()
    trial.report(noise, 1)
    return Result(trial["x"] + noise, metrics={"noise": noise})


def _study(objective=_noisy, replicates=3, n=6, pruner=None, **options) -> Study:
    study = Study(SPACE, "random", seed=4, pruner=pruner)
    study.optimize(objective, n, replicates=replicates, **options)
    return study


def test_the_mean_over_different_seeds_is_told_once() -> None:
    study = _study()
    for t in study.trials:
        parts = t.result.data["replicates"]
        values = [t.params["x"] + np.random.default_rng(p["seed"]).normal() for p in parts]
        assert len({p["seed"] for p in parts}) == 3
        assert [p["value"] for p in parts] == pytest.approx(values)
        assert t.value == pytest.approx(statistics.fmean(values))
        assert t.metrics["noise"] == pytest.approx(t.value - t.params["x"])
        means = [statistics.fmean(values[: i + 1]) for i in range(2)]
        assert [v for _, v in t.curve] == pytest.approx(means)
    assert len({tuple(t.params.items()) for t in study.trials}) == 6


def test_one_replicate_is_the_same_as_none() -> None:
    plain = Study(SPACE, "random", seed=4)
    plain.optimize(_noisy, 6)
    assert [t.value for t in _study(replicates=1).trials] == [t.value for t in plain.trials]


def test_the_first_replicate_that_fails_determines_the_result() -> None:
    calls = []

    def sometimes(trial):
        calls.append(trial.number)
        if calls.count(trial.number) == 2:
            raise ZeroDivisionError("bad luck")
        return 1.0

    study = _study(sometimes, n=2)
    assert calls == [0, 0, 1, 1]
    assert all(t.status == "failed" for t in study.trials)
    assert "bad luck" in study.trials[0].result.error.message
    assert [len(t.result.data["replicates"]) for t in study.trials] == [2, 2]


class Above(Pruner):
    """Stops trials that report a value above a limit."""

    name = "above"

    def decide(self, step, value, others) -> bool:
        return value > 1.0


@pytest.mark.parametrize("batch", [None, 3])
def test_a_pruner_sees_the_mean_so_far_and_skips_further_replicates(batch) -> None:
    class Many:
        def __call__(self, trial):
            return _noisy(trial)

        def many(self, trials):
            return ((t.number, self(t)) for t in reversed(trials))

    study = _study(Many(), n=12, pruner=Above(), batch_size=batch)
    pruned = [t for t in study.trials if t.status == "pruned"]
    assert 0 < len(pruned) < 12
    for t in study.trials:
        values = [p["value"] for p in t.result.data["replicates"]]
        means = [statistics.fmean(values[: i + 1]) for i in range(len(values))]
        assert (t in pruned) == (len(values) < 3)
        assert all(m <= 1.0 for m in means[:-1])
        assert (means[-1] > 1.0) or t not in pruned


def test_replicates_give_the_same_results_in_a_batch_as_one_by_one() -> None:
    X, y = load_iris(return_X_y=True)
    space = Space(lr=Float(1e-3, 1e-1, log=True), width=Int(4, 16))
    trainer = Trainer("mlp", X, y, epochs=3)
    studies = [Study(space, "random", trainer.direction, seed=1) for _ in range(2)]
    studies[0].optimize(lambda t: trainer(t), 4, replicates=2, batch_size=4)  # has no `many`
    studies[1].optimize(trainer, 4, replicates=2, batch_size=4)
    one, many = ([(t.value, t.result.data["replicates"]) for t in s.trials] for s in studies)
    for (a, parts), (b, others) in zip(one, many, strict=True):
        assert a == b
        assert [p["seed"] for p in parts] == [p["seed"] for p in others]
        assert [p["value"] for p in parts] == [p["value"] for p in others]


def test_resuming_between_replicates_gives_the_uninterrupted_study(tmp_path) -> None:
    calls = 0

    def killed(trial):
        nonlocal calls
        calls += 1
        if calls == 8:
            raise KeyboardInterrupt
        return _noisy(trial)

    study = Study(SPACE, "random", seed=4, storage=tmp_path / "s.db")
    with pytest.raises(KeyboardInterrupt):
        study.optimize(killed, 6, replicates=3)
    study.close()
    again = metaopt.load(tmp_path / "s.db")
    again.optimize(_noisy, 6, replicates=3)
    assert [t.value for t in again.trials] == [t.value for t in _study().trials]
    again.close()


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "2", None])
def test_a_number_of_replicates_that_is_not_positive_is_refused(wrong) -> None:
    with pytest.raises(StudyError, match="replicates must be an integer of at least 1"):
        _study(replicates=wrong)
