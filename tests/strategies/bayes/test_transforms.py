"""The outcome transform: increasing, invertible, invariant to shift and scale, always finite."""

import math

import numpy as np
import pytest

from metaopt_strategies.bayes.transforms import OutcomeTransform

SHAPES = [(1.0, 1.0), (1.0, math.inf), (math.inf, math.inf)]


@pytest.mark.parametrize(("b", "c"), SHAPES)
def test_it_is_increasing_and_backward_inverts_forward(b, c):
    y = np.random.default_rng(0).lognormal(0, 3, 50)
    outcome = OutcomeTransform.fit(y, (b, c))
    beyond = np.sort(np.r_[y, y.min() - [0.1, 3.0], y.max() * 10])
    w = outcome.forward(beyond)
    assert (np.diff(w) > 0).all()
    np.testing.assert_allclose(outcome.backward(w), beyond, rtol=1e-9, atol=1e-9)
    w = outcome.forward(y)
    assert abs(w.mean()) < 1e-9 and w.std() == pytest.approx(1.0)


@pytest.mark.parametrize(("b", "c"), SHAPES)
def test_shift_and_scale_change_nothing(b, c):
    y = np.round(np.random.default_rng(1).standard_normal(30) * 1024) / 1024
    w = OutcomeTransform.fit(y, (b, c)).forward(y)
    for other in (y * 2.0**20, y * 2.0**-30, y + 4096.0):
        np.testing.assert_array_equal(OutcomeTransform.fit(other, (b, c)).forward(other), w)


@pytest.mark.parametrize(("b", "c"), SHAPES)
@pytest.mark.parametrize(
    "y",
    [
        [1.0],
        [2.0, 2.0, 2.0],
        [1e300, -1e300, 0.0],
        [-1.7e308, 1.7e308],
        [5e-324, 0.0, 0.0],
        [0.0, 0.0, 0.0, 1.0],
        list(10.0 ** np.arange(-6, 7)),
        [1e300, 1e-300, 2e-300],
    ],
)
def test_extreme_values_stay_finite(y, b, c):
    y = np.array(y)
    outcome = OutcomeTransform.fit(y, (b, c))
    w = outcome.forward(y)
    assert np.isfinite(w).all()
    assert np.isfinite(outcome.backward(np.array([-40.0, -1.0, 0.0, 1.0, 40.0]))).all()


@pytest.mark.parametrize(("b", "c"), SHAPES)
def test_the_jacobian_is_the_sum_of_log_slopes(b, c):
    y = np.random.default_rng(2).standard_normal(20)
    outcome, plain = OutcomeTransform.fit(y, (b, c)), OutcomeTransform.fit(y, (math.inf, math.inf))
    inside = y[y > y.min()]  # at the smallest value the slope has a kink
    slope = lambda o: (o.forward(inside + 1e-6) - o.forward(inside - 1e-6)) / 2e-6  # noqa: E731
    numeric = np.log(slope(outcome)).sum() - np.log(slope(plain)).sum()
    ours = outcome.log_jacobian(inside) - plain.log_jacobian(inside)
    assert ours == pytest.approx(numeric, abs=1e-4)
