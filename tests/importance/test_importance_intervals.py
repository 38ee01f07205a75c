"""Intervals of the shares: their coverage, and the inverted F distribution behind them."""

import math

import numpy as np
import pytest
from scipy import stats

from metaopt import Categorical, Float, Space
from metaopt.importance import fanova
from metaopt.importance.intervals import COMPUTED_AT, LEVEL, noncentrality

TAIL = (1 - COMPUTED_AT) / 2


@pytest.mark.parametrize(
    ("F", "m", "free"), [(9.0, 1, 20), (4.5, 5, 24), (60.0, 10, 89), (600.0, 5, 94)]
)
def test_both_ends_put_the_statistic_at_the_edge_of_its_distribution(F, m, free):
    low, high = noncentrality(F, m, free)
    assert stats.ncf.sf(F, m, free, low) == pytest.approx(TAIL, rel=0.05)
    assert stats.ncf.cdf(F, m, free, high) == pytest.approx(TAIL, rel=0.05)


def test_a_large_statistic_has_nearly_the_same_ends_as_just_below_the_switch():
    below, above = noncentrality(399.9, 5, 94), noncentrality(400.1, 5, 94)
    assert above == pytest.approx(below, rel=0.005)
    for F in (1e6, 1e15):  # the denominator alone varies
        edges = stats.chi2.ppf([TAIL, 1 - TAIL], 94) / 94
        assert noncentrality(F, 5, 94) == pytest.approx(tuple(5 * F * edges), rel=0.01)


@pytest.mark.parametrize("tests", [1, 2, 5, 20])
def test_the_lower_end_leaves_0_only_beyond_the_corrected_test(tests):
    edge = float(stats.f.isf(min(TAIL, (1 - LEVEL) / tests), 5, 24))
    assert noncentrality(edge * 0.99, 5, 24, tests)[0] == 0
    assert noncentrality(edge * 1.01, 5, 24, tests)[0] > 0


def test_a_statistic_below_its_mean_under_noise_is_no_more_precise_than_its_mean():
    assert noncentrality(0.05, 5, 24) == noncentrality(1.0, 5, 24)


STEP = [math.sqrt(0.3 / 0.7), -math.sqrt(0.7 / 0.3)]  # mean 0, variance 1
SHAPES = {
    "lines": lambda u: math.sqrt(12) * (u - 0.5),
    "waves": lambda u: math.sqrt(2) * math.sin(2 * math.pi * u),
    "steps": lambda u: STEP[u < 0.3],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_intervals_hold_the_true_shares(shape):
    """Shares 0.5, 0.25, 0 and noise; 30 trials, where the forest misses a part of the effects.

    A coverage of 0.94 gives 162 of 180 or more with a probability of 0.98.
    """
    space, f = Space(a=Float(0, 1), b=Float(0, 1), idle=Float(0, 1)), SHAPES[shape]
    true, held = {"a": 0.5, "b": 0.25, "idle": 0.0}, 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        configs = space.sample(rng, 30)
        y = [math.sqrt(0.5) * f(c["a"]) + 0.5 * f(c["b"]) + 0.5 * rng.normal() for c in configs]
        ends = fanova(space, configs, y, trees=32).intervals
        held += sum(ends[k][0] <= share <= ends[k][1] for k, share in true.items())
    assert held >= 162


def test_intervals_become_shorter_with_more_trials():
    space = Space(a=Float(0, 1), k=Categorical(["x", "y", "z"]))
    worth, length = {"x": 0.0, "y": 1.0, "z": 0.3}, []
    for n in (25, 100, 400):
        rng = np.random.default_rng(0)
        configs = space.sample(rng, n)
        y = [c["a"] + worth[c["k"]] + 0.2 * rng.normal() for c in configs]
        ends = fanova(space, configs, y, trees=32).intervals
        length.append({k: high - low for k, (low, high) in ends.items()})
    for name in ("a", "k"):
        first, second, third = (found[name] for found in length)
        assert third < 0.7 * second < 0.5 * first


def test_variance_that_changes_along_a_parameter_is_not_taken_for_an_effect():
    """The value is a c^4: c alone explains nothing, but the values spread with it."""
    space, above = Space(a=Float(-1, 1), c=Float(-1, 1)), 0
    for seed in range(20):
        configs = space.sample(np.random.default_rng(seed), 80)
        y = [c["a"] * c["c"] ** 4 for c in configs]
        above += fanova(space, configs, y, trees=32).intervals["c"][0] > 0.01
    assert above <= 3


def test_a_parameter_that_no_trial_varies_has_no_share():
    space = Space(a=Float(0, 1), b=Categorical(["x", "y"]))
    configs = [{"a": i / 20, "b": "x"} for i in range(20)]
    found = fanova(space, configs, [c["a"] for c in configs])
    assert found.intervals["b"] == (0.0, 0.0) and found.main["b"] == 0
    assert found.main["a"] > 0.9
