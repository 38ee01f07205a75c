"""`compare` and `compare_models` run the plan: a test that is added to its table reaches all words.

The tests planted here stand in no other file: no line of analysis or report knows them.
"""

from __future__ import annotations

import pickle
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

import metaopt
from metaopt import stats
from metaopt.report import methods

PAIRED_T = stats.PlannedTest(
    name="paired_t",
    role="pairs",
    suits=lambda setting: setting.blocks,
    run=lambda x, y, design: stats.paired_t(x, y),
    title="Student's paired t test",
    short="paired t test",
    why="Values are taken to be normal.",
    sources=("dietterich1998",),
)
EVERYBODY = stats.PlannedTest(
    name="nemenyi",
    role="omnibus",
    suits=lambda setting: setting.blocks and setting.many,
    run=lambda scores, design: stats.nemenyi(scores),
    title="Nemenyi's test",
    short="Nemenyi",
    why="The largest difference of mean ranks is tested.",
    sources=("demsar2006",),
    p_of=lambda outcome: min(pair.p for pair in outcome.pairs),
)
PLAIN_T = stats.PlannedTest(
    name="paired_t",
    role="pairs",
    suits=lambda setting: setting.unit == "split",
    run=lambda x, y, design: stats.paired_t(np.ravel(x), np.ravel(y)),
    title="the plain t test over folds",
    short="plain t test",
    why="Folds are taken to be independent.",
    sources=("nadeau2003",),
)


@pytest.fixture
def table(monkeypatch):
    """The table of tests; what is put first in it is used first."""
    tests = list(stats.PLANNED_TESTS)
    monkeypatch.setattr(import_module("metaopt.stats.planned_tests"), "PLANNED_TESTS", tests)
    return tests


def test_compare_runs_an_added_test_and_takes_its_words(table, capsys):
    table[:0] = [PAIRED_T, EVERYBODY]
    c = metaopt.compare(["random", "sobol", "grid"], "branin", n_trials=5, repeats=7)
    (analysis,) = c.analyses
    values = c.values("branin")
    raw = [stats.paired_t(values[:, j], values[:, 0]).p for j in (1, 2)]
    found = {s.label: s.p for s in analysis.standings if s.p is not None}
    assert [found["sobol"], found["grid"]] == pytest.approx(stats.holm(raw).tolist())
    assert analysis.friedman_p == pytest.approx(min(p.p for p in stats.nemenyi(values).pairs))
    assert "judged by Student's paired t test" in c.conclusion()
    how = methods.paragraph(c)
    assert "by Student's paired t test (Dietterich 1998)" in how.plain()
    assert "by Nemenyi's test (Demsar 2006)" in how.plain()
    assert "Wilcoxon" not in how.plain() and "Friedman" not in how.plain()
    assert "dietterich1998" in methods.bibliography(how.keys)
    assert analysis.plan.tests == ("nemenyi", "pairwise", "paired_t")


def test_the_report_of_strategies_names_the_tests_that_were_made(table, tmp_path):
    table[:0] = [PAIRED_T, EVERYBODY]
    c = metaopt.compare(["random", "sobol", "grid"], "branin", n_trials=5, repeats=7)
    page = c.report(tmp_path / "page.html").read_text(encoding="utf-8")
    tests = page[page.index("Which strategies differ from") :][:3000]
    assert "(paired t test)" in tests
    assert "p is of Student" in tests and "signed-rank" not in tests


def test_compare_models_runs_an_added_test_and_takes_its_words(table, tmp_path):
    table[:0] = [PLAIN_T]
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = (X[:, 0] + 0.5 * rng.normal(size=60) > 0).astype(int)
    models = {"line": LogisticRegression(), "most frequent": DummyClassifier()}
    c = metaopt.compare_models(models, X, y, folds=3, repeats=3)
    (pair,) = c.pairs
    first, second = (c.scores[k].ravel() for k in (pair.first, pair.second))
    assert pair.p == stats.paired_t(first, second).p
    page = c.report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Differences in score by the plain t test over folds" in page
    assert "Folds are taken to be independent." in page
    assert "corrected repeated k-fold" not in page
    assert "(Nadeau and Bengio 2003)" in page and "Bouckaert" not in page


