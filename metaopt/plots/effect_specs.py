"""Captions and alt texts of the comparison matrix and of the effects by problem."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from metaopt.plots.matrix import cells_of, comparison_matrix, why_no_matrix
from metaopt.plots.problem_effects import effects_by_problem, effects_of, why_no_effects
from metaopt.plots.spec import FigureSpec, listed, number

if TYPE_CHECKING:
    from metaopt.analysis.comparison import ComparisonData


def matrix(c: ComparisonData) -> Iterator[FigureSpec]:
    """The multiple comparison matrix."""
    if why_no_matrix(c):
        return
    cells, plan = cells_of(c), c.plan_of_pairs()
    (row, column), most = max(cells.items(), key=lambda item: abs(item[1].effect))
    sure = dict.fromkeys(frozenset(pair) for pair, x in cells.items() if x.sure)
    pairs = [" and ".join(sorted(pair, key=c.strategies.index)) for pair in sure]
    over = " averaged over problems," if len(c.problems) > 1 else ""
    tested = (
        " The third line is the p-value, not adjusted, of the planned test of the two:"
        f" {plan.pairs.title if plan.pairs else ''}. Bold: significant at level {c.level:g} also"
        " after Shaffer's correction for all pairs, which alone depends on the other strategies."
    )
    untested = f" There are no p-values. {plan.advice}"
    yield FigureSpec(
        "comparison-matrix",
        "Multiple comparison matrix",
        "Each cell compares the strategy of its row with that of its column by the values of these"
        " two alone, so that it stays the same if strategies are added (Ismail-Fawaz et al. 2023)."
        f" The first line is the standardised difference of the final values, row - column,{over}"
        " that is, the difference of the normal scores of their ranks in standard deviations."
        " Below 0 (purple), the row is better; 0.2 is small and 0.8 is large (Cohen 1988). The"
        " second line counts the repeats in which the row is better / equal / worse."
        f"{tested if plan.enough else untested}",
        f"The largest difference is {number(most.effect)}, of {row} against {column}, with"
        f" {' / '.join(map(str, most.counts))} repeats won, tied and lost."
        + (f" Significantly different: {'; '.join(pairs)}." if pairs else ""),
        partial(comparison_matrix, c),
    )


def by_problem(c: ComparisonData) -> Iterator[FigureSpec]:
    """The effects against the control by problem."""
    if why_no_effects(c):
        return
    found = effects_of(c)
    means = [
        f"{k} {number(x.mean.estimate)} [{number(x.mean.low)}, {number(x.mean.high)}]"
        for k, x in found.items()
    ]
    better = listed(f"{k} {x.better:.2f}" for k, x in found.items())
    yield FigureSpec(
        "effects-by-problem",
        f"Effects against {c.control} by problem",
        f"How much the final values of each strategy differ from those of {c.control}, in standard"
        " deviations of a problem's repeats (of the normal scores of their ranks, since scales"
        " differ between problems). Below 0 the strategy is better; 0.2 is small and 0.8 is large"
        " (Cohen 1988). Hollow marks use the repeats of one problem alone. Filled marks, with 95 %"
        " intervals, are estimates of a hierarchical model, which moves them towards the mean as"
        " far as the differences between problems can be chance. Below the dotted line are the"
        " mean effect on problems of this kind with its 95 % interval, and the 95 % prediction"
        " interval of the effect on the next one. Both take the problems as a sample of their kind."
        " No interval is corrected for the number of strategies. A line that reaches the edge goes"
        " on beyond it.",
        f"Mean effects with 95 % intervals: {listed(means)}. Probability that the strategy is"
        f" better on the next problem: {better}.",
        partial(effects_by_problem, c),
    )
