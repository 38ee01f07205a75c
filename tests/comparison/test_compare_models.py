"""Comparing models: the same folds for all, corrected tests, and what cannot be compared."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_diabetes, load_iris
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from torch import nn

import metaopt
from metaopt import stats
from metaopt.comparison.models import ModelComparison, compare_models
from metaopt.comparison.splits import make_splits
from metaopt.core.errors import StudyError, UnknownNameError

X, Y = load_iris(return_X_y=True)


class Lazy(ClassifierMixin, BaseEstimator):
    """Predicts the first class; fails on request."""

    def __init__(self, fail: bool = False) -> None:
        self.fail = fail

    def fit(self, X, y):
        if self.fail and 0 in X[:, 0]:
            raise ZeroDivisionError("a zero came")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def _iris(**changes):
    models = {"line": LogisticRegression(max_iter=500), "dummy": DummyClassifier(), "lazy": Lazy()}
    given = {"folds": 4, "repeats": 2} | changes
    return compare_models(given.pop("models", models), X, Y, **given)


def test_scores_are_those_of_scikit_learn_on_the_stated_folds() -> None:
    c = _iris()
    splits = make_splits(X, Y, 4, 2, None, 0, True)
    expected = cross_val_score(LogisticRegression(max_iter=500), X, Y, cv=splits)
    np.testing.assert_array_equal(c.scores["line"].ravel(), expected)
    assert c.scores["line"].shape == (2, 4) == (c.repeats, c.folds)


def test_every_repetition_covers_the_samples_once_and_stratifies() -> None:
    splits = make_splits(X, Y, 4, 3, None, 1, True)
    for r in range(3):
        tests = [test for _, test in splits[4 * r : 4 * r + 4]]
        assert sorted(np.concatenate(tests).tolist()) == list(range(150))
        assert all(np.ptp(np.bincount(Y[test])) <= 1 for test in tests)
    assert not np.array_equal(splits[0][1], splits[4][1])


@pytest.mark.parametrize("classify", [True, False])
def test_no_group_is_in_two_folds(classify: bool) -> None:
    groups = np.arange(150) % 10
    for train, test in make_splits(X, Y, 5, 2, groups, 0, classify):
        assert not set(groups[train]) & set(groups[test])


def test_pairs_are_tested_by_the_corrected_test_and_adjusted_by_holm() -> None:
    c = _iris()
    assert c.ranking[0] == "line"
    p = [p.test.p for p in c.pairs]
    assert [p.p for p in c.pairs] == pytest.approx(stats.holm(p).tolist())
    pair = c.pair("dummy", "line")
    assert (pair.first, pair.second) == ("line", "dummy")
    levels = [1 - stats.holm_levels(p)[i] for i, q in enumerate(c.pairs) if q is pair]
    expected = stats.repeated_kfold_t(c.scores["line"], c.scores["dummy"], levels[0])
    assert (pair.test.low, pair.test.high) == pytest.approx((expected.low, expected.high))
    assert pair.test.level == expected.level > 0.95
    assert pair.posterior == stats.correlated_t(
        c.scores["line"].ravel(), c.scores["dummy"].ravel(), 0.01, 1 / 4
    )
    assert pair.posterior.above > 0.99
    assert "line scores above dummy, beyond chance (" in c.conclusion()


def test_an_interval_contains_zero_exactly_where_its_adjusted_p_is_not_significant() -> None:
    rng = np.random.default_rng(3)
    base = rng.normal(0.8, 0.02, (5, 5))
    for size in np.linspace(0, 0.04, 9):
        scores = {
            f"m{i}": base - i * size + rng.normal(0, 0.015, (5, 5)) for i in range(4)
        }  # fmt: skip
        seconds = {k: np.ones((5, 5)) for k in scores}
        c = ModelComparison(scores, seconds, {}, "accuracy", None, 0.01, 0, 500)
        for p in c.pairs:
            assert (p.test.low <= 0 <= p.test.high) == (p.p > 0.05)


def test_a_constant_difference_is_told_and_kills_nothing(tmp_path) -> None:
    y = np.repeat([0, 1], 50)
    X = 10.0 * y[:, None] + np.arange(100)[:, None] / 100
    models = {"dummy": DummyClassifier(), "line": LogisticRegression(), "copy": DummyClassifier()}
    c = metaopt.compare_models(models, X, y, folds=5, repeats=2)
    assert "line scores 0.5 above dummy on every fold" in c.conclusion()
    assert c.pair("line", "dummy").p is None
    assert c.pair("dummy", "copy").p == 1
    c.print()
    assert "no variation" in c.to_markdown()
    c.report(tmp_path / "page.html")


def test_equal_models_are_practically_equal_and_not_called_different() -> None:
    c = _iris(models={"a": LogisticRegression(max_iter=500), "b": LogisticRegression(max_iter=500)})
    (pair,) = c.pairs
    assert pair.p == 1
    assert pair.posterior.equivalent == 1
    assert "a and b are not shown to differ" in c.conclusion()
    assert "practically equal with probability 1.00" in c.conclusion()


def test_with_a_control_only_its_pairs_are_compared() -> None:
    c = _iris(control="dummy")
    assert all("dummy" in (p.first, p.second) for p in c.pairs)
    assert len(c.pairs) == 2 == c.plan.comparisons
    with pytest.raises(UnknownNameError, match="unknown pair 'line and lazy'"):
        c.pair("line", "lazy")


def test_random_states_are_the_same_for_all_models_of_a_fold_and_differ_by_fold() -> None:
    forest = functools.partial(RandomForestClassifier, n_estimators=3, max_depth=1)
    c = _iris(models={"a": forest(), "b": forest(), "fixed": forest(random_state=0)}, seed=3)
    np.testing.assert_array_equal(c.scores["a"], c.scores["b"])
    assert not np.array_equal(c.scores["a"], c.scores["fixed"])
    again = _iris(models={"a": forest(), "b": forest()}, seed=3)
    np.testing.assert_array_equal(c.scores["a"], again.scores["a"])


def test_the_number_of_workers_changes_no_score() -> None:
    one, two = _iris(), _iris(workers=2)
    for label in one.scores:
        np.testing.assert_array_equal(one.scores[label], two.scores[label])


def test_a_model_that_fails_somewhere_is_named_and_left_out() -> None:
    data = X.copy()
    data[0, 0] = 0
    c = compare_models({"a": Lazy(), "b": DummyClassifier(), "c": Lazy(fail=True)}, data, Y)
    assert np.isnan(c.scores["c"]).any()
    assert c.ranking[-1] == "c"
    assert {frozenset((p.first, p.second)) for p in c.pairs} == {frozenset("ab")}
    assert "c failed (ZeroDivisionError: a zero came) and is not tested." in c.conclusion()
    assert "failed)" in c.to_markdown()
    left = compare_models({"a": Lazy(), "c": Lazy(fail=True)}, data, Y)
    assert "no test was made" in left.conclusion()


def test_networks_given_by_build_functions_are_compared_with_estimators() -> None:
    def build(config):
        return nn.Sequential(nn.Linear(4, config.get("width", 16)), nn.ReLU(), nn.Linear(16, 3))

    c = compare_models({"net": build, "dummy": DummyClassifier()}, X, Y, folds=3, repeats=1)
    assert c.scores["net"].mean() > c.scores["dummy"].mean() + 0.2
    again = compare_models({"net": build, "dummy": DummyClassifier()}, X, Y, folds=3, repeats=1)
    np.testing.assert_array_equal(c.scores["net"], again.scores["net"])


def test_regression_is_scored_by_r2_and_a_search_makes_it_nested() -> None:
    features, target = load_diabetes(return_X_y=True)
    search = GridSearchCV(Ridge(), {"alpha": [0.01, 0.1]}, cv=3)
    c = metaopt.compare_models(
        {"plain": LinearRegression(), "search": search}, features, target, repeats=2
    )
    assert c.scoring == "r2"
    assert 0.3 < c.scores["plain"].mean() < 0.6
    quiet = metaopt.compare_models(
        {"plain": LinearRegression(), "search": search},
        features, target, repeats=2, scoring="neg_mean_squared_error",
    )  # fmt: skip
    assert quiet.rope is None
    assert all(p.posterior is None for p in quiet.pairs)


def test_the_tables_name_every_model_and_pair(capsys) -> None:
    c = _iris()
    c.print()
    printed = capsys.readouterr().out
    text = c.to_markdown()
    for out in (printed, text):
        assert all(label in out for label in c.scores)
        assert all(f"{p.first} - {p.second}" in " ".join(out.split()) for p in c.pairs)
    assert "Bouckaert and Frank (2004)" in text
    assert "Holm (1979)" in text
    assert "p-values of the 3 pairs are one family" in " ".join(text.split())


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"models": {"a": Lazy()}}, StudyError, "a dict of at least 2"),
        ({"models": {"a": Lazy(), "b": 3}}, StudyError, "'b' must be a scikit-learn estimator"),
        ({"models": {"a": Lazy(), "b": Lazy}}, StudyError, "'b' must be a scikit-learn estimator"),
        (
            {"models": {"a": Lazy(), "net": nn.Linear(4, 3)}},
            StudyError,
            r"build\(config\) that returns a new nn.Module",
        ),
        (
            {"models": {"a": Lazy(), "b": LinearRegression()}},
            StudyError,
            "the classifier 'a' and the regressor 'b'",
        ),
        ({"control": "lin"}, UnknownNameError, "unknown control 'lin'; did you mean 'line'"),
        ({"scoring": "acuracy"}, UnknownNameError, "did you mean 'accuracy'"),
        ({"scoring": 3}, StudyError, "scoring must be a name or a scorer"),
        ({"folds": 1}, StudyError, "folds must be an integer of at least 2"),
        ({"folds": 51}, StudyError, "51 samples of every class, got 50 of"),
        ({"repeats": 0}, StudyError, "repeats must be an integer of at least 1"),
        ({"rope": -1}, StudyError, "rope must be at least 0"),
        ({"groups": [0, 1]}, StudyError, "groups must have the length of y, 150, got 2"),
        ({"groups": np.arange(150) % 3}, StudyError, "4 folds need at least 4 groups, got 3"),
    ],
)  # fmt: skip
def test_bad_input_to_compare_models_is_refused_before_anything_is_fitted(
    changes, error, message
) -> None:
    with pytest.raises(error, match=message):
        _iris(**changes)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X[:100], Y, "X and y must have the same length, got 100 and 150"),
        (X, [float("nan")] * 150, "y must hold classes or numbers"),
        (X, [[1, 2]] * 150, r"one class or number per sample, got shape \(150, 2\)"),
    ],
    ids=["lengths", "nan", "table"],
)
def test_invalid_targets_are_refused(x, y, message) -> None:
    with pytest.raises(StudyError, match=message):
        compare_models({"a": Lazy(), "b": Lazy()}, x, y)
