"""One family for all claims of a comparison: its hypotheses, and how their p-values are adjusted.

A hypothesis says that a strategy equals the control: on a problem, or over all problems. All of
them are adjusted together by Holm's method with weights, which is a closed procedure: the
probability of any false claim is at most the level, whichever hypotheses are true. Over several
problems, four fifths of the level go to the hypotheses over all problems.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from metaopt import stats

LEVEL = 0.05  # of the whole family, unless the caller says otherwise
OVERALL = 0.8  # share of the level for hypotheses over all problems

Key = tuple[str, str]  # title of the analysis, label of the strategy


@dataclass(frozen=True)
class Plans:
    """The plans of the tests of a comparison.

    Attributes:
        overall: over all problems; None for one problem.
        each: on each problem.
        level: of the whole family.
    """

    overall: stats.Recommendation | None
    each: stats.Recommendation
    level: float = LEVEL

    @property
    def size(self) -> int:
        """Number of hypotheses in the family."""
        parts = [p for p in (self.overall, self.each) if p is not None and p.enough]
        return sum(p.comparisons for p in parts)

    def share(self, plan: stats.Recommendation) -> float:
        """Return the share of the level that the hypotheses of a plan get together.

        Args:
            plan: `overall` or `each`.
        """
        both = self.overall is not None and self.overall.enough and self.each.enough
        return 1.0 if not both else OVERALL if plan is self.overall else 1 - OVERALL


def plans(
    strategies: int,
    problems: int,
    repeats: int,
    shared_seeds: bool = False,
    level: float = LEVEL,
    looks: bool = False,
) -> Plans:
    """Plan the tests of a comparison with a control, before any value is seen.

    Args:
        strategies: number of strategies, at least 2.
        problems: number of problems.
        repeats: paired repeats of each problem.
        shared_seeds: whether all problems share the seed of a repeat; then problems are not
            independent, and nothing is tested over them.
        level: of the whole family.
        looks: whether one looks after each repeat and may stop; then single problems are not
            tested.
    """
    design = stats.Design(strategies, repeats=repeats, control=True, looks=looks)
    if problems == 1:
        return Plans(None, stats.recommend(design, level), level)
    overall = stats.recommend(replace(design, problems=problems), level)
    if shared_seeds:
        overall = untested(overall, SHARED)
    share = 1 - OVERALL if overall.enough else 1.0
    each = stats.recommend(design, level * share, families=problems)
    return Plans(overall, untested(each, ADDED) if looks else each, level)


SHARED = (
    "An earlier version made this comparison: the problems share the seed of each repeat, so they"
    " are not independent, and a test over problems would find differences where there are none."
    " Run the comparison again under this version to test over problems."
)
ADDED = (
    "Repeats were added until all was decided, which only the tests against the control, over all"
    " problems, allow for."
)


def untested(plan: stats.Recommendation, advice: str) -> stats.Recommendation:
    """Return the plan without its tests, and the reason.

    Args:
        plan: with its tests.
        advice: why nothing is tested.
    """
    return replace(
        plan, tests=(), enough=False, advice=advice, omnibus=None, pairs=None, posterior=None
    )


@dataclass(frozen=True)
class Adjusted:
    """A hypothesis after the adjustment.

    Attributes:
        p: adjusted p-value.
        level: at which it was tested; p is at most the level of the family exactly where the raw p
            is at most this level.
    """

    p: float
    level: float


def adjust(raw: Mapping[Key, float], plans: Plans, overall: str, single_step: bool) -> dict[
    Key, Adjusted
]:  # fmt: skip
    """Adjust the p-values of all hypotheses of the family together.

    Args:
        raw: p-value of each hypothesis.
        plans: of the tests.
        overall: title of the analysis over all problems.
        single_step: use Bonferroni's correction with the same weights in place of Holm's; needed
            where the equivalence of the same strategies is tested, too.
    """
    if not raw:
        return {}
    weights = []
    for title, _ in raw:
        plan = plans.overall if title == overall else plans.each
        assert plan is not None
        weights.append(plans.share(plan) / plan.comparisons)
    p = np.array(list(raw.values()))
    if single_step:
        w = np.array(weights) / np.sum(weights)
        adjusted, levels = np.minimum(1.0, p / w), plans.level * w
    else:
        adjusted, levels = stats.holm(p, weights), stats.holm_levels(p, plans.level, weights)
    pairs = zip(raw, adjusted.tolist(), levels.tolist(), strict=True)
    return {key: Adjusted(*row) for key, *row in pairs}
