from importlib import import_module
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats as oracle

from metaopt.stats import (
    StatisticsError,
    friedman,
    friedman_permutation,
    paired_t,
    permutation,
    smallest_p,
)

# Darwin's maize, in eighths of an inch: crossed minus self-fertilised, 15 pairs.
MAIZE = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48], dtype=float)
tables = hnp.arrays(
    np.float64,
    st.tuples(st.integers(2, 4), st.integers(2, 3)),
    elements=st.integers(0, 3).map(float),
)


def test_fisher_1935_counts_1726_of_32768_sign_vectors_for_darwins_maize():
    # The Design of Experiments, section 21: 5.267 %, where the t test gives 4.970 %.
    outcome = permutation(MAIZE, np.zeros(15))
    assert outcome.p == 1726 / 32768
    assert outcome.exact and outcome.statistic == pytest.approx(314 / 15)
    assert paired_t(MAIZE, np.zeros(15)).p == pytest.approx(0.04970, abs=5e-6)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=9))
def test_the_exact_p_equals_enumeration_of_all_signs(d):
    d = np.array(d, dtype=float) / 10  # tenths: sums that are equal except for rounding errors
    sums = np.array([np.dot(10 * d, s).round() for s in product((-1, 1), repeat=len(d))])
    expected = np.mean(np.abs(sums) >= abs((10 * d).round().sum()))
    assert permutation(d, np.zeros(len(d))).p == expected
    assert permutation(np.zeros(len(d)), d).p == expected


def test_the_exact_p_equals_scipys():
    x, y = np.random.default_rng(0).normal([[0.0], [0.6]], size=(2, 11))
    theirs = oracle.permutation_test(
        (x, y), lambda a, b, axis: np.mean(a - b, axis=axis), permutation_type="samples",
        vectorized=True, n_resamples=np.inf,
    )  # fmt: skip
    assert permutation(x, y).p == pytest.approx(theirs.pvalue, rel=1e-12)


def test_monte_carlo_agrees_with_the_exact_count_and_is_reproducible():
    permutation_module = import_module("metaopt.stats.permutation")

    drawn = permutation_module._some_signs(MAIZE, 314 - 1e-9, 40_000, seed=0)
    error = np.sqrt(0.05 * 0.95 / 40_000)
    assert drawn == pytest.approx(1726 / 32768, abs=4 * error)
    x, y = np.random.default_rng(1).normal(size=(2, 60))
    outcome = permutation(x, y, samples=5000)
    assert outcome == permutation(x, y, samples=5000) and not outcome.exact
    assert outcome != permutation(x, y, samples=5000, seed=1)


def test_a_drawn_p_is_never_zero():
    assert permutation(np.arange(1.0, 61), np.zeros(60), samples=999).p == 1 / 1000


@pytest.mark.parametrize("n", [1, 3, 8, 20])
def test_differences_of_one_sign_have_the_smallest_p(n):
    assert permutation(np.arange(1.0, n + 1), np.zeros(n)).p == min(1.0, smallest_p(n))


def test_no_difference_gives_p_one_and_zeros_change_nothing():
    assert permutation([1.0, 2.0], [1.0, 2.0]).p == 1.0
    d = np.array([3.0, -1.0, 2.0, 5.0])
    with_zeros = np.concatenate([d, np.zeros(30)])
    assert permutation(with_zeros, np.zeros(34)).p == permutation(d, np.zeros(4)).p


# Exact tail probabilities as in the classical tables (Friedman 1937; Siegel 1956, table N).
@pytest.mark.parametrize(
    ("rows", "statistic", "p"),
    [
        ([[1, 2, 3]] * 3, 6.0, 0.028),
        ([[1, 2, 3]] * 4, 8.0, 0.0046),
        ([[1, 2, 3]] * 3 + [[1, 3, 2]], 6.5, 0.042),
        ([[1, 2, 3, 4]] * 2, 6.0, 0.042),
        ([[1, 2, 3, 4], [1, 2, 4, 3], [2, 1, 3, 4]], 7.4, 0.033),
    ],
)
def test_friedmans_exact_distribution_is_that_of_the_published_tables(rows, statistic, p):
    outcome = friedman_permutation(rows)
    assert outcome.statistic == pytest.approx(statistic)
    assert outcome.p == pytest.approx(p, abs=0.5 * 10.0 ** -(4 if p < 0.01 else 3))
    assert outcome.exact


