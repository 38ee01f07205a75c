import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from metaopt.stats import (
    StatisticsError,
    conover,
    critical_difference,
    critical_groups,
    mean_ranks,
    nemenyi,
    pairwise,
)
from metaopt.stats.critical_difference import _runs

TESTS = {"wilcoxon": pairwise, "nemenyi": nemenyi, "conover": conover}
tables = hnp.arrays(np.bool_, st.integers(2, 7).map(lambda k: (k, k)))


def test_demsar_2006_finds_one_group_at_5_percent_and_two_at_10(auc):
    # Columns: C4.5, C4.5+m, C4.5+cf, C4.5+m+cf (figure 1a and its text).
    strict, loose = (critical_groups(-auc, level, "nemenyi") for level in (0.05, 0.10))
    assert strict.order == loose.order == (3, 1, 2, 0)
    assert strict.groups == ((3, 1, 2, 0),)
    assert loose.groups == ((3, 1, 2), (2, 0))
    assert loose.difference == critical_difference(4, 14, 0.10) == pytest.approx(1.12, abs=5e-3)
    assert strict.ranks == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)


def test_garcia_and_herrera_2008_fall_into_overlapping_groups(accuracy):
    found = critical_groups(-accuracy, 0.05, "nemenyi")
    # scmamp's vignette: C4.5 differs from 1-NN and kernel, naive Bayes and CN2 from kernel. Its
    # critical difference of 1.1277 is for 145 degrees of freedom; for normal ranks it is 1.1136.
    assert found.difference == pytest.approx(1.1136, abs=1e-4)
    assert found.order == (0, 2, 4, 1, 3)
    assert found.groups == ((0, 2, 4), (2, 4, 1), (1, 3))


@given(tables)
def test_groups_are_the_longest_runs_in_which_no_pair_differs(table):
    alike = (table & table.T) | np.eye(len(table), dtype=bool)
    k = len(alike)
    runs = [(a, b) for a in range(k) for b in range(a + 2, k + 1) if alike[a:b, a:b].all()]
    within = {(a, b) for a, b in runs for c, d in runs if c <= a and b <= d and (c, d) != (a, b)}
    assert _runs(alike) == [run for run in runs if run not in within]


@pytest.mark.parametrize("test", sorted(TESTS))
@settings(max_examples=30, deadline=None)
@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(6, 12), st.integers(2, 5)),
        elements=st.integers(-9, 9).map(float),
    )
)
def test_pairs_in_a_group_do_not_differ_and_all_others_differ_or_are_listed(test, scores):
    found, table = critical_groups(scores, 0.1, test), TESTS[test](scores).table()
    assert sorted(found.order) == list(range(scores.shape[1]))
    assert np.all(np.diff(mean_ranks(scores)[list(found.order)]) >= 0)
    together = {frozenset((i, j)) for g in found.groups for i in g for j in g if i != j}
    listed = {frozenset(pair) for pair in found.unbarred}
    assert not together & listed
    k = scores.shape[1]
    for i in range(k):
        for j in range(i + 1, k):
            assert (frozenset((i, j)) in together | listed) == (table[i, j] > 0.1)


def test_pairs_that_no_bar_can_show_are_listed():
    # A noisy treatment differs from neither of two others that differ, and may rank outside them.
    rng, seen = np.random.default_rng(0), 0
    for scores in rng.normal([0, 0.9, 1.0, 0.8], [0.1, 0.1, 3.0, 0.1], size=(100, 12, 4)):
        found, table = critical_groups(scores), pairwise(scores).table()
        barred = {frozenset((i, j)) for g in found.groups for i in g for j in g if i != j}
        alike = {frozenset((i, j)) for i in range(4) for j in range(i) if table[i, j] > 0.05}
        assert {frozenset(pair) for pair in found.unbarred} == alike - barred
        seen += bool(found.unbarred)
        assert found.difference is None
    assert seen > 20


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: critical_groups(np.ones((3, 2)), test="tukey"), "wilcoxon, nemenyi, conover, got"),
        (lambda: critical_groups(np.ones((3, 2)), level=5), "such as 0.95, got 5"),
        (lambda: critical_groups([[1.0, 2.0]]), "at least 2 blocks"),
    ],
)
def test_bad_input_raises_an_error_that_states_what_was_expected(call, message):
    with pytest.raises(StatisticsError, match=message):
        call()
