import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as oracle

from metaopt.stats import StatisticsError, fewest_pairs, smallest_p, wilcoxon


def by_enumeration(d):
    """Two-sided p over all signs of the differences, zeros ranked and dropped (Pratt 1959)."""
    ranks = oracle.rankdata(np.abs(d))
    r, positive = ranks[d != 0], d[d != 0] > 0
    observed = min(r[positive].sum(), r[~positive].sum())
    sums = [np.dot(r, signs) for signs in itertools.product((0, 1), repeat=len(r))]
    return min(1.0, 2 * float(np.mean(np.array(sums) <= observed + 1e-9)))


@pytest.mark.parametrize("n", [1, 2, 5, 8, 12, 30, 50])
def test_without_ties_equals_scipys_exact_test(n):
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=n), rng.normal(0.3, size=n)
    ours, theirs = wilcoxon(x, y), oracle.wilcoxon(x, y, method="exact")
    assert ours.statistic == theirs.statistic
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-12)
    assert (ours.n, ours.zeros) == (n, 0)
    assert "exact" in ours.method


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_with_ties_and_zeros_equals_enumeration_of_all_signs(d):
    d = np.array(d, dtype=float)
    assert wilcoxon(d, np.zeros(len(d))).p == pytest.approx(by_enumeration(d), rel=1e-12)


def test_many_pairs_equal_scipys_corrected_approximation():
    rng = np.random.default_rng(0)
    x, y = (10 * rng.normal(size=(2, 300))).round()
    with_ties = wilcoxon(x, y)
    theirs = oracle.wilcoxon(x, y, zero_method="pratt", correction=True, method="asymptotic")
    assert with_ties.p == pytest.approx(theirs.pvalue, rel=1e-9)
    assert "normal" in with_ties.method
    assert with_ties.zeros == np.sum(x == y)


def test_the_approximation_is_close_to_the_exact_distribution_at_the_switch():
    rng = np.random.default_rng(3)
    d = rng.normal(0.12, size=201)
    exact = oracle.wilcoxon(d, method="exact").pvalue
    assert wilcoxon(d, np.zeros(201)).p == pytest.approx(exact, rel=0.02)


def test_demsar_2006_table_2_gives_the_printed_statistic(auc):
    # The paper splits the ranks of the two zeros between both sums (T = 12); Pratt drops them.
    outcome = wilcoxon(auc[:, 1], auc[:, 0])
    assert outcome.zeros == 2
    assert outcome.statistic + 1.5 == 12
    assert outcome.p < 0.05


def test_differences_equal_up_to_rounding_are_ties():
    x, y = np.array([0.3, 0.2, 0.7]), np.array([0.2, 0.1, 0.8])
    assert len(set(np.abs(x - y))) == 3
    assert wilcoxon(x, y).statistic == 2  # three ranks of 2, one of them negative
    assert wilcoxon([0.1 + 0.2], [0.3]).zeros == 1


def test_no_difference_at_all_gives_p_one():
    outcome = wilcoxon([1.0, 2.0], [1.0, 2.0])
    assert (outcome.p, outcome.statistic, outcome.zeros) == (1.0, 0.0, 2)


def test_swapping_the_samples_changes_nothing():
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(2, 9))
    one, other = wilcoxon(x, y), wilcoxon(y, x)
    assert one == replace(other, plus=other.minus, minus=other.plus)
    assert one.sign == -other.sign == (1 if one.plus > one.minus else -1)


def test_differences_of_the_largest_floats_are_ranked_and_not_infinite():
    found = wilcoxon([1e308] * 6, [-1e308] * 6)
    assert (found.p, found.sign, found.zeros) == (smallest_p(6), 1, 0)


@pytest.mark.parametrize("n", [1, 2, 5, 8, 20])
def test_smallest_p_is_what_n_differences_of_one_sign_give(n):
    assert wilcoxon(np.arange(1.0, n + 1), np.zeros(n)).p == pytest.approx(smallest_p(n))


def test_under_the_null_the_test_keeps_its_level():
    rng = np.random.default_rng(11)
    runs = 3000
    for n, decimals in [(8, 6), (14, 6), (10, 0)]:  # the last with many ties and zeros
        d = rng.normal(size=(runs, n)).round(decimals)
        p = np.array([wilcoxon(row, np.zeros(n)).p for row in d])
        for level in (0.01, 0.05, 0.2):
            assert np.sum(p <= level) <= oracle.binom.ppf(0.999, runs, level)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1.0, 2.0], [1.0], "paired.*got 2 and 1"),
        ([], [], "at least 1 values, got 0"),
        ([[1.0]], [[1.0]], "one-dimensional, got shape"),
        ([np.nan], [1.0], "must not hold NaN, got one at .0."),
        ([np.inf], [1.0], "finite value worse than all others"),
        (["a"], [1.0], "x must be an array of numbers"),
    ],
)
def test_bad_input_raises_an_error_that_states_what_was_expected(x, y, message):
    with pytest.raises(StatisticsError, match=message):
        wilcoxon(x, y)


@pytest.mark.parametrize(
    ("level", "comparisons", "n"), [(0.05, 1, 6), (0.05, 4, 8), (0.0625, 1, 5), (0.01, 10, 11)]
)
def test_fewest_pairs_can_reject_and_one_pair_less_cannot(level, comparisons, n):
    assert fewest_pairs(level, comparisons) == n
    assert comparisons * smallest_p(n) <= level < comparisons * smallest_p(n - 1)


def test_a_true_difference_is_detected():
    d = np.random.default_rng(6).normal(1.0, size=(400, 15))
    assert np.mean([wilcoxon(row, np.zeros(15)).p <= 0.05 for row in d]) > 0.88


@pytest.mark.parametrize(
    ("level", "comparisons", "message"),
    [(0, 1, "between 0 and 1"), (5, 1, "between 0 and 1"), (0.05, 0, "comparisons must be")],
)
def test_fewest_pairs_rejects_invalid_levels_and_numbers(level, comparisons, message):
    with pytest.raises(StatisticsError, match=message):
        fewest_pairs(level, comparisons)


@pytest.mark.parametrize("n", [0, -1, 2.5, True])
def test_smallest_p_rejects_invalid_numbers_of_pairs(n):
    with pytest.raises(StatisticsError, match="n must be a whole number of at least 1"):
        smallest_p(n)
