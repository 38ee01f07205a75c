import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize
from scipy import stats as oracle

from metaopt import stats
from metaopt.stats import (
    StatisticsError,
    a12_interval,
    median_difference_interval,
    median_interval,
    rank_biserial,
    shift_interval,
    wins,
)

LEVELS = (0.8, 0.9, 0.95, 0.99)
PAIRED = (median_difference_interval, wins, rank_biserial)
newcombe = partial(a12_interval, method="newcombe")
UNPAIRED = (shift_interval, a12_interval, newcombe)

# Hollander and Wolfe (1973, p. 29): Hamilton depression scale factor IV before and after.
BEFORE = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
AFTER = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
# Hollander and Wolfe (1973, p. 69): permeability at term and at 12 to 26 weeks.
TERM = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
EARLY = [1.15, 0.88, 0.90, 0.74, 1.21]
I = np.arange(1, 26)  # noqa: E741
WAVES = 3 * np.sin(7 * I) + 0.4, 2 * np.cos(3 * I * I)

finite = st.integers(-10_000, 10_000).map(lambda i: i / 64)
samples = st.lists(finite, min_size=1, max_size=12)
pairs = st.lists(st.tuples(finite, finite), min_size=1, max_size=12)


def apart(n: int, seed: int = 0, k: int = 2) -> np.ndarray:
    """k samples without ties."""
    return np.random.default_rng([n, seed]).normal(size=(k, n)) * 2


def ends(interval: stats.Interval) -> tuple[float, float]:
    return interval.low, interval.high


# Location


