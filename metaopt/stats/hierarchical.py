"""How large the effect of a treatment is on problems of one kind, and how much it varies.

Notation: d[p, r] is the difference treatment - control in repeat r of problem p, in a unit of its
own for each problem; theta_p is its expectation on problem p. The model has two levels:
d[p, r] varies around theta_p, and theta_p ~ N(mu, tau^2) over problems of this kind.

Values of different problems have different scales, and those of one problem are often skewed or
missing. So within each problem, all values of the treatment and the control are replaced by normal
scores of their ranks. Their differences are divided by the standard deviation of the scores within
each of the two, as in Cohen's d. An effect is then the same whether costs or their logarithms are
compared, a failed run is just the worst one, and other treatments play no part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.stats.checks import as_column, as_floats, as_level, as_number
from metaopt.stats.effect import Interval
from metaopt.stats.friedman import ranks_within
from metaopt.stats.random_effects import RandomEffects, random_effects

SMALL = 0.2  # a small effect (Cohen 1988)


@dataclass(frozen=True)
class OverProblems:
    """The effect of one treatment against the control, over problems of one kind.

    Effects are in standard deviations of a problem's repeats; below 0, the treatment is better.

    Attributes:
        treatment: column of the treatment.
        mean: mean effect over all problems of this kind, with its interval.
        spread: standard deviation of the effect between problems, with its interval.
        next_problem: effect on the next problem of this kind, with its prediction interval.
        better: probability that the effect on the next problem is below 0.
        clearly_better: probability that it is below -margin.
        clearly_worse: probability that it is above margin.
        next_run: probability that the treatment is better in one repeat of the next problem.
        effects: effect on each problem given, shrunken towards the mean, with its interval.
        observed: effect on each problem by its own repeats alone.
        margin: the largest effect that does not matter.
        n: numbers of problems and of repeats.
        method: description of the method.
    """

    treatment: int
    mean: Interval
    spread: Interval
    next_problem: Interval
    better: float
    clearly_better: float
    clearly_worse: float
    next_run: float
    effects: tuple[Interval, ...]
    observed: tuple[float, ...]
    margin: float
    n: tuple[int, int]
    method: str


def hierarchical(
    scores: Any, control: int, *, level: float = 0.95, margin: float = SMALL
) -> tuple[OverProblems, ...]:
    """Estimate the effect of every treatment against a control on problems of one kind.

    The problems given stand for others of their kind, so all findings hold for that kind if they
    are a fair sample of it. Effects are standardised differences of normal scores (see the module);
    -0.2 is small, -0.5 medium and -0.8 large (Cohen 1988). They are combined by `random_effects`;
    all problems get the same sampling variance, the mean of their own, so that each has the same
    weight. Intervals and probabilities are those of a single treatment and not adjusted for their
    number.

    The intervals of the mean keep their level also where the effect varies between problems
    (measured by studies/benchmark_statistics.py). With 2 or 3 problems they are wide, since so few
    problems say little about others. If a treatment and
    the control tie in every repeat, its effects are 0 with intervals of length 0.

    Args:
        scores: shape (problems, repeats, k), at least 2 of each; lower is better; treatments in the
            same repeat share a seed or split. A failed run may be +inf.
        control: column of the control.
        level: confidence level of each interval, between 0 and 1.
        margin: the largest effect that does not matter, in standard deviations.

    Returns:
        One result per other treatment, in the order of columns.

    Raises:
        StatisticsError: `scores` has another shape, fewer than 2 problems, repeats or treatments or
            a NaN, `control` is not a column, `level` is not between 0 and 1, or `margin` is
            negative.

    Source: model: Higgins, Thompson and Spiegelhalter (2009); normal scores: Blom (1958);
        standardised differences and their variance: Hedges (1981).

    Example:
        >>> from metaopt.stats import hierarchical
        >>> costs = [[[1, 3], [2, 5], [4, 6]], [[7, 9], [8, 6], [5, 9]], [[1, 2], [3, 4], [2, 5]]]
        >>> (found,) = hierarchical(costs, control=1)  # 3 problems, 3 repeats, 2 strategies
        >>> round(found.mean.estimate, 2)
        -1.23
    """
    table, level = _checked(scores), as_level(level)
    control = as_column(control, table.shape[2])
    margin = as_number(margin, "margin", "a number of at least 0", 0.0)
    base = table[:, :, control]
    return tuple(
        _contrast(j, standard_differences(table[:, :, j], base), level, margin)
        for j in range(table.shape[2])
        if j != control
    )


def _checked(scores: Any) -> FloatArray:
    table = as_floats(scores, "scores", infinite=True)
    if table.ndim != 3 or min(table.shape) < 2:
        raise StatisticsError(
            f"scores must have the shape (problems, repeats, treatments) with at least 2 of each,"
            f" got shape {table.shape}"
        )
    return table


def standard_differences(x: FloatArray, y: FloatArray) -> FloatArray:
    """Differences x - y of normal scores within each problem, in their standard deviations.

    Args:
        x, y: scores of two treatments, shape (problems, repeats); a failed run may be +inf.

    Returns:
        Shape (problems, repeats); the mean over repeats is Cohen's d of the normal scores. The
        standard deviation is that of scores without ties, so that it is never 0.
    """
    repeats = x.shape[1]
    total = 2 * repeats
    z = _normal_scores(ranks_within(np.concatenate([x, y], axis=1)), total)
    d = z[:, :repeats] - z[:, repeats:]
    between = total * d.mean(axis=1, keepdims=True) ** 2 / 4
    within = (total - 1 - between) / (total - 2)  # sum of squares of all scores: total - 1
    standardised: FloatArray = d / np.sqrt(within)
    return standardised


def _normal_scores(ranks: FloatArray, total: int) -> FloatArray:
    """Blom's normal scores; those of the ranks 1 to `total` have a standard deviation of 1."""
    from scipy.special import ndtri

    whole = ndtri((np.arange(1, total + 1) - 0.375) / (total + 0.25))
    scores: FloatArray = ndtri((ranks - 0.375) / (total + 0.25)) / whole.std(ddof=1)
    return scores


