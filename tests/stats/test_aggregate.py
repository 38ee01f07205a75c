import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats as oracle

from metaopt.stats import (
    StatisticsError,
    a12,
    a12_interval,
    improvement,
    interquartile_mean,
    wins,
)

cubes = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 3), st.integers(2, 5), st.integers(2, 4)),
    elements=st.integers(-4, 4).map(float),
)


def test_the_examples_of_rliables_own_tests():
    # metrics_test.py, (runs, tasks) there: interquartile means 1.5 and 2, P(x > y) = 1/3.
    x = np.array([[1, 2], [2, 2], [1, 1], [2, 1]]).T
    y = np.array([[1, 1], [2, 2], [3, 3]]).T
    assert interquartile_mean(x).estimate == 1.5
    assert interquartile_mean(y).estimate == 2
    # `improvement` needs equally many runs of x and y, so P per task comes from A12 (lower wins).
    chances = [1 - a12(x[task], y[task]) for task in range(2)]
    assert np.mean(chances) == pytest.approx(1 / 3)


@given(cubes)
def test_the_interquartile_mean_is_scipys_trimmed_mean(scores):
    table = scores[..., 0]
    ours = interquartile_mean(table)
    assert ours.estimate == pytest.approx(oracle.trim_mean(table, 0.25, axis=None))
    assert ours.low <= ours.estimate <= ours.high
    moved = interquartile_mean(2 * table + 3)
    assert (moved.low, moved.high) == pytest.approx((2 * ours.low + 3, 2 * ours.high + 3))
    swapped = interquartile_mean(-table[::-1, ::-1])
    assert (swapped.low, swapped.high) == pytest.approx((-ours.high, -ours.low))


@pytest.mark.parametrize("n", [4, 8, 20])
def test_for_one_problem_it_is_the_interval_of_tukey_and_mclaughlin(n):
    values = np.random.default_rng(n).lognormal(size=n)
    winsorized = oracle.mstats.winsorize(values, (0.25, 0.25))
    error = np.std(winsorized, ddof=1) / (0.5 * np.sqrt(n))
    df = n / 2 - 1
    reach = oracle.t.ppf(0.975, df) * error * (1 + 1 / df)
    ours = interquartile_mean(values[None])
    assert (ours.low, ours.high) == pytest.approx((ours.estimate - reach, ours.estimate + reach))


def test_an_interval_reflects_the_repeats_and_not_the_differences_between_problems():
    rng = np.random.default_rng(0)
    noise, places = rng.normal(size=(5, 20)), 3.0 * np.arange(5)[:, None]
    ours = interquartile_mean(noise + places)
    assert ours.high - ours.low < 1.5 < np.ptp(places)
    more = interquartile_mean(np.tile(noise + places, 4))
    assert more.high - more.low == pytest.approx((ours.high - ours.low) / 2, rel=0.1)
    # Problems whose scores all are outside the middle half add nothing to the length.
    noise[[0, 4]] *= 100
    far = interquartile_mean(noise + 1e6 * places)
    assert far.high - far.low < 4


def test_cutting_off_whole_scores_biases_the_mean_of_problems_far_apart_with_unequal_gaps():
    places = np.array([[0.0], [17.0], [71.0]])
    for repeats in (4, 8, 20):  # a quarter of 0, all of 17 and a quarter of 71
        found = interquartile_mean(np.repeat(places, repeats, axis=1))
        assert found.estimate == pytest.approx((17 + 71 / 4) / 1.5)
    for repeats in (5, 6, 10):
        found = interquartile_mean(np.repeat(places, repeats, axis=1))
        assert found.estimate > (17 + 71 / 4) / 1.5 + 0.5


def test_equal_scores_in_the_middle_give_an_interval_of_length_zero():
    ours = interquartile_mean([[1.0, 1.0, 1.0, 1.0, 9.0, 1.0, -3.0, 1.0]])
    assert ours.low == ours.estimate == ours.high == 1.0


@pytest.mark.parametrize("problems", [1, 4])
@pytest.mark.parametrize("repeats", [2, 5, 10])
@pytest.mark.parametrize("sigma", [0.0, 0.5])
def test_the_interval_covers_the_true_value_about_as_often_as_its_level(problems, repeats, sigma):
    rng = np.random.default_rng([problems, repeats])
    normal = rng.normal(size=(500, problems, repeats))
    # Lognormal: the mean between the quartiles, from the partial expectation.
    q = oracle.norm.ppf(0.75)
    true = 2 * np.exp(sigma**2 / 2) * np.diff(oracle.norm.cdf([-q - sigma, q - sigma]))[0]
    tables, true = (np.exp(sigma * normal), true) if sigma else (normal, 0.0)
    covered = sum(i.low <= true <= i.high for i in map(interquartile_mean, tables))
    assert oracle.binom.ppf(0.001, 500, 0.94) <= covered


@given(cubes)
def test_improvement_within_repeats_is_the_share_of_wins(scores):
    ours = improvement(scores)
    for i in range(scores.shape[2]):
        for j in range(scores.shape[2]):
            x, y = scores[..., i], scores[..., j]
            share = np.mean((x < y) + 0.5 * (x == y))
            assert ours.probability[i, j] == pytest.approx(share)
            if i != j:
                found = wins(x, y)
                assert ours.low[i, j] == pytest.approx(found.low)
                assert ours.high[i, j] == pytest.approx(found.high)


