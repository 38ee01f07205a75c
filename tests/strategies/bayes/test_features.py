"""Features: distances are as documented, and points are rounded as the space does it."""

import numpy as np
import pytest

from metaopt.space import Categorical, Constant, Float, Int, Ordinal, Space
from metaopt.testing import SPACES
from metaopt_strategies.bayes.features import Features
from metaopt_strategies.bayes.kernels import Trend
from metaopt_strategies.bayes.trust_region import Quadratic

CONDITIONAL = Space(
    kind=Categorical(["a", "b", "c"]),
    x=Float(0, 1),
    size=Ordinal([1, 2, 4]),
    momentum=Float(0, 0.9, when={"kind": ["a", "b"]}),
    depth=Int(1, 5, when={"kind": ["b"]}),
    flag=Categorical([True, False], when={"kind": ["b"]}),
    fixed=Constant(3),
)


def distances(space, configs):
    """Return the squared distances from the first configuration to the others, by parameter."""
    columns = Features(space)
    Z = columns.features(*space.encode(configs))
    D = np.add.reduceat(np.square(Z[1:] - Z[0]), columns.groups, axis=1)
    names = [space.names[c.index] for c in columns.columns]
    return {name: D[:, i] for i, name in enumerate(names)}


def test_two_categories_and_the_ends_of_a_range_have_distance_one():
    base = {"kind": "c", "x": 0.5, "size": 1, "fixed": 3}
    D = distances(CONDITIONAL, [base, {**base, "size": 4}, {**base, "size": 2}, {**base, "x": 0.0}])
    np.testing.assert_allclose(D["size"], [1.0, 0.25, 0.0], atol=1e-12)
    np.testing.assert_allclose(D["x"], [0.0, 0.0, 0.25])
    assert "fixed" not in D
    other = {"kind": "a", "x": 0.5, "size": 1, "momentum": 0.3, "fixed": 3}
    np.testing.assert_allclose(distances(CONDITIONAL, [base, other])["kind"], [1.0])


def test_an_inactive_parameter_has_distance_one_to_every_value():
    off = {"kind": "c", "x": 0.1, "size": 1, "fixed": 3}
    low = {"kind": "a", "x": 0.1, "size": 1, "momentum": 0.0, "fixed": 3}
    D = distances(
        CONDITIONAL,
        [off, {**off, "x": 0.9}, low, {**low, "momentum": 0.45}, {**low, "momentum": 0.9}],
    )
    # Inactive in both: no distance. In one: the same distance from every value.
    np.testing.assert_allclose(D["momentum"], [0.0, 1.0, 1.0, 1.0], atol=1e-12)
    D = distances(CONDITIONAL, [low, {**low, "momentum": 0.45}, {**low, "momentum": 0.9}])
    np.testing.assert_allclose(np.sqrt(D["momentum"]), [0.5, 1.0], rtol=0.05)


def test_a_conditional_category_treats_inactive_as_a_choice():
    off = {"kind": "c", "x": 0.1, "size": 1, "fixed": 3}
    on = {"kind": "b", "x": 0.1, "size": 1, "momentum": 0.1, "depth": 2, "flag": True, "fixed": 3}
    D = distances(CONDITIONAL, [on, {**on, "flag": False}, off])
    np.testing.assert_allclose(D["flag"], [1.0, 1.0])


@pytest.mark.parametrize("name", list(SPACES))
def test_snapping_equals_decoding_and_encoding(name):
    space = SPACES[name]()
    columns = Features(space)
    U, A, allowed = columns.snap(np.random.default_rng(0).random((200, len(space))))
    configs = space.decode(U)
    assert allowed.tolist() == [not space.is_forbidden(c) for c in configs]
    V, B = space.encode([c for c, ok in zip(configs, allowed, strict=True) if ok])
    np.testing.assert_array_equal(B, A[allowed])
    np.testing.assert_allclose(V, U[allowed], atol=1e-12)
    discrete = columns.discrete
    np.testing.assert_array_equal(V[:, discrete], U[allowed][:, discrete])  # to the last bit


@pytest.mark.parametrize("kind", ["columns", "trend", "local"])
def test_pulled_back_derivatives_agree_with_finite_differences(kind):
    columns = Features(CONDITIONAL)
    rng = np.random.default_rng(3)
    U, A = CONDITIONAL.encode(CONDITIONAL.sample(rng, 12))
    U = np.clip(U, 0.05, 0.95)
    part = {
        "columns": columns,
        "trend": Trend(columns),
        "local": Quadratic(columns.numbers, np.full(len(CONDITIONAL), 0.4), 0.3),
    }[kind]
    weights = rng.standard_normal(part.features(U, A).shape)
    slope = part.pull_back(U, A, weights)
    for j in columns.movable:
        e = np.zeros_like(U)
        e[:, j] = 1e-6
        up, down = part.features(U + e, A), part.features(U - e, A)
        numeric = (weights * (up - down)).sum(axis=1) / 2e-6
        np.testing.assert_allclose(slope[:, j], numeric, atol=1e-6)
