"""The swarm moves by PySwarms' rules, one particle at a time."""

from __future__ import annotations

import numpy as np
import pytest

from metaopt import Categorical, Float, Int, Space
from metaopt.core.errors import StrategyError
from metaopt.core.seeds import stream
from metaopt.trials.records import Result
from metaopt_strategies.rebind import numpy_state, pyswarms_parts
from metaopt_strategies.swarm import ParticleSwarm, SwarmColumns

PLANE = Space(x=Float(0, 1), y=Float(0, 1))


def bowl(config: dict) -> float:
    return (config["x"] - 0.3) ** 2 + (config["y"] - 0.6) ** 2


def flown(topology: str = "star", n: int = 12) -> ParticleSwarm:
    strategy = ParticleSwarm(PLANE, seed=3, particles=4, topology=topology)
    for _ in range(n):
        (proposal,) = strategy.ask()
        strategy.tell(proposal, bowl(proposal.config))
    return strategy


@pytest.mark.parametrize("topology", ["star", "ring"])
def test_a_move_equals_a_step_of_pyswarms(topology: str) -> None:
    strategy, parts = flown(topology), pyswarms_parts()
    swarm, k = strategy._swarm, 2
    x, v = strategy._fly(k, np.random.default_rng(0))

    costs = np.array([p.cost for p in swarm])
    whole = parts.Swarm(
        position=np.array([p.x for p in swarm]), velocity=np.array([p.v for p in swarm]),
        pbest_pos=np.array([p.best for p in swarm]), pbest_cost=costs, options={},
    )  # fmt: skip
    leader, _ = parts.topologies[topology].compute_gbest(whole, p=2, k=3)
    leader = leader if topology == "star" else leader[k]
    random = numpy_state(np.random.default_rng(0))
    r1, r2 = random.uniform(size=2), random.uniform(size=2)
    w = 0.5 + (0.2 - 0.5) * 12 / 100
    p = swarm[k]
    expected = w * p.v + 1.5 * r1 * (p.best - p.x) + 1.5 * r2 * (leader - p.x)
    expected = np.clip(expected, -0.5, 0.5)
    np.testing.assert_allclose(v, expected, rtol=1e-12)
    reflected = np.abs(p.x + expected)
    np.testing.assert_allclose(x, np.where(reflected > 1, 2 - reflected, reflected), rtol=1e-12)


def test_every_particle_moves_before_one_moves_twice_for_any_order_of_tells() -> None:
    strategy = flown()
    batch = strategy.ask(4)
    notes = [note["k"] for _, note in strategy.pending()]
    assert sorted(notes) == [0, 1, 2, 3]
    strategy.tell(batch[2], 0.5)
    strategy.ask()
    assert strategy.pending()[-1][1]["k"] == notes[2]


def test_asks_are_answered_while_all_particles_are_pending() -> None:
    strategy = ParticleSwarm(PLANE, particles=3)
    assert len(strategy.ask(9)) == 9  # no initial point is told yet
    assert len(flown().ask(11)) == 11


def test_the_best_value_of_a_particle_only_improves() -> None:
    strategy = ParticleSwarm(PLANE, particles=3)
    for i in range(30):
        (proposal,) = strategy.ask()
        before = [p.cost for p in strategy._swarm]
        strategy.tell(proposal, bowl(proposal.config) if i % 5 else float("nan"))
        after = [p.cost for p in strategy._swarm]
        assert all(b <= a for a, b in zip(before, after, strict=False))
    assert min(after) == strategy.best.value


def test_a_good_observed_point_replaces_the_worst_best_position() -> None:
    strategy = flown()
    worst = max(range(4), key=lambda k: strategy._swarm[k].cost)
    strategy.observe({"x": 0.3, "y": 0.6}, 0.0)
    assert strategy._swarm[worst].cost == 0.0
    np.testing.assert_allclose(strategy._swarm[worst].best, [0.3, 0.6])


def test_choices_are_drawn_by_weights_that_shift_towards_good_choices() -> None:
    space = Space(c=Categorical(["a", "b", "c"]), n=Int(1, 3))
    columns = SwarmColumns(space)
    x, v = columns.start({"c": "b", "n": 2}, stream(0, "t"))
    assert columns.width == 4 and len(v) == 4
    np.testing.assert_allclose(x, [1 / 3, 1 / 3, 1 / 3, 0.5])
    for _ in range(5):
        x = columns.towards(x, {"c": "b", "n": 2})
    rng = np.random.default_rng(0)
    drawn = [columns.config(x, rng)["c"] for _ in range(300)]
    assert drawn.count("b") > 250 and {"a", "c"} & set(drawn)


def test_the_swarm_continues_if_all_initial_points_fail() -> None:
    strategy = ParticleSwarm(PLANE, particles=3)
    for _ in range(10):
        strategy.tell(strategy.ask()[0], Result.failed("exception"))
    assert len(strategy.observations) == 10


@pytest.mark.parametrize(
    "options", [{"particles": 1}, {"topology": "pyramid"}, {"c1": -1.0}, {"w_end": "low"}]
)
def test_the_error_names_the_wrong_option(options: dict) -> None:
    with pytest.raises(StrategyError, match=next(iter(options))):
        ParticleSwarm(PLANE, **options)
