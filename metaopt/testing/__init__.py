"""The conformance suite: the contract that every strategy must satisfy.

``check_strategy("mine")`` runs all checks on all spaces and raises at the first failure. With
pytest, one test per check and space::

    @pytest.mark.parametrize(("check", "space"), metaopt.testing.cases())
    def test_contract(check, space):
        metaopt.testing.run_check("mine", check, space)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping

from metaopt.core.errors import UnknownNameError, unknown_name
from metaopt.space import Space
from metaopt.strategy.base import Strategy
from metaopt.strategy.registry import make_strategy
from metaopt.testing.checks import CHECKS
from metaopt.testing.running import ConformanceError, Factory, drive, require
from metaopt.testing.spaces import SPACES, objective

__all__ = [
    "CHECKS",
    "SPACES",
    "TRIALS",
    "ConformanceError",
    "Factory",
    "cases",
    "check_fresh_process",
    "check_strategy",
    "objective",
    "run_check",
]

TRIALS = 40


def cases() -> list[tuple[str, str]]:
    """Return all pairs (name of a check, name of a space)."""
    return [(check, space) for check in CHECKS for space in SPACES]


def run_check(strategy: str | Factory, check: str, space: str, *, trials: int = TRIALS) -> None:
    """Run one check on one space.

    Args:
        strategy: a registered name, or a callable ``factory(space, seed=, budget=)`` such as a
            Strategy class.
        check: a key of `CHECKS`.
        space: a key of `SPACES`.
        trials: number of configurations per run of the strategy; fewer for slow strategies.

    Raises:
        ConformanceError: the strategy fails the check.
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
    """Run every check on every space; a registered strategy also runs in a fresh process.

    Args:
        strategy: a registered name, or a callable ``factory(space, seed=, budget=)`` such as a
            Strategy class.
        trials: number of configurations per run of the strategy; fewer for slow strategies.

    Raises:
        ConformanceError: the strategy violates the contract.
        UnknownNameError: there is no strategy of this name.

    Example:
        >>> from metaopt import Strategy
        >>> from metaopt.testing import check_strategy
        >>> class RandomSearch(Strategy):
        ...     def _ask(self, rng):
        ...         return self.space.sample(rng)[0], None
        >>> check_strategy(RandomSearch, trials=6)
    """
    for check, space in cases():
        run_check(strategy, check, space, trials=trials)
    if isinstance(strategy, str):
        check_fresh_process(strategy, trials=min(trials, 20))


def check_fresh_process(name: str, *, trials: int = 20) -> None:
    """Check that fresh processes with other values of PYTHONHASHSEED give the same proposals.

    On the mixed and the conditional space.

    Args:
        name: of a registered strategy.
        trials: number of configurations per run of the strategy.

    Raises:
        ConformanceError: a process fails or makes different proposals.
        UnknownNameError: there is no strategy of this name.
    """
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
            require(done.returncode == 0, f"a fresh process failed: {done.stderr[-500:]}")
            require(
                done.stdout.strip() == here, f"a fresh process makes different proposals on {space}"
            )


def _fingerprint(name: str, space: str, trials: int) -> str:
    asked = drive(make_strategy(name, SPACES[space](), seed=5), trials)
    return json.dumps([p.to_json() for p in asked])


def _factory(strategy: str | Factory) -> Factory:
    if not isinstance(strategy, str):
        return strategy

    def make(space: Space, seed: int = 0, budget: int | None = None) -> Strategy:
        return make_strategy(strategy, space, seed, budget)

    return make
