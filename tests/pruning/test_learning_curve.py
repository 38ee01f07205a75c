"""Extrapolation of learning curves: against regression, known curves and error rates."""

import math
import random

import numpy as np
import pytest
from scipy import integrate, stats

from metaopt.core.errors import StudyError
from metaopt.pruning import Candidate, CurvePruner
from metaopt.pruning import learning_curve as room
from metaopt.pruning.learning_curve import probability_below

END = 40


def cut(f, n, noise=0.0, seed=0):
    rng = random.Random(seed)
    x = np.arange(1.0, n + 1)
    return x, np.array([f(v) + rng.gauss(0, noise) for v in x])


def quantile(p, x, y, end):
    """Invert `probability_below` by bisection."""
    low, high = -50.0, 50.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if probability_below(middle, x, y, end) < p else (low, middle)
    return (low + high) / 2


def test_a_single_shape_gives_the_prediction_of_least_squares(monkeypatch):
    # statsmodels' prediction interval for y = c + a / x, without the prior on the noise
    sm = pytest.importorskip("statsmodels.api")
    monkeypatch.setattr(room, "PRIOR_WEIGHT", 0.0)
    monkeypatch.setattr(room, "shapes", lambda x: (1 / x[None, :], np.ones(1)))
    x, y = cut(lambda v: 1 + 2 / v, 9, noise=0.05)
    fit = sm.OLS(y, sm.add_constant(1 / x)).fit()
    low, high = fit.get_prediction([[1, 1 / END]]).conf_int(obs=True, alpha=0.1)[0]
    assert probability_below(low, x, y, END) == pytest.approx(0.05, abs=1e-9)
    assert probability_below(high, x, y, END) == pytest.approx(0.95, abs=1e-9)


def test_the_weight_of_a_shape_is_the_root_of_its_marginal_likelihood():
    # the integral over c, a and the variance, done numerically for two shapes
    x, y = cut(lambda v: 1 + 2 / v, 6, noise=0.2)
    z = (y - y[0]) / np.ptp(y)
    g = np.stack([1 / x, np.exp(-x / 3)])
    *_, weight = room._posterior(g, g[:, -1], z, np.array([0.5, 0.5]))

    def evidence(shape):
        shape = (shape - shape[-1]) / (shape[0] - shape[-1])  # c, a: values at the ends
        centre = np.linalg.lstsq(np.stack([1 - shape, shape], 1), z, rcond=None)[0]

        def density(variance):  # integrated over the two values, a Gaussian integral
            design = np.stack([1 - shape, shape], 1)
            rss = np.sum((z - design @ centre) ** 2)
            gauss = 2 * math.pi * variance / math.sqrt(np.linalg.det(design.T @ design))
            likelihood = (2 * math.pi * variance) ** (-len(z) / 2) * math.exp(-rss / 2 / variance)
            prior = stats.invgamma.pdf(variance, 0.5, scale=0.5 * room.PRIOR_NOISE**2)
            return likelihood * gauss * prior

        spread = np.logspace(-6, 2, 2001)
        return integrate.simpson([density(v) * v for v in spread], x=np.log(spread))

    both = np.sqrt([evidence(s) for s in g])
    assert weight == pytest.approx(both / both.sum(), rel=1e-3)


def family(rng):
    """A learning curve of some family with parameters off the grid."""
    end, a, q = rng.random(), rng.uniform(0.2, 2), 2 ** rng.uniform(-3, 1.5)
    r, m, c = rng.uniform(1, 30) / END, rng.uniform(2, 30), rng.uniform(0.8, 3)
    return rng.choice([
        lambda v: end + a * v**-q,
        lambda v: end + a * math.exp(-r * v),
        lambda v: end + a * math.exp(-math.sqrt(r * v)),
        lambda v: end + a / (1 + (v / m) ** c),
        lambda v: end + a * v**-0.5 + 0.5 * math.exp(-r * v),  # in none of the families
        lambda v: end - a * v**-q,  # it gets worse
    ])  # fmt: skip


def test_probabilities_are_calibrated():
    rng = random.Random(0)
    chances, widths = [], []
    for k in range(400):
        x, y = cut(family(rng), END, rng.choice([0.002, 0.01, 0.03]), seed=k)
        n = rng.choice([6, 12, 20])
        chances.append(probability_below(y[-1], x[:n], y[:n], END))
        if n == 20 and k < 200:
            low, high = (quantile(p, x[:n], y[:n], END) for p in (0.05, 0.95))
            widths.append((high - low) / np.ptp(y[:n]))
    for p in (0.05, 0.25, 0.75, 0.95):  # margin: three standard errors at p = 1/2
        assert np.mean(np.array(chances) < p) == pytest.approx(p, abs=0.075)
    assert np.median(widths) < 0.3  # the intervals are informative


