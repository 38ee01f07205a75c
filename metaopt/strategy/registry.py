"""Strategies by name, found through the entry-point group `metaopt.strategies`.

A third party's strategy is installed like ours: its distribution names the class in the group,
and everything here finds it.
"""

from __future__ import annotations

import inspect
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from metaopt.core.errors import StrategyError, unknown_name
from metaopt.space import Space
from metaopt.strategy.base import Strategy

GROUP = "metaopt.strategies"


def _found() -> dict[str, EntryPoint]:
    found = {point.name: point for point in entry_points(group=GROUP)}
    if not found:
        raise StrategyError(
            "no strategy is registered: metaopt runs from a folder that is not installed."
            " Run `make install` in the checkout, or `pip install -e .`"
        )
    return dict(sorted(found.items()))


def load_strategy(name: str) -> type[Strategy]:
    """Return the class registered as `name`.

    Raises:
        UnknownNameError: there is none; the message names the nearest.
        StrategyError: what is registered is not a Strategy.
    """
    found = _found()
    if name not in found:
        raise unknown_name("strategy", name, found)
    try:
        cls = found[name].load()
    except Exception as error:
        raise StrategyError(
            f"the strategy {name!r} cannot be loaded from {found[name].value}: {error!r}"
        ) from error
    if not (isinstance(cls, type) and issubclass(cls, Strategy)):
        raise StrategyError(f"the entry point {name!r} is {cls!r}, which is no metaopt Strategy")
    if not cls.name:
        cls.name = name  # so that a stored study finds it again
    return cls


def make_strategy(
    name: str, space: Space, seed: int = 0, budget: int | None = None, **options: Any
) -> Strategy:
    """Make a strategy by name: ``make_strategy("genetic", space, seed=1, population=30)``.

    Raises:
        UnknownNameError: the strategy, or an option, does not exist.
    """
    cls = load_strategy(name)
    known = option_names(cls)
    for option in options:
        if known is not None and option not in known:
            raise unknown_name(f"option of the strategy {name!r}:", option, known)
    return cls(space, seed, budget, **options)


def option_names(cls: type[Strategy]) -> list[str] | None:
    """Names of a strategy's options; None if it takes any."""
    parameters = inspect.signature(cls).parameters.values()
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
        return None if cls.__init__ is not Strategy.__init__ else []
    return [p.name for p in parameters if p.name not in ("space", "seed", "budget")]


def strategies() -> dict[str, str]:
    """Return the names of all strategies, each with a one-line description."""
    out = {}
    for name, point in _found().items():
        try:
            out[name] = (inspect.getdoc(point.load()) or "").split("\n")[0]
        except Exception as error:  # somebody else's broken package must not hide the others
            out[name] = f"cannot be loaded: {error}"
    return out
