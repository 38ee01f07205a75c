"""Best configurations of a study, evaluated again: values, intervals, tests and the choice.

The choice is the configuration with the best median over the fresh seeds; a failed evaluation
counts as worse than every value. The median is used since it is defined with failures and since a
few bad seeds do not move it; with normal noise it chooses only a little worse than the mean.

All pairs of configurations are tested, not only those with the chosen one: which one is chosen
depends on the same values, and with Holm's correction for its own pairs alone, equal configurations
would be found to differ too often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from metaopt import stats
from metaopt.analysis.contrasts import in_units
from metaopt.core.errors import missing_extra
from metaopt.core.types import Direction, FloatArray
from metaopt.execution.reevaluation import Reevaluation, replicate_seeds, why
from metaopt.space import Config
from metaopt.trials.failures import worse_than_all
from metaopt.trials.records import Result, TrialRecord

if TYPE_CHECKING:
    import pandas as pd

LEAST_SEEDS = 4  # to choose on one half of the seeds and to measure on the other


@dataclass(frozen=True, eq=False)
class ConfirmedConfig:
    """A configuration that was evaluated again under fresh seeds; values in the user's sign.

    The level of an interval is the one that it attains: below the level asked for if there are too
    few seeds, and 0 for one seed.

    Attributes:
        trial: number of its best trial in the search.
        params: the configuration.
        search: value of that trial.
        replicates: number of seeds that this value is the mean of.
        values: under the fresh seeds, shape (seeds,); NaN where the evaluation failed.
        tests: hidden test values, shape (seeds,), NaN where there is none; None without any.
        errors: why evaluations failed, one text for each.
        better: number of fresh values that are better than the search's value.
        median: of the values, with its interval; a failure counts as worse than every value.
        test: median of the hidden test values, with its interval; None without any.
        optimism: by how much the search's value is better than the median, with its interval;
            above 0, the search's value was too good.
        difference: typical difference from the chosen configuration, this one minus the chosen
            one, over the seeds on which both have a value, with the interval of the signed-rank
            test; None for the chosen one, and without such seeds.
        p: of the signed-rank test against the chosen configuration, adjusted by Shaffer for all
            pairs; None for the chosen one, and where no value varies over the seeds.
    """

    trial: int
    params: Config
    search: float
    replicates: int
    values: FloatArray
    tests: FloatArray | None
    errors: tuple[str, ...]
    better: int
    median: stats.Interval
    test: stats.Interval | None
    optimism: stats.Interval
    difference: stats.Interval | None = None
    p: float | None = None


@dataclass(frozen=True, eq=False)
class ConfirmationData:
    """The best configurations of a study with their fresh values, without printing.

    The fields are described in `metaopt.Confirmation`, which users get.
    """

    configs: tuple[ConfirmedConfig, ...]
    seeds: tuple[int, ...]
    direction: Direction
    level: float
    asked: int
    reused: int

    @property
    def sign(self) -> int:
        """1 if lower is better, -1 if higher is better."""
        return 1 if self.direction == "minimize" else -1

    @property
    def best(self) -> ConfirmedConfig:
        """The configuration to use: the one with the best median over the fresh seeds."""
        return self.configs[0]

    @property
    def search_best(self) -> ConfirmedConfig:
        """The configuration that was the best one in the search."""
        return min(self.configs, key=lambda c: (self.sign * c.search, c.trial))

    @property
    def failed(self) -> int:
        """Number of evaluations that failed."""
        return sum(len(c.errors) for c in self.configs)

    @property
    def varies(self) -> bool:
        """Whether the values of any configuration vary over the seeds; a failure counts as one."""
        return _varies(self.costs)

    @cached_property
    def costs(self) -> FloatArray:
        """The fresh values to be minimised, shape (configurations, seeds); a failure is +inf."""
        return _costs(np.array([c.values for c in self.configs]), self.sign)

    @cached_property
    def complete(self) -> FloatArray:
        """The costs on the seeds without a failure, shape (configurations, such seeds)."""
        return self.costs[:, np.isfinite(self.costs).all(axis=0)]

    @cached_property
    def optimism(self) -> stats.Interval | None:
        """Optimism of the search, averaged over the configurations, with its interval.

        The median over the seeds without a failure; None if there is no such seed.
        """
        searched = self.sign * np.array([[c.search] for c in self.configs])
        means = (self.complete - searched).mean(axis=0)
        return stats.median_interval(means, self.level) if len(means) else None

    @cached_property
    def held_out(self) -> float | None:
        """An almost unbiased value of the choice: the median of `best` is a little too good.

        It is too good because it was picked as the best of several. Here one half of the seeds
        picks a configuration and the other half gives its median; the same with the halves
        exchanged, and the mean of both. None below 4 seeds, for one configuration, and if such a
        median is a failure.
        """
        if len(self.seeds) < LEAST_SEEDS or len(self.configs) == 1:
            return None
        halves = [np.median(self.costs[:, start::2], axis=1) for start in (0, 1)]
        picked = [int(np.argmin(half)) for half in halves]
        value = float(halves[1][picked[0]] + halves[0][picked[1]]) / 2
        return self.sign * value if np.isfinite(value) else None

    def to_pandas(self) -> pd.DataFrame:
        """Return the evaluations as a table, one row per configuration and seed.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise missing_extra("pandas", "pandas", "Confirmation.to_pandas()") from None
        rows = [
            {
                "trial": c.trial,
                "seed": seed,
                "value": c.values[i],
                "test": np.nan if c.tests is None else c.tests[i],
                "search": c.search,
                **{f"params_{k}": v for k, v in c.params.items()},
            }
            for c in self.configs
            for i, seed in enumerate(self.seeds)
        ]
        return pd.DataFrame(rows)


