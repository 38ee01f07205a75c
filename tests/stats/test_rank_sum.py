from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as oracle

from metaopt.stats import StatisticsError, a12, rank_sum

samples = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=5)


def test_hollander_and_wolfes_placentas_give_the_published_p():
    # R's example of wilcox.test: W = 35, one-sided p = 0.1272. U counts pairs with x lower.
    x = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
    y = [1.15, 0.88, 0.90, 0.74, 1.21]
    outcome = rank_sum(x, y)
    assert outcome.statistic == 50 - 35
    assert outcome.p / 2 == pytest.approx(0.1272, abs=5e-5)
    assert outcome.n == (10, 5)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 5), (10, 10), (7, 30), (39, 40)])
def test_without_ties_equals_scipys_exact_test(m, n):
    rng = np.random.default_rng(m)
    x, y = rng.normal(size=m), rng.normal(0.5, size=n)
    ours, theirs = rank_sum(x, y), oracle.mannwhitneyu(y, x, method="exact")
    assert (ours.statistic, ours.p) == (theirs.statistic, pytest.approx(theirs.pvalue, rel=1e-10))
    assert "exact" in ours.method


def by_enumeration(x, y):
    ranks = oracle.rankdata(np.concatenate([x, y]))
    sums = np.array([ranks[list(c)].sum() for c in combinations(range(len(ranks)), len(x))])
    observed = ranks[: len(x)].sum()
    return min(1.0, 2 * min(np.mean(sums <= observed + 1e-9), np.mean(sums >= observed - 1e-9)))


@given(samples, samples)
@settings(max_examples=60)
def test_with_ties_equals_enumeration_of_all_choices(x, y):
    assert rank_sum(x, y).p == pytest.approx(by_enumeration(x, y), rel=1e-10)


@given(samples, samples)
def test_p_is_invariant_to_exchange_and_monotone_transforms(x, y):
    ours = rank_sum(x, y)
    assert ours.p == pytest.approx(rank_sum(y, x).p, rel=1e-12)
    assert ours.p == pytest.approx(rank_sum(np.exp(x), np.exp(y)).p, rel=1e-12)
    assert ours.a12 == a12(x, y) == pytest.approx(ours.statistic / (len(x) * len(y)))
    assert 2 * ours.statistic == int(2 * ours.statistic)


def test_many_values_equal_scipys_corrected_approximation():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=60).round(1), rng.normal(0.4, size=50).round(1)
    ours, theirs = rank_sum(x, y), oracle.mannwhitneyu(y, x, method="asymptotic")
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-10)
    assert "normal" in ours.method


def test_the_approximation_is_close_to_the_exact_distribution_at_the_switch():
    x, y = np.random.default_rng(2).normal([[0.0], [0.5]], size=(2, 45))
    exact = oracle.mannwhitneyu(x, y, method="exact").pvalue
    assert rank_sum(x, y).p == pytest.approx(exact, rel=0.08)


def test_equal_values_give_p_one_and_a_failed_run_is_the_worst():
    assert rank_sum([1.0] * 3, [1.0] * 4).p == 1.0
    assert rank_sum([1.0] * 60, [1.0] * 60).p == 1.0
    assert rank_sum([1.0, 2.0], [np.inf, np.inf]).a12 == 1.0


def test_it_keeps_its_level_under_the_null_and_detects_a_difference(rejections):
    rng = np.random.default_rng(3)
    rejections([rank_sum(*xy).p for xy in rng.normal(size=(2000, 2, 8))])
    rejections([rank_sum(*xy).p for xy in rng.integers(0, 4, size=(2000, 2, 8))])  # many ties
    shifted = rng.normal([[0.0], [1.5]], size=(400, 2, 10))
    assert np.mean([rank_sum(*xy).p <= 0.05 for xy in shifted]) > 0.8


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([], [1.0], "x needs at least 1 values, got 0"),
        ([1.0], [np.nan], "y must not hold NaN"),
        ([[1.0]], [1.0], "one-dimensional"),
    ],
)
def test_bad_input_raises_an_error_that_states_what_was_expected(x, y, message):
    with pytest.raises(StatisticsError, match=message):
        rank_sum(x, y)
