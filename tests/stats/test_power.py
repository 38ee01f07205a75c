import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as oracle
from statsmodels.stats.power import TTestPower

from metaopt.stats import (
    StatisticsError,
    corrected_t,
    fewest_pairs,
    paired_t,
    power,
    sign_test,
    wilcoxon,
)

RUNS = 4000


def near(share, runs=RUNS):
    return pytest.approx(share, abs=3.5 * np.sqrt(share * (1 - share) / runs) + 1e-3)


def test_the_t_tests_power_is_statsmodels():
    for effect, n, level in [(0.5, 20, 0.05), (1.0, 6, 0.01), (-0.2, 200, 0.05), (0.0, 10, 0.05)]:
        theirs = TTestPower().power(effect, n, level)
        assert power("t", effect, n, level=level).power == pytest.approx(theirs, rel=1e-7)
    for effect in (0.2, 0.5, 1.0):
        theirs = TTestPower().solve_power(effect, power=0.8, alpha=0.05)
        assert power("t", effect).n == int(np.ceil(theirs))


def test_a_medium_effect_takes_34_pairs():
    # d = 0.5, power 0.8, two-sided 0.05: the number in every power table.
    found = power("t", 0.5)
    assert found.n == 34 and found.power >= 0.8 > power("t", 0.5, 33).power
    assert found.error == 0.0 and "noncentral t" in found.method


@pytest.mark.parametrize(("effect", "n"), [(0.6, 12), (1.0, 8), (0.3, 60)])
def test_the_signed_rank_and_sign_tests_reject_as_often_as_promised(effect, n):
    d = np.random.default_rng(n).normal(effect, size=(RUNS, n))
    zero = np.zeros(n)
    share = np.mean([wilcoxon(row, zero).p <= 0.05 for row in d])
    assert power("wilcoxon", effect, n).power == near(share)
    share = np.mean([sign_test(row, zero).p <= 0.05 for row in d])
    assert power("sign", effect, n).power == near(share)


@pytest.mark.parametrize(("n", "rho"), [(10, 0.1), (30, 0.2)])
def test_the_corrected_t_rejects_as_often_as_promised(n, rho):
    rng, effect = np.random.default_rng(n), 0.9
    # The standard deviation over splits is sqrt(1 - rho), which is the unit of the effect.
    d = np.sqrt(rho) * rng.normal(size=(RUNS, 1)) + np.sqrt(1 - rho) * (
        effect + rng.normal(size=(RUNS, n))
    )
    share = np.mean([corrected_t(row, np.zeros(n), rho).p <= 0.05 for row in d])
    assert power("corrected t", effect, n, test_fraction=rho).power == near(share)


def test_more_splits_of_the_same_data_help_only_up_to_a_point():
    ten, many = (power("corrected t", 0.5, n, test_fraction=0.1).power for n in (10, 100_000))
    assert ten < many < 0.33
    with pytest.raises(StatisticsError, match=r"below 0\.323; use more"):
        power("corrected t", 0.5, test_fraction=0.1)
    found = power("corrected t", 1.0, test_fraction=0.1)
    assert found.power >= 0.8 > power("corrected t", 1.0, found.n - 1, test_fraction=0.1).power


def test_the_sign_tests_n_comes_after_the_last_dip_of_the_saw_tooth():
    for effect, comparisons in [(0.5, 1), (1.0, 1), (0.8, 6)]:
        found = power("sign", effect, comparisons=comparisons)
        after = [
            power("sign", effect, n, comparisons=comparisons).power
            for n in range(found.n - 1, found.n + 40)
        ]
        assert after[0] < 0.8 <= min(after[1:])


def test_the_sign_tests_power_is_binomial():
    n, effect = 20, 0.7
    chance = oracle.norm.cdf(effect)
    reject = [k for k in range(n + 1) if oracle.binomtest(k, n).pvalue <= 0.05]
    expected = oracle.binom.pmf(reject, n, chance).sum()
    assert power("sign", effect, n).power == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("effect", [0.3, 0.5, 1.0, 2.0])
