"""Problems to compare strategies on: `names` lists them, `get` returns one, `describe` explains.

The synthetic problems have a known optimum; some accept a dimension in the name, "sphere-10".
Training problems load their data, and torch, when the objective is first called.
"""

from __future__ import annotations

import inspect

from metaopt.core.errors import unknown_name
from metaopt.problems import synthetic
from metaopt.problems.problem import Problem
from metaopt.problems.training import TRAINING

__all__ = ["Problem", "describe", "get", "names"]


def names() -> list[str]:
    """Return the names of all problems, the synthetic problems first."""
    return [*synthetic.NAMES, *TRAINING]


def get(name: str) -> Problem:
    """Return a problem by name.

    Args:
        name: such as "branin", "sphere" (5 dimensions), "sphere-10" or "digits".

    Raises:
        UnknownNameError: there is no such problem; the message lists all names.
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
    """Return a one-line description of each problem by name; loads no training data."""
    lines = {name: get(name).description for name in synthetic.NAMES}
    for name, make in TRAINING.items():
        lines[name] = (inspect.getdoc(make) or "").partition("\n")[0]
    return lines
