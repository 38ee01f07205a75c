"""What the tests of a comparison say: each strategy against the control, all in one family.

A pair is judged by its own values alone, by the test that the plan names, in the direction that the
statistic of this test has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metaopt import stats
from metaopt.analysis.added_repeats import last_looks, verdict
from metaopt.analysis.family import LEVEL, Adjusted, Key, Plans, adjust, plans
from metaopt.analysis.standings import Sample, Verdict
from metaopt.core.types import FloatArray
from metaopt.trials.failures import worse_than_all

ALL = "all problems"


@dataclass(frozen=True)
class Scores:
    """Costs of all runs, validation or hidden test; a run without a value is worse than all others.

    Attributes:
        costs: shape (problems, repeats, strategies).
        labels: of the strategies.
        control: label of the control.
    """

    costs: FloatArray
    labels: Sequence[str]
    control: str

    @property
    def others(self) -> list[str]:
        """Labels of all strategies but the control."""
        return [label for label in self.labels if label != self.control]

    def of(self, label: str, problem: int | None) -> FloatArray:
        """Costs of a strategy: on a problem (repeats,), or on all (problems, repeats)."""
        table = self.costs[:, :, self.labels.index(label)]
        return table if problem is None else table[problem]


@dataclass(frozen=True)
class Judged:
    """What all tests of a comparison say, by analysis and strategy.

    Attributes:
        claims: of the validation values.
        hidden: of the hidden test values.
        equal: adjusted p-values of the tests for equivalence.
        level: of the family of all claims.
        most: planned largest number of repeats, or None.
    """

    claims: Mapping[Key, Verdict]
    hidden: Mapping[Key, Verdict]
    equal: Mapping[Key, float]
    level: float
    most: int | None


def judge(
    samples: Sequence[Sample],
    costs: Scores,
    tests: Scores | None,
    planned: Plans | None,
    most: int | None,
) -> Judged:
    """Make all tests that the plans name.

    Args:
        samples: one per problem.
        costs: of the validation values.
        tests: of the hidden test values, or None.
        planned: the plans; None for a single strategy.
        most: planned largest number of repeats, where they were added until all was decided.
    """
    if planned is None:
        return Judged({}, {}, {}, LEVEL, most)
    if most is not None:
        claims = _last_looks(samples, costs, planned, most)
        hidden = {} if tests is None else _last_looks(samples, tests, planned, most)
        return Judged(claims, hidden, {}, planned.level, most)
    hidden = {} if tests is None else _verdicts(samples, tests, planned)
    equal = _equivalences(samples, costs, planned)
    return Judged(_verdicts(samples, costs, planned), hidden, equal, planned.level, None)


def _last_looks(
    samples: Sequence[Sample], scores: Scores, planned: Plans, most: int
) -> dict[Key, Verdict]:
    """What the last look after a repeat says; nothing while repeats go on."""
    plan = planned.overall or planned.each
    if plan.pairs is None:
        return {}
    title = ALL if planned.overall is not None else samples[0].title
    control = scores.labels.index(scores.control)
    looks = last_looks(scores.costs, control, most, planned.level)
    found = {scores.labels[j]: verdict(look, planned.level) for j, look in looks.items()}
    return {(title, label): v for label, v in found.items() if v is not None}


def verdicts(samples: Sequence[Sample], labels: Sequence[str], control: str) -> dict[Key, Verdict]:
    """Return the verdicts of all tests of a comparison, without effect sizes and medians.

    Args:
        samples: one per problem, all of the same shape.
        labels: of the strategies, at least 2.
        control: the label that all others are compared with.

    Returns:
        By title of the problem (or `ALL`) and label.
    """
    costs = scores_of(samples, [s.values for s in samples], labels, control)
    planned = plans(len(labels), len(samples), len(samples[0].values))
    return _verdicts(samples, costs, planned)


def decisions(
    samples: Sequence[Sample], labels: Sequence[str], control: str, most: int, level: float
) -> list[str]:
    """Return the decision on each strategy but the control, where repeats are added.

    Args:
        samples: one per problem, all of the same shape.
        labels: of the strategies, at least 2.
        control: the label that all others are compared with.
        most: planned largest number of repeats.
        level: of the family of all claims.

    Returns:
        "better", "worse" or "open" for each, in the order of labels.
    """
    scores = scores_of(samples, [s.values for s in samples], labels, control)
    looks = last_looks(scores.costs, scores.labels.index(control), most, level)
    return [look.decision for look in looks.values()]


def scores_of(
    samples: Sequence[Sample], tables: Sequence[FloatArray], labels: Sequence[str], control: str
) -> Scores:
    """Return costs of all runs from their values, one table (repeats, strategies) per problem."""
    costs = [worse_than_all(s.sign * t) for s, t in zip(samples, tables, strict=True)]
    return Scores(np.array(costs), labels, control)


Tested = tuple[str, int | None, stats.Recommendation]  # title, problem (None: all), plan


def _tested(samples: Sequence[Sample], planned: Plans) -> list[Tested]:
    """The analyses in which pairs are tested; a problem without any value is not."""
    rows: list[Tested] = [(ALL, None, planned.overall)] if planned.overall is not None else []
    rows += [
        (s.title, i, planned.each) for i, s in enumerate(samples) if np.isfinite(s.values).any()
    ]
    return [row for row in rows if row[2].pairs is not None]


def _verdicts(samples: Sequence[Sample], scores: Scores, planned: Plans) -> dict[Key, Verdict]:
    """Test every strategy against the control, and adjust all p-values together."""
    raw: dict[Key, float] = {}
    signs: dict[Key, int] = {}
    for title, problem, plan in _tested(samples, planned):
        assert plan.pairs is not None
        for label in scores.others:
            outcome = plan.test_pair(scores.of(label, problem), scores.of(scores.control, problem))
            raw[title, label] = plan.pairs.p_of(outcome)
            signs[title, label] = plan.pairs.sign_of(outcome)
    margins = any(s.margin is not None for s in samples)
    adjusted = adjust(raw, planned, ALL, single_step=margins)
    return {key: _verdict(found, signs[key]) for key, found in adjusted.items()}


def _verdict(found: Adjusted, sign: int) -> Verdict:
    return Verdict(found.p, None if sign == 0 else sign < 0, found.level)


def _equivalences(samples: Sequence[Sample], scores: Scores, planned: Plans) -> dict[Key, float]:
    """Adjusted p-values of two one-sided tests for each strategy, where margins were stated.

    Source: Schuirmann (1987). A difference and its absence cannot both be null, so each strategy
    has one share of the level for both.
    """
    if any(s.margin is None for s in samples):
        return {}
    single = {
        (i, label): _equivalence(sample, scores, i, label)
        for i, sample in enumerate(samples)
        for label in scores.others
    }
    # Over all problems, a difference must not be relevant on any of them (Berger 1982).
    raw = {
        (title, label): max(
            p for (i, name), p in single.items() if name == label and problem in (None, i)
        )
        for title, problem, _ in _tested(samples, planned)
        for label in scores.others
    }
    found = adjust(raw, planned, ALL, single_step=True)
    return {key: each.p for key, each in found.items()}


def has_values(sample: Sample, scores: Scores, label: str) -> bool:
    """Whether all runs of a strategy and of the control have a value.

    Args:
        sample: of the problem.
        scores: of the comparison.
        label: of the strategy.
    """
    columns = [scores.labels.index(name) for name in (label, scores.control)]
    return bool(np.isfinite(sample.values[:, columns]).all())


def _equivalence(sample: Sample, scores: Scores, problem: int, label: str) -> float:
    """p-value of two one-sided tests on one problem; 1 where a run of the two has no value."""
    if not has_values(sample, scores, label):
        return 1.0
    margin = sample.margin or 0.0
    x, y = scores.of(label, problem), scores.of(scores.control, problem)
    return max(_one_sided(x + margin, y, 1), _one_sided(x - margin, y, -1))


def _one_sided(x: FloatArray, y: FloatArray, sign: int) -> float:
    """p-value of the signed-rank test that x - y has this sign."""
    outcome = stats.wilcoxon(x, y)
    return outcome.p / 2 if outcome.sign == sign else 1 - outcome.p / 2
