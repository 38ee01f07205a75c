import numpy as np
import pytest
import scikit_posthocs as posthocs
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats as oracle
from statsmodels.stats import multitest

from metaopt.stats import (
    StatisticsError,
    against_control,
    conover,
    critical_difference,
    friedman,
    mean_ranks,
    nemenyi,
    pairwise,
    permutation,
    rank_sum,
    rank_z,
    shaffer,
    wilcoxon,
)

scores_of_any_kind = hnp.arrays(
    np.float64,
    st.tuples(st.integers(2, 6), st.integers(2, 5)),
    elements=st.integers(-5, 5).map(float),
)
EVERY = [nemenyi, conover, rank_z, pairwise]


def test_garcia_and_herrera_2008_give_the_printed_friedman_and_iman_davenport(accuracy):
    # Ranks of the paper; statistics as printed in the vignette of the R package scmamp.
    assert mean_ranks(-accuracy) == pytest.approx([2.100, 3.250, 2.200, 4.333, 3.117], abs=5e-4)
    outcome = friedman(-accuracy, correct_ties=False)
    assert outcome.statistic == pytest.approx(39.647, abs=5e-4)
    assert outcome.p == pytest.approx(5.121e-08, rel=1e-3)
    assert outcome.f == pytest.approx(14.309, abs=5e-4)
    assert outcome.f_p == pytest.approx(1.593e-09, rel=1e-3)


def test_garcia_and_herrera_2008_give_the_printed_p_values_of_all_pairs(accuracy):
    # friedmanPost in the vignette of the R package scmamp.
    expected = {
        (0, 1): 0.004848763, (0, 2): 0.8064959, (0, 3): 4.486991e-08, (0, 4): 0.012763008,
        (1, 2): 0.010112334, (1, 3): 0.007963489, (1, 4): 0.743971478, (2, 3): 1.736118e-07,
        (2, 4): 0.024744672, (3, 4): 0.002880485,
    }  # fmt: skip
    found = rank_z(-accuracy)
    assert {(p.first, p.second): p.p for p in found.pairs} == pytest.approx(expected, rel=1e-6)
    theirs = multitest.multipletests(list(expected.values()), method="holm")[1]
    assert [p.p_adjusted for p in found.pairs] == pytest.approx(theirs, rel=1e-6)


def test_demsar_2006_table_5_gives_the_critical_values_of_nemenyi():
    unit = [np.sqrt(k * (k + 1) / 6) for k in range(2, 11)]
    for level, printed in [
        (0.05, [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]),
        (0.10, [1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920]),
    ]:
        q = [critical_difference(k, 1, level) / u for k, u in zip(range(2, 11), unit, strict=True)]
        assert q == pytest.approx(printed, abs=1.1e-3)  # the table truncates its digits


def test_demsar_2006_gives_the_printed_critical_differences(auc):
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=5e-3)
    assert critical_difference(4, 14, 0.10) == pytest.approx(1.12, abs=5e-3)
    assert all(p.p > 0.05 for p in nemenyi(-auc).pairs)  # "not powerful enough" at 0.05
    z = rank_z(-auc, control=0)
    assert [abs(p.statistic) for p in z.pairs] == pytest.approx([2.34, 0.51, 2.42], abs=5e-3)
    assert [p.p for p in z.pairs] == pytest.approx([0.019, 0.607, 0.016], abs=2e-3)
    assert [p.p_adjusted <= 0.05 for p in z.pairs] == [True, False, True]  # Holm, section 3.2.2


@pytest.mark.parametrize("level", [0.01, 0.05, 0.2])
def test_a_gap_of_the_critical_difference_has_that_p(level):
    # No mean ranks differ by exactly this much, so p is compared on both sides of it.
    scores = np.random.default_rng(0).normal(size=(12, 5))
    gap = critical_difference(5, 12, level)
    for p in nemenyi(scores).pairs:
        assert (p.p <= level) == (abs(p.difference) >= gap)


def test_all_three_equal_scikit_posthocs(auc, accuracy):
    ties = np.random.default_rng(1).integers(0, 4, size=(9, 4)).astype(float)
    for s in (auc, accuracy, ties):
        assert nemenyi(s).table() == pytest.approx(
            np.asarray(posthocs.posthoc_nemenyi_friedman(s)), abs=1e-9
        )
        assert conover(s).table() == pytest.approx(
            np.asarray(posthocs.posthoc_conover_friedman(s, p_adjust="holm")), rel=1e-8
        )
        theirs = np.asarray(posthocs.posthoc_siegel_friedman(s))
        assert [p.p for p in rank_z(s).pairs] == pytest.approx(
            theirs[np.triu_indices(s.shape[1], 1)], rel=1e-9
        )


def test_conover_is_a_t_test_on_the_residual_of_the_ranks():
    # The two-way analysis of variance of ranks (Conover 1999, section 5.8), by least squares.
    s = np.random.default_rng(2).normal([0, 0, 0.5, 1], size=(8, 4))
    ranks = oracle.rankdata(s, axis=1)
    fitted = ranks.mean(axis=0) + ranks.mean(axis=1, keepdims=True) - ranks.mean()
    mean_square = ((ranks - fitted) ** 2).sum() / 21
    first = conover(s).pairs[0]
    t = (ranks[:, 0] - ranks[:, 1]).mean() / np.sqrt(2 * mean_square / 8)
    assert first.statistic == pytest.approx(t, rel=1e-10)
    assert first.p == pytest.approx(2 * oracle.t.sf(abs(t), 21), rel=1e-10)