@given(tables)
@settings(max_examples=60, deadline=None)
def test_friedmans_exact_p_equals_enumeration_with_ties_too(scores):
    observed = friedman(scores).statistic
    shuffled = product(*([list(p) for p in permutations(row)] for row in scores))
    hits = [friedman(np.array(s)).statistic >= observed - 1e-9 for s in shuffled]
    assert friedman_permutation(scores).p == pytest.approx(np.mean(hits), rel=1e-10)


def test_drawn_arrangements_agree_with_the_exact_count():
    permutation_module = import_module("metaopt.stats.permutation")

    rows = np.random.default_rng(2).permuted(np.tile(np.arange(1, 5), (6, 1)), axis=1)
    p, exact = permutation_module.arranged(rows, 1, 0)
    observed = int(permutation_module._spread(rows.sum(axis=0)[None, :])[0])
    drawn = permutation_module._some_arrangements(rows, observed, 20_000, seed=0)
    assert exact and drawn == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / 20_000))


def test_drawing_in_parts_changes_only_the_draws(monkeypatch):
    permutation_module = import_module("metaopt.stats.permutation")

    rows = np.tile(np.arange(1, 4), (5, 1))
    rows[0] = [2, 1, 3]
    observed = int(permutation_module._spread(rows.sum(axis=0)[None, :])[0])
    exact, _ = permutation_module.arranged(rows, 1, 0)
    monkeypatch.setattr(permutation_module, "CHUNK", 15_000)
    assert permutation_module._some_arrangements(rows, observed, 20_000, 0) == pytest.approx(
        exact, abs=4 * np.sqrt(exact / 20_000)
    )
    drawn = permutation_module._some_signs(MAIZE, 314 - 1e-9, 20_000, seed=0)
    assert drawn == pytest.approx(1726 / 32768, abs=4 * np.sqrt(0.05 / 20_000))


def test_many_blocks_use_monte_carlo_and_come_near_the_chi_square():
    scores = np.random.default_rng(3).normal([0, 0.3, 0, 0, 0.2], size=(40, 5))
    outcome = friedman_permutation(scores, samples=4000)
    assert not outcome.exact and "drawn" in outcome.method
    assert outcome.p == pytest.approx(friedman(scores).p, abs=0.03)
    assert friedman_permutation(np.random.default_rng(4).normal(size=(3, 9)), samples=99).p >= 0.01


def test_all_tied_blocks_give_p_one():
    assert friedman_permutation(np.ones((4, 3))).p == 1.0


@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_blocks_and_treatments_does_not_matter(scores, random):
    rows, columns = list(range(scores.shape[0])), list(range(scores.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    again = friedman_permutation(scores[rows][:, columns])
    assert again.p == pytest.approx(friedman_permutation(scores).p, rel=1e-10)


def test_under_the_null_both_keep_their_level(rejections):
    rng = np.random.default_rng(5)
    rejections([permutation(*xy).p for xy in rng.normal(size=(1500, 2, 9))])
    rejections([permutation(*xy, samples=200).p for xy in rng.normal(size=(1000, 2, 25))])
    rejections([friedman_permutation(s).p for s in rng.normal(size=(1000, 4, 3))])
    rejections([friedman_permutation(s).p for s in rng.integers(0, 3, size=(1000, 5, 3))])


def test_both_detect_a_true_difference():
    rng = np.random.default_rng(6)
    d = rng.normal(1.0, size=(300, 12))
    assert np.mean([permutation(row, np.zeros(12)).p <= 0.05 for row in d]) > 0.8
    s = rng.normal([0, 1.5, 3], size=(300, 5, 3))
    assert np.mean([friedman_permutation(row).p <= 0.05 for row in s]) > 0.8


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: permutation([1.0], [1.0, 2.0]), "paired"),
        (lambda: permutation([1.0], [np.nan]), "NaN"),
        (lambda: permutation([1.0], [2.0], samples=0), "samples .* at least 1, got 0"),
        (lambda: permutation([1.0], [2.0], samples=True), "samples"),
        (lambda: friedman_permutation([[1.0, 2.0]]), "at least 2 blocks"),
        (lambda: friedman_permutation([[1.0, 2.0], [1.0, np.nan]]), "NaN"),
        (lambda: friedman_permutation([[1.0, 2.0], [1.0, 3.0]], samples=1.5), "got 1.5"),
    ],
)
def test_bad_input_raises_an_error_that_states_what_was_expected(call, message):
    with pytest.raises(StatisticsError, match=message):
        call()
