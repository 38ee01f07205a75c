"""From the runs of a comparison to ranks and p-values, by the plan for its design.

The design: all strategies share the seed, initial points and data of a repeat on a problem, so
repeats are blocks, and each strategy is compared with one control. Over several problems the unit
is the problem (Demsar 2006): a block is the mean rank of each strategy within it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from metaopt import stats
from metaopt.analysis import conclusions
from metaopt.analysis.standings import LEVEL, AnalysisData, Sample, Standing
from metaopt.core.types import FloatArray
from metaopt.trials.failures import worse_than_all

# A12 within 0.5 +- 0.06 is negligible (Vargha and Delaney 2000); mean ranks differ by twice that.
ROPE = 0.12


class Analysis(AnalysisData):
    """Standings on one problem, or over several, and the sentences that they allow."""

    def sentences(self) -> list[str]:
        """The finding, its uncertainty and its limits, in plain words."""
        return conclusions.sentences(self, LEVEL)


def analyse(
    samples: Sequence[Sample], labels: Sequence[str], control: str, seed: int = 0
) -> list[Analysis]:
    """Analyse each problem, and all together; p-values are corrected for all comparisons.

    Args:
        samples: one per problem, all of the same shape.
        labels: of the k strategies.
        control: the label that all others are compared with.
        seed: of the bootstrap.

    Returns:
        One analysis per problem, and one over all problems if there are several.
    """
    k, problems, repeats = len(labels), len(samples), len(samples[0].values)
    if k < 2:
        return [_one_problem(s, labels, control, None, seed) for s in samples]
    design = stats.Design(k, repeats=repeats, control=True)
    plan = stats.recommend(design, LEVEL, families=problems)
    each = _corrected([_one_problem(s, labels, control, plan, seed) for s in samples], plan)
    if problems == 1:
        return each
    return [*each, _all_problems(each, labels, replace(design, problems=problems))]


def _one_problem(
    sample: Sample,
    labels: Sequence[str],
    control: str,
    plan: stats.Recommendation | None,
    seed: int,
) -> Analysis:
    """The analysis of one problem, with p-values that are not adjusted yet."""
    scores = worse_than_all(sample.sign * sample.values)
    tests, ranks = sample.tests, mean_ranks(scores)
    test_ranks = None if tests is None else mean_ranks(worse_than_all(sample.sign * tests))
    p = {} if plan is None else _against(scores, labels, control, plan)
    standings = [
        Standing(
            label,
            float(ranks[j]),
            interval(sample.values[:, j], seed),
            None if tests is None else interval(tests[:, j], seed),
            None if test_ranks is None else float(test_ranks[j]),
            p.get(label),
            None if label == control else _a12(scores[:, j], scores[:, labels.index(control)]),
            int(np.isnan(sample.values[:, j]).sum()),
        )
        for j, label in enumerate(labels)
    ]
    return Analysis(
        sample.title,
        "paired repeats",
        len(scores),
        _sorted(standings),
        control,
        plan,
        None if plan is None else plan.test_any(scores),
    )


def _corrected(each: list[Analysis], plan: stats.Recommendation) -> list[Analysis]:
    """Adjust the p-values of all problems together."""
    pairs = {(a.title, s.label): s.p for a in each for s in a.standings if s.p is not None}
    adjusted = dict(zip(pairs, plan.adjust(list(pairs.values())).tolist(), strict=True))
    whole = {a.title: a.friedman_p for a in each if a.friedman_p is not None}
    omnibus = dict(zip(whole, plan.adjust(list(whole.values())).tolist(), strict=True))
    return [
        replace(
            a,
            standings=tuple(replace(s, p=adjusted.get((a.title, s.label))) for s in a.standings),
            friedman_p=omnibus.get(a.title),
        )
        for a in each
    ]


def _all_problems(each: list[Analysis], labels: Sequence[str], design: stats.Design) -> Analysis:
    """The analysis over problems: the mean ranks on a problem are one block.

    It has p-values if problems are the unit of the plan.
    """
    plan, control = stats.recommend(design, LEVEL), each[0].control
    rank = [{s.label: s.rank for s in a.standings} for a in each]
    test = [{s.label: s.test_rank for s in a.standings} for a in each]
    scores = np.array([[r[label] for label in labels] for r in rank])
    tested = plan.unit == "problem"
    p: dict[str, float] = {}
    if tested:
        raw = _against(scores, labels, control, plan)
        p = dict(zip(raw, plan.adjust(list(raw.values())).tolist(), strict=True))
    standings = []
    for j, label in enumerate(labels):
        seen = [t[label] for t in test if t[label] is not None]
        mean = float(np.mean(np.array(seen, dtype=float))) if seen else None
        standings.append(
            Standing(label, float(scores[:, j].mean()), test_rank=mean, p=p.get(label))
        )
    posterior = None
    if len(labels) == 2 and tested:
        c = labels.index(control)
        posterior = plan.probability(scores[:, 1 - c], scores[:, c], ROPE)
    return Analysis(
        "all problems",
        "problems",
        len(each),
        _sorted(standings),
        control,
        plan,
        plan.test_any(scores) if tested else None,
        posterior,
    )


def _sorted(standings: list[Standing]) -> tuple[Standing, ...]:
    return tuple(sorted(standings, key=lambda s: s.rank))


def mean_ranks(scores: FloatArray) -> FloatArray:
    """Return mean ranks of scores (blocks, k); also for a single block or strategy."""
    if scores.shape[1] < 2:
        return np.ones(1)
    return stats.mean_ranks(np.repeat(scores, 2, axis=0) if len(scores) < 2 else scores)


def _against(
    scores: FloatArray, labels: Sequence[str], control: str, plan: stats.Recommendation
) -> dict[str, float]:
    """Unadjusted p-values of the plan's tests against the control; empty without tests."""
    test = plan.pairs
    if test is None:
        return {}
    reference = scores[:, labels.index(control)]
    return {
        label: test.p_of(plan.test_pair(scores[:, j], reference))
        for j, label in enumerate(labels)
        if label != control
    }


def _a12(x: FloatArray, y: FloatArray) -> stats.Interval:
    if len(x) < 2:
        a = stats.a12(x, y)
        return stats.Interval(a, 0.0, 1.0, 1.0, "one repeat")
    return stats.bootstrap_two(x, y, paired=True, n=1000)


def interval(values: FloatArray, seed: int) -> stats.Interval | None:
    """Return the median and its bootstrap interval, of the runs that have a value."""
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    if len(known) == 1:
        v = float(known[0])
        return stats.Interval(v, v, v, 0.0, "one value")
    return stats.bootstrap(known, seed=seed)
