"""Sampling is uniform on each parameter's own scale; chi-square tests at 99.9 %, seeds fixed."""

import math
from collections import Counter

import numpy as np
import pytest
from arbitrary import identity, typed, values_of
from scipy import stats

from metaopt.space import Categorical, Constant, Float, Int, Ordinal, Space

N = 20_000


def draw(space, seed=0, n=N):
    return space.sample(np.random.default_rng(seed), n)


def assert_shares(observed, shares):
    counts = np.array([observed.get(k, 0) for k in shares])
    assert counts.sum() == sum(observed.values())
    expected = np.array(list(shares.values())) * counts.sum()
    statistic = np.sum((counts - expected) ** 2 / expected)
    assert statistic < stats.chi2.ppf(0.999, len(counts) - 1)


@pytest.mark.parametrize("p", [
    Int(-3, 7), Int(0, 20, step=4), Ordinal([3, 1, "x"]), Categorical([True, 1, 1.0, "1", None]),
    Float(0, 1, step=0.125), Float(-0.3, 0.3, step=0.1),
], ids=str)  # fmt: skip
def test_every_value_of_a_linear_discrete_parameter_is_equally_likely(p):
    seen = Counter(typed(c["x"]) for c in draw(Space(x=p)))
    values = values_of(p)
    assert_shares(seen, {typed(v): 1 / len(values) for v in values})


@pytest.mark.parametrize(("low", "high"), [(1, 8), (1, 2), (3, 17), (1, 30)])
def test_log_integers_are_uniform_in_the_logarithm(low, high):
    seen = Counter(c["x"] for c in draw(Space(x=Int(low, high, log=True))))
    room = math.log((high + 0.5) / (low - 0.5))
    shares = {k: math.log((k + 0.5) / (k - 0.5)) / room for k in range(low, high + 1)}
    assert math.isclose(sum(shares.values()), 1)
    assert_shares(seen, shares)


@pytest.mark.parametrize(("low", "high"), [(1, 8), (5, 6), (1, 1000), (10**6, 10**6 + 50)])
def test_the_cells_of_log_integers_meet_at_the_halves(low, high):
    space = Space(x=Int(low, high, log=True))
    k = np.arange(low, high)
    u = np.log((k + 0.5) / (low - 0.5)) / math.log((high + 0.5) / (low - 0.5))
    little = 1e-3 * np.min(np.diff(u, prepend=0.0))  # a thousandth of the narrowest cell
    below = [c["x"] for c in space.decode((u - little)[:, None])]
    above = [c["x"] for c in space.decode((u + little)[:, None])]
    assert below == k.tolist()
    assert above == (k + 1).tolist()


def test_floats_are_uniform_and_log_floats_uniform_in_the_logarithm():
    configs = draw(Space(a=Float(-3, 5), b=Float(1e-6, 1e3, log=True)))
    a = np.array([c["a"] for c in configs])
    b = np.log10([c["b"] for c in configs])
    assert stats.kstest(a, stats.uniform(-3, 8).cdf).pvalue > 0.001
    assert stats.kstest(b, stats.uniform(-6, 9).cdf).pvalue > 0.001
    assert abs(stats.spearmanr(a, b).statistic) < 3.3 / math.sqrt(N)


def test_children_are_uniform_given_that_they_are_active():
    space = Space(
        kind=Categorical(["a", "b", "c"]),
        one=Int(0, 3, when={"kind": ["a"]}),
        two=Int(0, 4, when={"kind": ["b", "c"]}),
    )
    shares = {("kind", "a", v): 1 / 12 for v in range(4)}
    shares |= {("kind", k, v): 1 / 15 for k in "bc" for v in range(5)}
    seen = Counter(("kind", c["kind"], c.get("one", c.get("two"))) for c in draw(space))
    assert_shares(seen, shares)


def test_allowed_combinations_stay_equally_likely_with_forbidden_ones():
    space = Space(
        a=Int(0, 3),
        b=Categorical(["p", "q", "r"]),
        c=Constant(1),
        forbid=[{"a": [0, 1], "b": "p"}, {"b": ["q"], "a": 3}],
    )
    allowed = [identity(c) for c in space.configurations()]
    assert len(allowed) == 9
    assert_shares(Counter(map(identity, draw(space))), dict.fromkeys(allowed, 1 / 9))


@pytest.mark.parametrize("others", [1, 1999])
def test_few_allowed_values_keep_their_relative_probabilities(others):
    """Rejected draws must not change the distribution of the others, however many there are."""
    values = 30
    space = Space(
        k=Int(1, values, log=True),
        z=Int(0, others),
        child=Int(0, 1, when={"k": [1]}),
        forbid=[{"z": list(range(1, others + 1))}],
    )
    room = math.log((values + 0.5) / 0.5)
    first = math.log(1.5 / 0.5) / room
    seen = Counter(c["k"] == 1 for c in draw(space, n=400))
    assert_shares(seen, {True: first, False: 1 - first})
