"""Shaffer's correction against published values, Holm's method and the closed procedure."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from metaopt.stats import StatisticsError, holm, rank_z, shaffer, shaffer_levels
from metaopt.stats.shaffer import true_together

families = st.integers(2, 5).flatmap(
    lambda k: st.tuples(
        st.just(k),
        st.lists(st.floats(0, 1), min_size=k * (k - 1) // 2, max_size=k * (k - 1) // 2),
    )
)


def partitions(items):
    """All ways to divide items into groups of equal treatments."""
    if not items:
        yield []
        return
    for size in range(len(items)):
        for friends in combinations(items[1:], size):
            rest = [x for x in items[1:] if x not in friends]
            for others in partitions(rest):
                yield [(items[0], *friends), *others]


def closed(p, k):
    """Adjusted p-values of the closed procedure with Bonferroni tests (Bergmann and Hommel)."""
    pairs = list(combinations(range(k), 2))
    out = np.array(p, dtype=float)
    for groups in partitions(list(range(k))):
        true = [i for i, (a, b) in enumerate(pairs) if any(a in g and b in g for g in groups)]
        if true:
            joint = min(1.0, len(true) * min(p[i] for i in true))
            out[true] = np.maximum(out[true], joint)
    return out


def test_the_possible_numbers_of_true_hypotheses_are_those_of_garcia_and_herrera_2008():
    assert true_together(4) == (0, 1, 2, 3, 6)
    assert true_together(5) == (0, 1, 2, 3, 4, 6, 10)


@pytest.mark.parametrize("k", range(1, 7))
def test_they_are_the_numbers_of_equal_pairs_of_all_partitions(k):
    found = {sum(len(g) * (len(g) - 1) // 2 for g in p) for p in partitions(list(range(k)))}
    assert set(true_together(k)) == found


def test_the_printed_p_values_of_the_package_scmamp():
    # `friedmanAlignedRanksPost` and `adjustShaffer` of the data of Garcia and Herrera (2008), as
    # printed in the vignette "Statistical assessment of the differences" of the R package scmamp.
    raw = [
        1.174850e-03, 3.341698e-01, 2.843421e-10, 1.845167e-02, 2.265711e-02,
        2.197407e-03, 3.742777e-01, 9.226472e-08, 1.643229e-01, 7.793722e-05,
    ]  # fmt: skip
    adjusted = [
        7.049103e-03, 6.683396e-01, 2.843421e-09, 7.380668e-02, 9.062842e-02,
        1.318444e-02, 6.683396e-01, 5.535883e-07, 4.929688e-01, 4.676233e-04,
    ]  # fmt: skip
    assert shaffer(raw, 5) == pytest.approx(adjusted, rel=1e-6)


def test_garcia_and_herrera_2008_give_the_factors_of_five_classifiers(accuracy):
    # The largest members of S(5) up to 10, 9, ..., 1.
    p = np.array([pair.p for pair in rank_z(-accuracy).pairs])
    order = np.argsort(p)
    factors = np.array([10, 6, 6, 6, 6, 4, 4, 3, 2, 1])
    expected = np.minimum(1, np.maximum.accumulate(p[order] * factors))
    assert shaffer(p, 5)[order] == pytest.approx(expected, rel=1e-12)
    assert (shaffer(p, 5)[order] < holm(p)[order])[1:4].all()


@given(families)
def test_it_lies_between_the_closed_procedure_and_holm(family):
    k, p = family
    found = shaffer(p, k)
    assert (found <= holm(p) + 1e-15).all()
    assert (found >= closed(p, k) - 1e-15).all()


@given(families, st.floats(0.01, 0.3))
def test_a_pair_passes_its_level_exactly_where_its_adjusted_p_value_passes_the_level(family, level):
    k, p = family
    adjusted, levels = shaffer(p, k), shaffer_levels(p, k, level)
    clear = np.abs(adjusted - level) > 1e-12
    assert ((np.array(p) <= levels) == (adjusted <= level))[clear].all()
    assert (levels <= level).all()


@given(families, st.randoms(use_true_random=False))
def test_the_names_of_the_treatments_do_not_matter(family, random):
    k, p = family
    order = list(range(k))
    random.shuffle(order)
    pairs = list(combinations(range(k), 2))
    moved = [pairs.index(tuple(sorted((order[i], order[j])))) for i, j in pairs]
    assert shaffer(np.array(p)[moved], k) == pytest.approx(shaffer(p, k)[moved], rel=1e-12)


def test_two_treatments_need_no_correction_and_three_only_at_the_first_step():
    assert shaffer([0.03], 2).tolist() == [0.03]
    assert shaffer([0.01, 0.04, 0.03], 3) == pytest.approx([0.03, 0.04, 0.03])
    assert shaffer_levels([0.01, 0.04, 0.03], 3) == pytest.approx([0.05 / 3, 0.05, 0.05])


@pytest.mark.parametrize("groups", [[0, 0, 0, 0], [0, 0, 0, 3], [0, 0, 3, 3], [0, 0, 3, 6]])
def test_the_family_keeps_its_level_whichever_treatments_are_equal(groups, rejections):
    rng = np.random.default_rng(len(set(groups)))
    pairs = np.array(list(combinations(range(4), 2)))
    equal = np.array([groups[i] == groups[j] for i, j in pairs])
    means = rng.normal(groups, 1 / np.sqrt(2), size=(3000, 4))
    p = 2 * ndtr(-np.abs(means[:, pairs[:, 0]] - means[:, pairs[:, 1]]))
    rejections([shaffer(row, 4)[equal].min() for row in p])


def test_it_finds_more_differences_than_holm():
    rng = np.random.default_rng(1)
    means = rng.normal([0, 0, 2, 4], 1 / np.sqrt(2), size=(500, 4))
    p = [[2 * ndtr(-abs(a - b)) for a, b in combinations(row, 2)] for row in means]
    ours, theirs = (np.mean([(f(q) <= 0.05) for q in p]) for f in (lambda q: shaffer(q, 4), holm))
    assert ours > theirs


@settings(max_examples=20)
@given(st.integers(2, 40))
def test_the_first_step_is_that_of_holm_for_any_number_of_treatments(k):
    m = k * (k - 1) // 2
    p = np.linspace(0.001, 0.9, m)
    assert shaffer(p, k)[0] == pytest.approx(min(1.0, m * p[0]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: shaffer([0.1, 0.2], 3), "one p-value per pair of 3 treatments, 3, got 2"),
        (lambda: shaffer([0.1], 1), "k must be a whole number of at least 2, got 1"),
        (lambda: shaffer([1.1], 2), "between 0 and 1, got"),
        (lambda: shaffer([np.nan], 2), "NaN"),
        (lambda: shaffer_levels([0.1], 2, 1.0), "level"),
    ],
)
def test_bad_input_raises_an_error_that_states_what_was_expected(call, message):
    with pytest.raises(StatisticsError, match=message):
        call()
