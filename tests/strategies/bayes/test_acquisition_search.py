"""Maximisation of the acquisition function."""

import numpy as np
import pytest

from metaopt.space import Categorical, Float, Int, Space
from metaopt_strategies.bayes.acquisition import Acquisition
from metaopt_strategies.bayes.acquisition_search import Box, ascend, maximise, neighbours
from metaopt_strategies.bayes.features import Features
from metaopt_strategies.bayes.gp import Prior
from metaopt_strategies.bayes.kernels import Trend
from metaopt_strategies.bayes.model import Model, Offer, subset

SPACE = Space(
    x=Float(0, 1),
    y=Float(1e-3, 1, log=True),
    kind=Categorical(["a", "b", "c"]),
    n=Int(1, 9),
    z=Float(-1, 1, when={"kind": ["a", "b"]}),
    forbid=[{"kind": "a", "n": [1, 2]}],
)
COLUMNS = Features(SPACE)


def fitted(seed=0, n=40):
    rng = np.random.default_rng(seed)
    U, A = SPACE.encode(SPACE.sample(rng, n))
    w = np.sin(5 * U[:, 0]) + (U[:, 1] - 0.3) ** 2 + 0.5 * (U[:, 2] > 0.6) + 0.3 * U[:, 4]
    model = Model(COLUMNS, Trend(COLUMNS), Prior.standard(len(COLUMNS.groups)))
    w = (w - w.mean()) / w.std()
    model.fit(U, A, [Offer(w)], fresh=True)
    model.condition(U, A, w)
    return model, U, A, w


@pytest.mark.parametrize("with_failures", [False, True])
def test_the_derivatives_of_the_acquisition_agree_with_finite_differences(with_failures):
    model, *_ = fitted()
    feasible = None
    if with_failures:
        feasible, *_ = fitted(1)
        feasible.offset = 0.4
    acquisition = Acquisition(model, -1.0, feasible)
    V, B = SPACE.encode(SPACE.sample(np.random.default_rng(5), 10))
    V = np.clip(V, 0.02, 0.98)
    value, slope = acquisition.slopes(V, B)
    np.testing.assert_allclose(value, acquisition.value(V, B), rtol=1e-9)
    for j in COLUMNS.movable:
        e = np.zeros_like(V)
        e[:, j] = 1e-6
        numeric = (acquisition.value(V + e, B) - acquisition.value(V - e, B)) / 2e-6
        np.testing.assert_allclose(slope[:, j], numeric, rtol=1e-4, atol=1e-4)


def test_an_ascent_never_decreases_and_stays_within_bounds():
    model, *_ = fitted()
    acquisition = Acquisition(model, -1.0)
    U, A = SPACE.encode(SPACE.sample(np.random.default_rng(6), 6))
    box = Box.whole(len(SPACE))
    V = ascend(acquisition, U, A, COLUMNS.movable, box)
    assert (acquisition.value(V, A) >= acquisition.value(U, A)).all()
    assert ((V >= 0) & (V <= 1)).all()
    fixed = np.setdiff1d(np.arange(len(SPACE)), COLUMNS.movable)
    np.testing.assert_array_equal(V[:, fixed], U[:, fixed])


def test_a_hundred_thousand_random_points_are_not_better_than_the_maximum_found():
    model, U, A, w = fitted()
    acquisition = Acquisition(model, float(w.min()))
    order = np.argsort(w)[:5]
    box = Box.whole(len(SPACE))
    rng = np.random.default_rng(0)
    u = next(maximise(acquisition, COLUMNS, (U[order], A[order]), set(), rng, box))
    V, B, allowed = COLUMNS.snap(np.random.default_rng(1).random((100_000, len(SPACE))))
    random = max(
        acquisition.value(V[i : i + 2000], B[i : i + 2000])[allowed[i : i + 2000]].max()
        for i in range(0, len(V), 2000)
    )
    found, on, ok = COLUMNS.snap(u[None])
    assert ok[0]
    assert acquisition.value(found, on)[0] >= random - 0.02


def test_seen_points_are_not_proposed_and_bounds_hold():
    model, U, A, w = fitted()
    acquisition = Acquisition(model, float(w.min()))
    frozen = np.array([False, False, True, True, True])
    low, high = np.full(5, 0.2), np.full(5, 0.4)
    low[frozen], high[frozen] = 0.0, 1.0
    anchors = (U[:3], A[:3])
    rng = np.random.default_rng
    first = list(maximise(acquisition, COLUMNS, anchors, set(), rng(0), Box(low, high, frozen)))
    for u in first:
        assert (u[:2] >= 0.2).all() and (u[:2] <= 0.4).all()
        np.testing.assert_array_equal(u[frozen & A[0]], U[0][frozen & A[0]])
    seen = {u.tobytes() for u in first[:5]}
    again = maximise(acquisition, COLUMNS, anchors, seen, rng(0), Box(low, high, frozen))
    assert not seen & {u.tobytes() for u in again}


def test_neighbours_are_one_step_away():
    U, _ = SPACE.encode([{"x": 0.5, "y": 0.1, "kind": "b", "n": 1, "z": 0.0}])
    near = neighbours(COLUMNS, U[0], Box.whole(5))
    configs = SPACE.decode(near)
    assert sorted((c["kind"], c["n"]) for c in configs) == [("a", 1), ("b", 2), ("c", 1)]


def test_a_subset_holds_the_best_points_and_an_even_selection_of_the_others():
    w = np.random.default_rng(0).random(1000)
    some = subset(w, 100)
    assert len(some) == len(set(some.tolist())) == 100 and (np.diff(some) > 0).all()
    assert set(np.argsort(w)[:50]) <= set(some.tolist())
    assert some.max() > 950 and some.min() < 50
    np.testing.assert_array_equal(subset(w, 1000), np.arange(1000))
