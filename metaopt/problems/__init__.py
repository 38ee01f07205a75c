"""Problems to compare strategies on: `get` one by name, `names` lists all, `describe` says what.

The synthetic ones have a known optimum; a family takes a dimension in its name, "sphere-10".
Training problems load their data, and torch, when they are made and not before.
"""

from __future__ import annotations

import inspect

from metaopt.core.errors import unknown_name
from metaopt.problems import synthetic
from metaopt.problems.problem import Problem
from metaopt.problems.training import TRAINING

__all__ = ["Problem", "describe", "get", "names"]


def names() -> list[str]:
    """Return the names of all problems, the synthetic ones first."""
    return [*synthetic.NAMES, *TRAINING]


def get(name: str) -> Problem:
    """Return the problem called `name`, such as "branin", "sphere" (5-d) or "sphere-10".

    Raises:
        UnknownNameError: there is none; the message lists all.
    """
    if not isinstance(name, str):
        raise unknown_name("problem", name, names())
    if name in TRAINING:
        return TRAINING[name]()
    found = synthetic.known(name)
    if found is None:
        raise unknown_name("problem", name, names())
    return found.problem


def describe() -> dict[str, str]:
    """Return each problem's name with one line on it; no training data is loaded."""
    lines = {name: get(name).description for name in synthetic.NAMES}
    for name, make in TRAINING.items():
        lines[name] = (inspect.getdoc(make) or "").partition("\n")[0]
    return lines
