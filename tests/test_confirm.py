"""`Study.confirm`: the best configurations again under fresh seeds; the study does not change."""

from __future__ import annotations

import numpy as np
import pytest
from running import seen
from sklearn.datasets import load_iris

import metaopt
from metaopt import Float, Int, Result, Space, Study, Trainer
from metaopt.core.errors import StoreError, StudyError
from metaopt.core.seeds import derive
from metaopt.storage.opening import open_store

SPACE = Space(x=Float(-1, 1), k=Int(1, 3))


def noisy(trial):
    """Noise that depends on the seed and on the configuration, as in training a network."""
    shift, noise = np.random.default_rng(trial.seed).normal(scale=0.1, size=2)
    return (trial["x"] - shift) ** 2 + noise * trial["k"]


class Counting:
    """Counts the trials that it evaluates, one by one."""

    def __init__(self, objective=noisy, until=None):
        self.objective, self.until, self.seen = objective, until, []

    def __call__(self, trial):
        if len(self.seen) == self.until:
            raise KeyboardInterrupt
        self.seen.append((trial.params["x"], trial.seed))
        return self.objective(trial)


class Batched(Counting):
    """The same objective with a batch side, which yields backwards."""

    lockstep = True
    calls = 0

    def many(self, trials):
        self.calls += 1
        for trial in reversed(trials):
            yield trial.number, self(trial)


def _study(n=20, objective=noisy, **given):
    options = {"replicates": given.pop("replicates", 1)}
    study = Study(SPACE, "random", seed=4, **given)
    study.optimize(objective, n, **options)
    return study


def _summary(found):
    """All numbers of a confirmation but how many were kept."""
    return found.seeds, [(c.trial, c.values.tolist(), c.median, c.p) for c in found.configs]


# -- seeds and configurations ----------------------------------------------------------------------


def test_every_configuration_gets_the_same_seeds_and_no_trial_had_one():
    study, objective = _study(replicates=2), Counting()
    found = study.confirm(objective, top=3, seeds=5)
    by_config = {}
    for x, seed in objective.seen:
        by_config.setdefault(x, []).append(seed)
    assert [tuple(seeds) for seeds in by_config.values()] == [found.seeds] * 3
    assert len(set(found.seeds)) == 5
    replicates = {p["seed"] for t in study.trials for p in t.result.data["replicates"]}
    assert not set(found.seeds) & ({t.seed for t in study.trials} | replicates)


@pytest.mark.parametrize("kind", ["trial", "replicate"])
def test_a_seed_that_a_trial_had_is_skipped(kind):
    study = _study(1)
    taken = derive(study.seed, "confirm", 1)
    if kind == "replicate":
        study.add({"x": 0.5, "k": 1}, Result(9.0, data={"replicates": [{"seed": taken}]}))
    else:
        record = study.trials[0]
        changed = metaopt.Proposal(0, record.params, taken)
        study._state.by_number[0] = metaopt.TrialRecord(changed, record.result)
    expected = tuple(derive(study.seed, "confirm", i) for i in (0, 2, 3))
    assert study.confirm(noisy, 1, 3).seeds == expected


def test_the_best_different_configurations_are_taken_in_the_order_of_the_search():
    study = _study()
    twice = {"x": 0.25, "k": 1}
    for value in (-8.0, -9.0):
        study.add(twice, value)
    found = study.confirm(noisy, top=4, seeds=3)
    assert found.search_best.trial == study.best.number == 21
    assert found.search_best.search == -9.0
    ranked = sorted((t.value, t.number) for t in study.trials[:20])
    assert {c.trial for c in found.configs} == {21, *(n for _, n in ranked[:3])}


def test_more_configurations_than_there_are_is_no_error_and_is_said():
    found = _study(2).confirm(noisy, top=5, seeds=3)
    assert len(found.configs) == 2
    assert "2 different complete configurations, so not 5 but 2" in found.conclusion()


def test_the_values_are_those_of_the_objective_with_these_seeds_and_the_studys_data_seed():
    study, data_seeds = _study(), set()

    def objective(trial):
        data_seeds.add(trial.data_seed)
        return noisy(trial)

    for c in study.confirm(objective, 2, 4).configs:
        seeds = study.confirm(objective, 2, 4).seeds
        assert c.values.tolist() == [noisy(metaopt.fixed_trial(c.params, s)) for s in seeds]
    assert data_seeds == {study.data_seed}


