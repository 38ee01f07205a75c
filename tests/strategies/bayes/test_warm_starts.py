"""Warm starts: restored fits equal the stored ones."""

import json

import numpy as np

from metaopt.space import Float, Space
from metaopt_strategies.bayes.features import Features
from metaopt_strategies.bayes.gp import Prior
from metaopt_strategies.bayes.kernels import Trend
from metaopt_strategies.bayes.model import Model, believe
from metaopt_strategies.bayes.trust_region import SHAPES
from metaopt_strategies.bayes.warm_starts import Fits

SPACE = Space(x=Float(0, 1), y=Float(0, 1))
COLUMNS = Features(SPACE)


def model():
    return Model(COLUMNS, Trend(COLUMNS), Prior.standard(2))


def data(n, seed=0):
    U, A = SPACE.encode(SPACE.sample(np.random.default_rng(seed), n))
    return U, A, np.exp(6 * U[:, 0]) + U[:, 1]


def test_restored_fits_continue_identically():
    one = Fits()
    one.fit("a", model(), data(15), 15, SHAPES)
    two = Fits.from_json(json.loads(json.dumps(one.to_json())))
    for fits in (one, two):
        fits.fit("a", model(), data(16), 16, SHAPES)
    np.testing.assert_array_equal(one.last["a"].theta, two.last["a"].theta)
    assert one.to_json() == two.to_json()


def test_without_new_points_there_is_no_new_fit():
    fits = Fits()
    fits.fit("a", model(), data(15), 15)
    before = fits.last["a"]
    fits.fit("a", model(), data(15), 15)
    assert fits.last["a"] is before


def test_the_evidence_selects_a_transform_for_exponential_values_but_not_for_linear():
    fits = Fits()
    U, A, y = data(40)
    fits.fit("bent", model(), (U, A, y), 40, SHAPES)
    fits.fit("flat", model(), (U, A, U[:, 0] + U[:, 1]), 40, SHAPES)
    assert fits.last["bent"].shape > 0
    assert fits.last["flat"].shape == 0


def test_believing_reduces_uncertainty_and_keeps_the_mean():
    fits, m = Fits(), model()
    U, A, y = data(20)
    w = fits.fit("a", m, (U, A, y), 20, SHAPES)
    new = np.array([[0.5, 0.5], [0.9, 0.1]]), np.ones((2, 2), dtype=bool)
    mean, sd = m.predict(*new)
    believe(m, (U, A, w), new, 2)
    mean_, sd_ = m.predict(*new)
    np.testing.assert_allclose(mean_, mean, atol=1e-3)
    assert (sd_ < sd).all()


def test_a_failed_point_never_looks_better_than_the_incumbent():
    fits, m = Fits(), model()
    U, A, y = data(20)
    w = fits.fit("a", m, (U, A, y), 20, SHAPES)
    best = m.posterior.at_data().min()
    failed = np.array([[0.0, 0.0]]), np.ones((1, 2), dtype=bool)
    assert believe(m, (U, A, w), failed, 0) == best
    assert m.predict(*failed)[0][0] >= best - 1e-3
