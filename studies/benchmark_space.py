"""Time to draw 100,000 configurations, compared with NumPy drawing the same random numbers.

python studies/benchmark_space.py [--n 100000] [--runs 5]
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from metaopt import Categorical, Float, Int, Ordinal, Space

PLAIN = Space(
    {f"x{i}": Float(0, 1) for i in range(4)}
    | {"lr": Float(1e-5, 1e-1, log=True), "units": Int(1, 1000, log=True), "depth": Int(1, 4)}
    | {"width": Ordinal([32, 64, 128]), "rate": Float(0, 0.5, step=0.1)}
    | {"kind": Categorical(["a", "b", "c"])}
)
CONDITIONAL = Space(
    {f"x{i}": Float(0, 1) for i in range(4)}
    | {
        "optimizer": Categorical(["sgd", "adam"]),
        "layers": Int(1, 3),
        "lr": Float(1e-5, 1, log=True),
    }
    | {"momentum": Float(0, 0.99, when={"optimizer": ["sgd"]})}
    | {"nesterov": Categorical([True, False], when={"optimizer": ["sgd"]})}
    | {"second": Int(4, 64, log=True, when={"layers": [2, 3]})},
    forbid=[{"optimizer": "adam", "layers": 3}],
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    for name, space in (("10 parameters", PLAIN), ("10, conditional, forbidden", CONDITIONAL)):
        ours, bare = [], []
        for run in range(given.runs):
            start = time.process_time()
            space.sample(np.random.default_rng(run), given.n)
            ours.append(time.process_time() - start)
            start = time.process_time()
            np.random.default_rng(run).random((given.n, len(space))).tolist()
            bare.append(time.process_time() - start)
        ratio = statistics.median(ours) / statistics.median(bare)
        print(f"{name}: {statistics.median(ours):.2f} s for {given.n}, {ratio:.1f} x bare lists")


if __name__ == "__main__":
    main()
