"""Shares of the variance of the observed values: what noise gets, and laws of the shares."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaopt import Categorical, Float, Int, Space
from metaopt.importance import fanova, ped_anova

FIVE = Space({f"x{i}": Float(0, 1) for i in range(5)})
MIXED = Space(
    lr=Float(1e-4, 1, log=True), n=Int(1, 6), kind=Categorical(["a", "b", "c"]),
    m=Float(0, 1, when={"kind": ["b"]}),
)  # fmt: skip


def drawn(space, n, seed):
    rng = np.random.default_rng(seed)
    return space.sample(rng, n), rng


def unit(u):
    """A uniform effect with mean 0 and variance 1."""
    return math.sqrt(12) * (u - 0.5)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**20), n=st.integers(10, 40), noise=st.sampled_from([0.0, 0.3, 3.0]))
def test_all_parts_add_up_to_1_and_lie_in_their_intervals(seed, n, noise):
    configs, rng = drawn(MIXED, n, seed)
    y = [math.log10(c["lr"]) + c.get("m", 0) * c["n"] + noise * rng.normal() for c in configs]
    found = fanova(MIXED, configs, y, trees=16, pairs=True)
    assert sum(found.main.values()) + found.interactions == pytest.approx(found.r2)
    assert found.r2 + found.unexplained == pytest.approx(1)
    assert min(*found.main.values(), found.interactions, found.unexplained) >= 0
    assert list(found.main.values()) == sorted(found.main.values(), reverse=True)
    assert sum(found.pairs.values()) <= found.interactions + 1e-12
    for name, share in found.main.items():
        low, high = found.intervals[name]
        assert 0 <= low <= share <= high <= 1


# Of 150 simulated samples with 32 trees, the largest sum of the shares was 0.45 with 20 trials,
# 0.17 with 68 and 0.05 with 200, on average 0.09, 0.03 and 0.01.
@pytest.mark.parametrize(("n", "average"), [(30, 0.12), (100, 0.06), (200, 0.03)])
def test_noise_gets_almost_no_share(n, average):
    sums, above = [], 0
    for seed in range(12):
        configs, rng = drawn(FIVE, n, seed)
        found = fanova(FIVE, configs, rng.normal(size=n), trees=32)
        sums.append(sum(found.main.values()))
        above += any(low > 0 for low, _ in found.intervals.values())
    assert np.mean(sums) < average and above <= 3


def test_noise_gets_no_share_in_what_separates_the_best_trials():
    found = []
    for seed in range(40):
        configs, rng = drawn(MIXED, 60, seed)
        found.append(sum(ped_anova(MIXED, configs, rng.normal(size=60)).values()))
    assert sum(share > 0 for share in found) <= 6  # 2 expected; P(more than 6) < 0.01


def test_a_known_additive_function_without_noise_gets_its_analytic_shares():
    """Variances of 2 u, of 3 u^2 (9 * 4 / 45) and of three categories, under uniform sampling."""
    space = Space(a=Float(0, 1), b=Float(0, 1), k=Categorical(["x", "y", "z"]))
    worth = {"x": 0.0, "y": 1.0, "z": 0.2}
    configs, _ = drawn(space, 500, 0)
    found = fanova(space, configs, [2 * c["a"] + 3 * c["b"] ** 2 + worth[c["k"]] for c in configs])
    true = {"a": 4 / 12, "b": 9 * 4 / 45, "k": float(np.var([0.0, 1.0, 0.2]))}
    for name, variance in true.items():
        share = variance / sum(true.values())
        assert found.main[name] == pytest.approx(share, abs=0.04)
        assert found.intervals[name][0] <= share <= found.intervals[name][1]
    assert found.unexplained < 0.04 and found.interactions < 0.01


def test_noise_of_equal_variance_halves_the_shares():
    configs, rng = drawn(FIVE, 400, 0)
    f = np.array([2 * unit(c["x0"]) + unit(c["x3"]) for c in configs]) / math.sqrt(5)
    exact = fanova(FIVE, configs, f)
    noisy = fanova(FIVE, configs, f + rng.normal(size=400))
    for name, share in (("x0", 0.8), ("x3", 0.2)):
        assert exact.main[name] == pytest.approx(share, abs=0.05)
        assert noisy.main[name] == pytest.approx(share / 2, abs=0.06)
    assert noisy.unexplained == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("factor", [-3.0, 1e-200, 1e200])
def test_scaling_the_values_leaves_the_shares(factor):
    configs, rng = drawn(FIVE, 60, 1)
    y = np.array([unit(c["x0"]) + 0.5 * rng.normal() for c in configs])
    a, b = fanova(FIVE, configs, y), fanova(FIVE, configs, factor * y)
    assert b.main == pytest.approx(a.main, abs=0.02)  # rounding can move a cut
    assert b.unexplained == pytest.approx(a.unexplained, abs=0.02)


def test_renaming_the_parameters_permutes_the_shares():
    """Each name gets the share of its effect, up to the randomness of the forest."""
    configs, rng = drawn(FIVE, 200, 2)
    y = [unit(c["x0"]) + 0.6 * unit(c["x1"]) + 0.3 * rng.normal() for c in configs]
    turned = [{f"x{i}": c[f"x{(i + 2) % 5}"] for i in range(5)} for c in configs]
    a, b = fanova(FIVE, configs, y), fanova(FIVE, turned, y)
    for i in range(5):
        name, now = f"x{(i + 2) % 5}", f"x{i}"
        assert b.main[now] == pytest.approx(a.main[name], abs=0.03)
        assert b.intervals[now] == pytest.approx(a.intervals[name], abs=0.05)


def test_an_interaction_alone_is_shown_as_such():
    """The sign of a product: no parameter explains anything alone."""
    space = Space(a=Float(-1, 1), b=Float(-1, 1), c=Float(-1, 1))
    configs, _ = drawn(space, 400, 0)
    found = fanova(space, configs, [float(c["a"] * c["b"] > 0) for c in configs], pairs=True)
    assert sum(found.main.values()) < 0.05 and found.interactions > 0.7
    assert next(iter(found.pairs)) == ("a", "b")
    assert found.pairs["a", "b"] > 0.9 * found.interactions


def test_failed_trials_tell_ped_anova_where_the_best_are_not():
    """All values are noise, but every trial with x > 0.5 failed: x separates."""
    space = Space(x=Float(0, 1), y=Float(0, 1))
    configs, rng = drawn(space, 300, 0)
    y = np.where([c["x"] > 0.5 for c in configs], math.inf, rng.normal(size=300))
    found = ped_anova(space, configs, y)
    assert list(found) == ["x", "y"] and found["x"] > 0.9
    kept = np.isfinite(y)
    without = ped_anova(space, [c for c, k in zip(configs, kept, strict=True) if k], y[kept])
    assert without["x"] == 0
