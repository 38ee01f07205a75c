"""The mathematics of the process: gradients, posterior, leave-one-out, extremes."""

import numpy as np
import pytest

from metaopt.space import Categorical, Float, Int, Space
from metaopt_strategies.bayes.features import Features
from metaopt_strategies.bayes.gp import GPPosterior, Likelihood, Pairs, Prior, factor, fit
from metaopt_strategies.bayes.kernels import Trend, matern52, matern52_slope

SPACE = Space(
    x=Float(0, 1),
    y=Float(1e-3, 1, log=True),
    kind=Categorical(["a", "b", "c"]),
    size=Int(1, 9),
    z=Float(-1, 1, when={"kind": ["a", "b"]}),
    flag=Categorical([True, False]),
)


def data(n, space=SPACE, seed=0):
    rng = np.random.default_rng(seed)
    columns = Features(space)
    U, A = space.encode(space.sample(rng, n))
    Z, Phi = columns.features(U, A), Trend(columns).features(U, A)
    w = np.sin(4 * U[:, 0]) + U[:, 1] + 0.1 * rng.standard_normal(n)
    return columns, U, A, Z, Phi, (w - w.mean()) / w.std()


def test_the_derivative_of_the_kernel_agrees_with_finite_differences():
    r2 = np.array([1e-3, 0.1, 1.0, 7.0])
    k, slope = matern52_slope(r2)
    h = 1e-6 * r2
    numeric = (matern52(r2 + h) - matern52(r2 - h)) / (2 * h)
    np.testing.assert_allclose(slope, numeric, rtol=1e-6)
    np.testing.assert_allclose(k, matern52(r2), rtol=1e-14)
    assert matern52(np.zeros(1)) == 1.0
    assert not np.shares_memory(k, slope)


@pytest.mark.parametrize("seed", range(3))
def test_the_likelihood_gradient_agrees_with_finite_differences(seed):
    columns, _, _, Z, Phi, w = data(25)
    g = len(columns.groups)
    f = Likelihood(Pairs(Z, columns.groups, Phi), w, Prior.standard(g))
    theta = np.random.default_rng(seed).normal(0.0, 0.7, g + 3)
    theta[g + 1 :] -= 3.0
    _, gradient = f(theta)
    for j in range(g + 3):
        e = np.zeros(g + 3)
        e[j] = 1e-5
        numeric = (f(theta + e)[0] - f(theta - e)[0]) / 2e-5
        assert gradient[j] == pytest.approx(numeric, rel=1e-5, abs=1e-5)


def test_the_fit_ends_where_the_gradient_vanishes():
    columns, _, _, Z, Phi, w = data(40)
    prior = Prior.standard(len(columns.groups))
    f = Likelihood(Pairs(Z, columns.groups, Phi), w, prior)
    theta, value = fit(f, prior.mean, 300)
    inside = (theta > prior.low + 1e-9) & (theta < prior.high - 1e-9)
    assert value < f(prior.mean)[0]
    assert np.abs(f(theta)[1][inside]).max() < 0.3


def test_the_posterior_equals_that_of_scikit_learn():
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern, WhiteKernel

    space = Space(x=Float(0, 1), y=Float(0, 1), z=Float(0, 1))
    columns, _, _, Z, _, w = data(40, space)
    length, sf, noise, sl = np.array([0.3, 0.8, 2.0]), 1.7, 1e-3, 0.4
    theta = np.log(np.r_[length, sf, noise, sl])
    ours = GPPosterior(theta, Z, columns.groups, Z, w)  # the trend is linear in Z here
    kernel = (
        ConstantKernel(sf) * Matern(length, nu=2.5)
        + ConstantKernel(sl) * DotProduct(1e-9)
        + WhiteKernel(noise)
    )
    theirs = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=None).fit(Z, w)
    new = np.random.default_rng(1).random((20, 3))
    mean, sd = ours.predict(new, new)
    mean_, sd_ = theirs.predict(new, return_std=True)
    np.testing.assert_allclose(mean, mean_, atol=1e-6)
    np.testing.assert_allclose(np.sqrt(sd**2 + noise), sd_, atol=1e-6)
    at_data = ours.predict(Z, Z)
    np.testing.assert_allclose(ours.at_data(), at_data[0], atol=1e-9)
    np.testing.assert_allclose(ours.pessimistic_at_data(), at_data[0] + at_data[1], atol=1e-6)


