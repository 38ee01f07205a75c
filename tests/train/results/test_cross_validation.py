"""Folds as members of a population: correct, paired, and the same alone or in a batch."""

import numpy as np
import pytest
import torch
from populations import (
    REAL,
    RNG,
    X,
    Y,
    check_no_team_failed,
    outcome,
    random_config,
    trainer,
    trials,
)
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    PredefinedSplit,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)
from torch import nn

from metaopt import Study
from metaopt.core.errors import TrainingError
from metaopt.problems.training import training_space
from metaopt.train import EarlyStopping
from metaopt.train.data.preparation import Data, Preparation
from metaopt.train.scheduling import grouping
from metaopt.trials.trial import fixed_trial

GROUPS = np.repeat(np.arange(30), 5)
CONFIGS = [random_config(k) for k in range(24)]
GOOD = {"lr": 0.01, "width": 8}


def data(validation, y=Y, test=0.2, groups=None, **options):
    how = {"classify": True, "stratify": True, "standardize": False, "standardize_target": False}
    how |= {"dtype": torch.float64, "groups": groups, **options}
    return Data(X, y, Preparation(validation=validation, test=test, **how))


def rows_of(prepared):
    """Return the rows of X in each part of each fold, found by value."""
    place = {row.tobytes(): k for k, row in enumerate(X)}
    return [
        {n: {place[x.numpy().tobytes()] for x in getattr(p, n).X} for n in ("train", "validation")}
        | ({} if p.test is None else {"test": {place[x.numpy().tobytes()] for x in p.test.X}})
        for p in prepared
    ]


def test_folds_equal_scikit_learns_on_all_but_the_test_part():
    splitter = StratifiedKFold(4, shuffle=True, random_state=3)
    parts = rows_of(data(splitter).prepare(9, torch.device("cpu")))
    (plain,) = rows_of(data(0.5).prepare(9, torch.device("cpu")))
    inner = np.array(sorted(set(range(150)) - plain["test"]))
    expected = [set(inner[b]) for _, b in splitter.split(inner[:, None], Y[inner])]
    assert [p["validation"] for p in parts] == expected
    assert all(p["test"] == plain["test"] for p in parts)
    assert all(p["train"] == set(inner.tolist()) - p["validation"] for p in parts)


@pytest.mark.parametrize(
    "splitter",
    [5, ShuffleSplit(3, test_size=0.4), RepeatedStratifiedKFold(n_splits=3, n_repeats=2)],
    ids=["a number", "drawn", "repeated"],
)  # fmt: skip
def test_folds_depend_on_the_data_seed_only(splitter):
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    first, again, other = (
        rows_of(data(splitter).prepare(s, torch.device("cpu"))) for s in (1, 1, 2)
    )
    assert first == again != other
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
    assert getattr(splitter, "random_state", None) is None  # the user's splitter is not changed


def test_folds_given_by_number_are_stratified_and_keep_groups_together():
    for part in rows_of(data(5, test=None).prepare(0, torch.device("cpu"))):
        counts = np.bincount(Y[sorted(part["validation"])], minlength=3)
        assert np.abs(counts - np.bincount(Y) / 5).max() < 1
    parts = rows_of(data(3, groups=GROUPS).prepare(0, torch.device("cpu")))
    parts += rows_of(data(GroupKFold(3), groups=GROUPS).prepare(0, torch.device("cpu")))
    parts += rows_of(data(0.3, groups=GROUPS).prepare(0, torch.device("cpu")))
    for part in parts:
        held = [set(GROUPS[sorted(rows)]) for rows in part.values()]
        assert sum(map(len, held)) == 30 and len(set.union(*held)) == 30
        assert abs(len(part["test"]) - 30) <= 5


def test_time_series_are_never_trained_on_the_future():
    own = {"y": REAL, "classify": False, "stratify": False}
    parts = rows_of(data(TimeSeriesSplit(3), **own).prepare(5, torch.device("cpu")))
    for part in parts:
        assert max(part["train"]) < min(part["validation"])
        assert part["test"] == set(range(120, 150))


