"""Tests of two treatments over several problems: strata, and problems as units."""

import itertools

import numpy as np
import pytest
from scipy import stats as oracle

from metaopt.stats import (
    StatisticsError,
    a12,
    sign_test,
    signed_rank_of_wins,
    stratified_signed_rank,
    van_elteren,
    wilcoxon,
    win_shares,
)

RNG = np.random.default_rng(4)
X, Y = RNG.normal(size=(2, 4, 6))


def test_one_problem_is_the_signed_rank_test():
    one, other = stratified_signed_rank(X[:1], Y[:1]), wilcoxon(X[0], Y[0])
    assert (one.statistic, one.p, one.plus, one.minus) == (
        other.statistic, other.p, other.plus, other.minus,
    )  # fmt: skip


def test_one_repeat_of_each_problem_is_the_sign_test():
    x, y = RNG.normal(size=(2, 11, 1))
    assert stratified_signed_rank(x, y).p == pytest.approx(sign_test(x[:, 0], y[:, 0]).p)


@pytest.mark.parametrize("rounded", [False, True])
def test_the_p_value_is_that_of_all_signs(rounded):
    x, y = RNG.normal(size=(2, 3, 4))
    d = np.round(x - y) if rounded else x - y
    ranks = np.array([oracle.rankdata(np.abs(row)) for row in d])[d != 0]
    signs = np.array(list(itertools.product([0, 1], repeat=len(ranks))))
    sums, observed = signs @ ranks, ranks[d[d != 0] > 0].sum()
    p = 2 * min(np.mean(sums <= observed), np.mean(sums >= observed))
    assert stratified_signed_rank(d, np.zeros_like(d)).p == pytest.approx(min(1.0, p))


def test_problems_may_have_any_scale_and_origin():
    scale, origin = np.array([[1.0], [1e6], [1e-6], [3.0]]), np.array([[0.0], [1e7], [0.0], [-5.0]])
    moved = stratified_signed_rank(scale * X + origin, scale * Y + origin)
    assert moved.p == pytest.approx(stratified_signed_rank(X, Y).p)
    np.testing.assert_array_equal(win_shares(scale * X, scale * Y), win_shares(X, Y))


def test_evidence_of_several_problems_adds_up():
    d = np.tile(np.arange(1.0, 6.0), (5, 1))
    assert wilcoxon(d[0], np.zeros(5)).p == 0.0625  # five repeats alone show nothing
    assert stratified_signed_rank(d, np.zeros_like(d)).p == pytest.approx(2.0**-24)


def test_van_elteren_of_one_problem_is_the_rank_sum_test_in_its_normal_approximation():
    x, y = np.round(RNG.normal(size=(2, 1, 25)), 1)
    found = van_elteren(x, y)
    expected = oracle.mannwhitneyu(x[0], y[0], method="asymptotic", use_continuity=False)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.sign < 0) == (found.a12 > 0.5)
    assert van_elteren(x, y + 9).sign == -1


def test_van_elteren_has_the_level_of_all_choices():
    """The variance of the sum is that over all ways to choose the values of x in each problem."""
    x, y = np.array([[1.0, 4.0], [2.0, 9.0]]), np.array([[3.0, 8.0, 5.0], [7.0, 1.0, 4.0]])
    chosen = [np.array(c).sum() for c in itertools.combinations(range(1, 6), 2)]
    sums = [(a + b - 12) / 6 for a in chosen for b in chosen]
    ranks = oracle.rankdata(np.concatenate([x, y], axis=1), axis=1)[:, :2].sum()
    assert van_elteren(x, y).statistic == pytest.approx((ranks - 12) / 6 / np.std(sums))


def test_problems_as_units_are_judged_by_the_share_of_repeats_won():
    share = (X < Y).mean(axis=1)
    np.testing.assert_array_equal(win_shares(X, Y), share)
    assert signed_rank_of_wins(X, Y).p == wilcoxon(1 - share, share).p
    loose = [a12(a, b) for a, b in zip(X, Y, strict=True)]
    np.testing.assert_allclose(win_shares(X, Y, paired=False), loose)
    assert signed_rank_of_wins(Y, X).sign == -signed_rank_of_wins(X, Y).sign


@pytest.mark.parametrize("test", [stratified_signed_rank, van_elteren, signed_rank_of_wins])
def test_equal_values_show_nothing(test):
    found = test(np.ones((3, 5)), np.ones((3, 5)))
    assert (found.p, found.sign) == (1.0, 0)


@pytest.mark.parametrize("test", [stratified_signed_rank, van_elteren, signed_rank_of_wins])
@pytest.mark.parametrize("shape", [(4,), (2, 3, 4), (0, 3)])
def test_other_shapes_are_refused(test, shape):
    with pytest.raises(StatisticsError):
        test(np.ones(shape), np.ones(shape))


def test_under_the_null_strata_keep_the_level():
    rng = np.random.default_rng(8)
    false = sum(
        stratified_signed_rank(*rng.standard_cauchy((2, 5, 8))).p <= 0.05 for _ in range(600)
    )
    assert false <= oracle.binom.ppf(0.999, 600, 0.05)
