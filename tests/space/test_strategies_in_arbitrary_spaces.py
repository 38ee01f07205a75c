"""The contract of strategies in randomly generated spaces."""

import json
import math

import pytest
from arbitrary import identity, seeds, spaces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metaopt.strategy.registry import make_strategy
from metaopt.trials.records import Result

few = settings(
    derandomize=True,
    deadline=None,
    max_examples=12,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
STRATEGIES = ["random", "grid", "sobol", "genetic", "pso", "tabu"]
outcome = st.integers(-5, 5).map(float) | st.sampled_from([
    math.nan, math.inf, Result.failed("timeout"), Result(status="pruned"),
    Result(status="pruned", curve=[(1, 0.5)]), 1e300,
])  # fmt: skip


def run(strategy, outcomes, batch):
    asked = []
    for i in range(0, len(outcomes), batch):
        proposals = strategy.ask(batch)
        for p, told in zip(reversed(proposals), outcomes[i : i + batch], strict=False):
            strategy.tell(p, told)
        asked += proposals
    return asked


@pytest.mark.parametrize("name", STRATEGIES)
@few
@given(spaces(), seeds, st.lists(outcome, min_size=15, max_size=30), st.integers(1, 4))
def test_proposals_are_valid_distinct_native_and_complete(name, space, seed, outcomes, batch):
    asked = run(make_strategy(name, space, seed), outcomes, batch)
    for p in asked:
        assert identity(space.validate(p.config)) == identity(p.config)
        assert list(p.config) == [n for n in space.names if n in p.config]
    assert len({space.key(p.config) for p in asked}) == len(asked)
    wanted = batch * math.ceil(len(outcomes) / batch)
    if space.size.exact:
        wanted = min(wanted, space.size.count)
    assert len(asked) == wanted
    assert [p.number for p in asked] == list(range(len(asked)))


@pytest.mark.parametrize("name", STRATEGIES)
@few
@given(spaces(), seeds, st.lists(outcome, min_size=10, max_size=20), st.data())
def test_a_saved_and_loaded_strategy_makes_the_same_proposals(name, space, seed, outcomes, data):
    cut = data.draw(st.integers(0, len(outcomes)))
    one, other = make_strategy(name, space, seed), make_strategy(name, space, seed)
    run(one, outcomes[:cut], 3)
    other.load_state_dict(json.loads(json.dumps(one.state_dict(), allow_nan=False)))
    assert run(other, outcomes[cut:], 2) == run(one, outcomes[cut:], 2)