@pytest.mark.parametrize("engine", ["auto", "single"])
def test_a_fold_equals_a_training_on_its_parts(engine):
    # Compared with trainers that get the parts of each fold as separate data.
    usual = {"test": None, "standardize": True, "engine": engine}
    result = trainer(validation=KFold(3), **usual)(fixed_trial(CONFIGS[4], 5, 6))
    found = []
    for a, b in KFold(3).split(X):
        one = trainer(X=X[a], y=Y[a], validation=(X[b], Y[b]), **usual)
        found.append(one(fixed_trial(CONFIGS[4], 5, 6)))
    assert [f["value"] for f in result.data["folds"]] == [r.value for r in found]
    for fold, one in zip(result.data["folds"], found, strict=True):
        assert [tuple(p) for p in fold["curve"]] == list(one.curve)
        assert fold["train_loss"] == one.data["train_loss"]
    assert result.value == pytest.approx(np.mean([r.value for r in found]))
    for name in ("accuracy", "best_epoch", "epochs"):
        expected = np.mean([r.metrics[name] for r in found])
        assert result.metrics[name] == pytest.approx(expected)
    assert result.data["engine"] == ("single" if engine == "single" else "lowered")


@pytest.mark.parametrize("validation", [4, KFold(4), TimeSeriesSplit(3)], ids=["4", "k", "time"])
def test_results_in_a_batch_equal_those_alone_bit_for_bit(validation, monkeypatch, caplog):
    t = trainer(validation=validation)
    alone = [outcome(t(trial)) for trial in trials(CONFIGS)]
    assert {a[4]["engine"] for a in alone} == {"lowered"}
    assert len({f["stopped"] for a in alone for f in a[4]["folds"]}) > 1
    many = dict(t.many(trials(CONFIGS)))
    assert [outcome(many[k]) for k in range(len(CONFIGS))] == alone
    monkeypatch.setattr(grouping, "CPU_MEMBERS", 3)  # divides the folds of a configuration
    monkeypatch.setattr(grouping, "CPU_BYTES", 1)
    some = dict(t.many(trials(CONFIGS[::-1], numbers=range(23, -1, -1))))
    assert [outcome(some[k])[1:4] for k in range(24)] == [
        outcome(t(trials(CONFIGS)[k]))[1:4] for k in range(24)
    ]
    check_no_team_failed(caplog)


def own_loss(outputs, targets):
    return nn.functional.smooth_l1_loss(outputs[:, 0], targets)


@pytest.mark.parametrize("loss", ["mse", own_loss])
def test_regression_and_inputs_of_several_axes(loss, caplog):
    t = trainer(X=X[:, :6].reshape(150, 2, 3), y=REAL, loss=loss, metrics=[], validation=4)
    many = dict(t.many(trials(CONFIGS[:8])))
    single = trainer(X=X[:, :6].reshape(150, 2, 3), y=REAL, loss=loss, metrics=[], validation=4,
                     engine="single")  # fmt: skip
    for trial in trials(CONFIGS[:8]):
        assert outcome(t(trial)) == outcome(many[trial.number])
        first = [f["curve"][0][1] for f in many[trial.number].data["folds"]]
        again = trials(CONFIGS)[trial.number]
        other = [f["curve"][0][1] for f in single(again).data["folds"]]
        assert first == pytest.approx(other, rel=1e-4)
    check_no_team_failed(caplog)


