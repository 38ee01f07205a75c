"""Strategies by name, found through the entry-point group `metaopt.strategies`.

Third-party strategies are found like those of metaopt: their distribution lists the class in this
group.
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
            "no strategy is registered: this copy of metaopt is not installed."
            " Run `make install` in the checkout, or `pip install -e .`"
        )
    return dict(sorted(found.items()))


def load_strategy(name: str) -> type[Strategy]:
    """Return the class registered as `name`.

    Raises:
        UnknownNameError: there is none; the message suggests the most similar name.
        StrategyError: the registered object cannot be loaded or is not a Strategy.
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
        raise StrategyError(f"the entry point {name!r} is {cls!r}, which is not a metaopt Strategy")
    if not cls.name:
        cls.name = name  # a stored study finds its strategy by this name
    return cls


def make_strategy(
    name: str, space: Space, seed: int = 0, budget: int | None = None, **options: Any
) -> Strategy:
    """Make a strategy by name: ``make_strategy("genetic", space, seed=1, population=30)``.

    Args:
        name: one of the keys of `strategies()`.
        space: the search space.
        seed: a non-negative integer; the same seed gives the same proposals.
        budget: number of planned trials, if known.
        options: settings of the strategy.

    Returns:
        The strategy, without observations.

    Raises:
        UnknownNameError: the strategy, or an option, does not exist.
        StrategyError: the strategy cannot be loaded, or an argument is not valid.
    """
    cls = load_strategy(name)
    known = option_names(cls)
    for option in options:
        if known is not None and option not in known:
            raise unknown_name(f"option of the strategy {name!r}:", option, known)
    return cls(space, seed, budget, **options)


def option_names(cls: type[Strategy]) -> list[str] | None:
    """Return the names of a strategy's options; None if it accepts any."""
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
        except Exception as error:  # a broken third-party package must not hide the others
            out[name] = f"cannot be loaded: {error}"
    return out