# -- batches ---------------------------------------------------------------------------------------


def test_an_objective_with_a_batch_side_gets_all_evaluations_at_once_with_the_same_numbers():
    study, batched = _study(), Batched()
    found = study.confirm(batched, 3, 6)
    assert batched.calls == 1
    assert len(batched.seen) == 18
    assert _summary(found) == _summary(study.confirm(noisy, 3, 6))


def test_a_trainer_gives_the_same_values_in_a_batch_and_one_by_one():
    X, y = load_iris(return_X_y=True)
    trainer = Trainer("mlp", X, y, epochs=3, metric="accuracy", device="cpu", standardize=True)
    space = Space(lr=Float(1e-3, 1e-1, log=True), width=Int(4, 16, log=True))
    study = Study(space, "random", direction=trainer.direction)
    study.optimize(trainer, 6, batch_size=6)
    together, alone = study.confirm(trainer, 2, 3), study.confirm(lambda t: trainer(t), 2, 3)
    assert _summary(together) == _summary(alone)
    for a, b in zip(together.configs, alone.configs, strict=True):
        assert a.tests.tolist() == b.tests.tolist()
        assert len(set(a.tests)) > 1
    assert "the median of its hidden test values is" in together.conclusion()


def test_nothing_is_pruned_and_reports_reach_nobody():
    def objective(trial):
        for step in range(5):
            trial.report(step + noisy(trial), step)
            assert not trial.should_stop()
        return noisy(trial)

    study = Study(SPACE, "random", seed=4, pruner="median")
    study.optimize(noisy, 10)
    assert study.confirm(objective, 3, 4).failed == 0


# -- the study stays as it is ----------------------------------------------------------------------


def _rows(path):
    store = open_store(path)
    events = store.events("study")
    store.close()
    return events


def test_the_study_and_what_it_proposes_next_do_not_change(tmp_path):
    path = tmp_path / "s.db"
    study, twin = _study(storage=path), _study()
    before, events = seen(study), _rows(path)
    study.confirm(noisy, 3, 4)
    assert seen(study) == before
    assert _rows(path) == events
    study.optimize(noisy, 25)
    twin.optimize(noisy, 25)
    assert seen(study) == seen(twin)
    study.close()
    again = metaopt.load(path)
    assert seen(again) == seen(twin)
    assert again.best == study.best
    again.close()


def test_global_random_numbers_are_not_used(capsys):
    import random

    study = _study()
    states = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    study.confirm(noisy, 2, 3).print()
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states  # noqa: NPY002
    assert capsys.readouterr().out


# -- kept results ----------------------------------------------------------------------------------


def test_a_second_call_evaluates_nothing_and_more_seeds_evaluate_the_rest(tmp_path):
    study, first = _study(storage=tmp_path / "s.db"), Counting()
    found = study.confirm(first, 2, 4)
    study.close()
    study, second = metaopt.load(tmp_path / "s.db"), Counting()
    again = study.confirm(second, 2, 4)
    assert _summary(again) == _summary(found)
    assert (found.reused, again.reused, second.seen) == (0, 8, [])
    assert "8 of 8 evaluations were kept" in again.conclusion()
    more = study.confirm(second, 3, 5)
    assert len(second.seen) == 15 - 8
    assert more.reused == 8
    assert _summary(more) == _summary(_study().confirm(noisy, 3, 5))
    study.close()


@pytest.mark.parametrize("kind", [Counting, Batched])
def test_an_interrupted_call_goes_on_where_it_stopped(tmp_path, kind):
    study, killed, rest = _study(storage=tmp_path / "s.db"), kind(until=5), kind()
    with pytest.raises(KeyboardInterrupt):
        study.confirm(killed, 2, 4)
    found = study.confirm(rest, 2, 4)
    assert sorted(killed.seen + rest.seen) == sorted(
        (c.params["x"], seed) for c in found.configs for seed in found.seeds
    )
    assert found.reused == 5
    assert _summary(found) == _summary(_study().confirm(noisy, 2, 4))
    study.close()