def test_the_fewest_pairs_of_the_signed_rank_test_reach_the_target(effect):
    found = power("wilcoxon", effect)
    assert found.power >= 0.8 and found.n >= fewest_pairs()
    t = power("t", effect).n
    assert t <= found.n <= 1.2 * t + 5
    assert found.n == 6 or power("wilcoxon", effect, found.n - 2).power < 0.8 + 3 * found.error
    assert found.error == pytest.approx(np.sqrt(found.power * (1 - found.power) / 10_000))


def test_a_strict_level_is_also_reached():
    for effect in (1.0, 3.0):
        found = power("wilcoxon", effect, comparisons=2000, target=0.9, samples=4000)
        assert found.power >= 0.9 and found.n >= fewest_pairs(0.05, 2000) == 17


def test_small_effects_use_the_relative_efficiency():
    found = power("wilcoxon", 0.1)
    assert found.n == pytest.approx(np.pi / 3 * power("t", 0.1).n, rel=0.01)
    assert "3 / pi" in found.method and found.error == 0.0
    simulated = power("wilcoxon", 0.15, 400)
    assert simulated.power == pytest.approx(power("wilcoxon", 0.15, 401).power, abs=0.02)


@given(st.sampled_from(["t", "sign", "wilcoxon"]), st.floats(0.3, 2), st.integers(1, 6))
@settings(max_examples=20, deadline=None)
def test_corrections_need_more_repeats_and_larger_effects_fewer(test, effect, comparisons):
    one = power(test, effect, comparisons=comparisons, samples=2000)
    assert one.n <= power(test, effect, comparisons=comparisons + 4, samples=2000).n
    assert one.n + 2 >= power(test, 1.5 * effect, comparisons=comparisons, samples=2000).n
    assert one.level == pytest.approx(0.05 / comparisons)
    assert power(test, -effect, comparisons=comparisons, samples=2000).n == one.n


@pytest.mark.parametrize("test", ["t", "sign", "wilcoxon"])
def test_without_an_effect_the_power_is_at_most_the_level(test):
    found = power(test, 0.0, 12)
    assert found.power <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 10_000)
    assert power("sign", 3.0, 5).power == power("wilcoxon", 3.0, 5).power == 0.0  # too few pairs


def test_paired_t_rejects_as_often_as_its_power():
    d = np.random.default_rng(9).normal(0.5, size=(RUNS, 34))
    share = np.mean([paired_t(row, np.zeros(34)).p <= 0.05 for row in d])
    assert power("t", 0.5, 34).power == near(share)


def test_the_same_seed_gives_the_same_power():
    assert power("wilcoxon", 0.5, 20) == power("wilcoxon", 0.5, 20)
    assert power("wilcoxon", 0.5, 20) != power("wilcoxon", 0.5, 20, seed=1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: power("anova", 0.5), "wilcoxon, t, corrected t, sign, got 'anova'"),
        (lambda: power("t", "large"), "over its standard deviation, got 'large'"),
        (lambda: power("t", np.inf), "got inf"),
        (lambda: power("t", 0.0), "must not be 0"),
        (lambda: power("t", 0.001), "more than 100000 repeats"),
        (lambda: power("t", 0.5, 1), "n must be a whole number of at least 2, got 1"),
        (lambda: power("t", 0.5, target=1.0), "between 0 and 1"),
        (lambda: power("t", 0.5, level=5), "between 0 and 1"),
        (lambda: power("t", 0.5, comparisons=0), "comparisons"),
        (lambda: power("t", 0.5, test_fraction=0.1), "corrected t test and only for it, got 0.1"),
        (lambda: power("corrected t", 0.5, 10), "corrected t test and only for it, got None"),
        (lambda: power("wilcoxon", 0.5, samples=0), "samples"),
    ],
)
def test_bad_input_raises_an_error_that_states_what_was_expected(call, message):
    with pytest.raises(StatisticsError, match=message):
        call()