def test_leave_one_out_equals_a_posterior_without_that_point():
    columns, _, _, Z, Phi, w = data(15)
    g = len(columns.groups)
    theta = np.r_[np.full(g, 0.3), 0.2, np.log(1e-2), -2.0]
    mean, sd = GPPosterior(theta, Z, columns.groups, Phi, w).leave_one_out()
    for i in range(15):
        rest = np.arange(15) != i
        one = GPPosterior(theta, Z[rest], columns.groups, Phi[rest], w[rest])
        m, s = one.predict(Z[i : i + 1], Phi[i : i + 1])
        assert mean[i] == pytest.approx(m[0], abs=1e-9)
        assert sd[i] == pytest.approx(np.sqrt(s[0] ** 2 + 1e-2), abs=1e-9)


def test_the_derivatives_of_the_posterior_agree_with_finite_differences():
    columns, _, _, Z, Phi, w = data(30)
    g = len(columns.groups)
    theta = np.r_[np.full(g, 0.3), 0.2, np.log(1e-3), -1.0]
    model = GPPosterior(theta, Z, columns.groups, Phi, w)
    rng = np.random.default_rng(2)
    z, phi = rng.random((4, Z.shape[1])), rng.random((4, Phi.shape[1]))
    mean, sd, pull = model.predict_with_slopes(z, phi)
    one, none = np.ones(4), np.zeros(4)
    mean_slopes, sd_slopes, both = pull(one, none), pull(none, one), pull(2 * one, -3 * one)
    for whole, m, s in zip(both, mean_slopes, sd_slopes, strict=True):
        np.testing.assert_allclose(whole, 2 * m - 3 * s, atol=1e-9)
    np.testing.assert_allclose(np.array(model.predict(z, phi)), np.array([mean, sd]), rtol=1e-12)
    for j in range(z.shape[1]):
        e = np.zeros_like(z)
        e[:, j] = 1e-6
        up, down = model.predict(z + e, phi), model.predict(z - e, phi)
        np.testing.assert_allclose(mean_slopes[0][:, j], (up[0] - down[0]) / 2e-6, atol=1e-6)
        np.testing.assert_allclose(sd_slopes[0][:, j], (up[1] - down[1]) / 2e-6, atol=1e-6)
    for j in range(phi.shape[1]):
        e = np.zeros_like(phi)
        e[:, j] = 1e-6
        up, down = model.predict(z, phi + e), model.predict(z, phi - e)
        np.testing.assert_allclose(mean_slopes[1][:, j], (up[0] - down[0]) / 2e-6, atol=1e-6)
        np.testing.assert_allclose(sd_slopes[1][:, j], (up[1] - down[1]) / 2e-6, atol=1e-6)


def test_jitter_makes_a_singular_covariance_positive_definite():
    K = np.asfortranarray(np.ones((5, 5)))
    L, jitter = factor(K)
    assert jitter > 0.0 and np.isfinite(L).all()


def test_duplicates_without_noise_give_finite_predictions():
    columns, _, _, Z, Phi, w = data(10)
    g = len(columns.groups)
    theta = np.r_[np.full(g, 3.0), 0.0, np.log(1e-8), -16.0]
    twice = GPPosterior(theta, np.r_[Z, Z], columns.groups, np.r_[Phi, Phi], np.r_[w, w])
    mean, sd = twice.predict(Z, Phi)
    assert np.isfinite(mean).all() and np.isfinite(sd).all()
