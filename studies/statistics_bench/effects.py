"""Coverage of the intervals of parameter importance and of the mean effect over problems.

python studies/statistics_bench/effects.py
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from metaopt import Float, Space, stats
from metaopt.importance import fanova
from statistics_bench.coverage import Row

FORESTS = 40  # samples per row, since each needs a forest


def table(runs: int) -> list[Row]:
    """Return the rows.

    Args:
        runs: samples per row of the mean effect; importance takes at most FORESTS.
    """
    return [*_importance(min(runs, FORESTS)), *_over_problems(runs // 4)]


def _importance(runs: int) -> Iterator[Row]:
    """Shares of x0 and of an idle parameter in y = x0 + noise of the same variance."""
    for parameters in (2, 5):
        space = Space(**{f"x{i}": Float(0, 1) for i in range(parameters)})
        for n in (30, 100):
            rng = np.random.default_rng([parameters, n])
            found = [_shares(space, n, rng, seed) for seed in range(runs)]
            for name, truth in (("x0", 0.5), ("x1", 0.0)):
                low, high = np.array([f.intervals[name] for f in found]).T
                yield Row(
                    "importance", f"{name} of {parameters} parameters", truth, n, found[0].level,
                    float(np.mean((low <= truth) & (truth <= high))), float(np.median(high - low)),
                )  # fmt: skip


def _shares(space: Space, n: int, rng: np.random.Generator, seed: int):
    configs = [
        dict(zip(space.names, row, strict=True)) for row in rng.random((n, len(space.names)))
    ]
    values = [c["x0"] + rng.normal(0, 12**-0.5) for c in configs]
    return fanova(space, configs, values, seed=seed)


def _over_problems(runs: int) -> Iterator[Row]:
    """Mean effect over problems, where it is 0 and varies between problems by `spread`."""
    for problems in (3, 5, 10):
        for spread in (0.0, 0.5):
            rng = np.random.default_rng([problems, int(10 * spread)])
            found = []
            for _ in range(runs):
                scores = rng.normal(size=(problems, 10, 2))
                scores[..., 1] += rng.normal(0, spread, (problems, 1))
                found.append(stats.hierarchical(scores, 0)[0].mean)
            covered = np.mean([x.low <= 0 <= x.high for x in found])
            yield Row(
                "hierarchical", f"{problems} problems, spread {spread:g}", 0.0, 10, found[0].level,
                float(covered), float(np.median([x.high - x.low for x in found])),
            )  # fmt: skip


if __name__ == "__main__":
    for row in table(2000):
        print(row)
