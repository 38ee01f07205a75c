import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats as oracle

from metaopt.stats import StatisticsError, bayes_signed_rank, correlated_t

# Benavoli et al. (2017): accuracy of AODE minus that of naive Bayes, in per cent, from 10 x 10
# folds of "anneal", as value: number of folds (data of their tutorial, Percent_correct.dat).
ANNEAL = {
    0.0: 16, 1.111: 30, 1.112: 2, 1.123: 1, 1.124: 3, 2.222: 15, 2.223: 5, 2.247: 6, 3.333: 6,
    3.334: 2, 3.37: 1, 3.371: 2, 4.445: 3, 4.494: 2, 5.555: 1, 5.556: 1, 5.618: 1, 6.667: 2,
    6.742: 1,
}  # fmt: skip
AUDIOLOGY = {-4.545: 2, -4.347: 1, 0.0: 88, 4.348: 7, 4.545: 2}
# The mean on each of their 54 data sets.
PROBLEMS = [
    1.939, 0.261, -0.467, 0.719, -2, 0.464, 1.014, 0.151, 7.269, 0.79, 2.6, -4.362, 0.614, 0,
    0.625, 0.069, 0.212, 1.683, -0.267, 3.242, 0.833, 0, 1.762, 1.863, 10.002, 0.343, 4.19, 2.434,
    4.747, 3.548, -0.583, 10.043, 0.443, -1.333, 0.674, 3.922, 2.776, 0.688, 3.996, 0.338, 1.112,
    3.284, 1.684, 0.699, 0.367, 5.6, 0.4, 16.909, 5.04, 1.809, -0.5, -0.143, 0.202, 0.682,
]  # fmt: skip
whole = st.integers(-6, 6).map(float)


def folds(table):
    d = np.repeat(list(table), list(table.values()))
    return d, np.zeros(len(d))


def test_benavoli_et_al_2017_print_these_posteriors_of_the_correlated_t_test():
    # Their notebook, rope of 1 %: P(NBC), P(rope), P(AODE); data rounded to three digits.
    anneal = correlated_t(*folds(ANNEAL), 1.0, 0.1)
    assert (anneal.below, anneal.equivalent, anneal.above) == pytest.approx(
        (3.0353909763469744e-07, 0.04570306097263277, 0.9542966354882696), rel=1e-2, abs=2e-5
    )
    audiology = correlated_t(*folds(AUDIOLOGY), 1.0, 0.1)
    assert (audiology.below, audiology.equivalent, audiology.above) == pytest.approx(
        (0.009348057821063849, 0.9085092663989454, 0.08214267577999079), abs=5e-4
    )
    assert (anneal.verdict(), audiology.verdict(), audiology.verdict(0.9)) == (
        "above", "open", "equivalent",
    )  # fmt: skip


def test_benavoli_et_al_2017_print_this_posterior_of_the_signed_rank_test():
    # Their notebook, 54 data sets, rope of 1 %, prior 0.6: 0.0, 0.12468, 0.87532.
    ours = bayes_signed_rank(PROBLEMS, np.zeros(54), 1.0, prior=0.6)
    assert (ours.below, ours.equivalent, ours.above) == pytest.approx(
        (0.0, 0.12468, 0.87532), abs=6 * ours.error
    )
    assert ours.error == pytest.approx(np.sqrt(0.125 * 0.875 / 50_000), rel=0.05)


def test_both_equal_baycomp():
    baycomp = pytest.importorskip("baycomp")
    rng = np.random.default_rng(0)
    for rope in (0.0, 0.1, 0.5):
        x, y = rng.normal([[0.0], [0.25]], size=(2, 30))
        theirs = baycomp.two_on_single(y, x, rope=rope, runs=3)
        ours = correlated_t(x, y, rope, 0.1)
        assert (ours.below, ours.above) == pytest.approx((theirs[0], theirs[-1]), rel=1e-9)
        theirs = baycomp.two_on_multiple(y, x, rope=rope, random_state=0, nsamples=20_000)
        ours = bayes_signed_rank(x, y, rope)
        assert (ours.below, ours.above) == pytest.approx((theirs[0], theirs[-1]), abs=0.015)


def test_the_signed_rank_posterior_equals_one_drawn_from_the_definition():
    # Two draws from a Dirichlet process on (0, d): below where most pairs of draws sum below.
    rng = np.random.default_rng(1)
    d = np.array([0.45, -0.2, 0.9, 0.1])
    z, rope, wins = np.append(0.0, d), 0.3, np.zeros(3)
    for weights in rng.dirichlet([0.5, 1, 1, 1, 1], size=4000):
        chance = np.zeros(3)
        for a, p in zip(z, weights, strict=True):
            for b, q in zip(z, weights, strict=True):
                chance[1 + int(a + b > 2 * rope) - int(a + b < -2 * rope)] += p * q
        wins[chance.argmax()] += 1 / 4000
    ours = bayes_signed_rank(d, np.zeros(4), rope)
    assert (ours.below, ours.equivalent, ours.above) == pytest.approx(wins, abs=0.03)


