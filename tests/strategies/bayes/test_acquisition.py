"""Log EI equals a computation in arbitrary precision, its derivatives finite differences."""

import mpmath
import numpy as np
import pytest

from metaopt_strategies.bayes.acquisition import log_ei, log_ei_slopes, log_feasible


def exact(mu, sd, best):
    mpmath.mp.dps = 60
    z = (mpmath.mpf(best) - mpmath.mpf(mu)) / mpmath.mpf(sd)
    if z < -1e4:  # by the series, because 60 digits are too few for the difference
        log_ratio = mpmath.log(1 - 3 / z**2 + 15 / z**4) - 2 * mpmath.log(-z)
        return float(log_ratio - z * z / 2 - mpmath.log(2 * mpmath.pi) / 2 + mpmath.log(sd))
    h = mpmath.npdf(z) + z * mpmath.erfc(-z / mpmath.sqrt(2)) / 2
    return float(mpmath.log(h) + mpmath.log(sd))


@pytest.mark.parametrize("sd", [1e-8, 0.3, 5.0])
@pytest.mark.parametrize(
    "z", [30.0, 5.0, 0.5, 0.0, -0.5, -3.0, -20.0, -39.9, -40.1, -100.0, -1e3, -1e5, -1e8]
)
def test_log_ei_is_exact_far_into_the_tail(z, sd):
    best, mu = 0.0, -z * sd
    value = log_ei(np.array([mu]), np.array([sd]), best)[0]
    assert value == pytest.approx(exact(mu, sd, best), rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("mu", [-3.0, 0.0, 2.0, 15.0, 60.0, 500.0])
def test_the_derivatives_of_log_ei_agree_with_finite_differences(mu):
    sd, h = 0.7, 1e-6 * max(1.0, abs(mu))
    _, by_mu, by_sd = log_ei_slopes(np.array([mu]), np.array([sd]), 0.2)
    value = lambda m, s: log_ei(np.array([m]), np.array([s]), 0.2)[0]  # noqa: E731
    assert by_mu[0] == pytest.approx((value(mu + h, sd) - value(mu - h, sd)) / (2 * h), rel=1e-5)
    assert by_sd[0] == pytest.approx(
        (value(mu, sd + 1e-7) - value(mu, sd - 1e-7)) / 2e-7, rel=1e-4, abs=1e-6
    )


@pytest.mark.parametrize("mu", [-30.0, -2.0, 0.0, 1.0, 4.0])
def test_the_derivatives_of_log_feasibility_agree_with_finite_differences(mu):
    sd, h = 0.4, 1e-6
    _, by_mu, by_sd = log_feasible(np.array([mu]), np.array([sd]))
    value = lambda m, s: log_feasible(np.array([m]), np.array([s]))[0][0]  # noqa: E731
    numeric = (value(mu + h, sd) - value(mu - h, sd)) / (2 * h)
    assert by_mu[0] == pytest.approx(numeric, rel=1e-5, abs=1e-9)
    numeric = (value(mu, sd + h) - value(mu, sd - h)) / (2 * h)
    assert by_sd[0] == pytest.approx(numeric, rel=1e-5, abs=1e-9)
