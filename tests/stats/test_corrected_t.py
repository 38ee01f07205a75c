import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats as oracle

from metaopt.stats import (
    StatisticsError,
    corrected_t,
    correlated_t,
    five_by_two_f,
    paired_t,
    pairwise,
    repeated_kfold_t,
)

whole = st.integers(-9, 9).map(float)


def with_t(n, t):
    """Differences (n,) whose plain paired t statistic is `t`."""
    d = np.random.default_rng(0).normal(size=n)
    return (d - d.mean()) / d.std(ddof=1) + t / np.sqrt(n)


def test_the_worked_example_of_scikit_learns_documentation():
    # "Statistical comparison of models using grid search", 10 x 10 folds: uncorrected t 2.611,
    # p 0.005; corrected by Nadeau and Bengio t 0.750, p 0.227 (one-sided).
    d = with_t(100, 2.611)
    plain = paired_t(d, np.zeros(100))
    corrected = repeated_kfold_t(d.reshape(10, 10), np.zeros((10, 10)))
    assert plain.p / 2 == pytest.approx(0.005, abs=5e-4)
    assert corrected.statistic == pytest.approx(0.750, abs=5e-4)
    assert corrected.p / 2 == pytest.approx(0.227, abs=1e-3)
    assert corrected.df == 99


@pytest.mark.parametrize(("n", "fraction"), [(2, 0.5), (15, 0.1), (30, 0.33)])
def test_it_is_the_paired_t_with_the_variance_of_nadeau_and_bengio(n, fraction):
    # (1 / n + n2 / n1) S^2 in place of S^2 / n, with n2 / n1 from counts.
    x, y = np.random.default_rng(n).normal([[0.0], [0.4]], size=(2, n))
    n2 = 1000 * fraction
    shrink = np.sqrt((1 / n) / (1 / n + n2 / (1000 - n2)))
    t = oracle.ttest_rel(x, y).statistic * shrink
    ours = corrected_t(x, y, fraction)
    assert ours.statistic == pytest.approx(t, rel=1e-12)
    assert ours.p == pytest.approx(2 * oracle.t.sf(abs(t), n - 1), rel=1e-10)
    assert ours.difference - ours.low == pytest.approx(
        oracle.t.ppf(0.975, n - 1) * ours.difference / t, rel=1e-10
    )


def test_the_p_value_is_twice_the_smaller_posterior_tail_of_baycomp():
    baycomp = pytest.importorskip("baycomp")
    rng = np.random.default_rng(1)
    for runs, folds in [(1, 10), (10, 10), (3, 5)]:
        x, y = rng.normal([[0.0], [0.3]], size=(2, runs * folds))
        tails = baycomp.two_on_single(x, y, runs=runs)
        table = (runs, folds)
        p = repeated_kfold_t(x.reshape(table), y.reshape(table)).p
        assert p == pytest.approx(2 * min(tails), rel=1e-9)


@given(hnp.arrays(np.float64, (2, 3, 4), elements=whole))
def test_the_repeated_test_is_the_resampled_test_with_test_fraction_one_in_k(xy):
    x, y = xy
    try:
        ours = repeated_kfold_t(x, y)
    except StatisticsError:
        assert np.ptp(x - y) == 0
        return
    plain = corrected_t(x.ravel(), y.ravel(), 0.25)
    assert (ours.p, ours.low) == (plain.p, plain.low)
    assert repeated_kfold_t(y, x).p == ours.p
    assert ours.p >= paired_t(x.ravel(), y.ravel()).p
    posterior = correlated_t(x.ravel(), y.ravel(), 0.0, 0.25)
    assert ours.p == pytest.approx(2 * min(posterior.below, posterior.above), rel=1e-9)


def test_a_larger_test_fraction_never_decreases_p():
    x, y = np.random.default_rng(2).normal([[0.0], [1.0]], size=(2, 20))
    p = [corrected_t(x, y, f).p for f in (0.01, 0.1, 0.3, 0.5, 0.9)]
    assert np.all(np.diff(p) > 0)