def test_units_of_steps_and_values_do_not_matter():
    x, y = cut(lambda v: 0.1 + v**-0.5, 10, 0.02)
    p = probability_below(0.3, x, y, END)
    assert 0.01 < p < 0.99
    assert probability_below(3 + 70 * 0.3, x, 3 + 70 * y, END) == pytest.approx(p, abs=1e-9)
    assert probability_below(0.3, 60 * x + 7, y, 60 * END + 7) == pytest.approx(p, abs=1e-9)
    assert probability_below(0.3, x, y, END) == p


def test_the_probability_increases_with_the_target():
    x, y = cut(lambda v: 0.1 + v**-0.5, 8, 0.02)
    grid = [probability_below(t, x, y, END) for t in np.linspace(-1, 2, 61)]
    assert grid == sorted(grid) and grid[0] < 0.02 and grid[-1] > 0.98


@pytest.mark.parametrize("x", [
    [0, 1, 2, 3, 4], [-3, -2, 0, 1, 2], [0.1, 5, 6, 7, 30], [1.7e9 + k for k in range(5)],
])  # fmt: skip
@pytest.mark.parametrize("ahead", [1, 100, 1e12])
def test_steps_may_start_anywhere_and_end_far_away(x, ahead):
    y = np.array([1, 0.8, 0.7, 0.62, 0.6])
    p = probability_below(0.4, np.array(x, float), y, x[-1] + ahead)
    assert 0 < p < 1


def test_extreme_values_neither_raise_nor_warn():
    others = {0: ((1, 0.0),)}
    for y in (1e308, 1e-308, -1e308):
        reports = tuple((s, y * (-1) ** s + 1) for s in range(1, 9))
        CurvePruner(1e300).judge(Candidate(reports, 1), others)


def test_a_constant_curve_is_predicted_to_stay_constant():
    x, y = np.arange(1.0, 7), np.full(6, 0.5)
    assert probability_below(0.4, x, y, END) == 0 and probability_below(0.6, x, y, END) == 1


def simulated(seed, n=200):
    """Noisy learning curves outside the families: a mixture of two rates of decay."""
    rng = random.Random(seed)
    for _ in range(n):
        end, a, b = rng.uniform(0, 1), rng.uniform(0.2, 2), rng.uniform(0, 1)
        p, r = rng.uniform(0.3, 1.5), rng.uniform(0.05, 0.5)
        yield tuple(
            (s, end + a * s**-p + b * math.exp(-r * s) + rng.gauss(0, 0.02))
            for s in range(1, END + 1)
        )


def test_few_good_and_many_bad_trials_are_stopped():
    target = 0.3
    others = {0: ((END, target),)}
    pruner = CurvePruner(END, threshold=0.05)
    winners = stopped_winners = saved = total = 0
    for curve in simulated(1):
        end = next((n for n in range(1, END) if pruner.judge(Candidate(curve[:n], 1), others)), END)
        wins = curve[-1][1] < target
        winners += wins
        stopped_winners += wins and end < END
        saved += 0 if wins else END - end
        total += 0 if wins else END
    assert winners > 20 and stopped_winners <= 0.1 * winners
    assert saved > 0.5 * total


def test_a_trial_is_compared_with_the_best_of_the_others():
    falling = Candidate(tuple((s, 1 + 1 / s) for s in range(1, 11)), 9)
    better = {n: ((1, 3.0), (2, 0.1 * n), (3, math.nan), (4, 5.0)) for n in range(4)}
    pruner = CurvePruner(END)
    assert pruner.judge(falling, better)
    assert pruner.judge(falling, {**better, 8: ()})
    assert not pruner.judge(falling, {})
    assert not pruner.judge(falling, {0: ((1, 1.5),)})
    assert not pruner.judge(falling, {0: ((1, math.nan),)})
    assert CurvePruner(END, k=4).judge(falling, better)  # the fourth best is 0.3
    assert not CurvePruner(END, k=5).judge(falling, better)
    assert not CurvePruner(END, min_reports=11).judge(falling, better)
    assert not CurvePruner(10).judge(falling, better)  # at its end
    assert not pruner.judge(Candidate((*((s, 1.0) for s in range(1, 9)), (9, -1), (10, 9))), better)
    assert pruner.judge(Candidate(((1, math.nan),)), {})


@pytest.mark.parametrize(("settings", "part"), [
    ({"max_resource": 0}, "max_resource must be"),
    ({"max_resource": 9, "threshold": 0}, "threshold must be a number above 0, got 0"),
    ({"max_resource": 9, "threshold": 1}, "threshold must lie between 0 and 1, got 1"),
    ({"max_resource": 9, "k": 0}, "k must"),
    ({"max_resource": 9, "min_reports": 2}, "min_reports must be an integer of at least 3, got 2"),
])  # fmt: skip
def test_wrong_settings_are_refused(settings, part):
    with pytest.raises(StudyError) as caught:
        CurvePruner(**settings)
    assert part in str(caught.value)
