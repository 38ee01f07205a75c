import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats as oracle

from metaopt.stats import StatisticsError, paired_t, sign_test

# Student (1908), table of Cushny and Peebles: hours of sleep gained with two drugs.
FIRST = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SECOND = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
pairs = hnp.arrays(np.float64, st.tuples(st.just(2), st.integers(2, 12)),
                   elements=st.integers(-20, 20).map(float))  # fmt: skip


def test_students_sleep_data_give_the_published_t():
    # R's example of t.test: t = -4.0621, df = 9, p = 0.002833, interval -2.4598858, -0.7001142.
    t = paired_t(FIRST, SECOND)
    assert t.statistic == pytest.approx(-4.0621, abs=5e-5)
    assert t.p == pytest.approx(0.002833, abs=5e-7)
    assert (t.low, t.high) == pytest.approx((-2.4598858, -0.7001142), abs=5e-8)
    assert (t.difference, t.df, t.n) == (pytest.approx(-1.58), 9, 10)


def test_the_t_test_equals_scipys_also_far_in_the_tail():
    rng = np.random.default_rng(0)
    for n, edge in [(2, 0), (5, 1), (40, 0.3), (30, 20)]:
        x, y = rng.normal(size=n), rng.normal(edge, size=n)
        ours, theirs = paired_t(x, y, level=0.9), oracle.ttest_rel(x, y)
        assert ours.statistic == pytest.approx(theirs.statistic, rel=1e-12)
        assert ours.p == pytest.approx(theirs.pvalue, rel=1e-9)
        assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval(0.9)))


def test_the_interval_excludes_zero_exactly_if_p_is_below_the_level():
    rng = np.random.default_rng(1)
    for d in rng.normal(0.5, size=(200, 8)):
        t = paired_t(d, np.zeros(8), level=0.95)
        assert (t.p < 0.05) == (t.low > 0 or t.high < 0)


@given(pairs)
def test_exchanged_samples_flip_the_sign_and_units_do_not_matter(xy):
    x, y = xy
    try:
        t = paired_t(x, y)
    except StatisticsError as error:
        assert "must vary" in str(error) and np.ptp(x - y) == 0 and x[0] != y[0]
        return
    other, scaled = paired_t(y, x), paired_t(8 * x + 3, 8 * y + 3)
    assert (other.statistic, other.p) == (-t.statistic, t.p)
    assert scaled.statistic == pytest.approx(t.statistic) and scaled.p == pytest.approx(t.p)
    assert t.low <= t.difference <= t.high


@given(pairs)
def test_the_sign_test_equals_scipys_binomial_test_and_is_invariant_to_monotone_transforms(xy):
    x, y = xy
    s = sign_test(x, y)
    decided = s.wins + s.losses
    expected = oracle.binomtest(s.wins, decided).pvalue if decided else 1.0
    assert s.p == pytest.approx(expected, rel=1e-12)
    assert s.wins == (x < y).sum() and s.losses == (x > y).sum() and s.n == len(x)
    assert sign_test(np.exp(x), np.exp(y)) == s
    assert sign_test(y, x).p == s.p


def test_failed_runs_lose_and_two_failures_tie():
    s = sign_test([1.0, np.inf, np.inf, -np.inf, 0.1 + 0.2], [np.inf, 1.0, np.inf, np.inf, 0.3])
    assert (s.wins, s.losses, s.n) == (2, 1, 5)


def test_no_difference_gives_p_one_and_a_rounding_error_is_no_difference():
    x, y = np.array([0.3, 0.7]), np.array([0.1 + 0.2, 0.8 - 0.1])
    assert (x != y).all()
    assert paired_t(x, y).p == sign_test(x, y).p == 1.0
    assert paired_t(x, y).statistic == 0.0


def test_under_the_null_both_keep_their_level(rejections):
    d = np.random.default_rng(2).normal(size=(4000, 7))
    zero = np.zeros(7)
    rejections([paired_t(row, zero).p for row in d])
    rejections([sign_test(row, zero).p for row in d])


def test_both_detect_a_true_difference():
    d = np.random.default_rng(3).normal(1.0, size=(500, 20))
    zero = np.zeros(20)
    # The t test's power is 0.989 here, the sign test's 0.92 (noncentral t and binomial).
    assert np.mean([paired_t(row, zero).p <= 0.05 for row in d]) > 0.96
    assert np.mean([sign_test(row, zero).p <= 0.05 for row in d]) > 0.87


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paired_t([1.0], [2.0]), "x needs at least 2 values, got 1"),
        (lambda: paired_t([1.0, 2.0], [1.0]), "y needs at least 2 values"),
        (lambda: paired_t([1.0, 2.0, 3.0], [1.0, 2.0]), "paired.*got 3 and 2"),
        (
            lambda: paired_t([0.3, 0.2], [0.2, 0.1]),
            "must vary.*got 0.1 for all of them; .* wilcoxon",
        ),
        (lambda: paired_t([1.0, np.nan], [1.0, 2.0]), "NaN, got one at .1."),
        (lambda: paired_t([1.0, np.inf], [1.0, 2.0]), "finite"),
        (lambda: paired_t([1.0, 2.0], [1.0, 3.0], level=95), "such as 0.95, got 95"),
        (lambda: paired_t([1.0, 2.0], [1.0, 3.0], level="high"), "number between 0 and 1"),
        (lambda: sign_test([1.0], [np.nan]), "NaN"),
        (lambda: sign_test([], []), "at least 1 values, got 0"),
    ],
)
def test_bad_input_raises_an_error_that_states_what_was_expected(call, message):
    with pytest.raises(StatisticsError, match=message):
        call()
