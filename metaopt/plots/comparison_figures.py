"""The figures of a comparison with their captions and alt texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from metaopt import stats
from metaopt.core.text import counted
from metaopt.core.types import FloatArray
from metaopt.plots import anytime_performance, arrays, critical_difference_diagram, scores
from metaopt.plots.arguments import of_comparison
from metaopt.plots.effect_specs import by_problem, matrix
from metaopt.plots.final_values import ranks, values
from metaopt.plots.overtuning_figure import overtuning as draw_overtuning
from metaopt.plots.overtuning_figure import overtuning_of, relative
from metaopt.plots.spec import FigureSpec, by_name, listed, number, slugs
from metaopt.stats.extremes import median

if TYPE_CHECKING:
    from metaopt.analysis.comparison import ComparisonData

LEAST_SECONDS = 1.0  # for shorter runs, curves by seconds are meaningless
COPIES = "Each strategy has the same colour in all figures."


def _medians(table: FloatArray) -> list[float]:
    """Median of the finite values of each column; NaN if it has none."""
    known = [column[np.isfinite(column)] for column in table.T]
    return [float(median(x)) if len(x) else float("nan") for x in known]


def _each(labels: Sequence[str], found: Sequence[float]) -> str:
    return listed(f"{k} {number(v)}" for k, v in zip(labels, found, strict=True))


def convergence(c: ComparisonData) -> Iterator[FigureSpec]:
    """The best value so far on each problem, by trials, and by seconds if runs are long enough."""
    names = slugs(p.name for p in c.problems)
    for p in c.problems:
        what = "distance to the known optimum" if p.optimum is not None else "best value so far"
        down = p.direction == "minimize" or p.optimum is not None
        read = (
            f"the line is the median over {counted(c.repeats, 'repeat')}, the band is the"
            f" interquartile range. {'Lower' if down else 'Higher'} and further left is better."
        )
        ends = _each(c.strategies, _medians(c.values(p.name)))
        alt = f"Median of the best values after {c.n_trials} trials on {p.name}: {ends}."
        yield FigureSpec(
            f"curves-{names[p.name]}",
            f"{p.name}: {what} by number of trials",
            f"The {what} (validation) after each trial: {read} {COPIES}",
            alt,
            partial(anytime_performance.anytime, c, p.name),
        )
        times = arrays.clocks(c, p)
        if times is None or np.median(times[..., -1]) < LEAST_SECONDS:
            continue
        spent = _each(c.strategies, np.median(times[..., -1], axis=0).tolist())
        yield FigureSpec(
            f"seconds-{names[p.name]}",
            f"{p.name}: {what} by evaluation time",
            f"The {what} (validation) against the cumulative evaluation time of the trials in"
            f" seconds, without the strategies' own computing time: {read} A strategy that prefers"
            " expensive configurations looks worse here than by number of trials.",
            f"Median evaluation time of a whole run on {p.name} in seconds: {spent}.",
            partial(anytime_performance.anytime, c, p.name, "seconds"),
        )


def rank_over_time(c: ComparisonData) -> Iterator[FigureSpec]:
    """Mean ranks after each trial."""
    if len(c.strategies) < 2 or c.n_trials < 2:
        return
    last = anytime_performance.ranks_over_time(c)[:, -1].tolist()
    yield FigureSpec(
        "rank-over-time",
        "Rank over time",
        f"The mean rank of the best value so far after each trial, over {_blocks(c)}. A mean rank"
        " of 1, at the top, means the best in all of them. Where lines cross, the better strategy"
        " depends on the number of trials.",
        f"Mean ranks after {c.n_trials} trials: {_each(c.strategies, last)}.",
        partial(anytime_performance.rank_over_time, c),
    )


def _blocks(c: ComparisonData) -> str:
    if len(c.problems) == 1:
        return counted(c.repeats, "repeat")
    return f"{counted(c.repeats, 'repeat')} of each of {len(c.problems)} problems"


def critical_difference(c: ComparisonData) -> Iterator[FigureSpec]:
    """The critical-difference diagram, over problems if there are several."""
    if len(c.strategies) < 2 or _why_no_diagram(c):
        return
    last = c.analyses[-1]
    means = {s.label: s.rank for s in last.standings}
    found = stats.groups_of([means[s] for s in c.strategies], c.pairwise(), c.level)
    order = [f"{c.strategies[i]} {found.ranks[i]:.2f}" for i in found.order]
    groups = [listed(c.strategies[i] for i in g) for g in found.groups]
    groups += [f"{c.strategies[i]} and {c.strategies[j]}" for i, j in found.unbarred]
    joined = f"Not significantly different: {'; '.join(groups)}." if groups else "All pairs differ."
    yield FigureSpec(
        "critical-difference",
        "Critical-difference diagram",
        f"Mean ranks over {last.blocks}, best at the left. A bar joins strategies that do not"
        " differ significantly, which does not prove that they are equal. Strategies that no bar"
        " joins differ significantly, unless the text below the diagram lists them. All pairs of"
        f" strategies are a family of their own here: {found.method}. Two strategies are tested by"
        " their own values and not by the ranks that are drawn.",
        f"Mean ranks, best first: {listed(order)}. {joined}",
        partial(critical_difference_diagram.cd_diagram, found, c.strategies),
    )


def _why_no_diagram(c: ComparisonData) -> str:
    """Say why a critical-difference diagram could show nothing; empty where it can."""
    if len(c.strategies) < 2:
        return ""
    plan = c.plan_of_pairs()
    if c.analyses[-1].empty:
        return " No run has a value."
    if plan.enough:
        return ""
    if c.most is not None or (c.shared_seeds and len(c.problems) > 1):
        return f" There is no critical-difference diagram: {plan.advice}"
    return (
        f" A critical-difference diagram could show no difference between any two of"
        f" {len(c.strategies)} strategies, whatever the values: {plan.n} repeats are too few for"
        f" {plan.comparisons} pairs."
    )


def mean_ranks(c: ComparisonData) -> Iterator[FigureSpec]:
    """Mean ranks, if no critical-difference diagram shows them."""
    if any(critical_difference(c)):
        return
    last = c.analyses[-1]
    means = {s.label: s.rank for s in last.standings}
    yield FigureSpec(
        "ranks",
        f"Mean ranks: {last.title}",
        f"The mean rank of each strategy over {last.blocks}; a mean rank of 1 means the best in all"
        f" of them.{_why_no_diagram(c)}",
        f"Mean ranks, best first: {_each(list(means), list(means.values()))}.",
        partial(ranks, means, colors=c.strategies),
    )


def finals(c: ComparisonData) -> Iterator[FigureSpec]:
    """The final values of all repeats."""
    tables = {p.name: c.values(p.name) for p in c.problems}
    panels = {k: dict(zip(c.strategies, v.T, strict=True)) for k, v in tables.items()}
    facts = [f"{k}: {_each(c.strategies, _medians(v))}." for k, v in tables.items()]
    yield FigureSpec(
        "values",
        "Final values",
        f"The best validation value of each repeat after {c.n_trials} trials as a dot, and the"
        " median as a bar. The number of repeats without a value is written at the end of the row.",
        "Medians of the final values. " + " ".join(facts),
        partial(values, panels, colors=c.strategies),
    )


def improvement(c: ComparisonData) -> Iterator[FigureSpec]:
    """The matrix of probabilities of improvement."""
    if len(c.strategies) < 2 or c.repeats < 2:
        return
    found = scores.improvement_of(c)
    i, j = np.unravel_index(int(found.probability.argmax()), found.probability.shape)
    yield FigureSpec(
        "improvement",
        "Probability of improvement",
        "The probability that the strategy of the row ends better than the strategy of the column"
        " in a repeat, averaged over problems (Agarwal et al. 2021). Ties count half; 0.5 means"
        " that neither is better. Bold: the exact 95 % interval (Clopper and Pearson 1934) excludes"
        " 0.5. The intervals are not corrected for the number of pairs.",
        f"The largest probability is {found.probability[i, j]:.2f}: {c.strategies[int(i)]} ends"
        f" better than {c.strategies[int(j)]} (95 % interval {found.low[i, j]:.2f} to"
        f" {found.high[i, j]:.2f}).",
        partial(scores.improvement, c),
    )


def aggregates(c: ComparisonData) -> Iterator[FigureSpec]:
    """Interquartile means."""
    if c.repeats < 2 or arrays.scaled_finals(c) is None:
        return
    found = scores.aggregates(c)
    facts = [
        f"{k} {number(x.estimate)} [{number(x.low)}, {number(x.high)}]" for k, x in found.items()
    ]
    yield FigureSpec(
        "interquartile-means",
        "Interquartile means",
        "The interquartile mean (the mean of the middle half) of the final values, scaled in each"
        " problem so that 1 is a typical first trial and 0 is the optimum (or, if it is unknown,"
        " the best value that any run found; Agarwal et al. 2021). The line is the 95 % interval of"
        " Tukey and McLaughlin (1963) within problems. The result holds for these problems only.",
        f"Interquartile means with 95 % intervals: {listed(facts)}.",
        partial(scores.interquartile_means, c),
    )


def profiles(c: ComparisonData) -> Iterator[FigureSpec]:
    """Performance profiles and runtime distributions."""
    found = arrays.runtimes(c)
    if found is None or len(c.strategies) < 2:
        return
    profile = anytime_performance.profiles_of(c)
    first = _each(c.strategies, profile.share[:, 0].tolist())
    solved = _each(c.strategies, np.isfinite(profile.ratios).mean(axis=0).tolist())
    where = "the optimum (or, if it is unknown, to the best value that any run found)"
    yield FigureSpec(
        "performance-profiles",
        "Performance profiles",
        "The share of runs that a strategy solves within a multiple of the number of trials that"
        " the fastest strategy needed in the same repeat (Dolan and More 2002). A run is solved"
        f" when nine tenths of the distance from a typical first trial to {where} are covered. The"
        " height at 1 is the share of runs in which a strategy is the fastest, the height at the"
        " right end is the share that it solves at all.",
        f"Share of runs in which each is the fastest: {first}; share that each solves: {solved}.",
        partial(anytime_performance.performance_profiles, c),
    )
    reached = np.isfinite(found).mean(axis=(0, 2)).tolist()
    yield FigureSpec(
        "runtime-distribution",
        "Runtime distribution",
        f"The share of targets reached within each number of trials, over {_blocks(c)} and 31"
        " targets per problem. The targets are evenly spaced on a logarithmic scale: from a"
        f" typical first trial to where a thousandth of the distance to {where} is left (as in"
        " COCO, Hansen et al. 2021). Higher and further left is better.",
        f"Share of targets reached after {c.n_trials} trials: {_each(c.strategies, reached)}.",
        partial(anytime_performance.runtime_distribution, c),
    )


def overfitting(c: ComparisonData) -> Iterator[FigureSpec]:
    """Validation against test values, one figure per problem that has test values."""
    names = slugs(p.name for p in c.problems)
    for p in c.problems:
        tests = c.tests(p.name)
        if tests is None:
            continue
        gap = _medians(p.sign * (tests - c.values(p.name)))
        yield FigureSpec(
            f"validation-test-{names[p.name]}",
            f"{p.name}: validation against test",
            "Each dot is a run: the validation value that the search optimised, and the hidden test"
            " value of the same configuration. On the dotted line both are equal; for dots"
            f" {'above' if p.direction == 'minimize' else 'below'} it, the validation value was"
            " partly luck.",
            f"Median of how much worse the test value is than the validation value on {p.name}:"
            f" {_each(c.strategies, gap)}.",
            partial(scores.validation_against_test, c, p.name),
        )


def overtuning(c: ComparisonData) -> Iterator[FigureSpec]:
    """Relative overtuning, one figure per problem with a hidden test value of every trial."""
    names = slugs(p.name for p in c.problems)
    for p in c.problems:
        known = {s: relative(runs) for s, runs in overtuning_of(c, p).items()}
        left = sum(map(len, known.values()))
        if not left:
            continue
        out = sum(r.problem == p.name for r in c.runs) - left
        missing = f" Not drawn: {counted(out, 'run')} that never improved the test value."
        free = [float((x == 0).mean()) if len(x) else float("nan") for x in known.values()]
        yield FigureSpec(
            f"overtuning-{names[p.name]}",
            f"{p.name}: overtuning",
            "Overtuning is the loss of test value that the search caused by following the"
            " validation value: how much worse the final configuration is, by the hidden test"
            " value, than the best of those that led by validation on the way. Relative overtuning"
            " divides it by the improvement of the test value from the first configuration to that"
            " best one (Schneider et al. 2025). The height is the share of runs with at most so"
            " much; higher is better. Beyond the dotted line, a run ended worse than it began."
            f"{missing if out else ''}",
            f"Share of runs without overtuning on {p.name}: {_each(list(known), free)}.",
            partial(draw_overtuning, c, p.name),
        )


SPECS: tuple[Callable[[ComparisonData], Iterator[FigureSpec]], ...] = (
    convergence,
    rank_over_time,
    critical_difference,
    mean_ranks,
    finals,
    improvement,
    matrix,
    by_problem,
    aggregates,
    profiles,
    overfitting,
    overtuning,
)


@of_comparison
def comparison_figures(comparison: ComparisonData) -> dict[str, FigureSpec]:
    """Return all figures that apply to a comparison, with captions and alt texts.

    A figure is drawn only when its `draw` is called.

    Args:
        comparison: result of `metaopt.compare`.

    Returns:
        The figures by name, in the order of a report.
    """
    return by_name(spec for make in SPECS for spec in make(comparison))
