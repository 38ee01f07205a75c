"""The whole strategy: resuming, convergence, batches, failures, noise and the model."""

import json
import math

import numpy as np
import pytest

from metaopt.space import Categorical, Float, Int, Space
from metaopt.trials.records import Result
from metaopt_strategies.bayes import Bayes
from metaopt_strategies.bayes.threads import one_thread

BOX = Space(x=Float(-1, 1), y=Float(-1, 1), z=Float(-1, 1))
MIXED = Space(
    lr=Float(1e-5, 1e-1, log=True),
    width=Int(4, 64, log=True),
    kind=Categorical(["a", "b", "c"]),
    momentum=Float(0, 1, when={"kind": ["a", "b"]}),
)


def bowl(config):
    return sum((v - 0.3) ** 2 * 10.0**i for i, v in enumerate(config.values()))


def training(config):
    value = (math.log10(config["lr"]) + 3) ** 2 + abs(math.log2(config["width"]) - 4)
    return value + {"a": 0.0, "b": 0.4, "c": 1.0}[config["kind"]] + config.get("momentum", 0.0)


def drive(strategy, objective, n, batch=1):
    asked = []
    while len(asked) < n:
        proposals = strategy.ask(batch)
        for p in proposals:
            strategy.tell(p, objective(p.config))
        asked += proposals
    return asked


@pytest.mark.parametrize("space", [BOX, MIXED])
def test_a_resumed_search_is_bit_identical(space):
    objective = bowl if space is BOX else training
    whole = drive(Bayes(space, seed=5), objective, 40)
    for cut in (17, 30):
        part = Bayes(space, seed=5)
        asked = drive(part, objective, cut)
        again = Bayes(space, seed=5)
        again.load_state_dict(json.loads(json.dumps(part.state_dict(), allow_nan=False)))
        assert asked + drive(again, objective, 40 - cut) == whole


def test_it_converges_where_random_search_does_not():
    strategy = Bayes(BOX, seed=0, budget=40)
    drive(strategy, bowl, 40)
    assert strategy.best.value < 1e-4
    assert strategy.fallbacks == 0
    strategy = Bayes(MIXED, seed=0, budget=40)
    drive(strategy, training, 40)
    assert strategy.best.value < 0.15


@pytest.mark.parametrize("factor", [2.0**40, 2.0**-40])
def test_the_scale_of_the_objective_changes_no_proposal(factor):
    plain = drive(Bayes(BOX, seed=2), bowl, 25)
    assert drive(Bayes(BOX, seed=2), lambda c: factor * bowl(c), 25) == plain


def test_a_shift_of_the_objective_changes_no_proposal():
    rounded = lambda c: math.floor(bowl(c) * 2**20) / 2**20  # noqa: E731 -- so that sums are exact
    plain = drive(Bayes(BOX, seed=2), rounded, 25)
    assert drive(Bayes(BOX, seed=2), lambda c: rounded(c) - 2.0**12, 25) == plain


def test_a_batch_of_eight_holds_eight_different_points_and_converges():
    strategy = Bayes(BOX, seed=1, budget=48)
    asked = drive(strategy, bowl, 48, batch=8)
    last = np.array([[*p.config.values()] for p in asked[-8:]])
    away = np.abs(last[:, None] - last[None]).max(axis=2)[np.triu_indices(8, 1)]
    assert away.min() > 1e-6
    assert strategy.best.value < 1e-2


def test_few_proposals_fall_into_a_failing_region():
    strategy = Bayes(BOX, seed=3, budget=70)
    wasted = 0
    for t in range(70):
        (p,) = strategy.ask()
        if p.config["x"] < -1 / 3:
            strategy.tell(p, Result.failed("exception", "no"))
            wasted += t >= 30
        else:
            strategy.tell(p, bowl(p.config))
    assert wasted < 0.15 * 40
    assert strategy.best.value < 1e-2


def test_it_converges_for_values_over_many_orders_of_magnitude():
    strategy = Bayes(BOX, seed=4)
    drive(strategy, lambda c: 10.0 ** (6 * bowl(c) ** 0.25 - 6), 40)
    assert strategy.best.value < 1e-2


def test_different_values_of_the_same_point_are_modelled_as_noise():
    strategy = Bayes(BOX, seed=4)
    point = {"x": 0.1, "y": 0.2, "z": 0.3}
    for value in (1.0, 1.5, 0.7, 1.0, 1.1, 0.9, 1.2, 1.0):
        strategy.observe(point, value)
    drive(strategy, bowl, 5)
    mean, std = strategy.model.predict([point])
    assert 0.5 < mean[0] < 1.5 and 0.0 < std[0] < 1.0


def test_the_model_predicts_in_the_users_units():
    strategy = Bayes(MIXED, seed=0)
    units = lambda c: 1000.0 + 100.0 * training(c)  # noqa: E731
    # A search alone would stay near the optimum.
    for config in MIXED.sample(np.random.default_rng(0), 35):
        strategy.observe(config, units(config))
    drive(strategy, units, 5)
    new = MIXED.sample(np.random.default_rng(1), 60)
    truth = np.array([units(c) for c in new])
    mean, std = strategy.model.predict(new)
    assert mean.shape == std.shape == (60,) and (std > 0).all()
    assert np.corrcoef(mean, truth)[0, 1] > 0.7, np.corrcoef(mean, truth)
    loo = strategy.model.leave_one_out()
    assert len(loo["value"]) == 40 and np.abs(loo["z"]).mean() < 3.0
    assert set(strategy.model.relevance()) == set(MIXED.names)


def test_relevance_lists_the_important_parameter_first():
    strategy = Bayes(BOX, seed=0)
    drive(strategy, lambda c: math.sin(6 * c["y"]), 30)
    assert next(iter(strategy.model.relevance())) == "y"


def test_without_outcomes_there_is_no_model_and_nothing_to_recommend():
    strategy = Bayes(BOX)
    assert strategy.model is None and strategy.recommend() is None
    for _ in range(3):
        strategy.tell(strategy.ask()[0], math.nan)
    assert strategy.model is None and strategy.recommend() is None


def test_under_noise_the_model_recommends_and_without_it_the_best():
    strategy = Bayes(BOX, seed=0)
    drive(strategy, bowl, 30)
    assert strategy.recommend() == strategy.best.config
    rng = np.random.default_rng(0)
    noisy = Bayes(BOX, seed=0)
    drive(noisy, lambda c: bowl(c) / 100 + rng.standard_normal(), 40)
    assert BOX.contains(noisy.recommend())


def test_using_the_model_changes_no_proposal():
    one, two = Bayes(BOX, seed=6), Bayes(BOX, seed=6)
    drive(one, bowl, 20)
    drive(two, bowl, 20)
    one.model.predict([{"x": 0.0, "y": 0.0, "z": 0.0}])
    one.recommend()
    assert one.ask(2) == two.ask(2)
    assert one.state_dict() == two.state_dict()


def test_more_observations_than_the_posterior_holds_are_accepted():
    strategy = Bayes(BOX, seed=0)
    for config in BOX.sample(np.random.default_rng(0), 1300):
        strategy.observe(config, bowl(config))
    drive(strategy, bowl, 3)
    assert strategy.best.value < 0.05


def test_the_old_thread_limit_is_restored():
    from threadpoolctl import threadpool_info

    before = [pool["num_threads"] for pool in threadpool_info()]
    with one_thread(), one_thread():
        inside = [p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"]
    assert set(inside) == {1}
    assert [pool["num_threads"] for pool in threadpool_info()] == before
