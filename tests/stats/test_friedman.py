import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats as oracle

from metaopt.stats import (
    StatisticsError,
    a12,
    against_control,
    block_ranks,
    friedman,
    holm,
    holm_levels,
    mean_ranks,
    median_difference,
    wilcoxon,
)

scores_of_any_kind = hnp.arrays(
    np.float64,
    st.tuples(st.integers(2, 6), st.integers(2, 6)),
    elements=st.integers(-5, 5).map(float),
)
p_values = st.lists(st.floats(0, 1), max_size=12)


def test_demsar_2006_table_6_gives_the_printed_ranks(auc):
    assert mean_ranks(-auc) == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)


def test_demsar_2006_gives_the_printed_friedman_and_iman_davenport(auc):
    outcome = friedman(-auc, correct_ties=False)
    assert outcome.statistic == pytest.approx(9.28, abs=5e-3)
    assert outcome.f == pytest.approx(3.69, abs=5e-3)
    # Critical value of F(3, 39) at 0.05, as printed: 2.85.
    assert outcome.f_p < 0.05 < oracle.f.sf(2.84, 3, 39)
    assert outcome.f_p == pytest.approx(oracle.f.sf(outcome.f, 3, 39), rel=1e-12)


def test_with_ties_the_statistic_equals_scipys(auc):
    ours, theirs = friedman(-auc), oracle.friedmanchisquare(*-auc.T)
    assert ours.statistic == pytest.approx(theirs.statistic, rel=1e-10)
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-10)


def test_iman_davenport_equals_the_analysis_of_variance_of_ranks(auc):
    # Conover (1999, eq. 5.8.5): the same F, from sums of squares.
    ranks = block_ranks(-auc)
    n, k = ranks.shape
    between = n * np.sum((ranks.mean(axis=0) - (k + 1) / 2) ** 2)
    total = np.sum((ranks - (k + 1) / 2) ** 2)
    assert friedman(-auc).f == pytest.approx((n - 1) * between / (total - between), rel=1e-12)


def test_scikit_posthocs_agrees_on_friedman_posthoc_ranks(auc):
    posthocs = pytest.importorskip("scikit_posthocs")
    n, k = auc.shape
    z = (mean_ranks(-auc)[1:] - mean_ranks(-auc)[0]) / math.sqrt(k * (k + 1) / (6 * n))
    expected = 2 * oracle.norm.sf(np.abs(z))
    # Its Siegel-Castellan comparison is the z of mean ranks that Demsar prints in table 7.
    theirs = np.asarray(posthocs.posthoc_siegel_friedman(-auc))[0, 1:]
    assert theirs == pytest.approx(expected, rel=1e-10)
    assert np.abs(z) == pytest.approx([2.342, 0.512, 2.416], abs=1e-3)


def test_holm_of_demsar_2006_rejects_two_of_three():
    adjusted = holm([0.019, 0.607, 0.016])  # section 3.2.2, against C4.5
    assert adjusted == pytest.approx([0.048, 0.607, 0.048])
    assert (adjusted <= 0.05).tolist() == [True, False, True]


def test_holm_of_the_textbook_example():
    # Four hypotheses at 0.05, of which the first and the fourth are rejected.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(p_values)
def test_holm_is_monotone_and_never_below_the_raw_p_values(p):
    adjusted, p = holm(p), np.array(p)
    assert np.all(adjusted >= p) and np.all(adjusted <= 1)
    assert np.all(np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0)


def test_holm_equals_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = np.random.default_rng(0).uniform(size=25) ** 3
    assert holm(p) == pytest.approx(multitest.multipletests(p, method="holm")[1], rel=1e-12)


@given(scores_of_any_kind)
def test_ranks_equal_scipys_and_are_invariant_to_monotone_transforms(scores):
    ranks = block_ranks(scores)
    assert np.array_equal(ranks, oracle.rankdata(scores, axis=1))
    assert np.array_equal(ranks, block_ranks(np.exp(scores)))
    assert np.array_equal(ranks, block_ranks(scores**3 - 7))