def effects_of(d: FloatArray) -> tuple[FloatArray, float, float]:
    """Effect on each problem, their common sampling variance, and the variance of one repeat.

    Args:
        d: standardised differences, shape (problems, repeats).
    """
    repeats = d.shape[1]
    effects, single = d.mean(axis=1), float(d.var(axis=1, ddof=1).mean())
    # The standard deviation in the denominator is an estimate, too: Hedges (1981).
    return effects, single / repeats + float((effects**2).mean()) / (4 * (repeats - 1)), single


def _contrast(treatment: int, d: FloatArray, level: float, margin: float) -> OverProblems:
    effects, variance, single = effects_of(d)
    n, name = d.shape, "standardised differences of normal scores"
    observed = tuple(effects.tolist())
    if variance == 0:
        flat = Interval(0.0, 0.0, 0.0, level, "all repeats tie")
        units = (flat,) * n[0]
        return OverProblems(
            treatment, flat, flat, flat, 0.5, 0.0, 0.0, 0.5, units, observed, margin, n,
            f"{name}, all repeats tie",
        )  # fmt: skip
    found = random_effects(effects, np.full(len(effects), variance), level)
    ahead = found.prediction
    return OverProblems(
        treatment,
        found.mean,
        found.spread,
        found.next_effect,
        float(ahead.below(0.0)),
        float(ahead.below(-margin)),
        1 - float(ahead.below(margin)),
        _next_run(found, single),
        found.effects,
        observed,
        margin,
        n,
        f"{name}, {found.method} with {n[1]} repeats",
    )


def _next_run(found: RandomEffects, single: float) -> float:
    """Probability that the difference in one repeat of the next problem is below 0."""
    from scipy.special import ndtr

    ahead = found.prediction
    spread = np.hypot(ahead.deviations, math.sqrt(single))
    return float(ndtr(-ahead.means / spread).mean())