def test_traced_folds_equal_single_ones(caplog):
    def build(config):
        return nn.Sequential(
            nn.Linear(7, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Dropout(0.2), nn.Linear(6, 3)
        )

    options = {"dtype": torch.float64, "validation": 4, "stopping": None}
    configs = [{"lr": 0.01, "eps": 1e-3}, {"optimizer": "sgd", "lr": 0.1}]
    many = dict(trainer(build, engine="traced", **options).many(trials(configs)))
    for trial in trials(configs):
        found, expected = many[trial.number], trainer(build, **options)(trial)
        assert (found.data["engine"], expected.data["engine"]) == ("traced", "single")
        assert np.asarray(found.curve) == pytest.approx(np.asarray(expected.curve), abs=1e-10)
        assert found.metrics["test"] == pytest.approx(expected.metrics["test"], abs=1e-10)
    check_no_team_failed(caplog)


class Watch:
    def __init__(self, stop=lambda number, step: False):
        self.reports, self.stop = {}, stop

    def reported(self, number, value, step):
        self.reports.setdefault(number, []).append((step, value))

    def should_stop(self, number):
        return self.stop(number, self.reports[number][-1][0])


def test_reports_are_the_mean_over_folds_in_step():
    channel = Watch()
    t = trainer(validation=4, epochs=12)
    many = dict(t.many(trials(CONFIGS[:6], channel)))
    assert any(len({len(f["curve"]) for f in r.data["folds"]}) > 1 for r in many.values())
    for k, result in many.items():
        folds = [dict(map(tuple, f["curve"])) for f in result.data["folds"]]
        for step, value in channel.reports[k]:
            # A fold that has ended counts with its best epoch, whose weights are kept.
            now = [f.get(step, min(f.values())) for f in folds]
            assert value == pytest.approx(np.mean(now), rel=1e-12)
        assert len(channel.reports[k]) == max(map(len, folds))
        assert list(result.curve) == channel.reports[k]


def test_a_pruner_stops_all_folds_of_a_configuration_and_no_others():
    stop = Watch(lambda number, step: number == 1 and step == 2)
    t = trainer(validation=3, stopping=None)
    many = dict(t.many(trials([GOOD, {**GOOD, "lr": 0.02}, GOOD], stop)))
    assert many[1].status == "pruned" and len(many[1].curve) == 2
    assert all(len(f["curve"]) == 2 for f in many[1].data["folds"])
    for k in (0, 2):
        assert outcome(many[k]) == outcome(t(trials([GOOD] * 3)[k]))


def test_a_fold_that_fails_fails_its_trial():
    def build(config):
        return nn.Linear(7, 1)

    def picky(outputs, targets):
        if targets.max() > 99:
            raise ArithmeticError("a large target")
        return (outputs[:, 0] - targets).square().mean()

    y = np.where(np.arange(150) == 70, 100.0, REAL)
    own = {"loss": "mse", "metric": picky, "metrics": [], "test": None}
    t = trainer(build, y=y, validation=KFold(3), **own)
    result = dict(t.many(trials([{}])))[0]
    assert (result.status, result.error.kind) == ("failed", "exception")
    assert result.error.message == "fold 2 of 3: ArithmeticError: a large target"
    with pytest.raises(ArithmeticError, match="a large target"):
        t.cross_validate({})
    exploding = {"optimizer": "sgd", "lr": 1e30, "width": 8}
    many = dict(trainer(validation=3).many(trials([GOOD, exploding])))
    assert (many[1].status, many[1].error.kind) == ("failed", "not_finite")
    assert "fold 1 of 3: " in many[1].error.message
    assert outcome(many[0]) == outcome(trainer(validation=3)(trials([GOOD])[0]))


def test_networks_that_differ_between_folds_are_refused():
    widths = iter(range(4, 99))

    def build(config):
        width = next(widths)
        return nn.Sequential(nn.Linear(7, width), nn.ReLU(), nn.Linear(width, 3))

    with pytest.raises(TrainingError, match="networks of different shapes for one configuration"):
        trainer(build, validation=3)(fixed_trial({}))


ALL_TRUE = np.arange(150) < 75


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation": 200}, "few for 200 folds"),
        ({"validation": 5, "y": np.arange(150) < 3, "test": None}, "3 samples of class True"),
        ({"validation": KFold(500)}, r"cannot split the 120 samples: .*500"),
        ({"validation": KFold(2), "y": ALL_TRUE, "test": None}, "fold 1 of 2 trains without"),
        ({"validation": KFold(5), "y": ALL_TRUE, "test": None}, "1 of 5 validates without the"),
        ({"validation": GroupKFold(3)}, "pass groups= to the Trainer"),
        ({"validation": 3, "groups": GROUPS[:-1]}, r"groups must have the shape \(150,\)"),
        ({"validation": 40, "groups": GROUPS}, "24 groups are too few for 40 folds"),
        ({"validation": 0.4, "groups": GROUPS * 0}, "1 groups are too few"),
        ({"validation": PredefinedSplit(np.arange(150) % 3)}, "has row 149 of only 120 samples"),
        ({"validation": 1}, "validation must be a fraction"),
        ({"validation": True}, "validation must be a fraction"),
    ],
)  # fmt: skip
def test_invalid_folds_are_refused_before_any_training(options, message):
    with pytest.raises(TrainingError, match=message):
        trainer(**options)


