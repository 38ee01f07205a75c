"""The spaces that strategies are checked on, and an objective for them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from metaopt.space import Categorical, Config, Constant, Float, Int, Ordinal, Space


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
    """Return a smooth function of the coordinates; inactive parameters have a constant effect.

    Args:
        space: any space.
        config: a valid configuration.
    """
    U, A = space.encode([config])
    weight = 1.0 + np.arange(len(space)) % 3
    return float(np.sum(np.where(A, weight * (U - 0.37) ** 2, 0.05)))
