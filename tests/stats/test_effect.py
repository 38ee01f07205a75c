import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as oracle

from metaopt.stats import (
    StatisticsError,
    a12,
    bootstrap,
    bootstrap_two,
    cliffs_delta,
    magnitude,
    median_difference,
    shift,
)

samples = st.lists(st.integers(-6, 6).map(float), min_size=1, max_size=15)


def test_a12_of_the_tortoises_and_hares():
    # The classical example of the rank-sum test: order T H H H H H T T T T T H, U = 11 of 36.
    tortoises, hares = [1, 7, 8, 9, 10, 11], [2, 3, 4, 5, 6, 12]
    assert a12(tortoises, hares) == pytest.approx(11 / 36)


@given(samples, samples)
def test_a12_equals_equation_14_of_vargha_and_delaney_with_the_samples_exchanged(x, y):
    # Theirs is the probability that the first is higher: (R1 / m - (m + 1) / 2) / n, R1 a rank sum.
    m, n = len(y), len(x)
    rank_sum = oracle.rankdata(np.concatenate([y, x]))[:m].sum()
    assert a12(x, y) == pytest.approx((rank_sum / m - (m + 1) / 2) / n)


@given(samples, samples)
def test_a12_of_exchanged_samples_adds_up_to_one(x, y):
    assert a12(x, y) == pytest.approx(1 - a12(y, x))


@given(samples, samples)
def test_a12_is_invariant_to_monotone_transforms(x, y):
    assert a12(x, y) == a12(np.exp(x), np.exp(y))


def test_a12_of_lower_values_is_one_since_lower_is_better():
    assert a12([1, 2], [3, 4]) == 1.0
    assert a12([3, 4], [1, 2]) == 0.0
    assert a12([5, 5], [5]) == 0.5
    assert a12([1.0], [np.inf]) == 1.0  # a failed run loses


@pytest.mark.parametrize(
    ("a", "word"),
    [
        (0.5, "negligible"), (0.55, "negligible"), (0.56, "small"), (0.64, "medium"),
        (0.71, "large"), (1.0, "large"), (0.44, "small"), (0.36, "medium"), (0.29, "large"),
    ],
)  # fmt: skip
def test_magnitudes_follow_vargha_and_delaney(a, word):
    assert magnitude(a) == word


def test_median_difference_is_the_median_of_walsh_averages():
    # d = 1, 2, 6: averages 1, 1.5, 2, 3.5, 4, 6.
    assert median_difference([1, 2, 6], [0, 0, 0]) == 2.75
    assert median_difference([0, 0, 0], [1, 2, 6]) == -2.75
    assert median_difference([1.0], [1.0]) == 0


def test_hollander_and_wolfe_print_these_shifts():
    # The data of R's examples of wilcox.test (Hollander and Wolfe 1973, pp. 29 and 69), where
    # conf.int=TRUE estimates 0.46 for the paired depression scores, 0.305 for the placentas.
    first = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
    second = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
    assert median_difference(first, second) == pytest.approx(0.46, abs=5e-4)
    term = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
    early = [1.15, 0.88, 0.90, 0.74, 1.21]
    assert shift(early, term) == pytest.approx(-0.305)


@given(samples, samples)
def test_cliffs_delta_counts_wins_minus_losses(x, y):
    wins = sum(a < b for a in x for b in y) - sum(a > b for a in x for b in y)
    assert cliffs_delta(x, y) == pytest.approx(wins / (len(x) * len(y)))
    assert cliffs_delta(x, y) == pytest.approx(-cliffs_delta(y, x))


@given(samples, samples)
def test_the_shift_moves_with_its_samples(x, y):
    base = shift(x, y)
    assert shift(np.array(x) + 2, y) == base + 2
    assert shift(y, x) == -base
    assert shift(3 * np.array(x), 3 * np.array(y)) == 3 * base
    # After subtracting the shift, neither sample tends to be lower.
    assert abs(cliffs_delta(np.array(x) - base, y)) <= 0.5 + 1e-12 or len(x) * len(y) < 4


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("effect", [a12, cliffs_delta, shift, median_difference])
def test_the_interval_of_an_effect_is_scipys_percentile_interval(effect, paired):
    if effect is median_difference and not paired:
        return
    x, y = np.random.default_rng(4).normal([[0.0], [0.7]], size=(2, 20))
    ours = bootstrap_two(x, y, effect, paired=paired, n=3000)
    theirs = oracle.bootstrap(
        (x, y), effect, n_resamples=3000, method="percentile", paired=paired, vectorized=False,
        rng=np.random.default_rng(5),
    ).confidence_interval  # fmt: skip
    # Two bootstraps of 3,000 resamples: the error of each bound is about 2 % of the length.
    off = 0.09 * (theirs.high - theirs.low)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=off)
    assert ours.estimate == effect(x, y) and ours.low < ours.estimate < ours.high
    assert ours == bootstrap_two(x, y, effect, paired=paired, n=3000)
    assert ours != bootstrap_two(x, y, effect, paired=paired, n=3000, seed=1)


