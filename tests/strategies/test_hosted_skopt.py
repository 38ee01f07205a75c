"""Proposals of scikit-optimize depend only on the told history."""

from __future__ import annotations

import math

import numpy as np
import pytest

from metaopt import Categorical, Constant, Float, Int, Ordinal, Space
from metaopt.core.errors import StrategyError
from metaopt_strategies.hosted_skopt import HostedSkopt, tame

MIXED = Space(
    x=Float(1e-3, 1, log=True), n=Int(1, 9), c=Categorical([True, 1, "1"]),
    m=Float(0, 1, when={"c": [True]}), fixed=Constant("z"),
)  # fmt: skip


def test_proposals_are_the_same_after_a_batch_and_after_single_asks() -> None:
    one = HostedSkopt(MIXED, 4, n_initial_points=4)
    batch = one.ask(4)
    for proposal in batch:
        one.tell(proposal, math.log(proposal.config["x"]) ** 2)
    two = HostedSkopt(MIXED, 4, n_initial_points=4)
    for _ in range(4):
        (proposal,) = two.ask()
        two.tell(proposal, math.log(proposal.config["x"]) ** 2)
    assert one.ask()[0] == two.ask()[0]


def test_asking_changes_nothing() -> None:
    strategy = HostedSkopt(MIXED, n_initial_points=3)
    for _ in range(4):
        strategy.tell(strategy.ask()[0], 1.0)
    answers = [strategy._ask(np.random.default_rng(1)) for _ in range(2)]
    assert answers[0] == answers[1]


def test_pending_points_are_avoided() -> None:
    strategy = HostedSkopt(Space(x=Float(0, 1)), n_initial_points=4)
    for _ in range(5):
        (proposal,) = strategy.ask()
        strategy.tell(proposal, (proposal.config["x"] - 0.4) ** 2)
    asked = [p.config["x"] for p in strategy.ask(4)]
    assert min(np.diff(sorted(asked))) > 1e-4


def test_configurations_survive_a_round_trip_through_points() -> None:
    strategy = HostedSkopt(MIXED)
    configs = MIXED.sample(np.random.default_rng(0), 20)
    back = strategy._configs(strategy._points(configs))
    assert all(b["c"] is c["c"] for b, c in zip(back, configs, strict=True))
    np.testing.assert_allclose(MIXED.encode(back)[0], MIXED.encode(configs)[0], rtol=1e-9)


def test_the_initial_design_has_ten_points_unless_budget_or_space_is_small() -> None:
    assert HostedSkopt(MIXED)._initial_points() == 10
    assert HostedSkopt(MIXED, budget=12)._initial_points() == 4
    assert HostedSkopt(Space(k=Int(1, 4)))._initial_points() == 2


def test_a_discrete_space_is_searched_without_fallbacks() -> None:
    space = Space(a=Ordinal([1, 2, 3]), b=Categorical(["x", "y"]))
    strategy = HostedSkopt(space, n_initial_points=2)
    seen = []
    while proposals := strategy.ask():
        seen.append(space.key(proposals[0].config))
        strategy.tell(proposals[0], float(len(seen)))
    assert len(set(seen)) == 6 and strategy.fallbacks == 0


@pytest.mark.parametrize("values", [[1.0], [1e300, -1e300, 0.0, math.inf], [1e-300, 2e-300]])
@pytest.mark.parametrize("space", [MIXED, Space(c=Constant(1)), Space(c=Categorical([1, 2, 3]))])
def test_extreme_values_and_spaces_do_not_raise(values: list[float], space: Space) -> None:
    strategy = HostedSkopt(space, n_initial_points=1)
    for i in range(5):
        for proposal in strategy.ask():
            strategy.tell(proposal, values[i % len(values)])


@pytest.mark.parametrize(("estimator", "acquisition"), [("RF", "EI"), ("ET", "LCB"), ("GP", "PI")])
def test_other_models_and_acquisitions_work(estimator: str, acquisition: str) -> None:
    strategy = HostedSkopt(
        MIXED, n_initial_points=3, base_estimator=estimator, acq_func=acquisition
    )
    for i in range(5):
        strategy.tell(strategy.ask()[0], float(i))


def test_rescaled_values_keep_their_order_and_are_moderate() -> None:
    y = np.array([3.0, 2.0, 1e300, 1.0, 2.5, 0.5, 1.5, -7.0, 1e9])
    z = tame(y)
    assert np.argsort(z).tolist() == np.argsort(y).tolist()
    assert np.isfinite(z).all() and np.abs(z).max() < 1e4 and z[7] > -20
    assert tame(np.full(4, 7.0)).tolist() == [0.0] * 4
    np.testing.assert_allclose(tame(1e6 * np.arange(5.0) + 4), tame(np.arange(5.0)))


@pytest.mark.parametrize(
    "options", [{"acq_func": "gp_hedge"}, {"base_estimator": "GBRT"}, {"n_initial_points": 0}]
)
def test_the_error_names_the_wrong_option(options: dict) -> None:
    with pytest.raises(StrategyError, match=next(iter(options))):
        HostedSkopt(MIXED, **options)
