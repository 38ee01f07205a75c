"""The checks. Each gets a factory, a space and a number of trials, and raises if it fails."""

from __future__ import annotations

import json
import logging
import math
import os
import random
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from metaopt.core.errors import StrategyError
from metaopt.space import Space
from metaopt.testing.running import ConformanceError, Factory, drive, require
from metaopt.testing.spaces import objective
from metaopt.trials.records import Proposal, Result


def same_seed_same_proposals(make: Factory, space: Space, trials: int) -> None:
    """The same seed gives the same proposals, also in threads that run at the same time."""
    first = drive(make(space, seed=7), trials)
    threaded: dict[int, list[Proposal]] = {}

    def work(seed: int) -> None:
        threaded[seed] = drive(make(space, seed=seed), trials)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (7, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    require(threaded.get(7) == first, "the same seed gave different proposals in a thread")
    if not space.size.exact or space.size.count > 1000:
        other = [p.config for p in threaded[8]]
        require(other != [p.config for p in first], "another seed gave the same proposals")


def resumed_equals_uninterrupted(make: Factory, space: Space, trials: int) -> None:
    """A strategy saved as JSON and loaded again makes the proposals of an uninterrupted one."""
    whole = make(space, seed=3)
    expected = drive(whole, trials)
    for cut in sorted({1, trials // 3, trials - 2}):
        part = make(space, seed=3)
        asked = drive(part, cut)
        again = make(space, seed=3)
        again.load_state_dict(json.loads(json.dumps(part.state_dict(), allow_nan=False)))
        asked += drive(again, trials - cut)
        require(asked == expected, f"resumed after {cut} trials, it made different proposals")
        same = json.dumps(again.state_dict()) == json.dumps(whole.state_dict())
        require(same, f"resumed after {cut} trials, its state is different")


def resumes_with_pending(make: Factory, space: Space, trials: int) -> None:
    """A strategy can be saved in the middle of a batch: its state has the pending proposals."""
    one = make(space, seed=4)
    drive(one, trials // 2, batch=4)
    pending = one.ask(4)
    for p in pending[::2]:
        one.tell(p, objective(space, p.config))
    two = make(space, seed=4)
    two.load_state_dict(json.loads(json.dumps(one.state_dict())))
    for strategy in (one, two):
        for p in reversed(pending[1::2]):
            strategy.tell(p, objective(space, p.config))
    require(one.ask(3) == two.ask(3), "loaded with pending proposals, it made different proposals")


def never_twice(make: Factory, space: Space, trials: int) -> None:
    """No configuration is proposed twice; a small space is proposed completely, then []."""
    strategy = make(space, seed=1)
    keys = [space.key(p.config) for p in drive(strategy, trials, batch=3)]
    require(len(set(keys)) == len(keys), "a configuration was proposed twice")
    size = space.size
    expected = trials if not size.exact else int(min(trials, size.count))
    require(len(keys) == expected, f"expected {expected} proposals, got {len(keys)}")
    if expected < trials:
        require(strategy.ask(2) == [], "ask() of an exhausted space must return []")


def proposals_lie_in_the_space(make: Factory, space: Space, trials: int) -> None:
    """Proposals are valid, have active parameters and native types, numbered 0, 1, ..."""
    asked = drive(make(space, seed=2), trials, batch=5)
    for i, p in enumerate(asked):
        config = space.validate(p.config)
        require(
            list(config) == list(p.config), f"{p.config} is not in the space's order of parameters"
        )
        types = [type(v) for v in p.config.values()]
        require(
            types == [type(v) for v in config.values()],
            f"values are not of native types in {p.config}",
        )
        require(p.number == i, f"proposal {i} has the number {p.number}")
        require(0 <= p.seed < 2**31, f"the seed {p.seed} is out of range")


def touches_no_global_state(make: Factory, space: Space, trials: int) -> None:
    """Global random generators, root logger, environment and working directory stay unchanged."""
    before = _global_state()
    drive(make(space, seed=5), trials, batch=2)
    for name, value in _global_state().items():
        require(repr(value) == repr(before.get(name, value)), f"it changed {name}")


def _global_state() -> dict[str, Any]:
    root = logging.getLogger()
    state = {
        "random": random.getstate(),
        "numpy.random": repr(np.random.mtrand._rand.__getstate__()),
        "numpy's error handling": np.geterr(),
        "the root logger": (root.level, list(root.handlers), list(root.filters)),
        "logging.disable": logging.root.manager.disable,
        "the working directory": (str(Path.cwd()), sorted(p.name for p in Path.cwd().iterdir())),
        "the environment": dict(os.environ),
    }
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_rng_state"):
        state["torch's generator"] = torch.get_rng_state().tolist()
        state["torch's threads"] = torch.get_num_threads()
    return state


def survives_every_outcome(make: Factory, space: Space, trials: int) -> None:
    """Failed, NaN, infinite, pruned and out-of-order outcomes are accepted; `best` is finite."""
    strategy = make(space, seed=6)
    outcomes: list[float | Result] = [
        math.nan,
        Result.failed("exception", "boom"),
        math.inf,
        -math.inf,
        Result(status="pruned", curve=((1, 3.0), (2, math.nan))),
        Result(status="pruned"),
        Result(status="pruned", curve=((1, 0.5),)),
        1e300,
        -1e300,
        0.0,
        0.0,
        1e-300,
    ]
    told = 0
    while told < trials:
        proposals = strategy.ask(3)
        for p in reversed(proposals):
            good = told >= len(outcomes)
            strategy.tell(p, objective(space, p.config) if good else outcomes[told])
            told += 1
        if not proposals:
            break
    if strategy.best is not None:
        require(math.isfinite(strategy.best.value or 0.0), "the value of `best` is not finite")


def survives_only_failures(make: Factory, space: Space, trials: int) -> None:
    """A strategy makes proposals even if all trials fail, and has no `best`."""
    strategy = make(space, seed=6)
    for _ in range(trials):
        for p in strategy.ask(1):
            strategy.tell(p, Result.failed("exception", "always"))
    require(strategy.best is None, "all trials failed, but `best` is not None")


def survives_equal_values(make: Factory, space: Space, trials: int) -> None:
    """A strategy works with a constant objective."""
    drive(make(space, seed=6), trials, transform=lambda value: 1.0)


def refuses_wrong_tells(make: Factory, space: Space, trials: int) -> None:
    """Telling an unknown or already told proposal is an error and leaves the state unchanged."""
    strategy = make(space, seed=0)
    (p,) = strategy.ask()
    strategy.tell(p, 1.0)
    before = json.dumps(strategy.state_dict())
    for number in (p.number, 99, -1):
        try:
            strategy.tell(number, 2.0)
        except StrategyError as error:
            require(str(number) in str(error), f"the error does not name {number}: {error}")
        else:
            raise ConformanceError(f"telling proposal {number} raised no error")
    require(
        json.dumps(strategy.state_dict()) == before, "a tell that raised an error changed the state"
    )


def rank_based_means_invariant(make: Factory, space: Space, trials: int) -> None:
    """A strategy with `rank_based = True` uses only the order of the values."""
    if not make(space, seed=0).rank_based:
        return
    plain = drive(make(space, seed=9), trials)
    cubed = drive(make(space, seed=9), trials, transform=lambda v: math.exp(3 * v) - 1e3)
    require(plain == cubed, "a monotone transform of the objective changed the proposals")


def never_waits(make: Factory, space: Space, trials: int) -> None:
    """A strategy makes proposals without any tell: it never waits for a whole generation."""
    strategy = make(space, seed=0)
    asked = [p for _ in range(trials) for p in strategy.ask(1)]
    size = space.size
    expected = trials if not size.exact else int(min(trials, size.count))
    require(len(asked) == expected, f"made {len(asked)} of {expected} proposals without a tell")
    for p in asked[::-1]:
        strategy.tell(p, objective(space, p.config))
    strategy.ask(1)


def digests_foreign_points(make: Factory, space: Space, trials: int) -> None:
    """Observed and enqueued points are accepted at any time."""
    strategy = make(space, seed=0)
    points = space.sample(np.random.default_rng(0), 6)
    strategy.observe(points[0], 0.5)
    if strategy.enqueue(points[1]):
        (p,) = strategy.ask(1)
        require(p.config == space.validate(points[1]), "an enqueued point must come first")
        require(p.origin == "enqueued", f"an enqueued point has the origin {p.origin!r}")
        strategy.tell(p, objective(space, p.config))
    drive(strategy, trials // 2)
    for config in points[2:]:
        strategy.observe(config, objective(space, config))
    drive(strategy, trials // 4)


def is_remade_from_its_header(make: Factory, space: Space, trials: int) -> None:
    """The header is JSON and sufficient to make the strategy again."""
    strategy = make(space, seed=11, budget=trials)
    header = json.loads(json.dumps(strategy.header(), allow_nan=False))
    require(
        header["budget"] == trials and header["seed"] == 11,
        f"wrong budget or seed in the header: {header}",
    )
    again = type(strategy)(
        Space.from_json(header["space"]), header["seed"], header["budget"], **header["options"]
    )
    require(
        drive(again, trials) == drive(strategy, trials),
        "made again from its header, it makes different proposals",
    )


Check = Callable[[Factory, Space, int], None]

CHECKS: dict[str, Check] = {
    f.__name__: f
    for f in (
        same_seed_same_proposals,
        resumed_equals_uninterrupted,
        resumes_with_pending,
        never_twice,
        proposals_lie_in_the_space,
        touches_no_global_state,
        survives_every_outcome,
        survives_only_failures,
        survives_equal_values,
        refuses_wrong_tells,
        rank_based_means_invariant,
        never_waits,
        digests_foreign_points,
        is_remade_from_its_header,
    )
}
