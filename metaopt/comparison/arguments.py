"""The strategies and problems that `compare` was given, checked before anything runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from metaopt import problems
from metaopt.comparison.checks import as_label, as_size
from metaopt.core.errors import MetaoptError, StudyError
from metaopt.problems.problem import Problem
from metaopt.space import Space
from metaopt.stats.checks import shown
from metaopt.stats.sequential import MEMBERS
from metaopt.strategy.base import Strategy
from metaopt.strategy.registry import make_strategy

Factory = Callable[..., Strategy]  # called as factory(space, seed=, budget=)


def factories_of(given: Any) -> dict[str, Factory]:
    """Return the factory of each strategy by its label.

    Raises:
        StudyError: `given` is none of what `compare` takes.
    """
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, Mapping):
        names = _listed("strategies", given)
        for name in names:
            if not isinstance(name, str):
                raise StudyError(
                    f"strategies must be names; for a factory(space, seed=, budget=), such as a"
                    f" Strategy class, or for options give a dict such as {{'mine': factory}}, got"
                    f" {shown(name)}"
                )
        if len(set(names)) < len(names):
            raise StudyError(f"a strategy is named twice: {', '.join(names)}")
        given = {name: name for name in names}
    if not given:
        raise StudyError("compare needs at least one strategy, got none")
    return {as_label(label, "strategy"): _factory(what) for label, what in given.items()}


def _listed(name: str, given: Any) -> list[Any]:
    """What was given as a list; the order of a set would change from run to run."""
    if isinstance(given, (bytes, set, frozenset, Mapping)) or not isinstance(given, Iterable):
        raise StudyError(f"{name} must be a name or a list, got {shown(given)}")
    return list(given)


def _factory(what: Any) -> Factory:
    if callable(what):
        factory_: Factory = what
        return factory_
    if not isinstance(what, (str, Mapping)):
        raise StudyError(
            f"a strategy must be a name, a dict {{'name': ..., option: ...}} or a factory(space,"
            f" seed=, budget=), got {shown(what)}"
        )
    options = {"name": what} if isinstance(what, str) else dict(what)
    name = options.pop("name", None)
    if not isinstance(name, str):
        raise StudyError(f"a strategy needs a 'name', got {shown(what)}")

    def factory(space: Space, seed: int = 0, budget: int | None = None) -> Strategy:
        return make_strategy(name, space, seed, budget, **options)

    return factory


def check_made(factories: Mapping[str, Factory], chosen: list[Problem], n_trials: int) -> None:
    """Make each strategy once for each problem, so that what is wrong fails before any run.

    Raises:
        StudyError: a factory does not return a strategy on the space of a problem.
        MetaoptError: what a strategy itself raises.
    """
    for problem, (label, factory) in product(chosen, factories.items()):
        where = f"the strategy {label!r} on the problem {problem.name!r}"
        expected = "a factory(space, seed=, budget=) must return a metaopt.Strategy on this space"
        try:
            made = factory(problem.space, seed=0, budget=n_trials)
        except MetaoptError:
            raise
        except Exception as error:
            raise StudyError(
                f"{where}: {expected}; it raised {type(error).__name__}: {error}"
            ) from error
        if not isinstance(made, Strategy) or made.space != problem.space:
            raise StudyError(f"{where}: {expected}, got {shown(made)}")


def problems_of(given: Any) -> list[Problem]:
    """Return the problems.

    Raises:
        StudyError: `given` is none of what `compare` takes.
        UnknownNameError: there is no problem of a name.
    """
    if isinstance(given, (str, Problem)):
        given = [given]
    given = _listed("problems", given)
    for p in given:
        if not isinstance(p, (str, Problem)):
            raise StudyError(f"problems must be names or Problem objects, got {shown(p)}")
    found = [p if isinstance(p, Problem) else problems.get(p) for p in given]
    if not found:
        raise StudyError("compare needs at least one problem, got none")
    for p in found:
        _check_problem(p)
    if len({p.name for p in found}) < len(found):
        raise StudyError(f"a problem is named twice: {', '.join(p.name for p in found)}")
    return found


def _check_problem(p: Problem) -> None:
    if not isinstance(p.name, str) or not p.name.strip() or not p.name.isprintable():
        raise StudyError(f"the name of a problem must be text on one line, got {shown(p.name)}")
    if p.optimum is not None:
        as_size(f"the optimum of {p.name}", p.optimum, -math.inf, "a finite number or None")


def as_alpha(value: Any) -> float:
    """Return a level between 0 and 1.

    Raises:
        StudyError: `value` is no such number.
    """
    number = as_size("alpha", value, math.ulp(0.0), "a level between 0 and 1, such as 0.05")
    if number >= 1:
        raise StudyError(f"alpha must be a level between 0 and 1, such as 0.05, got {value!r}")
    return number


def margins_of(
    given: float | Mapping[str, float] | None, chosen: Sequence[Problem]
) -> dict[str, float] | None:
    """Return the margin of equivalence of each problem by name, or None.

    Raises:
        StudyError: `given` is neither a number above 0 nor one per problem.
    """
    names = [p.name for p in chosen]
    if given is None:
        return None
    if not isinstance(given, Mapping):
        given = dict.fromkeys(names, given)
    missing = [name for name in names if name not in given]
    if missing or len(given) > len(names):
        raise StudyError(
            f"margin must be a number, or hold one for each problem ({', '.join(names)}), got"
            f" {shown(dict(given))}"
        )
    what, most = "a finite number above 0", 1e290  # a value plus a margin stays finite
    return {n: as_size(f"margin of {n}", given[n], math.ulp(0.0), what, most) for n in names}


def check_added(alpha: float, strategies: int, margins: Mapping[str, float] | None) -> None:
    """Check what only a fixed number of repeats allows.

    Raises:
        StudyError: a margin is given, or the level is too small to be spent look by look.
    """
    if margins is not None:
        raise StudyError('margin needs a fixed number of repeats, got repeats="until"')
    if alpha * MEMBERS < strategies - 1:
        raise StudyError(
            f'with repeats="until" and {strategies} strategies, alpha must be at least'
            f" {(strategies - 1) / MEMBERS:.2g}, got {alpha!r}"
        )