def test_every_planned_test_names_a_function_and_known_sources():
    for test in stats.PLANNED_TESTS:
        assert callable(getattr(stats, test.name))
        assert test.title and test.short and test.why and test.sources


def test_example_units_are_compared_by_right_and_wrong_answers():
    rng = np.random.default_rng(1)
    truth, answers = rng.integers(0, 3, 50), rng.integers(0, 3, (50, 3))
    right = (answers == truth[:, None]).astype(float)
    plan = stats.recommend(stats.Design(3, 1, 1, resampling="holdout"))
    assert plan.test_any(right) == pytest.approx(stats.cochran_q(truth, answers).p)
    expected = stats.mcnemar(truth, answers[:, 0], answers[:, 1])
    assert plan.test_pair(right[:, 0], right[:, 1]).p == expected.p


def test_a_plan_without_tests_says_so():
    plan = stats.recommend(stats.Design(3, 1, 3))
    assert plan.test_any(np.zeros((3, 3))) is None
    assert plan.probability(np.zeros(3), np.ones(3), 0.1) is None
    with pytest.raises(stats.StatisticsError, match="no test of pairs: 3 paired repeats"):
        plan.test_pair(np.zeros(3), np.ones(3))


def test_a_plan_and_what_holds_it_can_be_pickled():
    plan = stats.recommend(stats.Design(3, 1, 12))
    assert pickle.loads(pickle.dumps(plan)) == plan
    c = metaopt.compare(["random", "sobol"], "branin", n_trials=4, repeats=6)
    assert pickle.loads(pickle.dumps(c.analyses)) == c.analyses


def test_each_design_gets_the_words_that_suit_it():
    two, many = (stats.recommend(stats.Design(k, 1, 12)) for k in (2, 3))
    assert "other treatments" in many.why and "other treatments" not in two.why
    assert "benavoli2016" in many.keys and "benavoli2016" not in two.keys
    assert "demsar2006" in many.keys and "demsar2006" in two.keys


def test_the_caption_names_the_test_also_if_it_was_made_over_problems_only(tmp_path):
    problems = ["branin", "sphere", "ackley", "rosenbrock"]
    c = metaopt.compare(["random", "sobol"], problems, n_trials=3, repeats=2)
    assert c.analyses[0].plan.pairs is None and c.analyses[-1].plan.pairs is not None
    page = c.report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "(stratified signed-rank test)" in page


def test_the_p_value_of_a_pair_is_read_as_the_entry_says(table):
    table.insert(
        0,
        replace(
            PAIRED_T,
            run=lambda x, y, d: {"value": 0.01},
            p_of=lambda o: o["value"],
            sign_of=lambda o: -1,
        ),
    )
    c = metaopt.compare(["random", "sobol"], "branin", n_trials=3, repeats=6)
    assert [s.p for s in c.analyses[0].standings if s.p is not None] == [0.01]
    assert "Better than random: sobol" in c.conclusion()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"role": "pair"}, "role must be one of 'omnibus', 'pairs', 'posterior', got 'pair'"),
        ({"sources": ()}, "at least one in a tuple, got"),
        ({"sources": ("student1908",)}, "must be keys of references.bib.*student1908"),
    ],
)
def test_an_entry_that_could_not_be_reported_is_refused_at_once(change, message):
    with pytest.raises(stats.StatisticsError, match=message):
        replace(PAIRED_T, **change)


def test_a_test_that_can_never_reject_is_an_error_and_no_endless_loop(table):
    table.insert(0, replace(PAIRED_T, smallest_p=lambda n: 0.1))
    with pytest.raises(stats.StatisticsError, match="must fall with n"):
        stats.recommend(stats.Design(2, 1, 10))


def test_a_pickled_plan_keeps_its_test_though_the_table_has_changed(table):
    pickled = pickle.dumps(stats.recommend(stats.Design(3, 1, 12)))
    table.insert(0, PAIRED_T)
    assert pickle.loads(pickled).pairs.name == "wilcoxon"
    del table[:]
    with pytest.raises(stats.StatisticsError, match="not in PLANNED_TESTS"):
        pickle.loads(pickled)
