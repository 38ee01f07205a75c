"""The local phase: its trust region, its share of the proposals, and its benefit."""

import numpy as np
import pytest

from metaopt.space import Categorical, Float, Int, Space
from metaopt_strategies.bayes import Bayes, trust_region
from metaopt_strategies.bayes.features import Features

MIXED = Space(x=Float(0, 1), kind=Categorical(["a", "b"]), y=Float(0, 1), n=Int(1, 9))


def phases(space, objective, n):
    """Return the notes of n proposals; those of the local phase are "local"."""
    strategy = Bayes(space, seed=0)
    for _ in range(n):
        (p,) = strategy.ask()
        strategy.tell(p, objective(p.config))
    return [note for entry in strategy.log if "ask" in entry for note in entry["ask"]["notes"]]


def test_the_region_moves_numbers_and_freezes_the_rest():
    columns, c = Features(MIXED), np.array([0.05, 0.25, 0.5, 0.5])
    box = trust_region.region(columns, c, 0.1, None)
    assert box.frozen.tolist() == [False, True, False, False]
    np.testing.assert_allclose(box.low[[0, 2, 3]], [0.0, 0.4, 0.4])
    np.testing.assert_allclose(box.high[[0, 2, 3]], [0.15, 0.6, 0.6])


def test_its_sides_follow_the_length_scales_within_limits():
    columns, c = Features(MIXED), np.full(4, 0.5)
    theta = np.log(np.r_[1.0, 1.0, 4.0, 2.0, 1.0, 1.0, 1.0])
    box = trust_region.region(columns, c, 0.05, theta)
    np.testing.assert_allclose((box.high - c)[[0, 2, 3]], [0.025, 0.1, 0.05])
    theta[0] = -50.0
    assert (trust_region.region(columns, c, 0.05, theta).high - c)[0] == pytest.approx(0.05 / 4)


def test_it_grows_with_success_shrinks_with_failure_and_is_reset():
    assert trust_region.resize(0.1, True) > 0.1 > trust_region.resize(0.1, False)
    assert trust_region.resize(trust_region.MOST, True) == trust_region.MOST
    assert trust_region.resize(trust_region.LEAST, False) == trust_region.START


def test_the_share_of_local_proposals_grows_with_that_of_continuous_parameters():
    box = Space(x=Float(0, 1), y=Float(0, 1))
    notes = phases(box, lambda c: c["x"] + c["y"], 40)
    assert notes[20:].count("local") == 10
    listed = Space(a=Categorical(list("abcd")), n=Int(1, 50))
    assert "local" not in phases(listed, lambda c: c["n"], 20)
    share = phases(MIXED, lambda c: c["x"] + c["y"], 60)[20:].count("local")
    assert share == 10  # two of four parameters are continuous: a quarter


def test_a_quarter_of_a_batch_is_local():
    strategy = Bayes(Space(x=Float(0, 1), y=Float(0, 1)), seed=0)
    for _ in range(4):
        for p in strategy.ask(8):
            strategy.tell(p, p.config["x"] + p.config["y"])
    notes = strategy.log[-9]["ask"]["notes"]
    assert notes.count("local") == 2


def test_a_rotated_quadratic_is_minimised():
    space = Space({f"x{i}": Float(-5, 5) for i in range(4)})
    Q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))
    centre = np.array([1.0, -2.0, 0.5, 2.5])

    def bowl(config):
        v = Q @ (np.array(list(config.values())) - centre)
        return float(v @ (10.0 ** np.arange(4) * v))

    strategy = Bayes(space, seed=0, budget=60)
    for _ in range(60):
        (p,) = strategy.ask()
        strategy.tell(p, bowl(p.config))
    assert strategy.best.value < 1.0  # random search: about 1000
