"""What genetic, pso, tabu and skopt share: they resume, accept failures, beat random search."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import pytest
from scipy.stats import wilcoxon

from metaopt import Categorical, Float, Int, Ordinal, Space, Strategy
from metaopt.trials.records import Result
from metaopt_strategies.genetic import Genetic
from metaopt_strategies.hosted_skopt import HostedSkopt
from metaopt_strategies.random import Random
from metaopt_strategies.swarm import ParticleSwarm
from metaopt_strategies.tabu import Tabu

CHEAP = [Genetic, ParticleSwarm, Tabu]
MIXED = Space(
    {
        "lr": Float(1e-5, 1, log=True),
        "width": Ordinal([16, 32, 64, 128, 256, 512]),
        "depth": Int(1, 8),
        "optimizer": Categorical(["sgd", "adam", "rms"]),
        "momentum": Float(0, 0.99, when={"optimizer": ["sgd"]}),
    },
    forbid=[{"optimizer": "rms", "depth": [1, 2]}],
)


def mixed(config: dict) -> float:
    best = {"sgd": -1.5, "adam": -3.0, "rms": -3.3}[config["optimizer"]]
    loss = (math.log10(config["lr"]) - best) ** 2 + 0.1 * (config["depth"] - 5) ** 2
    loss += 0.2 * (math.log2(config["width"]) - 8 + 0.3 * (config["depth"] - 4)) ** 2
    return loss + (config.get("momentum", 0.5) - 0.9) ** 2


def sphere(config: dict) -> float:
    return sum((x - 1.3) ** 2 for x in config.values())


def steps(config: dict) -> float:
    target = [3, 9, 1, 6, 11, 4]
    return sum(abs(k - t) for k, t in zip(config.values(), target, strict=True))


PROBLEMS: dict[str, tuple[Space, Callable[[dict], float], int]] = {
    "mixed": (MIXED, mixed, 80),
    "sphere": (Space({f"x{i}": Float(-5, 5) for i in range(4)}), sphere, 80),
    "steps": (Space({f"k{i}": Ordinal(list(range(12))) for i in range(6)}), steps, 80),
}


def found(strategy: Strategy, objective: Callable[[dict], float], n: int) -> float:
    for _ in range(n):
        (proposal,) = strategy.ask()
        strategy.tell(proposal, objective(proposal.config))
    assert strategy.best is not None and strategy.best.value is not None
    return strategy.best.value


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("kind", CHEAP)
def test_it_beats_random_search(kind: type[Strategy], problem: str) -> None:
    space, objective, n = PROBLEMS[problem]
    ours = [found(kind(space, seed, n), objective, n) for seed in range(15)]
    chance = [found(Random(space, seed, n), objective, n) for seed in range(15)]
    assert wilcoxon(ours, chance, alternative="less").pvalue < 0.01


def test_the_gaussian_process_beats_random_search() -> None:
    space, objective, n = Space(x=Float(-5, 5), y=Float(-5, 5)), sphere, 16
    ours = [found(HostedSkopt(space, s, n_initial_points=6), objective, n) for s in range(6)]
    chance = [found(Random(space, s), objective, n) for s in range(6)]
    assert wilcoxon(ours, chance, alternative="less").pvalue < 0.05


def outcome(i: int, config: dict) -> float | Result:
    if i % 7 == 3:
        return Result.failed("exception", "boom")
    if i % 7 == 5:
        return Result(None, "pruned", curve=((1, 3.0), (2, 2.5)))
    return (mixed(config), math.nan, math.inf)[0 if i % 11 else 1 + i % 2]


def play(strategy: Strategy, start: int, stop: int, batch: int) -> list[tuple]:
    """Run batches, tell each one in reverse order, and return all proposals."""
    said = []
    for _ in range(start, stop):
        proposals = strategy.ask(batch)
        said += [(p.number, p.config, p.seed, p.origin) for p in proposals]
        for proposal in reversed(proposals):
            strategy.tell(proposal, outcome(proposal.number, proposal.config))
    return said


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("kind", [*CHEAP, HostedSkopt])
def test_a_resumed_search_equals_an_uninterrupted_one(kind: type[Strategy], batch: int) -> None:
    rounds = 60 // batch if kind in CHEAP else 12 // batch
    options = {} if kind in CHEAP else {"n_initial_points": 4}
    whole = kind(MIXED, 5, 60, **options)
    said = play(whole, 0, rounds, batch)
    half = kind(MIXED, 5, 60, **options)
    first = play(half, 0, rounds // 2, batch)
    waiting = half.ask(batch)  # the state is saved while trials are pending
    resumed = kind(MIXED, 5, 60, **options)
    resumed.load_state_dict(json.loads(json.dumps(half.state_dict())))
    first += [(p.number, p.config, p.seed, p.origin) for p in waiting]
    for proposal in reversed(waiting):
        resumed.tell(proposal.number, outcome(proposal.number, proposal.config))
    assert first + play(resumed, rounds // 2 + 1, rounds, batch) == said


@pytest.mark.parametrize("kind", CHEAP)
def test_only_the_order_of_values_matters(kind: type[Strategy]) -> None:
    def run(transform: Callable[[float], float]) -> list[dict]:
        strategy, said = kind(MIXED, 2, 60), []
        for i in range(60):
            (proposal,) = strategy.ask()
            said.append(proposal.config)
            value = transform(mixed(proposal.config))
            pruned = Result(None, "pruned", curve=((1, value),))
            bad = {3: Result.failed("exception"), 5: pruned}
            strategy.tell(proposal, bad.get(i % 7, value))
        return said

    assert run(lambda v: v) == run(lambda v: math.log(v) - 10.0) == run(lambda v: 1e200 * v)


@pytest.mark.parametrize("kind", CHEAP)
@pytest.mark.parametrize("news", [Result.failed("timeout"), Result(None, "pruned"), math.inf, 1.0])
def test_it_continues_without_any_good_outcome(kind: type[Strategy], news: float | Result) -> None:
    strategy = kind(MIXED, 1, 40)
    keys = set()
    for _ in range(40):
        (proposal,) = strategy.ask()
        keys.add(MIXED.key(proposal.config))
        strategy.tell(proposal, news)
    assert len(keys) == 40


@pytest.mark.parametrize("kind", CHEAP)
@pytest.mark.parametrize("space", [
    Space({f"x{i}": Float(0, 1) for i in range(100)}),
    Space(c=Categorical(["only"])),
    Space(c=Categorical([1, 2, 3])),
    Space(x=Float(0, 1)),
])  # fmt: skip
def test_extreme_spaces_are_searched(kind: type[Strategy], space: Space) -> None:
    strategy = kind(space, 0, 15)
    told = 0
    for _ in range(15):
        for proposal in strategy.ask():
            strategy.tell(proposal, float(-told))
            told += 1
    assert told == min(15, space.size.count)
