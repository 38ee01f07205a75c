"""The walk of tabu search, and its reactive tenure."""

from __future__ import annotations

import pytest

from metaopt import Categorical, Float, Ordinal, Space
from metaopt.core.errors import StrategyError
from metaopt_strategies.tabu import Tabu, Tenure

LINE = Space(k=Ordinal(list(range(20))))


def test_repetitions_lengthen_the_tenure_and_steps_without_them_shorten_it() -> None:
    tenure = Tenure()
    assert [tenure.visit(key, t) for t, key in enumerate("abc")] == [False] * 3
    assert tenure.size == 1.0
    tenure.visit("a", 3)  # came back after 3 steps
    assert tenure.size == pytest.approx(1.1)
    assert tenure.average == pytest.approx(0.3)
    tenure.visit("a", 4)
    assert tenure.size == pytest.approx(1.1**2)
    assert tenure.average == pytest.approx(0.1 * 1 + 0.9 * 0.3)
    tenure.visit("d", 5)  # more steps without a repetition than a cycle is long
    assert tenure.size == pytest.approx(1.1**2 * 0.9)
    for t in range(6, 40):
        tenure.visit(f"new {t}", t)
    assert tenure.size == 1.0


def test_a_late_repetition_does_not_lengthen_the_tenure() -> None:
    tenure = Tenure(size=5.0, average=1000.0)
    tenure.visit("a", 0)
    tenure.visit("a", 50)
    assert tenure.size == 5.0


def test_too_many_repetitions_of_too_many_configurations_trigger_an_escape() -> None:
    tenure = Tenure()
    escapes = [tenure.visit("ab"[t % 2], t) for t in range(12)]
    # Both keys are repeated for the fourth time at steps 8 and 9, and again at 10 and 11. The
    # fourth such event triggers an escape and clears the visited configurations.
    assert escapes == [False] * 11 + [True]
    assert tenure.chaotic == 0 and not tenure.seen


def test_the_walk_moves_to_the_best_of_a_complete_list_even_if_it_is_worse() -> None:
    strategy = Tabu(Space(x=Float(0, 1), y=Float(0, 1)), initial=1, candidates=3)
    strategy.tell(strategy.ask()[0], 1.0)
    batch = strategy.ask(3)
    for proposal, value in zip(batch, (5.0, 3.0, 4.0), strict=True):
        strategy.tell(proposal, value)
    assert strategy._here.config == batch[1].config


def test_an_improvement_is_taken_at_once() -> None:
    strategy = Tabu(Space(x=Float(0, 1), y=Float(0, 1)), initial=1, candidates=3)
    strategy.tell(strategy.ask()[0], 1.0)
    (proposal,) = strategy.ask()
    strategy.tell(proposal, 0.5)
    assert strategy._here.config == proposal.config


def test_the_value_just_left_is_tabu_unless_it_beats_the_best() -> None:
    strategy = Tabu(LINE, initial=1, scale=0.01)
    strategy.tell(strategy.ask()[0], 1.0)
    left = strategy._here.config
    (proposal,) = strategy.ask()
    strategy.tell(proposal, 0.5)
    assert strategy._is_tabu(left)
    assert not strategy._is_tabu({"k": 2 * proposal.config["k"] - left["k"]})
    # Aspiration: the walk moves to a tabu neighbour that is better than all points so far.
    (proposal,) = strategy.ask()
    strategy._tabu.append(strategy._tabu[0]._replace(u=0.5, radius=1.0, until=99))
    assert strategy._is_tabu(proposal.config)
    strategy.tell(proposal, 0.1)
    assert strategy._here.config == proposal.config


def test_a_tabu_neighbour_that_does_not_beat_the_best_is_not_entered() -> None:
    strategy = Tabu(Space(x=Float(0, 1), y=Float(0, 1)), initial=1, candidates=3)
    strategy.tell(strategy.ask()[0], 1.0)
    strategy.tell(strategy.ask()[0], 0.5)
    name = strategy._tabu[0].name
    strategy._tabu = [strategy._tabu[0]._replace(u=0.5, radius=1.0, until=99)]
    here = strategy._here.config
    for value in (2.0, 3.0, 4.0):  # a complete list; some change the tabu parameter
        strategy.tell(strategy.ask()[0], value)
    assert strategy._here.config != here
    assert strategy._here.config[name] == here[name]


def test_more_asks_give_more_neighbours() -> None:
    strategy = Tabu(Space(x=Float(0, 1), y=Float(0, 1)), initial=1, candidates=3)
    strategy.tell(strategy.ask()[0], 1.0)
    here = strategy._here.config
    batch = strategy.ask(8)
    assert all(sum(p.config[n] != here[n] for n in here) == 1 for p in batch)
    assert sum(p.config["x"] != here["x"] for p in batch) == 4  # both parameters equally often


def test_a_late_outcome_does_not_move_the_walk_back() -> None:
    strategy = Tabu(Space(x=Float(0, 1)), initial=1, candidates=3)
    strategy.tell(strategy.ask()[0], 1.0)
    late, good = strategy.ask(2)
    strategy.tell(good, 0.2)
    strategy.tell(late, 0.5)
    assert strategy._here.config == good.config


def test_without_improvement_the_walk_returns_to_the_best_and_then_goes_far() -> None:
    strategy = Tabu(Space(x=Float(0, 1), y=Float(0, 1)), initial=1, candidates=1, patience=1)
    strategy.tell(strategy.ask()[0], 0.0)
    top, scale = strategy._here.config, strategy._scale
    for value in (1.0, 2.0, 3.0):
        strategy.tell(strategy.ask()[0], value)
        assert strategy._here.config == top and strategy._scale < scale
        scale = strategy._scale
    strategy.tell(strategy.ask()[0], 4.0)
    (far,) = strategy.ask()
    assert strategy.pending()[0][1]["far"]
    strategy.tell(far, 5.0)
    assert strategy._here.config == far.config


@pytest.mark.parametrize(
    "space",
    [
        Space(k=Ordinal([1, 2])),
        Space(a=Categorical(["x", "y", "z"]), b=Ordinal([1, 2, 3]), c=Ordinal([1, 2])),
        Space({"a": Ordinal([1, 2, 3]), "b": Ordinal([1, 2, 3])}, forbid=[{"a": 2}, {"b": 2}]),
    ],
)
@pytest.mark.parametrize("batch", [1, 4])
def test_a_small_space_is_searched_completely(space: Space, batch: int) -> None:
    strategy = Tabu(space, initial=1, patience=1)
    keys = set()
    while proposals := strategy.ask(batch):
        for proposal in proposals:
            keys.add(space.key(proposal.config))
            strategy.tell(proposal, float(proposal.number % 3))
    assert len(keys) == space.size.count


@pytest.mark.parametrize("options", [{"candidates": 0}, {"scale": 0.0}, {"patience": 1.5}])
def test_the_error_names_the_wrong_option(options: dict) -> None:
    with pytest.raises(StrategyError, match=next(iter(options))):
        Tabu(LINE, **options)