def read_again(
    again: Reevaluation, direction: Direction, level: float
) -> tuple[ConfirmedConfig, ...]:
    """Return the configurations with their intervals and tests, the one to use first.

    Args:
        again: the evaluations.
        direction: of the study.
        level: of the intervals, and 1 minus that of the tests.
    """
    sign = 1 if direction == "minimize" else -1
    made = [
        _config(record, results, sign, level)
        for record, results in zip(again.trials, again.results, strict=True)
    ]
    # Of equal medians, the one with fewer failures, then the one that the search ranked higher.
    made.sort(key=lambda c: (sign * c.median.estimate, len(c.errors)))
    if len(made) == 1:
        return tuple(made)
    costs = _costs(np.array([c.values for c in made]), sign)
    ps = _adjusted(costs)
    gaps = [_difference(c.values, made[0].values, sign, level) for c in made]
    rest = [replace(c, p=p, difference=g) for c, p, g in zip(made, ps, gaps, strict=True)]
    return (made[0], *rest[1:])


def _config(
    record: TrialRecord, results: Sequence[Result], sign: int, level: float
) -> ConfirmedConfig:
    assert record.value is not None
    values = _numbers([r.value for r in results])
    tests = _numbers([r.metrics.get("test") for r in results])
    known = tests[np.isfinite(tests)]
    costs, search = _costs(values, sign), sign * record.value
    median = stats.median_interval(costs, level)
    return ConfirmedConfig(
        trial=record.number,
        params=record.params,
        search=record.value,
        replicates=max(1, len(replicate_seeds(record))),
        values=values,
        tests=tests if len(known) else None,
        errors=tuple(why(r) for r in results if r.value is None),
        better=int((costs < search).sum()),
        median=in_units(median, sign),
        test=stats.median_interval(known, level) if len(known) else None,
        optimism=_moved(median, -search),
    )


def _numbers(values: Sequence[float | None]) -> FloatArray:
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def _costs(values: FloatArray, sign: int) -> FloatArray:
    return np.where(np.isnan(values), np.inf, sign * values)


def _moved(x: stats.Interval, by: float) -> stats.Interval:
    return replace(x, estimate=x.estimate + by, low=x.low + by, high=x.high + by)


def _adjusted(costs: FloatArray) -> list[float | None]:
    """The p-values against row 0, adjusted by Shaffer for all pairs of rows."""
    if not _varies(costs):
        return [None] * len(costs)  # without noise, the seeds are no repeats
    table = stats.pairwise(worse_than_all(costs).T).table()
    return [float(p) for p in table[0]]


def _varies(costs: FloatArray) -> bool:
    return bool((costs != costs[:, :1]).any())


def _difference(
    values: FloatArray, others: FloatArray, sign: int, level: float
) -> stats.Interval | None:
    both = np.isfinite(values) & np.isfinite(others)
    if not both.any():
        return None
    found = stats.median_difference_interval(sign * values[both], sign * others[both], level)
    return in_units(found, sign)
