"""How often a comparison claims what is not so, and how often it finds what is so.

    python studies/statistics_bench/claims.py

Values of runs are drawn, and analysed exactly as `metaopt.compare` analyses them. A false claim is
any claim of a difference in the family of a comparison in which all strategies are equal: over all
problems or on a single one. A wrong direction is a claim that a strategy is better than the control
where it is worse, or the reverse. Power is the share of comparisons that claim a real difference
over all problems (or on the only one).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from metaopt.analysis.judgement import ALL, Sample, verdicts

RUNS = 1000
LEVEL = 0.05
CENTRED = (  # functions of 5 numbers with a common centre
    lambda z: (z**2).sum(-1),
    lambda z: (z**2 - 10 * np.cos(2 * np.pi * z) + 10).sum(-1),
    lambda z: np.abs(z).sum(-1),
    lambda z: np.abs(z).max(-1),
    lambda z: (z**4).sum(-1),
    lambda z: (np.arange(1, 6) * z**2).sum(-1),
    lambda z: (np.cumsum(z, -1) ** 2).sum(-1),
    lambda z: -20 * np.exp(-0.2 * np.sqrt((z**2).mean(-1))),
)

Array = np.ndarray
Noise = Callable[[np.random.Generator, tuple[int, ...]], Array]


def _ties(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.round(rng.normal(size=shape))


def _unequal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.normal(size=shape) * _spreads(shape[-1])


def _spreads(strategies: int) -> Array:
    return np.linspace(1, 5, strategies)


def _centred(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """The best of 20 points in random search, one function for each problem."""
    problems, repeats, k = shape
    z = rng.uniform(-5, 5, (problems, repeats, k, 20, 5))
    each = [CENTRED[p % len(CENTRED)](z[p]).min(-1) for p in range(problems)]
    return np.array(each)


NOISE: dict[str, Noise] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "ties": _ties,
    "Cauchy": lambda rng, shape: rng.standard_cauchy(shape),
    "unequal variances": _unequal,
    "shared centres": _centred,
}
# Differences in location have another meaning for ties and for minima of functions.
SHIFTED = ("normal", "Cauchy", "unequal variances")


@dataclass(frozen=True)
class Design:
    """What is compared.

    Attributes:
        problems: number of problems.
        repeats: paired repeats of each problem.
        strategies: number of strategies; the first one is the control.
    """

    problems: int
    repeats: int
    strategies: int

    def __str__(self) -> str:
        return f"{self.problems} x {self.repeats}, {self.strategies} strategies"


DESIGNS = [
    Design(p, r, k)
    for p, r in ((1, 10), (1, 12), (1, 20), (5, 10), (5, 20), (10, 10), (20, 5))
    for k in (2, 4, 8)
]


@dataclass(frozen=True)
class Row:
    """The claims of simulated comparisons of one design.

    Attributes:
        design: what was compared.
        values: distribution of the values.
        effect: difference of each strategy from the control, in standard deviations.
        runs: simulated comparisons.
        any_claim: share of comparisons with a claim; of false ones if the effect is 0.
        wrong: share of the claims that point in the wrong direction; 0 without an effect.
        power: share of the strategies that are found to differ, over all problems.
    """

    design: Design
    values: str
    effect: float
    runs: int
    any_claim: float
    wrong: float
    power: float


def simulate(design: Design, values: str, effect: float, runs: int, seed: int = 0) -> Row:
    """Draw and analyse comparisons; every second strategy is better by `effect`, others worse.

    The effect is in standard deviations of the strategy.
    """
    rng = np.random.default_rng([seed, *map(ord, f"{design}{values}{effect}")])
    shape = (design.problems, design.repeats, design.strategies)
    signs = np.where(np.arange(design.strategies) % 2, -1.0, 1.0)
    signs[0] = 0.0
    shift = effect * signs * (_spreads(len(signs)) if values == "unequal variances" else 1.0)
    claimed = wrong = claims = found = 0
    for _ in range(runs):
        table = NOISE[values](rng, shape) + shift
        better = _claims(table)
        claimed += bool(better)
        claims += len(better)
        wrong += sum(is_better != (signs[j] < 0) for _, j, is_better in better)
        found += sum(overall for overall, *_ in better)
    others = runs * (design.strategies - 1)
    share = wrong / claims if claims and effect else 0.0
    return Row(design, values, effect, runs, claimed / runs, share, found / others)


def _claims(table: Array) -> list[tuple[bool, int, bool]]:
    """All claims: whether over all problems, the strategy, whether it is better."""
    labels = [f"s{j}" for j in range(table.shape[-1])]
    samples = [Sample(f"p{i}", each) for i, each in enumerate(table)]
    headline = samples[0].title if len(samples) == 1 else ALL
    return [
        (title == headline, labels.index(label), bool(verdict.better))
        for (title, label), verdict in verdicts(samples, labels, "s0").items()
        if verdict.p <= LEVEL
    ]


def nulls(runs: int = RUNS) -> Iterator[Row]:
    """Comparisons of equal strategies."""
    for values in NOISE:
        for design in DESIGNS:
            yield simulate(design, values, 0.0, runs)


def differences(runs: int = RUNS) -> Iterator[Row]:
    """Comparisons of strategies that differ by a medium and a large effect.

    As an effect tends to 0, half of the few claims of any test point in the wrong direction.
    """
    for values in SHIFTED:
        for design in DESIGNS:
            for effect in (0.7, 1.5):
                yield simulate(design, values, effect, runs)


def power_of_strata(runs: int = RUNS) -> Row:
    """The design of 5 problems with 10 repeats each, and a difference of 0.7."""
    return simulate(Design(5, 10, 2), "normal", 0.7, runs)


def limit(runs: int, level: float = LEVEL) -> float:
    """The share of false claims that a right procedure exceeds in one of 1,000 simulations."""
    from scipy.stats import binom

    return float(binom.ppf(0.999, runs, level)) / runs
