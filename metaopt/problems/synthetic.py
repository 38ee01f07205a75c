"""Synthetic problems with a known optimum: cheap to evaluate, with different difficulties.

Sphere, Rosenbrock, Rastrigin and Ackley have 5 dimensions, or as many as the name states:
"rastrigin-20".

Notation: X has the shape (n, d), n points with d coordinates; a formula returns shape (n,). All
are minimised. In the usual definition, the optimum of sphere, Rastrigin and Ackley is the centre
of the box, which favours strategies that start in the centre or average points; here it is at
`shift(d)`, far from the centre and the borders. Objectives are immutable and support pickle.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from metaopt.core import seeds
from metaopt.core.types import FloatArray
from metaopt.problems.problem import Problem
from metaopt.space import Categorical, Config, Float, Int, Ordinal, Space

Formula = Callable[[FloatArray], FloatArray]

DEFAULT_DIM = 5
LARGEST_DIM = 1000


def shift(dim: int) -> FloatArray:
    """Return the optimum of shifted problems in the box [-1, 1]^dim, shape (dim,).

    The absolute values of the coordinates are between 0.3 and 0.7 and all different; the signs
    alternate.
    """
    i = np.arange(dim)
    golden = (math.sqrt(5) - 1) / 2  # its multiples modulo 1 are evenly spread and never repeat
    away = 0.3 + 0.4 * ((i + 1) * golden % 1.0)
    return np.where(i % 2 == 0, away, -away).round(6)


def _sum(X: FloatArray) -> FloatArray:
    total: FloatArray = X.sum(axis=1)
    return total


def sphere(X: FloatArray) -> FloatArray:
    """Sum of squares: a convex bowl, the easiest problem."""
    return _sum(X**2)


def rosenbrock(X: FloatArray) -> FloatArray:
    """A long curved valley (Rosenbrock 1960), in the chained form for d coordinates."""
    ahead, here = X[:, 1:], X[:, :-1]
    return _sum(100 * (ahead - here**2) ** 2 + (1 - here) ** 2)


def rastrigin(X: FloatArray) -> FloatArray:
    """A bowl with a grid of local minima (Rastrigin 1974; Mühlenbein et al. 1991)."""
    return _sum(X**2 + 10 * (1 - np.cos(2 * np.pi * X)))


def ackley(X: FloatArray) -> FloatArray:
    """A plain with many small local minima around one deep minimum (Ackley 1987)."""
    root = np.sqrt(_sum(X**2) / X.shape[1])
    waves = _sum(np.cos(2 * np.pi * X)) / X.shape[1]
    # In this order of operations the minimum is exactly 0.
    value: FloatArray = 20 * (1 - np.exp(-0.2 * root)) + (np.exp(1.0) - np.exp(waves))
    return value


def branin(X: FloatArray) -> FloatArray:
    """Three equal minima (Branin 1972; constants of Dixon and Szegö 1978)."""
    x, y = X[:, 0], X[:, 1]
    valley = y - 5.1 / (4 * np.pi**2) * x**2 + 5 / np.pi * x - 6
    return valley**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x) + 10


HARTMANN_ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
HARTMANN_A = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
HARTMANN_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann6(X: FloatArray) -> FloatArray:
    """Six local minima in six dimensions (Hartmann 1973; constants of Dixon and Szegö 1978)."""
    inner = (HARTMANN_A * (X[:, None, :] - HARTMANN_P) ** 2).sum(axis=2)
    return _sum(-HARTMANN_ALPHA * np.exp(-inner))


@dataclass(frozen=True)
class Continuous:
    """A formula of the parameters x0, x1, ..., shifted.

    Attributes:
        formula: from points, shape (n, d), to values, shape (n,).
        origin: the point at which the formula gets the argument 0.
    """

    formula: Formula
    origin: tuple[float, ...]

    def __call__(self, trial: Mapping[str, Any]) -> float:
        x = [float(trial[f"x{i}"]) for i in range(len(self.origin))]
        return float(self.at(np.array([x]))[0])

    def at(self, X: FloatArray) -> FloatArray:
        """Return the values, shape (n,), at the rows of X, shape (n, d)."""
        return self.formula(X - np.array(self.origin))


@dataclass(frozen=True)
class Noisy:
    """An objective with normal noise, which is a function of the trial's seed.

    Attributes:
        exact: the objective without noise.
        deviation: standard deviation of the noise.
    """

    exact: Callable[[Mapping[str, Any]], float]
    deviation: float

    def __call__(self, trial: Mapping[str, Any]) -> float:
        # A plain dict has no seed; it gets the default of `fixed_trial`.
        rng = seeds.stream(getattr(trial, "seed", 0), "noise")
        return self.exact(trial) + self.deviation * float(rng.standard_normal())


# The best learning rate of each optimizer, and the lowest loss that it can reach.
MIXED_RATE = {"sgd": 0.05, "momentum": 0.01, "adam": 0.0008}
MIXED_FLOOR = {"sgd": 0.3, "momentum": 0.1, "adam": 0.0}


def mixed(trial: Mapping[str, Any]) -> float:
    """Like the loss of a network: the best rate depends on the optimizer, the depth on width."""
    off_rate: float = math.log10(trial["lr"] / MIXED_RATE[trial["optimizer"]])
    bits: float = math.log2(trial["width"])
    off_capacity: float = trial["depth"] + bits - 9
    value = MIXED_FLOOR[trial["optimizer"]] + 0.2 * off_rate**2
    return value + 0.05 * off_capacity**2 + 0.02 * (bits - 6) ** 2


def conditional(trial: Mapping[str, Any]) -> float:
    """Three families of models with parameters of their own; the best one has most parameters."""
    if trial["model"] == "linear":
        return 0.6 + 0.02 * math.log10(trial["penalty"] / 0.01) ** 2
    if trial["model"] == "tree":
        return 0.3 + 0.05 * math.log2(trial["leaves"] / 32) ** 2
    value: float = 0.15 * (trial["layers"] - 3) ** 2
    if trial["layers"] >= 2:
        value += (trial["dropout"] - 0.2) ** 2
    if trial["optimizer"] == "sgd":
        value += 2 * (trial["momentum"] - 0.9) ** 2
    else:
        value += 0.1
    return value


@dataclass(frozen=True)
class Known:
    """A problem with a known optimum.

    Attributes:
        problem: the problem.
        optimiser: a configuration at which the optimum is attained.
    """

    problem: Problem
    optimiser: Config


@dataclass(frozen=True)
class Family:
    """A formula for any number of dimensions.

    Attributes:
        formula: from points, shape (n, d), to values, shape (n,).
        low, high: the bounds of the box [low, high]^d.
        description: one line, without the dimension.
        shifted: whether the minimum, at the origin, is moved by `shift`; otherwise it is at
            (1, ..., 1).
        least: the lowest number of dimensions.
    """

    formula: Formula
    low: float
    high: float
    description: str
    shifted: bool = True
    least: int = 1

    def build(self, name: str, dim: int) -> Known:
        best = np.round(self.high * shift(dim), 6) if self.shifted else np.ones(dim)
        objective = Continuous(self.formula, tuple((best * self.shifted).tolist()))
        space = Space({f"x{i}": Float(self.low, self.high) for i in range(dim)})
        text = f"{dim}-d {self.description}"
        return Known(Problem(name, space, objective, "minimize", 0.0, text), _point(best))


FAMILIES = {
    "sphere": Family(sphere, -5.0, 5.0, "convex bowl, optimum off centre"),
    "rosenbrock": Family(rosenbrock, -5.0, 10.0, "long curved valley", shifted=False, least=2),
    "rastrigin": Family(rastrigin, -5.12, 5.12, "bowl full of holes, optimum off centre"),
    "ackley": Family(ackley, -32.768, 32.768, "rough plain with one hole, optimum off centre"),
}


def _point(x: FloatArray) -> Config:
    return {f"x{i}": v for i, v in enumerate(x.tolist())}


def _branin() -> Known:
    space = Space(x0=Float(-5.0, 10.0), x1=Float(0.0, 15.0))
    objective, optimum = Continuous(branin, (0.0, 0.0)), 0.39788735772973816
    problem = Problem("branin", space, objective, "minimize", optimum, "2-d, three equal minima")
    return Known(problem, {"x0": math.pi, "x1": 2.275})


def _hartmann6(name: str = "hartmann6", noise: float = 0.0) -> Known:
    space = Space({f"x{i}": Float(0.0, 1.0) for i in range(6)})
    exact = Continuous(hartmann6, (0.0,) * 6)
    objective = Noisy(exact, noise) if noise else exact
    text = f"6-d, six local minima{f', noise {noise} (optimum without noise)' if noise else ''}"
    best = [0.20168951, 0.15001069, 0.47687398, 0.27533243, 0.31165161, 0.65730053]
    problem = Problem(name, space, objective, "minimize", -3.322368011415515, text)
    return Known(problem, _point(np.array(best)))


def _mixed() -> Known:
    space = Space(
        lr=Float(1e-5, 1e-1, log=True),
        depth=Int(1, 6),
        width=Ordinal([16, 32, 64, 128, 256, 512]),
        optimizer=Categorical(list(MIXED_RATE)),
    )
    text = "float, int, ordinal and categorical that interact"
    best: Config = {"lr": MIXED_RATE["adam"], "depth": 3, "width": 64, "optimizer": "adam"}
    return Known(Problem("mixed", space, mixed, "minimize", 0.0, text), best)


def _conditional() -> Known:
    net = {"model": ["net"]}
    space = Space(
        model=Categorical(["linear", "tree", "net"]),
        penalty=Float(1e-4, 1e2, log=True, when={"model": ["linear"]}),
        leaves=Int(2, 256, log=True, when={"model": ["tree"]}),
        layers=Int(1, 4, when=net),
        dropout=Float(0.0, 0.8, when={"layers": [2, 3, 4]}),
        optimizer=Categorical(["sgd", "adam"], when=net),
        momentum=Float(0.0, 0.99, when={"optimizer": ["sgd"]}),
    )
    text = "three kinds of models with nested conditions"
    best: Config = {"model": "net", "layers": 3, "dropout": 0.2, "optimizer": "sgd"}
    problem = Problem("conditional", space, conditional, "minimize", 0.0, text)
    return Known(problem, best | {"momentum": 0.9})


FIXED: dict[str, Callable[[], Known]] = {
    "branin": _branin,
    "hartmann6": _hartmann6,
    "noisy-hartmann6": lambda: _hartmann6("noisy-hartmann6", noise=0.1),
    "mixed": _mixed,
    "conditional": _conditional,
}

NAMES = (*FAMILIES, *FIXED)


def known(name: str) -> Known | None:
    """Return the problem `name` with its optimiser; None if there is none.

    The name of a family may end with a dimension of up to 1000: "sphere", "sphere-10".
    """
    if name in FIXED:
        return FIXED[name]()
    match = re.fullmatch(r"([a-z]+)(?:-([1-9][0-9]{0,3}))?", name)
    if match is None or match[1] not in FAMILIES:
        return None
    family, dim = FAMILIES[match[1]], int(match[2] or DEFAULT_DIM)
    return family.build(name, dim) if family.least <= dim <= LARGEST_DIM else None
