"""How often the intervals of metaopt.stats hold the true value, beside the level that they state.

    python studies/statistics_bench/coverage.py

prints the table in less than 90 seconds on one core. It simulates 2000 samples for each cell, so
the standard error of a coverage of 0.95 is 0.005.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist
from typing import Any

import numpy as np

from metaopt import stats

RUNS = 2000
SIZES = (5, 10, 20)  # values per sample, pairs, or repeats of each problem
SHIFT = 0.7
CHANCES = (0.5, 0.8, 0.95, 0.98)  # true probabilities of being better

Array = np.ndarray[Any, Any]
Values = Callable[[np.random.Generator, Any], Array]  # a shape -> values
Draw = Callable[[np.random.Generator, int], stats.Interval]
Case = tuple[str, str, float, Draw]  # function, values, true value, simulation
Quantile = Callable[[float], float]
normal = NormalDist().inv_cdf


@dataclass(frozen=True)
class Row:
    """The coverage of an interval in one setting.

    Attributes:
        interval: name of the function in metaopt.stats; after a comma, an option that is not its
            default.
        values: what was simulated.
        truth: true value of the statistic.
        n: values per sample, pairs, or repeats of each problem.
        level: the level that the intervals state.
        covered: share of the intervals that hold the true value.
        length: median length of the intervals.
    """

    interval: str
    values: str
    truth: float
    n: int
    level: float
    covered: float
    length: float


@dataclass(frozen=True)
class Population:
    """A distribution, its median, and quantiles of the difference and the mean of two values."""

    draw: Values
    median: float
    difference: Quantile
    mean: Quantile


def _cauchy(chance: float) -> float:
    return math.tan(math.pi * (chance - 0.5))


def _gamma(chance: float) -> float:
    from scipy.special import gammaincinv

    return float(gammaincinv(2, chance))


POPULATIONS = {
    "normal": Population(
        np.random.Generator.standard_normal,
        0.0,
        difference=lambda p: normal(p) * math.sqrt(2),
        mean=lambda p: normal(p) / math.sqrt(2),
    ),
    "exponential": Population(
        np.random.Generator.standard_exponential,
        math.log(2),
        difference=lambda p: -math.log(2 * (1 - p)),  # for p >= 1/2
        mean=lambda p: _gamma(p) / 2,
    ),
    "Cauchy": Population(
        np.random.Generator.standard_cauchy,
        0.0,
        difference=lambda p: 2 * _cauchy(p),
        mean=_cauchy,
    ),
}


def table(runs: int = RUNS) -> list[Row]:
    """Return the coverage of all intervals, each from `runs` simulated samples."""
    cases = (*_locations(), *_chances(), *_shares(), *_interquartile_means())
    return [_row(case, n, runs) for case in cases for n in SIZES]


def _row(case: Case, n: int, runs: int) -> Row:
    interval, values, truth, draw = case
    rng = np.random.default_rng([zlib.crc32(f"{interval} {values} {truth}".encode()), n])
    found = [draw(rng, n) for _ in range(runs)]
    covered = float(np.mean([i.low <= truth <= i.high for i in found]))
    length = float(np.median([i.high - i.low for i in found]))
    return Row(interval, values, truth, n, found[0].level, covered, length)


def _locations() -> Iterator[Case]:
    """Median; and differences in location of x and y, whose distributions have one shape."""
    for name, p in POPULATIONS.items():
        yield "median_interval", name, p.median, partial(_median, p)
    for function in (stats.median_difference_interval, stats.shift_interval):
        for name, p in POPULATIONS.items():
            yield function.__name__, name, SHIFT, partial(_moved, function, p, SHIFT)


def _median(p: Population, rng: np.random.Generator, n: int) -> stats.Interval:
    return stats.median_interval(p.draw(rng, n))


def _moved(
    function: Callable[..., stats.Interval],
    p: Population,
    shift: float,
    rng: np.random.Generator,
    n: int,
) -> stats.Interval:
    return function(p.draw(rng, n) + shift, p.draw(rng, n))


def _chances() -> Iterator[Case]:
    """A12, improvement, and the rank-biserial correlation of differences of any shape."""
    newcombe = partial(stats.a12_interval, method="newcombe")
    options: dict[str, Callable[..., stats.Interval]] = {
        "a12_interval": stats.a12_interval,
        "a12_interval, newcombe": newcombe,
    }
    for label, function in options.items():
        for name, p in POPULATIONS.items():
            for chance in CHANCES:
                moved = partial(_moved, function, p, -p.difference(chance))
                yield label, name, chance, moved
    for name, p in POPULATIONS.items():
        for chance in CHANCES:
            yield "improvement", f"5 problems, {name}", chance, partial(_improved, p, chance)
    for name, p in POPULATIONS.items():
        for chance in CHANCES:
            against = partial(_against, p, p.mean(chance))
            yield "rank_biserial", f"{name} differences", 2 * chance - 1, against


def _improved(p: Population, chance: float, rng: np.random.Generator, n: int) -> stats.Interval:
    """Improvement among repeats that are not paired, in 5 alike problems."""
    scores = p.draw(rng, (5, n, 2)) - np.array([p.difference(chance), 0.0])
    found = stats.improvement(scores, paired=False)
    low, high = float(found.low[0, 1]), float(found.high[0, 1])
    return stats.Interval(float(found.probability[0, 1]), low, high, found.level, found.method)


def _against(p: Population, value: float, rng: np.random.Generator, n: int) -> stats.Interval:
    return stats.rank_biserial(p.draw(rng, n), np.full(n, value))


def _shares() -> Iterator[Case]:
    """Wins: only their probability counts, so the distribution of the values does not matter."""
    for chance in CHANCES:
        yield "wins", "no ties", chance, partial(_won, [chance], 0.0)
    yield "wins", "a quarter ties", 0.75, partial(_won, [0.625], 0.25)
    unlike = [0.3, 0.6, 0.9, 0.99]
    yield "wins", "4 unlike problems", float(np.mean(unlike)), partial(_won, unlike, 0.0)


def _won(chances: Sequence[float], ties: float, rng: np.random.Generator, n: int) -> stats.Interval:
    """Wins in problems with these chances of a win; all have the same chance of a tie."""
    drawn, won = rng.random((len(chances), n)), np.array(chances)[:, None]
    x = np.where(drawn < won, -1.0, np.where(drawn < won + ties, 0.0, 1.0))
    return stats.wins(x, np.zeros_like(x))


def _interquartile_means() -> Iterator[Case]:
    """IQM of problems with scores in different places; skewed ones are lognormal (sigma 0.5)."""
    from scipy.special import ndtri, stdtrit

    grid = (np.arange(20_000) + 0.5) / 20_000
    families: dict[str, tuple[Values, Array]] = {
        "normal": (np.random.Generator.standard_normal, ndtri(grid)),
        "lognormal": (lambda rng, n: np.exp(0.5 * rng.standard_normal(n)), np.exp(ndtri(grid) / 2)),
        "t with 3 df": (lambda rng, n: np.asarray(rng.standard_t(3, n)), stdtrit(3, grid)),
    }
    layouts = {  # places and spreads of the problems
        "1 problem": (np.zeros((1, 1)), np.ones((1, 1))),
        "5 problems": (np.linspace(0, 7, 5)[:, None], np.ones((5, 1))),
        "20 problems": (np.linspace(0, 7, 20)[:, None], np.ones((20, 1))),
        "3 far apart, unlike spreads": (np.c_[[0.0, 17.0, 35.0]], np.c_[[2.7, 0.5, 0.9]]),
    }
    for label, (place, spread) in layouts.items():
        for name, (draw, quantiles) in families.items():
            mixture = np.sort((quantiles * spread + place).ravel())
            middle = mixture[len(mixture) // 4 : -(len(mixture) // 4)]
            scores = partial(_iqm, draw, place, spread)
            truth = round(float(middle.mean()), 12) + 0.0  # and not -0
            yield "interquartile_mean", f"{label}, {name}", truth, scores


def _iqm(
    draw: Values, place: Array, spread: Array, rng: np.random.Generator, n: int
) -> stats.Interval:
    return stats.interquartile_mean(place + spread * draw(rng, (len(place), n)))


def as_markdown(rows: Sequence[Row]) -> str:
    """Return the table with one line per setting: stated level and coverage for each n."""
    head = ["interval", "values", "true value", *(f"n = {n}" for n in SIZES)]
    lines = [head, ["---"] * 3 + ["---:"] * len(SIZES)]
    for start in range(0, len(rows), len(SIZES)):
        group = rows[start : start + len(SIZES)]
        cells = [f"{row.level:.3f}: {row.covered:.3f}" for row in group]
        lines.append([f"`{group[0].interval}`", group[0].values, f"{group[0].truth:.3g}", *cells])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    print("Stated level: coverage.\n")
    print(as_markdown(table()))