def test_leave_one_group_out_may_validate_without_some_classes():
    groups = np.where(Y == 0, 0, 1) + 2 * (RNG.random(150) < 0.5)
    result = trainer(validation=LeaveOneGroupOut(), groups=groups, test=None)(fixed_trial(GOOD))
    assert len(result.data["folds"]) == 4


def test_cross_validation_of_one_configuration():
    t = trainer(validation=3, test=None, standardize=True)
    found = t.cross_validate(GOOD, 5, 6)
    result = t(fixed_trial(GOOD, 5, 6))
    assert found.scores.tolist() == [f["value"] for f in result.data["folds"]]
    assert found.value == result.value
    assert found.targets.tolist() == Y.tolist()
    right = [np.mean(f.predictions == Y[f.rows]) for f in found.folds]
    assert right == pytest.approx([f.metrics["accuracy"] for f in found.folds])
    assert np.mean(found.predictions == Y) == pytest.approx(np.mean(right))
    assert [f.train_size for f in found.folds] == [100, 100, 100]
    # Another trainer, which validates on a fraction, gets the same folds.
    other = trainer("mlp", defaults={"depth": 1}, standardize=True, test=None)
    paired = other.cross_validate(GOOD, 8, 6, validation=3)
    assert all((a.rows == b.rows).all() for a, b in zip(found.folds, paired.folds, strict=True))
    with pytest.raises(TrainingError, match="cross_validate needs validation="):
        other.cross_validate(GOOD)
    repeated = t.cross_validate(GOOD, validation=RepeatedStratifiedKFold(n_splits=2, n_repeats=2))
    assert len(repeated.folds) == 4
    with pytest.raises(TrainingError, match="predicted by several folds"):
        _ = repeated.predictions


def test_cross_validated_regressions_predict_in_the_units_of_y():
    y = 1000 + 50 * REAL
    t = trainer(y=y, loss="mse", metrics=[], standardize_target=True, epochs=30, test=None)
    found = t.cross_validate({"lr": 0.03, "width": 16}, validation=KFold(3))
    for fold in found.folds:
        assert fold.targets == pytest.approx(y[fold.rows], rel=1e-5)
        error = ((fold.predictions[:, 0] - fold.targets) ** 2).mean()
        # The metric is in units of the training targets' variance.
        assert error == pytest.approx(fold.value * np.delete(y, fold.rows).var(), rel=1e-3)


def test_a_refit_trains_on_all_but_the_test_part_for_the_median_best_epoch():
    t = trainer(validation=4, epochs=20, stopping=EarlyStopping(3))
    result = t(fixed_trial({**GOOD, "schedule": "cosine"}, 5, 6))
    best = sorted(f["metrics"]["best_epoch"] for f in result.data["folds"])
    fitted = t.refit({**GOOD, "schedule": "cosine"}, 5, 6, result)
    assert fitted.metrics["epochs"] == best[2] and fitted.value == result.value
    assert "accuracy" not in fitted.metrics and "test_accuracy" in fitted.metrics
    again = t.refit({**GOOD, "schedule": "cosine"}, 5, 6)
    assert np.array_equal(again.outputs(X), fitted.outputs(X)) and again.value == fitted.value
    # Both use the same hidden test part.
    (whole,) = {p.test.y.numpy().tobytes() for p in t._data.prepare(6, torch.device("cpu"))}
    assert whole == t._data.whole(6, torch.device("cpu")).test.y.numpy().tobytes()
    with pytest.raises(TrainingError, match="a complete result with folds is needed"):
        t.refit(GOOD, 5, 6, trainer()(fixed_trial(GOOD)))


class OneByOne:
    """The trainer as an objective without `many`."""

    def __init__(self, trainer):
        self.trainer, self.direction = trainer, trainer.direction

    def __call__(self, trial):
        return self.trainer(trial)


def test_a_study_with_folds_in_batches_equals_the_study_one_by_one():
    t = trainer(validation=3, epochs=3)

    def run(objective):
        study = Study(training_space(), "random", seed=5)
        study.optimize(objective, n_trials=10, batch_size=5)
        return [(r.params, outcome(r.result)) for r in study.trials]

    assert run(t) == run(OneByOne(t))
