"""The conformance suite: what every strategy must keep, ours and anybody's.

``check_strategy("mine")`` runs all checks over all spaces and raises at the first that fails.
With pytest, one test a check and space::

    @pytest.mark.parametrize(("check", "space"), metaopt.testing.cases())
    def test_laws(check, space):
        metaopt.testing.run_check("mine", check, space)
"""

from __future__ import annotations

import json
import logging
import math
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from metaopt.errors import MetaoptError, StrategyError, UnknownNameError, unknown_name
from metaopt.records import Proposal, Result
from metaopt.registry import make_strategy
from metaopt.space import Categorical, Config, Constant, Float, Int, Ordinal, Space
from metaopt.strategy import Strategy

Factory = Callable[..., Strategy]  # called as factory(space, seed=..., budget=...)

TRIALS = 40


class ConformanceError(MetaoptError, AssertionError):
    """A strategy breaks a law; the message names the check, the space and what happened."""


def _mixed() -> Space:
    return Space(
        lr=Float(1e-5, 1e-1, log=True),
        width=Ordinal([32, 64, 128]),
        depth=Int(1, 4),
        units=Int(1, 512, log=True),
        rate=Float(0, 0.5, step=0.1),
        kind=Categorical(["a", "b", True, 1, None]),
        fixed=Constant("x"),
    )


def _conditional() -> Space:
    return Space(
        optimizer=Categorical(["sgd", "adam"]),
        lr=Float(1e-4, 1.0, log=True),
        momentum=Float(0, 0.99, when={"optimizer": ["sgd"]}),
        nesterov=Categorical([True, False], when={"optimizer": ["sgd"]}),
        damping=Float(0, 1, when={"nesterov": [False]}),
        layers=Int(1, 3),
        second=Int(4, 64, log=True, when={"layers": [2, 3]}),
        forbid=[{"optimizer": "adam", "layers": [3]}],
    )


SPACES: dict[str, Callable[[], Space]] = {
    "continuous": lambda: Space(x=Float(-5, 10), y=Float(0, 15), z=Float(1e-3, 1e3, log=True)),
    "mixed": _mixed,
    "conditional": _conditional,
    "one_parameter": lambda: Space(x=Float(0, 1)),
    "one_point": lambda: Space(a=Constant(1), b=Constant("b")),
    "hundred": lambda: Space({f"x{i}": Float(0, 1) for i in range(100)}),
    "finite": lambda: Space(
        a=Int(0, 2),
        b=Categorical(["p", "q"]),
        c=Int(0, 1, when={"b": ["q"]}),
        forbid=[{"a": 0, "b": "p"}],
    ),
}


def objective(space: Space, config: Config) -> float:
    """A smooth function of the coordinates, with a category's and an existence's own effect."""
    U, A = space.encode([config])
    weight = 1.0 + np.arange(len(space)) % 3
    return float(np.sum(np.where(A, weight * (U - 0.37) ** 2, 0.05)))


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ConformanceError(message)


def _drive(
    strategy: Strategy, trials: int, batch: int = 1, transform: Callable[[float], float] = float
) -> list[Proposal]:
    """Ask and tell until `trials` are asked or the space is exhausted."""
    asked: list[Proposal] = []
    while len(asked) < trials:
        proposals = strategy.ask(min(batch, trials - len(asked)))
        if not proposals:
            break
        for p in proposals:
            strategy.tell(p, transform(objective(strategy.space, p.config)))
        asked += proposals
    return asked


# -- the checks: each gets a factory, a space and a number of trials -----------------------------