@given(cubes)
def test_improvement_across_repeats_is_the_mean_a12(scores):
    ours = improvement(scores, paired=False)
    for i in range(scores.shape[2]):
        for j in range(scores.shape[2]):
            expected = np.mean([a12(s[:, i], s[:, j]) for s in scores])
            assert ours.probability[i, j] == pytest.approx(expected)
    one = improvement(scores[:1], paired=False)
    found = a12_interval(scores[0, :, 0], scores[0, :, 1])
    assert (one.low[0, 1], one.high[0, 1]) == pytest.approx((found.low, found.high))


@given(cubes, st.booleans())
@settings(max_examples=40)
def test_the_matrix_is_consistent_and_only_the_order_within_a_problem_counts(scores, paired):
    ours = improvement(scores, paired=paired)
    k = scores.shape[2]
    assert ours.probability + ours.probability.T == pytest.approx(np.ones((k, k)))
    assert ours.low + ours.high.T == pytest.approx(np.ones((k, k)))
    assert (np.diag(ours.low) == 0.5).all()
    assert (ours.low <= ours.probability).all()
    assert (ours.probability <= ours.high).all()
    stretched = np.exp(scores) * (1 + np.arange(len(scores)))[:, None, None]  # a scale per problem
    again = improvement(stretched, paired=paired)
    assert np.array_equal(again.probability, ours.probability)
    assert np.array_equal(again.low, ours.low)


def test_seeds_that_repeats_share_matter_only_if_they_are_paired():
    seeds = 10.0 * np.arange(8)[None, :, None]
    scores = seeds + np.array([0.0, 1.0])  # always a little better with the same seed
    assert improvement(scores).probability[0, 1] == 1.0
    assert improvement(scores, paired=False).probability[0, 1] == 36 / 64
    assert improvement(scores).n == (1, 8)


def test_problems_that_are_alike_shorten_the_interval_as_more_repeats_do():
    scores = np.random.default_rng(2).normal([0, 0.5], 1.0, size=(1, 12, 2))
    for paired in (True, False):
        one, four = (improvement(np.tile(scores, (k, 1, 1)), paired=paired) for k in (1, 4))
        lengths = [i.high[0, 1] - i.low[0, 1] for i in (one, four)]
        assert lengths[1] == pytest.approx(lengths[0] / 2, rel=0.15)


@pytest.mark.parametrize(("problems", "n"), [(1, 5), (1, 20), (5, 5), (5, 10), (5, 20)])
@pytest.mark.parametrize("chance", [0.5, 0.8, 0.95])
def test_across_repeats_the_interval_keeps_its_level_for_heavy_tails(problems, n, chance):
    rng = np.random.default_rng([problems, n])
    scores = rng.standard_cauchy(size=(300, problems, n, 2))
    scores[..., 1] += 2 * np.tan(np.pi * (chance - 0.5))
    found = [improvement(s, paired=False) for s in scores]
    covered = sum(i.low[0, 1] <= chance <= i.high[0, 1] for i in found)
    assert covered >= oracle.binom.ppf(0.001, 300, 0.95)


@pytest.mark.parametrize("problems", [1, 4])
def test_against_deterministic_treatments_the_wins_of_all_repeats_are_a_binomial_number(problems):
    rng = np.random.default_rng(problems)
    scores = np.stack([rng.normal(size=(problems, 5)), np.full((problems, 5), 0.3)], axis=2)
    scores += 10.0 * np.arange(problems)[:, None, None]
    across, within = (improvement(scores, paired=paired) for paired in (False, True))
    assert across.probability == pytest.approx(within.probability)
    assert across.low == pytest.approx(within.low)
    assert across.high == pytest.approx(within.high)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("chances", [[0.5] * 4, [0.8] * 4, [0.3, 0.6, 0.9, 0.99]])
def test_the_interval_covers_the_mean_probability_over_problems(paired, chances):
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(300, 4, 8, 2))
    scores[..., 1] += np.sqrt(2) * oracle.norm.ppf(chances)[:, None]
    found = [improvement(s, paired=paired) for s in scores]
    covered = sum(i.low[0, 1] <= np.mean(chances) <= i.high[0, 1] for i in found)
    assert covered >= oracle.binom.ppf(0.001, 300, 0.94)


def test_a_clear_difference_is_found():
    better = np.random.default_rng(4).normal([0.0, 1.0], size=(100, 4, 15, 2))
    for paired in (True, False):
        assert np.mean([improvement(s, paired=paired).low[0, 1] > 0.5 for s in better]) > 0.9


def test_a_failed_run_loses():
    scores = np.array([[[1.0, np.inf], [2.0, 3.0]]])
    assert improvement(scores).probability[0, 1] == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: interquartile_mean([1.0, 2.0]), r"\(problems, repeats\), got shape \(2,\)"),
        (lambda: interquartile_mean([[1.0], [2.0]]), r"2 repeats .* \(2, 1\); run more repeats"),
        (lambda: interquartile_mean([[1.0, np.inf]]), "finite"),
        (lambda: interquartile_mean([[1.0, 2.0], [1.0]]), "rows of equal length"),
        (lambda: interquartile_mean([[1.0, 2.0]], level=2), "between 0 and 1"),
        (lambda: improvement(np.ones((2, 3))), r"\(problems, repeats, treatments\)"),
        (lambda: improvement(np.ones((2, 3, 1))), "at least 2 treatments"),
        (lambda: improvement([[[1.0, np.nan], [1.0, 1.0]]]), "NaN"),
        (lambda: improvement(np.ones((2, 3, 2)), level=1), "between 0 and 1"),
        (lambda: improvement(np.ones((2, 3, 2)), paired="no"), "True or False"),
    ],
)
def test_bad_input_raises_an_error_that_states_what_was_expected(call, message):
    with pytest.raises(StatisticsError, match=message):
        call()
