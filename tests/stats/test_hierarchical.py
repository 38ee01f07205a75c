"""Random effects over problems against R's metafor, statsmodels, and simulated problems."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as oracle
from statsmodels.regression.mixed_linear_model import MixedLM

from metaopt.stats import StatisticsError, hierarchical, random_effects
from metaopt.stats.hierarchical import effects_of, standard_differences

samples = st.integers(2, 8).flatmap(
    lambda n: st.tuples(
        st.lists(st.floats(-3, 3), min_size=n, max_size=n),
        st.lists(st.floats(0.05, 2), min_size=n, max_size=n),
    )
)


@pytest.fixture
def bcg():
    """The BCG vaccine trials (Colditz et al. 1994): log risk ratios and their variances.

    The data set `dat.bcg` of the R package metafor.
    """
    ill = np.array([4, 6, 3, 62, 33, 180, 8, 505, 29, 17, 186, 5, 27])
    well = [119, 300, 228, 13536, 5036, 1361, 2537, 87886, 7470, 1699, 50448, 2493, 16886]
    base_ill = np.array([11, 29, 11, 248, 47, 372, 10, 499, 45, 65, 141, 3, 29])
    base_well = [128, 274, 209, 12619, 5761, 1079, 619, 87892, 7232, 1600, 27197, 2338, 17825]
    treated, base = ill + well, base_ill + base_well
    ratio = np.log(ill / treated / (base_ill / base))
    return ratio, 1 / ill - 1 / treated + 1 / base_ill - 1 / base


def table(theta, repeats, rng, rho=0.3):
    """Scores (problems, repeats, 2) with latent effects theta; scales differ between problems."""
    shape = (len(theta), repeats, 2)
    shared = np.sqrt(rho) * rng.normal(size=(len(theta), repeats, 1))
    scores = shared + np.sqrt(1 - rho) * rng.normal(size=shape)
    scores[:, :, 0] += np.asarray(theta)[:, None]
    return np.exp(scores * rng.uniform(0.5, 3, size=(len(theta), 1, 1)))


def test_metafor_prints_the_same_estimates_for_the_bcg_trials(bcg):
    # `rma(yi, vi)`, `confint` and `blup(transf=exp)` in the documentation of metafor.
    found = random_effects(*bcg)
    assert found.mean.estimate == pytest.approx(-0.7145, abs=5e-5)
    assert found.standard_error == pytest.approx(0.1798, abs=5e-5)
    assert found.spread.estimate**2 == pytest.approx(0.3132433, rel=1e-6)
    assert found.spread.low**2 == pytest.approx(0.1196953, rel=1e-3)
    assert found.spread.high**2 == pytest.approx(1.111486, rel=1e-4)
    blups = [
        0.4492, 0.2860, 0.3727, 0.2471, 0.7502, 0.4563, 0.2882, 1.0029, 0.6024, 0.2873, 0.7021,
        0.7522, 0.8635,
    ]  # fmt: skip
    assert np.exp([e.estimate for e in found.effects]) == pytest.approx(blups, abs=6e-5)


def test_the_interval_of_the_mean_is_near_that_of_knapp_and_hartung(bcg):
    # `rma(yi, vi, test="knha")`: -1.1084 to -0.3206.
    found = random_effects(*bcg).mean
    assert [found.low, found.high] == pytest.approx([-1.1084, -0.3206], abs=0.02)


@pytest.mark.parametrize("n", [2, 3, 6, 15])
def test_with_equal_variances_and_a_large_spread_the_mean_has_the_interval_of_a_t_test(n):
    y = np.random.default_rng(n).normal(size=n)
    found = random_effects(y, np.full(n, 1e-6))
    expected = oracle.ttest_1samp(y, 0).confidence_interval(0.95)
    assert [found.mean.low, found.mean.high] == pytest.approx(list(expected), rel=2e-3, abs=2e-3)
    assert found.spread.estimate == pytest.approx(y.std(ddof=1), rel=1e-4)


def test_it_is_the_mixed_model_of_statsmodels_where_variances_are_equal():
    rng = np.random.default_rng(5)
    d = rng.normal(-0.4, 1, size=(8, 6)) + rng.normal(0, 0.8, size=(8, 1))
    fit = MixedLM(d.ravel(), np.ones((48, 1)), np.repeat(np.arange(8), 6)).fit(reml=True)
    found = random_effects(d.mean(axis=1), np.full(8, d.var(axis=1, ddof=1).mean() / 6))
    assert found.mean.estimate == pytest.approx(fit.fe_params[0], abs=1e-6)
    assert found.standard_error == pytest.approx(fit.bse_fe[0], rel=1e-3)
    assert found.spread.estimate == pytest.approx(np.sqrt(fit.cov_re.item()), rel=1e-3)
    ours = [e.estimate - found.mean.estimate for e in found.effects]
    assert ours == pytest.approx([e.iloc[0] for e in fit.random_effects.values()], rel=1e-2)


@given(samples, st.floats(-5, 5), st.sampled_from([2.0**-500, 0.3, 7.0, 2.0**400]))
@settings(max_examples=40, deadline=None)
def test_another_origin_and_another_unit_of_the_effects_change_nothing(sample, origin, unit):
    y, v = map(np.array, sample)
    plain, moved = random_effects(y, v), random_effects(-unit * (y + origin), unit * (unit * v))
    size = 1e-6 * (1 + abs(origin))
    assert -moved.mean.estimate / unit - origin == pytest.approx(plain.mean.estimate, abs=size)
    assert -moved.mean.high / unit - origin == pytest.approx(plain.mean.low, abs=2e-3)
    assert moved.spread.high / unit == pytest.approx(plain.spread.high, rel=1e-6, abs=1e-5)
    assert moved.prediction.below(0.0) == pytest.approx(
        1 - plain.prediction.below(-origin), abs=1e-5
    )


@given(samples)
@settings(max_examples=40, deadline=None)
def test_estimates_lie_in_their_intervals_and_effects_are_shrunken_towards_the_mean(sample):
    y, v = map(np.array, sample)
    found = random_effects(y, v)
    for each in [found.mean, found.next_effect, *found.effects]:
        assert each.low - 1e-9 <= each.estimate <= each.high + 1e-9
    assert found.next_effect.low <= found.mean.low + 1e-9
    for raw, each in zip(y, found.effects, strict=True):
        ends = sorted([raw, found.mean.estimate])
        assert ends[0] - 1e-9 <= each.estimate <= ends[1] + 1e-9
    assert found.prediction.below(found.next_effect.low) == pytest.approx(0.025, abs=1e-6)


def _covered(runs, n, tau2, rng):
    """How often the intervals of mean, spread and next effect hold, for variances of 1."""
    inside = np.zeros((runs, 4))
    for row in inside:
        y = rng.normal(0, np.sqrt(1 + tau2), size=n)
        ahead = rng.normal(0, np.sqrt(tau2))
        found = random_effects(y, np.ones(n))
        reach = oracle.t.ppf(0.975, n - 2) * np.hypot(found.spread.estimate, found.standard_error)
        row[:] = [
            found.mean.low <= 0 <= found.mean.high,
            found.spread.low <= np.sqrt(tau2) <= found.spread.high,
            found.next_effect.low <= ahead <= found.next_effect.high,
            abs(ahead - found.mean.estimate) <= reach,
        ]
    return inside.mean(axis=0)


@pytest.mark.parametrize(("n", "tau2"), [(3, 0.0), (5, 1.0), (20, 0.5)])
def test_intervals_hold_their_level_also_with_few_units(n, tau2):
    mean, spread, ahead, usual = _covered(200, n, tau2, np.random.default_rng(n))
    assert min(mean, spread, ahead) > 0.904  # 0.95 less three standard errors
    if n == 20:
        assert usual < ahead - 0.02  # Higgins, Thompson and Spiegelhalter (2009)


@pytest.mark.parametrize(("problems", "tau"), [(3, 1.0), (10, 0.3)])
def test_the_mean_over_problems_is_covered(problems, tau):
    rng, inside = np.random.default_rng(problems), []
    for _ in range(150):
        (found,) = hierarchical(table(rng.normal(0, tau, problems), 10, rng), control=1)
        inside.append(found.mean.low <= 0 <= found.mean.high)
    assert np.mean(inside) > 0.896  # 0.95 less three standard errors


def test_effects_are_cohens_d_of_normal_scores():
    rng = np.random.default_rng(2)
    x, y = rng.normal(-0.5, 1, size=(4, 12)), rng.normal(size=(4, 12))
    effects, _, _ = effects_of(standard_differences(x, y))
    for row, other, effect in zip(x, y, effects, strict=True):
        ranks = oracle.rankdata(np.concatenate([row, other]))
        z = oracle.norm.ppf((ranks - 0.375) / 24.25)
        pooled = np.sqrt((z[:12].var(ddof=1) + z[12:].var(ddof=1)) / 2)
        assert effect == pytest.approx((z[:12].mean() - z[12:].mean()) / pooled, rel=1e-9)


def test_for_normal_values_they_estimate_the_difference_in_standard_deviations():
    rng = np.random.default_rng(3)
    (found,) = hierarchical(table(np.full(300, -0.8), 10, rng), control=1)
    assert found.mean.estimate == pytest.approx(-0.8, abs=0.06)
    assert found.spread.estimate < 0.25
    wins = oracle.norm.cdf(0.8 / np.sqrt(2 * 0.7))
    assert found.next_run == pytest.approx(wins, abs=0.03)
    assert found.better > 0.99


def test_the_scale_of_a_problem_and_other_strategies_do_not_matter():
    rng = np.random.default_rng(4)
    scores = rng.normal(size=(5, 6, 3))
    scales = rng.uniform(0.1, 9, size=(5, 1, 1))
    plain = hierarchical(scores, control=2)
    assert hierarchical(np.exp(scores * scales), control=2) == plain
    (alone,) = hierarchical(scores[:, :, 1:], control=1)
    assert alone.mean == plain[1].mean and alone.effects == plain[1].effects
    assert [found.treatment for found in plain] == [0, 1]


def test_the_roles_of_treatment_and_control_can_be_exchanged():
    scores = np.random.default_rng(6).normal([0, 0.4], size=(4, 5, 2))
    (one,), (other,) = hierarchical(scores, 1), hierarchical(scores, 0)
    assert one.mean.low == pytest.approx(-other.mean.high)
    assert one.better + other.better == pytest.approx(1)
    assert one.clearly_better == pytest.approx(other.clearly_worse)
    assert one.next_run + other.next_run == pytest.approx(1)


def test_a_failed_run_counts_as_the_worst_one():
    scores = np.random.default_rng(7).normal(size=(3, 5, 2))
    scores[0, 1, 0] = np.inf
    failed = hierarchical(scores, 1)
    scores[0, 1, 0] = 99
    assert hierarchical(scores, 1) == failed


def test_equal_results_have_no_effect_and_constant_ones_a_finite_effect():
    (none,) = hierarchical(np.ones((3, 4, 2)), 1)
    assert (none.mean.low, none.mean.high, none.better, none.next_run) == (0, 0, 0.5, 0.5)
    (large,) = hierarchical(np.tile([0.0, 1.0], (3, 4, 1)), 1)
    assert -9 < large.mean.low < large.mean.high < 0 and large.next_run > 0.9


def test_a_clear_effect_needs_a_margin():
    scores = np.random.default_rng(8).normal([0, 0.3], size=(8, 10, 2))
    found = [hierarchical(scores, 1, margin=m)[0].clearly_better for m in (0.0, 0.2, 0.6)]
    assert found[0] == pytest.approx(hierarchical(scores, 1)[0].better)
    assert all(a > b for a, b in itertools.pairwise(found))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hierarchical(np.ones((2, 3)), 0), r"\(problems, repeats, treatments\)"),
        (lambda: hierarchical(np.ones((1, 3, 2)), 0), "at least 2 of each"),
        (lambda: hierarchical(np.ones((2, 3, 2)), 2), "control must be a column"),
        (lambda: hierarchical(np.ones((2, 3, 2)), 0, margin=-1), "margin must be"),
        (lambda: hierarchical(np.full((2, 3, 2), np.nan), 0), "NaN"),
        (lambda: random_effects([1.0], [1.0]), "at least 2"),
        (lambda: random_effects([1.0, 2.0], [1.0, 1.0, 1.0]), "one value per unit, got 2 and 3"),
        (lambda: random_effects([1.0, 2.0], [1.0, 0.0]), "variances must be above 0"),
        (lambda: random_effects([1.0, 2.0], [1.0, 1e-13]), "at most 1e\\+12 times"),
        (lambda: random_effects([1.0, 2.0], [1.0, 1.0], 1.5), "level must be"),
    ],
)
def test_bad_input_raises_an_error_that_states_what_was_expected(call, message):
    with pytest.raises(StatisticsError, match=message):
        call()