def same_seed_same_proposals(make: Factory, space: Space, trials: int) -> None:
    """Law 1: the same seed gives the same proposals, beside others and in threads."""
    first = _drive(make(space, seed=7), trials)
    threaded: dict[int, list[Proposal]] = {}

    def work(seed: int) -> None:
        threaded[seed] = _drive(make(space, seed=seed), trials)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (7, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _require(threaded.get(7) == first, "the same seed gave other proposals in a thread")
    if not space.size.exact or space.size.count > 1000:
        other = [p.config for p in threaded[8]]
        _require(other != [p.config for p in first], "another seed gave the same proposals")


def resumed_equals_uninterrupted(make: Factory, space: Space, trials: int) -> None:
    """Law 2: saved as JSON and loaded anywhere, it goes on as if nothing had been."""
    whole = make(space, seed=3)
    expected = _drive(whole, trials)
    for cut in sorted({1, trials // 3, trials - 2}):
        part = make(space, seed=3)
        asked = _drive(part, cut)
        again = make(space, seed=3)
        again.load_state_dict(json.loads(json.dumps(part.state_dict(), allow_nan=False)))
        asked += _drive(again, trials - cut)
        _require(asked == expected, f"resumed after {cut} trials, it proposed something else")
        same = json.dumps(again.state_dict()) == json.dumps(whole.state_dict())
        _require(same, f"resumed after {cut} trials, its state is another")


def resumes_with_pending(make: Factory, space: Space, trials: int) -> None:
    """Law 2 in the middle of a batch: pending proposals are part of the state."""
    one = make(space, seed=4)
    _drive(one, trials // 2, batch=4)
    pending = one.ask(4)
    for p in pending[::2]:
        one.tell(p, objective(space, p.config))
    two = make(space, seed=4)
    two.load_state_dict(json.loads(json.dumps(one.state_dict())))
    for strategy in (one, two):
        for p in reversed(pending[1::2]):
            strategy.tell(p, objective(space, p.config))
    _require(one.ask(3) == two.ask(3), "loaded with pending proposals, it proposed something else")


def never_twice(make: Factory, space: Space, trials: int) -> None:
    """Law 4: no configuration twice; all of a small space, then []."""
    strategy = make(space, seed=1)
    keys = [space.key(p.config) for p in _drive(strategy, trials, batch=3)]
    _require(len(set(keys)) == len(keys), "a configuration was proposed twice")
    size = space.size
    expected = trials if not size.exact else int(min(trials, size.count))
    _require(len(keys) == expected, f"expected {expected} proposals, got {len(keys)}")
    if expected < trials:
        _require(strategy.ask(2) == [], "ask() of an exhausted space must return []")


def proposals_lie_in_the_space(make: Factory, space: Space, trials: int) -> None:
    """Law 5: valid, active parameters only, native types; numbered 0, 1, ..."""
    asked = _drive(make(space, seed=2), trials, batch=5)
    for i, p in enumerate(asked):
        config = space.validate(p.config)
        _require(list(config) == list(p.config), f"the order of {p.config} is not the space's")
        types = [type(v) for v in p.config.values()]
        _require(types == [type(v) for v in config.values()], f"foreign types in {p.config}")
        _require(p.number == i, f"proposal {i} has the number {p.number}")
        _require(0 <= p.seed < 2**31, f"the seed {p.seed} is out of range")


def touches_no_global_state(make: Factory, space: Space, trials: int) -> None:
    """Law 6: random generators, root logger, warnings and working directory stay as they were."""
    before = _global_state()
    _drive(make(space, seed=5), trials, batch=2)
    for name, value in _global_state().items():
        _require(repr(value) == repr(before.get(name, value)), f"it changed {name}")


def _global_state() -> dict[str, Any]:
    root = logging.getLogger()
    state = {
        "random": random.getstate(),
        "numpy.random": repr(np.random.mtrand._rand.__getstate__()),
        "numpy's error handling": np.geterr(),
        "the root logger": (root.level, list(root.handlers), list(root.filters)),
        "logging.disable": logging.root.manager.disable,
        "the working directory": (os.getcwd(), sorted(p.name for p in Path.cwd().iterdir())),  # noqa: PTH109
        "the environment": dict(os.environ),
    }
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_rng_state"):
        state["torch's generator"] = torch.get_rng_state().tolist()
        state["torch's threads"] = torch.get_num_threads()
    return state


def survives_every_outcome(make: Factory, space: Space, trials: int) -> None:
    """Law 7: failed, NaN, infinite, pruned and out-of-order tells neither raise nor poison."""
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
        _require(math.isfinite(strategy.best.value or 0.0), "the incumbent is not finite")


def survives_only_failures(make: Factory, space: Space, trials: int) -> None:
    """Law 7: a study in which everything fails goes on asking."""
    strategy = make(space, seed=6)
    for _ in range(trials):
        for p in strategy.ask(1):
            strategy.tell(p, Result.failed("exception", "always"))
    _require(strategy.best is None, "failures made an incumbent")


def survives_equal_values(make: Factory, space: Space, trials: int) -> None:
    """A flat objective is no reason to stop."""
    _drive(make(space, seed=6), trials, transform=lambda value: 1.0)


def refuses_wrong_tells(make: Factory, space: Space, trials: int) -> None:
    """Law 7: an unknown or twice-told proposal is refused by name, and nothing changes."""
    strategy = make(space, seed=0)
    (p,) = strategy.ask()
    strategy.tell(p, 1.0)
    before = json.dumps(strategy.state_dict())
    for number in (p.number, 99, -1):
        try:
            strategy.tell(number, 2.0)
        except StrategyError as error:
            _require(str(number) in str(error), f"the error does not name {number}: {error}")
        else:
            raise ConformanceError(f"telling proposal {number} was not refused")
    _require(json.dumps(strategy.state_dict()) == before, "a refused tell changed the state")


def rank_based_means_invariant(make: Factory, space: Space, trials: int) -> None:
    """Law 8: a strategy that declares itself rank-based sees only the order of values."""
    if not make(space, seed=0).rank_based:
        return
    plain = _drive(make(space, seed=9), trials)
    cubed = _drive(make(space, seed=9), trials, transform=lambda v: math.exp(3 * v) - 1e3)
    _require(plain == cubed, "a monotone transform of the objective changed the proposals")


def never_waits(make: Factory, space: Space, trials: int) -> None:
    """Asks are answered while nothing is told: no generation barrier."""
    strategy = make(space, seed=0)
    asked = [p for _ in range(trials) for p in strategy.ask(1)]
    size = space.size
    expected = trials if not size.exact else int(min(trials, size.count))
    _require(len(asked) == expected, f"without a tell it gave {len(asked)} of {expected}")
    for p in asked[::-1]:
        strategy.tell(p, objective(space, p.config))
    strategy.ask(1)


def digests_foreign_points(make: Factory, space: Space, trials: int) -> None:
    """Observed and enqueued points are digested, before and between its own."""
    strategy = make(space, seed=0)
    points = space.sample(np.random.default_rng(0), 6)
    strategy.observe(points[0], 0.5)
    if strategy.enqueue(points[1]):
        (p,) = strategy.ask(1)
        _require(p.config == space.validate(points[1]), "an enqueued point must come first")
        _require(p.origin == "enqueued", f"an enqueued point has the origin {p.origin!r}")
        strategy.tell(p, objective(space, p.config))
    _drive(strategy, trials // 2)
    for config in points[2:]:
        strategy.observe(config, objective(space, config))
    _drive(strategy, trials // 4)


def is_remade_from_its_header(make: Factory, space: Space, trials: int) -> None:
    """The header is JSON and enough to make the strategy again."""
    strategy = make(space, seed=11, budget=trials)
    header = json.loads(json.dumps(strategy.header(), allow_nan=False))
    _require(header["budget"] == trials and header["seed"] == 11, f"the header lies: {header}")
    again = type(strategy)(
        Space.from_json(header["space"]), header["seed"], header["budget"], **header["options"]
    )
    _require(_drive(again, trials) == _drive(strategy, trials), "remade, it proposes otherwise")


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


def cases() -> list[tuple[str, str]]:
    """Return every pair of a check's and a space's name."""
    return [(check, space) for check in CHECKS for space in SPACES]


def run_check(strategy: str | Factory, check: str, space: str, *, trials: int = TRIALS) -> None:
    """Run one check on one space.

    Raises:
        ConformanceError: the strategy fails it.
        UnknownNameError: there is no such check, space or strategy.
    """
    tables: list[tuple[str, str, Mapping[str, object]]] = [
        ("check", check, CHECKS),
        ("space", space, SPACES),
    ]
    for kind, name, known in tables:
        if name not in known:
            raise unknown_name(kind, name, known)
    make = _factory(strategy)
    try:
        CHECKS[check](make, SPACES[space](), trials)
    except UnknownNameError:
        raise
    except ConformanceError as error:
        raise ConformanceError(f"{check} on the space {space!r}: {error}") from None
    except Exception as error:
        raise ConformanceError(
            f"{check} on the space {space!r} raised {type(error).__name__}: {error}"
        ) from error


def check_strategy(strategy: str | Factory, *, trials: int = TRIALS) -> None:
    """Run every check over every space, and a fresh process if the strategy is registered.

    Args:
        strategy: a registered name, or a callable ``factory(space, seed=, budget=)``; a Strategy
            class is one.
        trials: how many configurations a run asks for; fewer for slow strategies.

    Raises:
        ConformanceError: the strategy breaks a law.
    """
    for check, space in cases():
        run_check(strategy, check, space, trials=trials)
    if isinstance(strategy, str):
        check_fresh_process(strategy, trials=min(trials, 20))


def check_fresh_process(name: str, *, trials: int = 20) -> None:
    """Law 1 in a fresh process with another PYTHONHASHSEED, on the mixed and conditional spaces."""
    for space in ("mixed", "conditional"):
        here = _fingerprint(name, space, trials)
        call = f"_fingerprint({name!r}, {space!r}, {trials})"
        code = f"from metaopt.testing import _fingerprint; print({call})"
        for hash_seed in ("1", "2"):
            done = subprocess.run(
                [sys.executable, "-c", code],
                env={**os.environ, "PYTHONHASHSEED": hash_seed},
                capture_output=True,
                text=True,
                check=False,
            )
            _require(done.returncode == 0, f"a fresh process failed: {done.stderr[-500:]}")
            _require(done.stdout.strip() == here, f"a fresh process proposes otherwise on {space}")


def _fingerprint(name: str, space: str, trials: int) -> str:
    asked = _drive(make_strategy(name, SPACES[space](), seed=5), trials)
    return json.dumps([p.to_json() for p in asked])


def _factory(strategy: str | Factory) -> Factory:
    if not isinstance(strategy, str):
        return strategy

    def make(space: Space, seed: int = 0, budget: int | None = None) -> Strategy:
        return make_strategy(strategy, space, seed, budget)

    return make
