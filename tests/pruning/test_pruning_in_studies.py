"""Pruners in studies: both directions, any order, stored and loaded, in a population."""

import math
import random

import numpy as np
import pytest

import metaopt
from metaopt import (
    CurvePruner,
    Float,
    HyperbandPruner,
    PatientPruner,
    Pruner,
    Space,
    Study,
    SuccessiveHalvingPruner,
    ThresholdPruner,
)
from metaopt.core.errors import StudyError
from metaopt.pruning import PRUNERS

LINE = Space(x=Float(0, 1), rate=Float(0.2, 1.2))
STEPS = 9
KINDS = {
    "asha": lambda: SuccessiveHalvingPruner(1, 2, max_resource=STEPS),
    "hyperband": lambda: HyperbandPruner(STEPS, reduction_factor=2),
    "curve": lambda: CurvePruner(STEPS, threshold=0.3, min_reports=3),
    "patient": lambda: PatientPruner(None, 1),
    "median": lambda: metaopt.MedianPruner(min_trials=2),
}


def value(trial, step):
    return trial["x"] + step ** -trial["rate"] + math.sin(5 * step + trial.number) / 30


class Learning:
    """An objective for single trials, batches in any order, or lockstep, in any unit of steps."""

    def __init__(self, sign=1, lockstep=False, seed=0, unit=1):
        self.sign, self.unit, self.random = sign, unit, random.Random(seed)
        if lockstep:
            self.lockstep = True
        self.direction = "minimize" if sign > 0 else "maximize"

    def __call__(self, trial):
        for step in range(1, STEPS + 1):
            trial.report(self.sign * value(trial, step), self.unit * step)
            if trial.should_stop():
                raise metaopt.TrialPruned
        return self.sign * value(trial, STEPS)

    def many(self, trials):
        running = list(trials)
        for step in range(1, STEPS + 1):
            self.random.shuffle(running)
            for trial in running:
                trial.report(self.sign * value(trial, step), self.unit * step)
            self.random.shuffle(running)
            for trial in list(running):
                if trial.should_stop() or step == STEPS:
                    running.remove(trial)
                    yield trial.number, trial.curve[-1][1]


def run(kind, objective, n=24, **fields):
    pruner = KINDS[kind]() if kind in KINDS else kind
    study = Study(LINE, "random", objective.direction, seed=1, pruner=pruner, **fields)
    study.optimize(objective, n, batch_size=12 if hasattr(objective, "lockstep") else None)
    return study


def lengths(study):
    return [len(r.curve) for r in study.trials]


@pytest.mark.parametrize("lockstep", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_maximising_is_minimising_the_negative(kind, lockstep):
    down = run(kind, Learning(1, lockstep))
    up = run(kind, Learning(-1, lockstep))
    assert lengths(down) == lengths(up)
    assert {r.status for r in down.trials} == {"complete", "pruned"}
    for record in down.trials:  # a pruned trial keeps its curve and has no value
        assert record.curve == tuple(
            (s, value_of(record, s)) for s in range(1, len(record.curve) + 1)
        )
        assert (record.value is None) == (record.status == "pruned")


def value_of(record, step):
    class Given(dict):
        number = record.number

    return value(Given(record.params), step)


@pytest.mark.parametrize("kind", KINDS)
def test_in_lockstep_the_order_within_a_round_does_not_matter(kind):
    first, *others = (lengths(run(kind, Learning(lockstep=True, seed=s))) for s in range(3))
    assert others == [first] * 2


@pytest.mark.parametrize("lockstep", [False, True])
def test_steps_may_be_seconds(lockstep):
    epochs = run("asha", Learning(lockstep=lockstep))
    pruner = SuccessiveHalvingPruner(0.25, 2, max_resource=0.25 * STEPS)
    seconds = run(pruner, Learning(lockstep=lockstep, unit=0.25))
    assert lengths(epochs) == lengths(seconds)


def test_a_batch_in_lockstep_is_halved_exactly():
    study = run("asha", Learning(lockstep=True), n=36)
    for batch in range(3):
        found = lengths(study)[12 * batch : 12 * (batch + 1)]
        assert [sum(k > rung for k in found) for rung in (1, 2, 4)] == [6, 3, 1]


def test_a_threshold_is_in_the_sign_of_the_objective():
    study = Study(LINE, "random", "maximize", pruner=ThresholdPruner(lower=-1.2))
    study.optimize(Learning(-1), 20)
    for record in study.trials:
        assert (record.status == "pruned") == (min(v for _, v in record.curve) < -1.2)


def test_a_custom_pruner_needs_only_decide():
    class Mine(Pruner):
        name = "mine"

        def decide(self, step, value, others):
            return step >= 3 and bool(others)

    assert lengths(run(Mine(), Learning(), n=3)) == [STEPS, 3, 3]


@pytest.mark.parametrize("pruner", [
    "median", "asha:max_resource=9", "hyperband:max_resource=9", "curve:max_resource=9",
    "threshold:upper=1.5", "percentile:percentile=30",
])  # fmt: skip
def test_a_study_with_a_pruner_by_name_is_stored_and_loads(pruner, tmp_path):
    path = tmp_path / "a.db"
    study = run(pruner, Learning(), n=8, storage=path)
    settings = study.pruner.to_json()
    study.close()
    again = metaopt.load(path)
    assert again.pruner.to_json() == settings and settings["name"] == pruner.split(":")[0]
    assert lengths(again) == lengths(study)
    again.close()
    with pytest.raises(StudyError, match="another pruner"):
        run(SuccessiveHalvingPruner(7), Learning(), storage=path)


def test_a_patient_pruner_is_stored_with_the_wrapped_one(tmp_path):
    pruner = PatientPruner(PatientPruner(SuccessiveHalvingPruner(), 1), 2)
    run(pruner, Learning(), n=2, storage=tmp_path / "a.db").close()
    again = metaopt.load(tmp_path / "a.db")
    assert again.pruner.to_json() == pruner.to_json()
    again.close()
    assert set(PRUNERS) >= {"patient", "asha"}


def test_a_population_of_networks_is_halved_exactly():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 4))
    trainer = metaopt.Trainer(
        "mlp", X, (X[:, 0] > 0).astype(int), epochs=9, device="cpu", stopping=None
    )
    space = Space(lr=Float(1e-4, 1.0, log=True))
    study = Study(space, "random", pruner=SuccessiveHalvingPruner(1, 3, max_resource=9))
    study.optimize(trainer, 27, batch_size=27)
    found = lengths(study)
    assert [sum(k > rung for k in found) for rung in (1, 3)] == [9, 3]
    assert sum(k == 9 for k in found) == 3
    assert study.best.value == min(r.curve[-1][1] for r in study.trials if len(r.curve) == 9)