@pytest.mark.parametrize("n", [*range(1, 31), 100])
@pytest.mark.parametrize("level", LEVELS)
def test_the_median_lies_between_the_order_statistics_that_the_binomial_says(n, level):
    found = median_interval(np.random.default_rng(n).permutation(n) + 1.0, level)
    r = int(found.low)
    assert found.high == n + 1 - r
    assert found.estimate == (n + 1) / 2
    covers = [1 - 2 * oracle.binom.cdf(i - 1, n, 0.5) for i in range(1, (n + 1) // 2 + 1)]
    assert found.level == pytest.approx(max(0.0, covers[r - 1]))
    assert r == max([i for i, c in enumerate(covers, 1) if c >= level], default=1)


@pytest.mark.parametrize(
    ("n", "attained"), [(1, 0.0), (3, 0.75), (5, 0.9375), (6, 0.96875), (10, 0.978515625)]
)
def test_the_level_of_a_median_is_the_attained_one(n, attained):
    assert median_interval(np.arange(n)).level == attained


def test_failed_runs_may_be_above_the_median_or_be_it():
    assert ends(median_interval([3.0, 1.0, 2.0, np.inf, 4.0, np.inf])) == (1.0, np.inf)
    found = median_interval([1.0, np.inf, np.inf, np.inf])
    assert (found.estimate, found.high) == (np.inf, np.inf)
    with pytest.raises(StatisticsError, match="no median"):
        median_interval([-np.inf, np.inf])


@pytest.mark.parametrize(
    ("x", "y", "level", "estimate", "low", "high"),
    [
        (BEFORE, AFTER, 0.95, 0.46, 0.010, 0.786),
        (BEFORE, AFTER, 0.90, 0.46, 0.175, 0.726),
        (*WAVES, 0.90, 0.809010461958, -0.145420692558, 1.737979834706),
        (*WAVES, 0.95, 0.809010461958, -0.351696091292, 1.920766688573),
        (*WAVES, 0.99, 0.809010461958, -0.704169814555, 2.258832204608),
    ],
)
def test_intervals_of_pairs_are_those_of_r(x, y, level, estimate, low, high):
    # R 4.2.2: wilcox.test(x, y, paired = TRUE, conf.int = TRUE, conf.level = level)
    found = median_difference_interval(x, y, level)
    assert (found.estimate, *ends(found)) == pytest.approx((estimate, low, high))


@pytest.mark.parametrize(
    ("x", "y", "level", "estimate", "low", "high"),
    [
        (TERM, EARLY, 0.95, 0.305, -0.15, 0.76),
        (WAVES[0][:15], WAVES[1], 0.90, 0.878169505224, -0.474990552541, 2.430612330059),
        (WAVES[0][:15], WAVES[1], 0.95, 0.878169505224, -0.611054442775, 2.587741947128),
        (WAVES[0][:15], WAVES[1], 0.99, 0.878169505224, -0.786815484979, 2.955237413624),
    ],
)
def test_intervals_without_pairs_are_those_of_r(x, y, level, estimate, low, high):
    # R 4.2.2: wilcox.test(x, y, conf.int = TRUE, conf.level = level)
    found = shift_interval(x, y, level)
    assert (found.estimate, *ends(found)) == pytest.approx((estimate, low, high))


def test_a_textbook_interval_of_ten_differences():
    # Stephenson, Stat 403 (Iowa State): the 9th and the 47th of 55 Walsh averages, level 95.2 %.
    x = [0.90, 1.13, 1.89, 1.14, 1.45, 1.38, 1.91, 1.64, 0.83, 1.46]
    found = median_difference_interval(x, np.zeros(10), level=0.95)
    assert (found.estimate, *ends(found)) == pytest.approx((1.385, 1.13, 1.67))
    assert round(found.level, 3) == 0.951  # 1 - 2 * 0.024 there
    assert "9 and 47 of 55" in found.method


@pytest.mark.parametrize("n", [1, 2, 5, 6, 7, 10, 25])
@pytest.mark.parametrize("level", LEVELS)
def test_the_level_of_a_difference_is_one_minus_p_just_outside(n, level):
    x, y = apart(n)
    for end in ends(median_difference_interval(x, y, level)):
        away = math.copysign(1e-9, end - stats.median_difference(x, y)) if n > 1 else 1e-9
        p = oracle.wilcoxon(x - end - away, y, method="exact").pvalue
        assert median_difference_interval(x, y, level).level == pytest.approx(1 - p)
    x = x[: (n + 1) // 2]
    for end in ends(shift_interval(x, y, level)):
        away = math.copysign(1e-9, end - stats.shift(x, y)) if n > 1 else 1e-9
        p = oracle.mannwhitneyu(x - end - away, y, method="exact").pvalue
        assert shift_interval(x, y, level).level == pytest.approx(1 - p)


@pytest.mark.parametrize("n", [5, 1, 3])
def test_too_few_pairs_give_the_widest_interval_with_its_level(n):
    x, y = apart(n)
    found = median_difference_interval(x, y)
    assert ends(found) == (min(x - y), max(x - y))
    assert found.level == 1 - 2.0 ** (1 - n)


@pytest.mark.parametrize("n", [6, 8, 13, 30, 80, 201, 230])
@pytest.mark.parametrize("level", LEVELS)
def test_zero_is_outside_exactly_when_the_test_rejects(n, level):
    outside = []
    for seed in range(20):
        x, y = apart(n, seed)
        x += 1.7 * seed / 10 / math.sqrt(n)  # around the border of significance
        for function, test in (
            (median_difference_interval, stats.wilcoxon),
            (shift_interval, stats.rank_sum),
        ):
            found = function(x, y, level)
            outside.append(not found.low <= 0 <= found.high)
            assert outside[-1] == (test(x, y).p <= 1 - found.level + 1e-12)
            assert found.level >= level or n < 8
            assert (test(x, y).p <= 1 - level) == outside[-1] or found.level < level
    if n < 100 and level < 0.99:
        assert any(outside) and not all(outside)


@pytest.mark.parametrize(
    ("function", "test"),
    [(median_difference_interval, stats.wilcoxon), (shift_interval, stats.rank_sum)],
)
def test_with_ties_an_interval_is_not_too_short_and_disagrees_only_at_its_ends(function, test):
    rng, ending = np.random.default_rng(1), 0
    for _ in range(300):
        x, y = np.rint(rng.normal([[0.8], [0.0]], 1.5, size=(2, 14)))
        found, p = function(x, y), test(x, y).p
        if not found.low <= 0 <= found.high:
            assert p <= 0.05
        elif p <= 0.05:
            assert 0 in ends(found)
            ending += 1
    assert ending < 100


def test_rounding_errors_are_ties_and_zeros_as_in_the_test():
    x, y = np.full(8, 0.3), np.full(8, 0.1 + 0.2)
    found = median_difference_interval(x, y)
    assert found.low <= 0 <= found.high
    assert abs(found.low) < 1e-16


# The probability of being better


def test_newcombes_interval_is_that_of_an_r_package():
    # SingleCaseES (Swan and Pustejovsky): NAP(A, B) gives 0.9166667 [0.5973406, 0.9860176], by
    # Newcombe's method 5; its optimiser stops 2e-5 early.
    a, b = [20, 20, 26, 25, 22, 23], [28, 25, 24, 27, 30, 30, 29]
    found = newcombe(a, b)
    assert found.estimate == pytest.approx(0.9166667)
    assert ends(found) == pytest.approx((0.5973406, 0.9860176), abs=5e-5)


@pytest.mark.parametrize(("m", "n"), [(5, 5), (20, 8), (3, 40)])
@pytest.mark.parametrize("level", LEVELS)
def test_newcombes_limits_solve_his_equation(m, n, level):
    x, y = apart(40, m)
    x, y = x[:m] - 0.8, y[:n]
    z, other = oracle.norm.ppf((1 + level) / 2), (m + n) / 2 - 1
    found = newcombe(x, y, level)

    def excess(theta: float) -> float:
        pairs = 1 + other * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return (theta - found.estimate) ** 2 - z**2 * theta * (1 - theta) * pairs / (m * n)

    low = optimize.brentq(excess, 1e-12, found.estimate)
    high = optimize.brentq(excess, found.estimate, 1 - 1e-12)
    assert ends(found) == pytest.approx((low, high), abs=1e-9)
    mirrored = newcombe(y, x, level)
    assert ends(mirrored) == pytest.approx((1 - high, 1 - low), abs=1e-9)


@pytest.mark.parametrize("method", ["conservative", "newcombe"])
def test_an_a12_of_one_is_not_certain(method):
    found = a12_interval([1, 2, 3, 4, 5], [6, 7, 8, 9, np.inf], method=method)
    assert (found.estimate, found.high) == (1.0, 1.0)
    assert 0.5 < found.low < 0.8


def test_the_conservative_a12_interval_is_the_default():
    x, y = apart(8)
    assert a12_interval(x, y) == a12_interval(x, y, 0.95, "conservative") != newcombe(x, y)


@pytest.mark.parametrize(("m", "n"), [(1, 2), (5, 5), (20, 8), (3, 40)])
@pytest.mark.parametrize("level", LEVELS)
def test_the_limit_of_an_a12_of_one_has_a_formula(m, n, level):
    # The tail is half the probability that all values of the smaller sample win, or the whole
    # probability if the values of a sample are equal, as a single value is.
    x, y = np.arange(-m, 0.0), np.arange(float(n))
    tail = (1 - level) / 2 if m == 1 else 1 - level
    assert a12_interval(x, y, level).low == pytest.approx(tail ** (1 / min(m, n)))
    if m == n:
        exact = oracle.binomtest(m, m).proportion_ci(level, "exact")
        assert ends(a12_interval(x, 0 * y, level)) == pytest.approx((exact.low, exact.high))


@pytest.mark.parametrize("n", [5, 20, 50])
@pytest.mark.parametrize("level", LEVELS)
def test_one_tie_and_no_win_lies_in_the_interval(n, level):
    x, y = np.r_[np.arange(1.0, n), 0.0], np.r_[np.arange(-n, -1.0), 0.0]
    found = a12_interval(x, y, level)
    assert found.estimate == 1 / (2 * n * n)
    assert found.low <= found.estimate < found.high


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.sampled_from(LEVELS))
def test_against_equal_values_it_is_the_exact_interval_of_the_wins(won, level):
    x, y = np.where(won, -1.0, 1.0) * np.arange(1, len(won) + 1), np.zeros(len(won))
    exact = oracle.binomtest(sum(won), len(won)).proportion_ci(level, "exact")
    for found in (a12_interval(x, y, level), wins(x, y, level)):
        assert ends(found) == pytest.approx((exact.low, exact.high))


@pytest.mark.parametrize(("m", "n"), [(4, 4), (5, 5), (6, 6), (5, 20), (9, 10)])
@pytest.mark.parametrize("vary", ["nothing", "a little"])
def test_the_a12_keeps_its_level_if_one_sample_hardly_varies(m, n, vary):
    for k, other in ((m, n), (n, m)):  # the values that win against the other ones, or lose
        against = np.arange(other) / (1e3 if vary == "a little" else np.inf)
        values = [np.where(np.arange(k) < won, -1.0, 2.0) for won in range(k + 1)]
        limits = np.array([ends(a12_interval(v + np.arange(k) / 1e3, against)) for v in values])
        cover = []
        for truth in np.linspace(0.01, 0.99, 99):
            covered = (limits[:, 0] <= truth) & (truth <= limits[:, 1])
            cover.append(oracle.binom.pmf(np.arange(k + 1)[covered], k, truth).sum())
        assert np.mean(cover) >= 0.95
        assert vary == "a little" or min(cover) >= 0.95


TAILS = {
    "exponential": (np.random.Generator.standard_exponential, lambda p: -math.log(2 * (1 - p))),
    "Cauchy": (np.random.Generator.standard_cauchy, lambda p: 2 * math.tan(math.pi * (p - 0.5))),
}


@pytest.mark.parametrize(("m", "n"), [(5, 5), (10, 10), (20, 20), (5, 20), (20, 5)])
@pytest.mark.parametrize("chance", [0.5, 0.8, 0.95, 0.98])
@pytest.mark.parametrize("tail", TAILS)
def test_the_a12_interval_keeps_its_level_near_the_border(m, n, chance, tail):
    (draw, difference), rng = TAILS[tail], np.random.default_rng([m, n])
    drawn = [(draw(rng, m), draw(rng, n) + difference(chance)) for _ in range(300)]
    for sign in (1, -1):  # -1: the long tail is that of the better side
        found = [a12_interval(x, y) if sign > 0 else a12_interval(-y, -x) for x, y in drawn]
        covered = sum(i.low <= chance <= i.high for i in found)
        assert covered >= oracle.binom.ppf(0.001, 300, 0.95)


@pytest.mark.parametrize(("m", "n"), [(5, 5), (20, 20), (5, 20), (20, 5)])
@pytest.mark.parametrize("levels", [2, 3, 6])
def test_the_a12_interval_keeps_its_level_with_ties(m, n, levels):
    rng, values = np.random.default_rng([m, n, levels]), np.arange(levels)
    for steep in (0.0, 0.5, 2.0):
        p, q = (np.exp(-a * values) / np.exp(-a * values).sum() for a in (steep, -steep))
        truth = float(np.sum(np.tril(np.outer(q, p), -1)) + p @ q / 2)
        drawn = [(rng.choice(values, m, p=p), rng.choice(values, n, p=q)) for _ in range(300)]
        covered = sum(i.low <= truth <= i.high for i in (a12_interval(x, y) for x, y in drawn))
        assert covered >= oracle.binom.ppf(0.001, 300, 0.95)


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_of_wins_is_scipys_exact_one(counts):
    won, n = counts
    for level in LEVELS:
        found = wins(np.where(np.arange(n) < won, 0.0, 2.0), np.ones(n), level)
        exact = oracle.binomtest(won, n).proportion_ci(level, "exact")
        assert (found.estimate, *ends(found)) == pytest.approx((won / n, exact.low, exact.high))


@pytest.mark.parametrize("n", [1, 4, 10, 33])
def test_half_a_win_lies_between_its_neighbours(n):
    found = [
        wins(
            np.array([0.0] * (c // 2) + [1.0] * (c % 2) + [2.0] * (n - c // 2 - c % 2)), np.ones(n)
        )
        for c in range(2 * n + 1)
    ]
    assert [f.estimate * 2 * n for f in found] == pytest.approx(range(2 * n + 1))
    assert (np.diff([f.low for f in found])[1:] > 0).all()
    assert (np.diff([f.high for f in found])[:-1] > 0).all()


@pytest.mark.parametrize("n", [3, 5, 10])
def test_wins_with_ties_keep_their_level(n):
    limits = np.array(
        [
            ends(wins(np.repeat([0.0, 1, 2], [c // 2, c % 2, n - c // 2 - c % 2]), np.ones(n)))
            for c in range(2 * n + 1)
        ]
    )
    for tie in (0.0, 0.2, 0.5):
        for share in np.linspace(0, 1, 21):
            won = (1 - tie) * share
            chance, truth = np.array([1.0]), won + tie / 2
            for _ in range(n):
                chance = np.convolve(chance, [1 - tie - won, tie, won])
            covered = (limits[:, 0] <= truth + 1e-9) & (truth <= limits[:, 1] + 1e-9)
            assert chance[covered].sum() >= 0.95


def test_wins_of_several_problems_are_added_up():
    x, y = np.random.default_rng(2).integers(0, 4, size=(2, 3, 5)).astype(float)
    assert wins(x, y) == wins(x.ravel(), y.ravel())
    assert wins(x, y).estimate == pytest.approx(
        np.mean([wins(a, b).estimate for a, b in zip(x, y, strict=True)])
    )


def test_wins_count_ties_and_failed_runs_as_the_sign_test_does():
    x = [0.3, 1.0, np.inf, np.inf, 2.0]
    y = [0.1 + 0.2, np.inf, 1.0, np.inf, 3.0]
    test = stats.sign_test(x, y)
    assert (test.wins, test.losses) == (2, 1)
    assert wins(x, y).estimate == (test.wins + 0.5 * 2) / 5


# The rank-biserial correlation


@given(pairs)
def test_the_rank_biserial_correlation_is_the_share_of_the_rank_sums(values):
    x, y = np.array(values).T
    test, r = stats.wilcoxon(x, y), rank_biserial(x, y).estimate
    total = test.plus + test.minus
    assert r == pytest.approx((test.minus - test.plus) / total if total else 0.0)
    if total:
        theirs = oracle.wilcoxon(x, y, zero_method="pratt", method="asymptotic").statistic
        assert abs(r) == pytest.approx(1 - 2 * theirs / total)


def test_a_textbook_rank_sum_gives_its_correlation():
    # Wikipedia, "Wilcoxon signed-rank test", effect size: rank sums 27 and 18 of 45, r = 0.20.
    y = [110, 122, 125, 120, 140, 124, 123, 137, 135, 145]
    x = [125, 115, 130, 140, 140, 115, 140, 125, 140, 135]
    x, y = (np.delete(v, 4) for v in (x, y))  # the pair without a difference is left out there
    assert rank_biserial(y, x).estimate == pytest.approx(9 / 45)


@pytest.mark.parametrize("n", [1, 2, 5, 9, 10, 30])
@pytest.mark.parametrize("level", LEVELS)
def test_the_limit_after_winning_all_pairs_has_a_formula(n, level):
    # Half the probability that all n pairs are won, s^n / 2, is the tail; the least P is s^2.
    s = (1 - level) ** (1 / n)
    found = rank_biserial(np.zeros(n), np.arange(1.0, n + 1), level)
    assert (found.estimate, *ends(found)) == pytest.approx((1.0, 2 * s**2 - 1, 1.0))


@pytest.mark.parametrize("n", [10, 20])
@pytest.mark.parametrize("level", LEVELS)
def test_the_limit_after_winning_the_pair_with_the_largest_difference_has_a_formula(n, level):
    # The least P has the largest differences in the pairs won: P = 1 - (1 - s)^2.
    d = np.r_[np.arange(1.0, n), -n]
    s = optimize.brentq(lambda s: oracle.binom.sf([0, 1], n, s).mean() - (1 - level) / 2, 0, 1)
    found = rank_biserial(d, np.zeros(n), level)
    assert found.low == pytest.approx(2 * (1 - (1 - s) ** 2) - 1)


@pytest.mark.parametrize("n", [4, 5, 8, 10, 20])
def test_it_keeps_its_level_under_the_two_extreme_distributions(n):
    size, won = np.arange(1.0, n + 1), np.arange(n + 1)
    for largest in (False, True):  # the pairs won have the smallest or the largest differences
        signs = [np.where(size > n - k if largest else size <= k, -1.0, 1.0) for k in won]
        limits = np.array([ends(rank_biserial(s * size, np.zeros(n))) for s in signs])
        for s in np.linspace(0.01, 0.99, 99):
            truth = 2 * (1 - (1 - s) ** 2 if largest else s**2) - 1
            covered = (limits[:, 0] <= truth) & (truth <= limits[:, 1])
            assert oracle.binom.pmf(won[covered], n, s).sum() >= 0.94


@pytest.mark.parametrize("n", [5, 10, 20])
@pytest.mark.parametrize("chance", [0.5, 0.9, 0.98])
def test_it_keeps_its_level_for_heavy_tails(n, chance):
    rng, value = np.random.default_rng(n), math.tan(math.pi * (chance - 0.5))
    found = [rank_biserial(rng.standard_cauchy(n), np.full(n, value)) for _ in range(300)]
    covered = sum(i.low <= 2 * chance - 1 <= i.high for i in found)
    assert covered >= oracle.binom.ppf(0.001, 300, 0.95)


def test_a_pair_with_one_failed_run_has_the_largest_difference():
    found = rank_biserial([1.0, 2.0, 3.0, np.inf, np.inf], [9.0, 4.0, 4.0, 5.0, np.inf])
    # Ranks: the tie 1, then 1, 2 and 8 with the ranks 2, 3 and 4 for x, and 5 against it.
    assert found.estimate == pytest.approx((2 + 3 + 4 - 5) / 14)
    assert rank_biserial([np.inf, np.inf], [1.0, 2.0]).estimate == -1


def test_equal_pairs_say_nothing():
    found = rank_biserial([1.0, np.inf, 0.3], [1.0, np.inf, 0.1 + 0.2])
    assert (found.estimate, *ends(found)) == (0.0, -1.0, 1.0)


def test_pairs_without_a_difference_do_not_shorten_an_interval():
    x, y = np.array([0.0, 0.0]), np.array([1.0, 2.0])
    more = rank_biserial(np.r_[x, np.zeros(8)], np.r_[y, np.zeros(8)])
    assert (more.estimate, *ends(more)) == (1.0, *ends(rank_biserial(x, y)))


# All intervals


@given(pairs, st.sampled_from(LEVELS))
def test_intervals_of_pairs_hold_their_estimate_and_mirror_when_swapped(values, level):
    x, y = np.array(values).T
    for function in PAIRED:
        found, mirrored = function(x, y, level), function(y, x, level)
        assert found.low <= found.estimate <= found.high
        assert found.level == mirrored.level
        sum_ = 1 if function is wins else 0
        assert mirrored.estimate == pytest.approx(sum_ - found.estimate)
        assert ends(mirrored) == pytest.approx((sum_ - found.high, sum_ - found.low), abs=1e-9)


@given(samples, samples, st.sampled_from(LEVELS))
def test_intervals_without_pairs_hold_their_estimate_and_mirror_when_swapped(x, y, level):
    for function in UNPAIRED:
        found, mirrored = function(x, y, level), function(y, x, level)
        assert found.low <= found.estimate <= found.high
        sum_ = 0 if function is shift_interval else 1
        assert ends(mirrored) == pytest.approx((sum_ - found.high, sum_ - found.low), abs=1e-9)
    found = median_interval(x, level)
    assert found.low <= found.estimate <= found.high


@given(pairs, st.integers(-64, 64).map(lambda i: i / 64), st.sampled_from([0.5, 1.0, 4.0]))
def test_intervals_move_and_stretch_with_the_values(values, moved, scale):
    x, y = np.array(values).T
    for function in (median_difference_interval, shift_interval):
        found, other = function(x, y), function(scale * x + moved, scale * y)
        assert ends(other) == pytest.approx([scale * end + moved for end in ends(found)])
    assert ends(median_interval(scale * x + moved)) == pytest.approx(
        [scale * end + moved for end in ends(median_interval(x))]
    )
    for function in (rank_biserial, wins, a12_interval, newcombe):
        assert function(scale * x + moved, scale * y + moved) == function(x, y)


@given(pairs)
def test_only_the_order_counts_for_wins_and_a12(values):
    x, y = np.array(values).T
    for function in (wins, a12_interval, newcombe):
        assert function(np.arctan(x), np.arctan(y)) == function(x, y)


@given(pairs)
def test_a_higher_level_gives_a_longer_interval(values):
    x, y = np.array(values).T
    for function in (*PAIRED, *UNPAIRED):
        found = [function(x, y, level) for level in LEVELS]
        assert (np.diff([f.low for f in found]) <= 0).all()
        assert (np.diff([f.high for f in found]) >= 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: median_interval([]), "at least 1 values"),
        (lambda: median_interval([1.0, np.nan]), "NaN"),
        (lambda: median_interval([1.0], level=95), "between 0 and 1"),
        (lambda: median_difference_interval([1.0], [1.0, 2.0]), "paired"),
        (lambda: median_difference_interval([np.inf], [1.0]), "finite"),
        (lambda: shift_interval([1.0], []), "at least 1"),
        (lambda: shift_interval([1.0], [np.inf]), "finite"),
        (lambda: a12_interval([1.0], [1.0], level=1), "between 0 and 1"),
        (lambda: a12_interval([[1.0]], [1.0]), "one-dimensional"),
        (lambda: a12_interval([1.0], [1.0], method="Newcombe"), "conservative, newcombe, got 'N"),
        (lambda: wins([1.0, 2.0], [1.0]), r"shapes \(2,\) and \(1,\)"),
        (lambda: wins(np.ones((2, 2, 2)), np.ones((2, 2, 2))), r"\(problems, repeats\)"),
        (lambda: wins([], []), "paired"),
        (lambda: wins([np.nan], [1.0]), "NaN"),
        (lambda: rank_biserial([1.0], [1.0, 2.0]), "paired"),
        (lambda: rank_biserial([1.0], [1.0], level=0), "between 0 and 1"),
    ],
)
def test_bad_input_raises_an_error_that_states_what_was_expected(call, message):
    with pytest.raises(StatisticsError, match=message):
        call()