def test_without_reuse_everything_is_evaluated_again_and_takes_the_place_of_the_old(tmp_path):
    study = _study(storage=tmp_path / "s.db")
    study.confirm(noisy, 2, 4)
    changed = study.confirm(lambda trial: noisy(trial) + 1, 2, 4, reuse=False)
    kept = study.confirm(noisy, 2, 4)
    assert (changed.reused, kept.reused) == (0, 8)
    assert _summary(kept) == _summary(changed)
    assert changed.best.median.estimate > 0.5
    study.close()


def test_studies_of_one_file_do_not_share_results(tmp_path):
    path = tmp_path / "s.db"
    _study(storage=path, name="a").confirm(noisy, 2, 4)
    other = _study(storage=path, name="b")
    assert other.confirm(noisy, 2, 4).reused == 0


def test_a_damaged_note_is_a_store_error(tmp_path):
    study = _study(storage=tmp_path / "s.db")
    store = open_store(tmp_path / "s.db")
    store.note("confirm", {"study": "study", "config": {"x": "far"}, "seed": 1, "result": {}})
    store.close()
    with pytest.raises(StoreError, match="damaged"):
        study.confirm(noisy)
    study.close()


def test_without_a_storage_nothing_is_kept():
    study, objective = _study(), Counting()
    for _ in range(2):
        assert study.confirm(objective, 2, 3).reused == 0
    assert len(objective.seen) == 12


# -- failures and wrong arguments ------------------------------------------------------------------


def test_failures_are_counted_named_and_worse_than_every_value():
    study = _study()
    first, second = (t.params["x"] for t in sorted(study.trials, key=lambda t: t.value)[:2])

    def objective(trial):
        if trial.params["x"] == first and trial.seed % 4:
            raise ZeroDivisionError("unlucky")
        return {first: -5.0, second: 1.0}[trial.params["x"]] + noisy(trial)

    found = study.confirm(objective, 2, 10)
    failures = sum(seed % 4 != 0 for seed in found.seeds)
    assert found.failed == failures > 5
    assert found.best.params["x"] == second, "the better values are of a configuration that fails"
    worst = found.configs[1]
    assert worst.errors == ("ZeroDivisionError: unlucky",) * failures
    assert np.isnan(worst.values).sum() == failures
    assert worst.median.estimate == np.inf
    assert f"{failures} of 20 evaluations failed" in found.conclusion()
    assert "ZeroDivisionError: unlucky" in found.conclusion()
    found.print()


@pytest.mark.parametrize("outcome", [float("nan"), Result(status="pruned"), "text"])
def test_an_outcome_without_a_value_is_a_failure(outcome):
    study = _study(4)
    found = study.confirm(lambda t: outcome if t.seed % 2 else noisy(t), 2, 8)
    assert 0 < found.failed < 16
    assert all(found.configs[0].errors)


def test_if_everything_fails_the_error_names_the_first_failure(tmp_path):
    def broken(trial):
        raise OSError("no data")

    study = _study(storage=tmp_path / "s.db")
    for _ in range(2):
        with pytest.raises(StudyError, match=r"all 6 evaluations failed.*no data.*reuse=False"):
            study.confirm(broken, 2, 3)
    assert study.confirm(noisy, 2, 3, reuse=False).failed == 0
    study.close()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"top": 0}, "top must be an integer of at least 1"),
        ({"seeds": 2.5}, "seeds must be an integer of at least 1"),
        ({"level": 1.0}, "level must lie between 0 and 1"),
        ({"level": 0}, "level must be a number above 0"),
        ({"objective": 3}, "objective must be callable"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_evaluated(arguments, part):
    objective = Counting()
    with pytest.raises(StudyError, match=part):
        _study(2).confirm(**{"objective": objective, **arguments})
    assert not objective.seen


def test_without_a_complete_trial_there_is_nothing_to_confirm():
    def broken(trial):
        raise OSError("no data")

    with pytest.raises(StudyError, match=r"no trial .* is complete yet; 3 failed.*no data"):
        _study(3, broken).confirm(noisy)


def test_an_objective_of_the_other_direction_is_refused():
    objective = Counting()
    objective.direction = "maximize"
    with pytest.raises(StudyError, match="direction"):
        _study().confirm(objective)


def test_progress_is_shown_with_the_kept_results(tmp_path, capsys):
    study = _study(storage=tmp_path / "s.db")
    study.confirm(noisy, 2, 2)
    study.confirm(noisy, 2, 3, progress=True)
    assert "confirm study: 6 of 6" in capsys.readouterr().err
    study.close()