@given(hnp.arrays(np.float64, st.tuples(st.just(2), st.integers(2, 9)), elements=whole))
@settings(max_examples=40, deadline=None)
def test_regions_are_a_partition_and_swap_with_the_samples(xy):
    x, y = xy
    for rope in (0.0, 1.0):
        ours = bayes_signed_rank(x, y, rope, samples=2000)
        turned = bayes_signed_rank(y, x, rope, samples=2000)
        assert ours.below + ours.equivalent + ours.above == pytest.approx(1.0)
        assert (turned.below, turned.above) == pytest.approx((ours.above, ours.below), abs=1e-12)
        assert rope > 0 or ours.equivalent == 0
        if np.ptp(x - y) > 0:
            t, back = correlated_t(x, y, rope, 0.2), correlated_t(y, x, rope, 0.2)
            assert t.below + t.equivalent + t.above == pytest.approx(1.0)
            assert (back.below, back.above) == pytest.approx((t.above, t.below))


def test_a_wider_region_is_never_less_probable():
    x, y = np.random.default_rng(2).normal([[0.0], [0.2]], size=(2, 20))
    for chances in (
        [correlated_t(x, y, r, 0.1).equivalent for r in (0, 0.1, 0.3, 1, 5)],
        [bayes_signed_rank(x, y, r).equivalent for r in (0, 0.1, 0.3, 1, 5)],
    ):
        assert np.all(np.diff(chances) >= 0) and chances[0] == 0 and chances[-1] > 0.99


def test_more_evidence_makes_the_posterior_more_certain():
    d = np.random.default_rng(3).normal(-0.5, 0.3, size=60)
    zero = np.zeros(60)
    for n in (6, 20, 60):
        assert bayes_signed_rank(d[:n], zero[:n], 0.1).below > 0.95
    near = np.random.default_rng(4).normal(0, 0.02, size=20)
    assert bayes_signed_rank(near, zero[:20], 0.1).verdict() == "equivalent"
    assert correlated_t(near, zero[:20], 0.1, 0.1).verdict() == "equivalent"


def test_without_a_difference_the_probability_is_at_zero():
    x = np.arange(5.0)
    assert correlated_t(x, x, 0.1, 0.2).equivalent == 1.0
    assert correlated_t(x, x, 0.0, 0.2).below == 0.5
    assert bayes_signed_rank(x, x, 0.1).equivalent == 1.0
    assert bayes_signed_rank(x, x, 0.0).below == 0.5


def test_a_difference_at_the_border_counts_half_for_each_side_despite_rounding():
    # 0.3 - 0.2 and 0.2 - 0.1 are both equal to the rope, except for rounding up and down.
    a = bayes_signed_rank([0.3], [0.2], 0.1, prior=1e-3, samples=2000)
    b = bayes_signed_rank([0.2], [0.1], 0.1, prior=1e-3, samples=2000)
    assert a.above == b.above > 0.45
    assert bayes_signed_rank([0.3], [0.2], 0.1001, prior=1e-3, samples=2000).above == 0


def test_the_same_seed_gives_the_same_posterior():
    x, y = np.random.default_rng(5).normal(size=(2, 12))
    assert bayes_signed_rank(x, y, 0.1) == bayes_signed_rank(x, y, 0.1)
    assert bayes_signed_rank(x, y, 0.1) != bayes_signed_rank(x, y, 0.1, seed=1)


def test_sampling_in_parts_changes_only_the_draws(monkeypatch):
    x, y = np.random.default_rng(7).normal([[0.0], [0.2]], size=(2, 12))
    whole_at_once = bayes_signed_rank(x, y, 0.1)
    monkeypatch.setattr("metaopt.stats.bayes.CHUNK", 100_000)
    in_parts = bayes_signed_rank(x, y, 0.1)
    assert in_parts.below == pytest.approx(whole_at_once.below, abs=6 * in_parts.error)
    assert in_parts.below + in_parts.equivalent + in_parts.above == pytest.approx(1.0)


def test_under_the_null_a_false_verdict_is_at_most_as_likely_as_its_level():
    rng, runs, n, rho = np.random.default_rng(6), 3000, 10, 0.1
    d = np.sqrt(rho) * rng.normal(size=(runs, 1)) + np.sqrt(1 - rho) * rng.normal(size=(runs, n))
    wrong = sum(correlated_t(row, np.zeros(n), 0.0, rho).verdict() != "open" for row in d)
    assert wrong <= oracle.binom.ppf(0.999, runs, 0.10)  # either side at 0.95
    x = rng.normal(size=(400, 15))
    found = [bayes_signed_rank(row, np.zeros(15), 0.0, samples=1000).verdict() for row in x]
    assert sum(word != "open" for word in found) <= oracle.binom.ppf(0.999, 400, 0.10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: correlated_t([1.0], [2.0], 0.1, 0.1), "at least 2 values"),
        (lambda: correlated_t([1.0, 2.0], [2.0, 4.0], -0.1, 0.1), "does not matter.*got -0.1"),
        (lambda: correlated_t([1.0, 2.0], [2.0, 4.0], 0.1, 1.0), "test_fraction.*got 1.0"),
        (lambda: correlated_t([1.0, 2.0], [2.0, 3.0], 0.1, 0.1), "must vary"),
        (lambda: bayes_signed_rank([1.0], [np.nan], 0.1), "NaN"),
        (lambda: bayes_signed_rank([1.0], [2.0, 3.0], 0.1), "paired"),
        (lambda: bayes_signed_rank([1.0], [2.0], np.inf), "got inf"),
        (lambda: bayes_signed_rank([1.0], [2.0], 0.1, prior=0), "prior must be .* got 0"),
        (lambda: bayes_signed_rank([1.0], [2.0], 0.1, samples=0), "samples"),
    ],
)
def test_bad_input_raises_an_error_that_states_what_was_expected(call, message):
    with pytest.raises(StatisticsError, match=message):
        call()