def test_pairwise_is_the_signed_rank_test_of_each_pair_with_shaffer_or_against_a_control_holm():
    s = np.random.default_rng(3).normal([0, 0.8, 1, 0], size=(11, 4))
    found = pairwise(s)
    raw = [wilcoxon(s[:, p.first], s[:, p.second]).p for p in found.pairs]
    assert [p.p for p in found.pairs] == raw
    assert [p.p_adjusted for p in found.pairs] == list(shaffer(raw, 4))
    assert "Shaffer" in found.method and "Holm" in pairwise(s, control=1).method
    ours, known = pairwise(s, control=1), against_control(s, 1)
    assert [p.p_adjusted for p in ours.pairs] == [c.p_holm for c in known]
    assert [p.difference for p in ours.pairs] == [c.difference for c in known]


def test_pairwise_takes_other_tests():
    s = np.random.default_rng(4).normal(size=(9, 3))
    assert pairwise(s, permutation).pairs[0].p == permutation(s[:, 0], s[:, 1]).p
    s[0, 1] = np.inf  # a failed run
    found = pairwise(s, rank_sum)
    assert found.pairs[0].p == rank_sum(s[:, 0], s[:, 1]).p
    assert found.pairs[0].difference is None and "rank_sum" in found.method


@pytest.mark.parametrize("test", EVERY)
@given(scores=scores_of_any_kind, random=st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_blocks_and_treatments_does_not_matter(test, scores, random):
    rows, columns = list(range(scores.shape[0])), list(range(scores.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    table = test(scores).table()
    again = test(scores[rows][:, columns]).table()
    assert again == pytest.approx(table[np.ix_(columns, columns)], rel=1e-7)
    assert np.array_equal(table, table.T) and (np.diag(table) == 1).all()
    assert (table >= 0).all() and (table <= 1).all()


@pytest.mark.parametrize("test", [nemenyi, conover, rank_z])
@given(scores=scores_of_any_kind)
@settings(max_examples=30, deadline=None)
def test_tests_of_ranks_are_invariant_to_monotone_transforms(test, scores):
    assert np.array_equal(test(scores).table(), test(np.exp(scores)).table())


@pytest.mark.parametrize("test", EVERY)
def test_all_equal_scores_are_no_evidence(test):
    assert (test(np.ones((5, 3))).table() == 1).all()


def test_perfect_agreement_gives_the_exact_conover_p():
    found = conover(np.tile(np.arange(3.0), (4, 1)))
    assert all(np.isinf(p.statistic) for p in found.pairs)
    assert found.pairs[0].p == pytest.approx(6.0**-3)


def test_only_pairs_with_the_control_are_tested():
    found = conover(np.random.default_rng(5).normal(size=(6, 4)), control=2)
    table = found.table()
    assert np.isnan(table[0, 1]) and not np.isnan(table[2]).any()
    assert len(found.pairs) == 3


@pytest.mark.parametrize(("n", "k"), [(10, 4), (20, 6)])
@pytest.mark.parametrize("test", [nemenyi, conover, rank_z])
def test_under_the_null_the_family_keeps_its_level(test, n, k, rejections):
    scores = np.random.default_rng(n).normal(size=(1500, n, k))
    rejections([min(p.p_adjusted for p in test(s).pairs) for s in scores])


def test_under_the_null_pairwise_keeps_its_level_also_with_few_blocks(rejections):
    rng = np.random.default_rng(6)
    for n, k, runs in [(6, 3, 1000), (12, 4, 500)]:
        rejections(
            [min(p.p_adjusted for p in pairwise(s).pairs) for s in rng.normal(size=(runs, n, k))]
        )


@pytest.mark.parametrize("test", EVERY)
def test_one_better_treatment_is_distinguished_from_the_others(test):
    scores = np.random.default_rng(7).normal([0, 0, -2], size=(100, 15, 3))
    tables = np.array([test(s).table() for s in scores])
    assert np.mean((tables[:, 2, :2] <= 0.05).all(axis=1)) > 0.8
    assert np.mean(tables[:, 0, 1] <= 0.05) < 0.15


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nemenyi([[1.0, 2.0]]), "at least 2 blocks"),
        (lambda: conover([[1.0, np.nan], [1.0, 2.0]]), "NaN"),
        (lambda: rank_z(np.ones((3, 2)), control=2), "control must be a column from 0 to 1, got 2"),
        (lambda: pairwise([1.0, 2.0]), r"\(blocks, treatments\).*got shape \(2,\)"),
        (lambda: pairwise(np.ones((3, 1))), r"at least 2 treatments, got shape \(3, 1\)"),
        (lambda: pairwise([[1, np.inf], [1, 2]]), "finite"),
        (lambda: critical_difference(1, 5), "k must be a whole number of at least 2, got 1"),
        (lambda: critical_difference(3, 0), "n must be"),
        (lambda: critical_difference(3, 5, 1.0), "between 0 and 1"),
    ],
)
def test_bad_input_raises_an_error_that_states_what_was_expected(call, message):
    with pytest.raises(StatisticsError, match=message):
        call()