def test_the_interval_of_an_effect_covers_it_about_as_often_as_its_level():
    samples = np.random.default_rng(6).normal([[0.0], [1.0]], size=(150, 2, 25))
    found = [bootstrap_two(x, y, shift, n=300, seed=i) for i, (x, y) in enumerate(samples)]
    covered = sum(i.low <= -1 <= i.high for i in found)
    assert oracle.binom.ppf(0.001, 150, 0.91) <= covered <= oracle.binom.ppf(0.999, 150, 0.97)


def test_a_failed_run_counts_in_the_interval_of_a12():
    found = bootstrap_two([1.0, 2.0, np.inf], [3.0, 4.0, 5.0])
    assert found.estimate == pytest.approx(2 / 3) and 0 <= found.low <= found.high <= 1


def test_the_bootstrap_is_reproducible_and_uses_no_global_generator():
    x = np.random.default_rng(0).normal(size=12)
    before = np.random.get_state(legacy=False)  # noqa: NPY002
    state = random.getstate()
    first, second, other = (bootstrap(x, np.mean, seed=seed) for seed in (0, 0, 1))
    after = np.random.get_state(legacy=False)  # noqa: NPY002
    assert first == second != other
    assert random.getstate() == state
    assert np.array_equal(before["state"]["key"], after["state"]["key"])
    assert before["state"]["pos"] == after["state"]["pos"]


def test_the_bootstrap_of_a_mean_equals_scipys_percentile_interval():
    x = np.random.default_rng(1).gamma(2, size=40)
    ours = bootstrap(x, np.mean, n=20_000)
    theirs = oracle.bootstrap(
        (x,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(5)
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.02)
    assert ours.high == pytest.approx(theirs.high, abs=0.02)
    assert ours.estimate == x.mean()


def test_a_statistic_without_axis_gives_the_same_interval():
    x = np.random.default_rng(2).normal(size=9)
    assert bootstrap(x, lambda values: np.median(values)) == bootstrap(x, np.median)
    assert bootstrap(x, max, n=50).high == x.max()


def test_the_interval_covers_the_median_about_as_often_as_its_level():
    rng, runs = np.random.default_rng(3), 400
    intervals = [bootstrap(x, n=400, seed=i) for i, x in enumerate(rng.normal(size=(runs, 25)))]
    covered = sum(interval.low <= 0 <= interval.high for interval in intervals)
    assert oracle.binom.ppf(0.001, runs, 0.92) <= covered <= oracle.binom.ppf(0.999, runs, 0.97)


def test_equal_values_give_an_interval_of_length_zero():
    interval = bootstrap([2.0, 2.0, 2.0])
    assert interval.low == interval.estimate == interval.high == 2.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: a12([], [1.0]), "x needs at least 1 values, got 0"),
        (lambda: a12([1.0], [np.nan]), "y must not hold NaN"),
        (lambda: magnitude(1.5), "between 0 and 1, got 1.5"),
        (lambda: median_difference([1.0], [1.0, 2.0]), "paired"),
        (lambda: cliffs_delta([], [1.0]), "at least 1 values"),
        (lambda: shift([np.inf], [1.0]), "finite"),
        (lambda: bootstrap_two([1.0], [1.0, 2.0]), "x needs at least 2 values"),
        (lambda: bootstrap_two([1.0, 2.0], [1.0, 2.0, 3.0], paired=True), "paired"),
        (lambda: bootstrap_two([1.0, 2.0], [1.0, np.inf], shift), "finite"),
        (lambda: bootstrap_two([1.0, 2.0], [1.0, 3.0], n=2.5), "whole number.*got 2.5"),
        (lambda: bootstrap_two([1.0, 2.0], [1.0, 3.0], level=0), "between 0 and 1"),
        (lambda: bootstrap([1.0]), "at least 2 values, got 1"),
        (lambda: bootstrap([1.0, np.inf]), "finite"),
        (lambda: bootstrap([1.0, 2.0], level=95), "between 0 and 1, such as 0.95, got 95"),
        (lambda: bootstrap([1.0, 2.0], n=0), "n must be a whole number of at least 1, got 0"),
        (lambda: bootstrap([1.0, 2.0], lambda v: v), "one number per sample, got shape"),
    ],
)
def test_bad_input_raises_an_error_that_states_what_was_expected(call, message):
    with pytest.raises(StatisticsError, match=message):
        call()


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("effect", [a12, cliffs_delta])
def test_the_fast_bootstrap_of_ranks_is_the_plain_one(effect, paired):
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 9)).round(1)
    x[2] = np.inf
    fast = bootstrap_two(x, y, effect, paired=paired, n=300, seed=4)
    draws = np.random.Generator(np.random.PCG64(4))
    rows = draws.integers(9, size=(300, 9))
    columns = rows if paired else draws.integers(9, size=(300, 9))
    plain = [effect(x[i], y[j]) for i, j in zip(rows, columns, strict=True)]
    assert (fast.low, fast.high) == pytest.approx(np.quantile(plain, [0.025, 0.975]))
