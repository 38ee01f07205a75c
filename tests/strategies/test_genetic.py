"""The genetic algorithm breeds from the best told points."""

from __future__ import annotations

import random

import numpy as np
import pytest

from metaopt import Categorical, Float, Int, Ordinal, Space
from metaopt.core.errors import StrategyError
from metaopt.trials.records import Result
from metaopt_strategies.genetic import Genetic

MIXED = Space(
    x=Float(1e-3, 1, log=True), n=Int(1, 500), k=Ordinal([1, 2, 4, 8]),
    c=Categorical(["a", "b", "c"]), m=Float(0, 1, when={"c": ["a"]}),
)  # fmt: skip


def test_the_population_is_the_best_told_with_failures_last() -> None:
    strategy = Genetic(MIXED, population=3)
    configs = MIXED.sample(np.random.default_rng(0), 5)
    outcomes = [3.0, Result.failed("exception"), 1.0, 3.0, 2.0]
    for config, outcome in zip(configs, outcomes, strict=True):
        strategy.observe(config, outcome)
    U, _ = MIXED.encode([configs[i] for i in (2, 4, 0)])  # of equals, the earlier one
    assert [list(i) for i in strategy._individuals()] == U.tolist()
    assert [i.fitness for i in strategy._individuals()] == [0, -1, -2]
    many = Genetic(MIXED, population=5)
    for config, outcome in zip(configs, outcomes, strict=True):
        many.observe(config, outcome)
    assert list(many._individuals()[-1]) == MIXED.encode([configs[1]])[0][0].tolist()


def test_children_without_mutation_have_their_parents_choices() -> None:
    strategy = Genetic(MIXED, population=2, mutation=0.0)
    for config, value in (
        ({"x": 0.1, "n": 10, "k": 2, "c": "b"}, 1.0),
        ({"x": 0.2, "n": 20, "k": 4, "c": "c"}, 2.0),
    ):
        strategy.observe(config, value)
    for proposal in strategy.ask(20):
        if proposal.origin == "strategy":
            assert proposal.config["c"] in ("b", "c")


def test_a_parameter_that_is_inactive_in_both_parents_is_drawn_at_random() -> None:
    strategy = Genetic(MIXED, population=2)
    for value in (1.0, 2.0):
        strategy.observe({"x": 0.1, "n": int(value), "k": 2, "c": "b"}, value)
    mother, father = strategy._individuals()
    own = random.Random(0)
    column = MIXED.names.index("m")
    drawn = [strategy._complete_genes(mother, father, own)[column] for _ in range(50)]
    assert min(drawn) < 0.2 and max(drawn) > 0.8


def test_mutation_changes_choices_and_ordered_values() -> None:
    strategy, own = Genetic(MIXED), random.Random(0)
    for name in ("k", "c"):
        j, cells = MIXED.names.index(name), MIXED[name].cells
        for k in range(cells.count):
            gene = cells.unit(np.array([k]))[0]
            moved = {int(cells.index(np.array([strategy._moved(j, gene, own)]))[0])
                     for _ in range(100)}  # fmt: skip
            assert k not in moved and moved
            if name == "k":
                assert all(abs(m - k) <= 2 for m in moved)


def test_asks_are_answered_before_anything_is_told() -> None:
    assert len(Genetic(MIXED, population=4).ask(12)) == 12


@pytest.mark.parametrize(
    "options", [{"population": 1}, {"crossover": 1.5}, {"eta_m": -1.0}, {"tournament": "two"}]
)
def test_the_error_names_the_wrong_option(options: dict) -> None:
    with pytest.raises(StrategyError, match=next(iter(options))):
        Genetic(MIXED, **options)