def dietterich(x, y):
    """The ten possible t statistics of the 5x2cv t test (Dietterich 1998, section 3.5)."""
    d = np.asarray(x) - np.asarray(y)
    s2 = ((d - d.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    return d.ravel() / np.sqrt(s2.mean())


@given(hnp.arrays(np.float64, (2, 5, 2), elements=whole))
def test_alpaydins_f_is_the_mean_of_dietterichs_ten_squares(xy):
    x, y = xy
    d = x - y
    if (d[:, 0] == d[:, 1]).all():
        if d.any():
            with pytest.raises(
                StatisticsError, match="two folds of at least one repetition must differ"
            ):
                five_by_two_f(x, y)
        else:
            assert five_by_two_f(x, y).p == 1.0
        return
    f = five_by_two_f(x, y)
    assert f.statistic == pytest.approx((dietterich(x, y) ** 2).mean(), rel=1e-9)
    assert f.p == pytest.approx(oracle.f.sf(f.statistic, 10, 5), rel=1e-9)
    # Which model, fold or repetition comes first does not matter.
    for other in (five_by_two_f(y, x), five_by_two_f(x[:, ::-1], y[:, ::-1])):
        assert other.p == pytest.approx(f.p, rel=1e-9)


def test_alpaydin_1999_rejects_from_4_74_on():
    base = np.array([[1.0, 0.2], [0.9, 0.4], [0.7, 0.1], [1.1, 0.3], [0.8, 0.6]])
    f = np.array([five_by_two_f(base + c, np.zeros((5, 2))).statistic for c in (0, 0.1, 0.5)])
    p = np.array([five_by_two_f(base + c, np.zeros((5, 2))).p for c in (0, 0.1, 0.5)])
    assert np.array_equal(f > 4.74, p < 0.05) and (f > 4.74).any() and (f < 4.74).any()
    assert oracle.f.isf(0.05, 10, 5) == pytest.approx(4.74, abs=5e-3)


def test_under_the_correlation_it_assumes_p_is_uniform():
    # d_j = sqrt(rho) c + sqrt(1 - rho) e_j with rho = n2 / (n1 + n2): the t is exact then.
    rng, runs, n, rho = np.random.default_rng(3), 4000, 10, 0.2
    d = np.sqrt(rho) * rng.normal(size=(runs, 1)) + np.sqrt(1 - rho) * rng.normal(size=(runs, n))
    zero = np.zeros(n)
    assert oracle.kstest([corrected_t(row, zero, rho).p for row in d], "uniform").pvalue > 0.001
    assert np.mean([paired_t(row, zero).p <= 0.05 for row in d]) > 0.15


def test_fixed_models_on_random_splits_have_that_correlation(rejections):
    # Random test sets of one data set overlap, which gives rho = n2 / (n1 + n2) without training.
    rng, runs, examples, splits = np.random.default_rng(4), 2000, 100, 15
    difference = rng.normal(size=(runs, examples))
    order = rng.random((runs, splits, examples)).argsort(axis=2)[:, :, :20]
    d = np.take_along_axis(difference[:, None, :], order, axis=2).mean(axis=2)
    zero = np.zeros(splits)
    p = np.array([corrected_t(row, zero, 0.2).p for row in d])
    rejections(p)
    assert np.mean(p <= 0.2) > 0.15  # the test is not simply conservative
    assert np.mean([paired_t(row, zero).p <= 0.05 for row in d]) > 0.2


@pytest.mark.parametrize(("examples", "repeats", "folds"), [(40, 10, 10), (50, 3, 5), (60, 1, 10)])
def test_models_learned_on_resampled_data_keep_the_level(
    learned, rejections, examples, repeats, folds
):
    x, y = learned(folds, 1000, examples, repeats, folds)
    rejections([repeated_kfold_t(a, b).p for a, b in zip(x, y, strict=True)])
    if repeats == 10:  # the reason for the correction
        naive = [paired_t(a.ravel(), b.ravel()).p for a, b in zip(x, y, strict=True)]
        assert np.mean(np.array(naive) <= 0.05) > 0.25


def test_the_f_test_keeps_its_level_if_the_randomness_lies_in_the_test_examples(rejections):
    rng, runs, examples = np.random.default_rng(5), 4000, 60
    x = rng.normal(size=(runs, 5, 2))
    rejections([five_by_two_f(row, np.zeros((5, 2))).p for row in x])
    difference = rng.normal(size=(runs, examples))
    order = rng.random((runs, 5, examples)).argsort(axis=2)
    folds = np.take_along_axis(difference[:, None, :], order, axis=2).reshape(runs, 5, 2, -1)
    rejections([five_by_two_f(d, np.zeros((5, 2))).p for d in folds.mean(axis=3)])


def test_the_f_test_rejects_too_often_if_training_sets_of_all_repetitions_deviate_together(learned):
    # The limitation that is documented in its docstring.
    x, y = learned(6, 2000, 60, 5, 2)
    share = np.mean([five_by_two_f(a, b).p <= 0.05 for a, b in zip(x, y, strict=True)])
    assert 0.10 < share < 0.18
    assert np.mean([repeated_kfold_t(a, b).p <= 0.05 for a, b in zip(x, y, strict=True)]) < 0.05


def test_a_worse_model_is_detected(learned):
    x, y = learned(7, 300, 60, 10, 10, edge=1.5)
    assert np.mean([repeated_kfold_t(a, b).p <= 0.05 for a, b in zip(x, y, strict=True)]) > 0.9
    flat = [corrected_t(a.ravel(), b.ravel(), 0.1).p for a, b in zip(x, y, strict=True)]
    assert np.mean(np.array(flat) <= 0.05) > 0.9
    x, y = learned(8, 300, 60, 5, 2, edge=4.0)
    assert np.mean([five_by_two_f(a, b).p <= 0.05 for a, b in zip(x, y, strict=True)]) > 0.8


def test_several_models_are_compared_pairwise_with_holm():
    s = np.random.default_rng(9).normal([0, 0.1, 2], size=(5, 2, 3))
    found = pairwise(s, five_by_two_f)
    assert [p.p for p in found.pairs] == [
        five_by_two_f(s[..., i], s[..., j]).p for i, j in [(0, 1), (0, 2), (1, 2)]
    ]
    assert all(p.p_adjusted >= p.p for p in found.pairs)
    against = pairwise(s.reshape(10, 3), lambda x, y: corrected_t(x, y, 0.5), control=2)
    assert [(p.first, p.second) for p in against.pairs] == [(0, 2), (1, 2)]
    assert against.pairs[0].difference == pytest.approx((s[..., 0] - s[..., 2]).mean())


def test_no_difference_gives_p_one():
    x = np.random.default_rng(10).normal(size=(5, 2))
    assert repeated_kfold_t(x, x).p == five_by_two_f(x, x).p == 1.0
    assert corrected_t(x[0], x[0], 0.5).p == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: corrected_t([1.0], [2.0], 0.1), "at least 2 values, got 1"),
        (lambda: corrected_t([1.0, 2.0], [2.0, 2.0], 10), "1 / k for k folds.*got 10"),
        (lambda: corrected_t([1.0, 2.0], [2.0, 2.0], True), "got True"),
        (lambda: corrected_t([1.0, 2.0], [2.0, 3.0], 0.1), "must vary"),
        (lambda: repeated_kfold_t([1.0, 2.0], [1.0, 2.0]), r"\(repeats, folds\).*got \(2,\)"),
        (lambda: repeated_kfold_t([[1.0, 2.0]], [[1.0], [2.0]]), "same folds"),
        (lambda: repeated_kfold_t([[1.0], [2.0]], [[1.0], [3.0]]), "2 folds.*use corrected_t"),
        (lambda: repeated_kfold_t([[1.0, np.nan]], [[1.0, 2.0]]), r"NaN, got one at \[0, 1\]"),
        (lambda: five_by_two_f(np.ones((2, 5)), np.ones((2, 5))), r"\(5, 2\).*repeated_kfold_t"),
        (lambda: five_by_two_f(np.ones((5, 2)), np.zeros((5, 2))), "must differ.*mcnemar"),
    ],
)
def test_bad_input_raises_an_error_that_states_what_was_expected(call, message):
    with pytest.raises(StatisticsError, match=message):
        call()
