"""A study with all outcomes, for the tests of integrations."""

from __future__ import annotations

import math
from typing import Any

from metaopt import Categorical, Float, Int, Result, Space, Study, TrialPruned

SPACE = Space(
    {
        "lr": Float(1e-4, 1.0, log=True),
        "depth": Int(1, 4),
        "flag": Categorical([True, False]),
        "weird = name [%]": Categorical(["a", "b'c"]),
    }
)


def objective(trial: Any) -> Result:
    for step in (1, 2, 3):
        trial.report(trial["lr"] + 1 / step, step)
    if trial.number % 5 == 3:
        raise ValueError("every fifth")
    if trial.number % 5 == 4:
        raise TrialPruned
    return Result(abs(math.log10(trial["lr"]) + 2), metrics={"test": trial["lr"]})


def study(**given: Any) -> Study:
    return Study(SPACE, "random", "maximize", seed=5, name="my 'study'", **given)


def best_so_far(made: Study) -> dict[int, float]:
    """Return the best value so far by trial number, from the first complete trial on."""
    out: dict[int, float] = {}
    best = -math.inf
    for t in made.told:
        best = max(best, -math.inf if t.value is None else t.value)
        if best > -math.inf:
            out[t.number] = best
    return out