@given(scores_of_any_kind, st.randoms(use_true_random=False))
def test_friedman_ignores_the_order_of_blocks_and_treatments(scores, random):
    rows, columns = list(range(scores.shape[0])), list(range(scores.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    a, b = friedman(scores), friedman(scores[rows][:, columns])
    assert a.statistic == pytest.approx(b.statistic) and a.f_p == pytest.approx(b.f_p)
    assert 0 <= a.p <= 1 and 0 <= a.f_p <= 1


def test_all_equal_scores_are_no_evidence():
    outcome = friedman(np.ones((5, 3)))
    assert (outcome.statistic, outcome.p, outcome.f, outcome.f_p) == (0.0, 1.0, 0.0, 1.0)
    assert outcome.ranks == (2.0, 2.0, 2.0)


@pytest.mark.parametrize(("n", "k"), [(2, 2), (2, 3), (4, 3), (9, 5)])
def test_perfect_agreement_has_an_infinite_f_and_the_exact_p(n, k):
    outcome = friedman(np.tile(np.arange(k), (n, 1)))
    assert outcome.f == math.inf
    assert outcome.f_p == pytest.approx(math.factorial(k) ** (1.0 - n))
    assert outcome.p >= outcome.f_p


def test_a_failed_run_has_the_worst_rank():
    assert mean_ranks([[1.0, np.inf, 2.0], [3.0, np.inf, np.inf]]).tolist() == [1.0, 2.75, 2.25]


@pytest.mark.parametrize(("n", "k"), [(3, 3), (5, 4), (8, 4), (12, 6)])
def test_under_the_null_friedman_keeps_its_level(n, k):
    rng, runs = np.random.default_rng(n), 2000
    p = np.array([friedman(s).p for s in rng.normal(size=(runs, n, k))])
    for level in (0.01, 0.05, 0.2):
        assert np.sum(p <= level) <= oracle.binom.ppf(0.999, runs, level)


def test_under_the_null_iman_davenport_keeps_its_level_with_enough_blocks():
    rng, runs = np.random.default_rng(1), 2000
    p = np.array([friedman(s).f_p for s in rng.normal(size=(runs, 20, 7))])
    for level in (0.01, 0.05, 0.2):
        assert np.sum(p <= level) <= oracle.binom.ppf(0.999, runs, level)


def test_under_the_null_against_control_keeps_its_family_wise_level():
    rng, runs = np.random.default_rng(2), 1000
    families = [against_control(s, 0) for s in rng.normal(size=(runs, 10, 4))]
    smallest = np.array([min(c.p_holm for c in family) for family in families])
    for level in (0.05, 0.2):
        assert np.sum(smallest <= level) <= oracle.binom.ppf(0.999, runs, level)


def test_against_control_combines_wilcoxon_a12_difference_and_holm():
    s = np.random.default_rng(4).normal([0, -1, 0.2], 1.0, size=(12, 3))
    first, second = against_control(s, 1)
    assert (first.treatment, second.treatment) == (0, 2)
    assert first.p == wilcoxon(s[:, 0], s[:, 1]).p
    assert first.a12 == a12(s[:, 0], s[:, 1]) < 0.5 < first.difference + 0.5
    assert second.difference == median_difference(s[:, 2], s[:, 1])
    assert [first.p_holm, second.p_holm] == list(holm([first.p, second.p]))
    assert first.n == 12


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: friedman([[1.0, 2.0]]), "at least 2 blocks .* got 1 x 2; run more repeats"),
        (lambda: friedman([[1.0], [2.0]]), "got 2 x 1"),
        (lambda: friedman([1.0, 2.0]), r"shape \(blocks, treatments\), got shape \(2,\)"),
        (lambda: friedman([[1.0, np.nan], [1.0, 2.0]]), r"NaN, got one at \[0, 1\].*\+inf"),
        (lambda: mean_ranks([[1.0, 2.0], [1.0]]), "rows of equal length"),
        (lambda: holm([0.1, 1.2]), "between 0 and 1, got"),
        (lambda: holm([np.nan]), "NaN"),
        (lambda: against_control(np.ones((3, 2)), 2), "column from 0 to 1, got 2"),
        (lambda: against_control([[1, np.inf], [1, 2]], 0), "scores must be finite"),
    ],
)
def test_bad_input_raises_an_error_that_states_what_was_expected(call, message):
    with pytest.raises(StatisticsError, match=message):
        call()


def by_closure(p, weights):
    """Adjusted p-values of the closed procedure: weighted Bonferroni for every intersection."""
    m = len(p)
    sets = [s for r in range(1, m + 1) for s in itertools.combinations(range(m), r)]
    local = {
        s: min(1.0, min(sum(weights[j] for j in s) / weights[i] * p[i] for i in s)) for s in sets
    }
    return [max(local[s] for s in sets if i in s) for i in range(m)]


def test_holm_with_weights_is_the_closed_procedure():
    rng = np.random.default_rng(2)
    for _ in range(40):
        p, weights = rng.random(5) ** 3, rng.random(5) + 0.05
        np.testing.assert_allclose(holm(p, weights), by_closure(p, weights))
        np.testing.assert_allclose(holm(p), holm(p, np.full(5, 7.0)))


def test_a_p_value_passes_its_level_exactly_where_it_is_significant_after_the_correction():
    rng = np.random.default_rng(3)
    for _ in range(200):
        p, weights = rng.random(6) ** 4, rng.random(6) + 0.05
        levels = holm_levels(p, 0.05, weights)
        np.testing.assert_array_equal(p <= levels, holm(p, weights) <= 0.05)
        assert (levels <= 0.05 + 1e-15).all()


def test_levels_of_a_single_hypothesis_and_of_none():
    assert holm_levels([0.2], 0.05).tolist() == [0.05]
    assert holm_levels([]).tolist() == holm([]).tolist() == []
    for weights in ([1.0], [1.0, 0.0], [1.0, -1.0]):
        with pytest.raises(StatisticsError, match="weights"):
            holm([0.1, 0.2], weights)
