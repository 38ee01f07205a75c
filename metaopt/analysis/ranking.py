"""From the runs of a comparison to ranks, effects and p-values, by the plan for its design.

The design: in each repeat of a problem all strategies share the seed, initial points and data, so
repeats are pairs, and each strategy is compared with one control. Problems have seeds of their own,
so they are independent. The plan says whether problems are the units, or strata of repeats (see
`metaopt.stats.recommend`); a pair is always judged by its own values alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from metaopt import stats
from metaopt.analysis import conclusions
from metaopt.analysis.added_repeats import with_repeated_interval
from metaopt.analysis.contrasts import Pair, contrast
from metaopt.analysis.family import LEVEL, Plans, plans
from metaopt.analysis.judgement import ALL, Judged, Scores, has_values, judge, scores_of
from metaopt.analysis.standings import AnalysisData, Contrast, Sample, Standing
from metaopt.core.types import FloatArray
from metaopt.stats.friedman import ranks_within
from metaopt.trials.failures import worse_than_all

# A12 within 0.5 +- 0.06 is negligible (Vargha and Delaney 2000); the posterior is of the difference
# of two shares of repeats won, which is twice as large.
ROPE = 0.12


class Analysis(AnalysisData):
    """Standings on one problem, or over several, and the sentences that they allow."""

    def sentences(self) -> list[str]:
        """The finding, its uncertainty and its limits, in plain words."""
        return conclusions.sentences(self)


def analyse(
    samples: Sequence[Sample],
    labels: Sequence[str],
    control: str,
    shared_seeds: bool = False,
    level: float = LEVEL,
    most: int | None = None,
) -> list[Analysis]:
    """Analyse each problem, and all together; all p-values belong to one family.

    Args:
        samples: one per problem, all of the same shape.
        labels: of the k strategies.
        control: the label that all others are compared with.
        shared_seeds: whether problems share the seed of a repeat (comparisons of earlier versions).
        level: of the family of all claims.
        most: planned largest number of repeats, where they were added until all was decided; None
            for a fixed number.

    Returns:
        One analysis per problem, and one over all problems if there are several.
    """
    costs = scores_of(samples, [s.values for s in samples], labels, control)
    tables = [s.tests for s in samples if s.tests is not None]
    tests = scores_of(samples, tables, labels, control) if len(tables) == len(samples) else None
    design = (len(labels), len(samples), most or len(samples[0].values), shared_seeds, level)
    planned = plans(*design, looks=most is not None) if len(labels) > 1 else None
    judged = judge(samples, costs, tests, planned, most)
    found = [_one_problem(samples, costs, i, judged, planned) for i in range(len(samples))]
    whole = [] if len(samples) == 1 else [_all_problems(found, samples, costs, judged, planned)]
    return [replace(a, level=level, most=most) for a in (*found, *whole)]


def _contrast(
    scores: Scores, label: str, problem: int | None, samples: Sequence[Sample], judged: Judged,
    plan: stats.Recommendation | None,
) -> Contrast:  # fmt: skip
    """The effect sizes on one of the samples, or over all of them (problem None)."""
    shown = samples if problem is None else [samples[problem]]
    key = (ALL if problem is None else shown[0].title, label)
    pair = Pair(
        scores.of(label, problem),
        scores.of(scores.control, problem),
        1 if problem is None else shown[0].sign,
        problem is not None and has_values(shown[0], scores, label),
        plan is not None and plan.unit == "problem",
    )
    checkable = all(_checkable(s, scores, label) for s in shown)
    hidden = judged.hidden.get(key) if checkable else None
    found = contrast(pair, judged.claims.get(key), hidden, judged.equal.get(key), judged.level)
    if judged.most is None:
        return found
    return with_repeated_interval(found, pair.x, pair.y, judged.most, pair.sign)


def _checkable(sample: Sample, scores: Scores, label: str) -> bool:
    """Whether all runs of a strategy and of the control that have a value have a test value."""
    if sample.tests is None:
        return False
    columns = [scores.labels.index(name) for name in (label, scores.control)]
    missing = np.isnan(sample.tests[:, columns]) & np.isfinite(sample.values[:, columns])
    return not missing.any()


def _one_problem(
    samples: Sequence[Sample],
    scores: Scores,
    problem: int,
    judged: Judged,
    planned: Plans | None,
) -> Analysis:
    sample = samples[problem]
    costs, tests = scores.costs[problem], sample.tests
    plan = None if planned is None else planned.each
    contrasts = {
        label: _contrast(scores, label, problem, samples, judged, plan)
        for label in scores.others
        if np.isfinite(sample.values).any()
    }
    ranks = mean_ranks(costs)
    test_ranks = None if tests is None else mean_ranks(worse_than_all(sample.sign * tests))
    standings = [
        Standing(
            label,
            float(ranks[j]),
            interval(sample.values[:, j]),
            None if tests is None else interval(tests[:, j]),
            None if test_ranks is None else float(test_ranks[j]),
            contrasts.get(label),
            int(np.isnan(sample.values[:, j]).sum()),
        )
        for j, label in enumerate(scores.labels)
    ]
    return Analysis(
        sample.title,
        1,
        len(costs),
        _sorted(standings),
        scores.control,
        plan,
        0 if planned is None else planned.size,
        None if plan is None or len(scores.costs) > 1 else plan.test_any(costs),
        margins=() if sample.margin is None else ((sample.title, sample.margin),),
    )


def _all_problems(
    each: list[Analysis],
    samples: Sequence[Sample],
    scores: Scores,
    judged: Judged,
    planned: Plans | None,
) -> Analysis:
    plan = None if planned is None else planned.overall
    contrasts = {
        label: _contrast(scores, label, None, samples, judged, plan) for label in scores.others
    }
    rank = [{s.label: s.rank for s in a.standings} for a in each]
    test = [{s.label: s.test_rank for s in a.standings} for a in each]
    standings = []
    for label in scores.labels:
        seen = [r for t in test if (r := t[label]) is not None]
        standings.append(
            Standing(
                label,
                float(np.mean([r[label] for r in rank])),
                test_rank=float(np.mean(seen)) if seen else None,
                contrast=contrasts.get(label),
            )
        )
    return Analysis(
        ALL,
        len(each),
        each[0].repeats,
        _sorted(standings),
        scores.control,
        plan,
        0 if planned is None else planned.size,
        None if plan is None else plan.test_any(_blocks(scores, plan)),
        None if plan is None else _posterior(scores, plan),
        tuple((s.title, s.margin) for s in samples if s.margin is not None),
    )


def _blocks(scores: Scores, plan: stats.Recommendation) -> FloatArray:
    """What the test of all strategies ranks: problems by their mean ranks, or all repeats."""
    if plan.unit == "problem":
        return np.array([mean_ranks(costs) for costs in scores.costs])
    # Ranks, since the costs of different problems have different scales.
    return np.concatenate([ranks_within(costs) for costs in scores.costs])


def _posterior(scores: Scores, plan: stats.Recommendation) -> stats.Posterior | None:
    if len(scores.labels) != 2:
        return None
    (other,) = scores.others
    return plan.probability(scores.of(other, None), scores.of(scores.control, None), ROPE)


def _sorted(standings: list[Standing]) -> tuple[Standing, ...]:
    return tuple(sorted(standings, key=lambda s: s.rank))


def mean_ranks(scores: FloatArray) -> FloatArray:
    """Return mean ranks of scores (blocks, k), (k,); also for a single block or strategy."""
    means: FloatArray = ranks_within(scores).mean(axis=0)
    return means


def interval(values: FloatArray) -> stats.Interval | None:
    """Return the median of the runs that have a value, with its interval."""
    known = values[np.isfinite(values)]
    return stats.median_interval(known) if len(known) else None
