"""The table of tests: which test suits which design, and the words and sources for it.

To add a test, write its function in a file of `metaopt.stats` and add one entry to `PLANNED_TESTS`,
before others that suit the same designs: for each role the first one that suits is used. Its
sources must be in `references.bib`. `compare` and `compare_models` run what was picked, and their
reports take the words from it.
"""

from __future__ import annotations

import copyreg
import math
from dataclasses import replace
from typing import Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.stats.bayes import Posterior, bayes_signed_rank, correlated_t
from metaopt.stats.checks import as_array, as_floats
from metaopt.stats.corrected_t import corrected_t, five_by_two_f, repeated_kfold_t
from metaopt.stats.design import Design, PlannedTest, Role, Setting
from metaopt.stats.friedman import friedman
from metaopt.stats.mcnemar import cochran_q, mcnemar
from metaopt.stats.permutation import friedman_permutation
from metaopt.stats.rank_sum import rank_sum
from metaopt.stats.sequential import sequential_signed_rank
from metaopt.stats.signed_rank import smallest_p, wilcoxon
from metaopt.stats.stratified import (
    signed_rank_of_wins,
    stratified_signed_rank,
    van_elteren,
    win_shares,
)

# From so many blocks on, the Iman-Davenport F keeps its level also in the far tail.
FRIEDMAN_F_BLOCKS = 21

PERMUTED = (
    "with all permutations of the ranks within blocks counted, or 20,000 of them drawn where they"
    " are too many"
)
SIGNED_RANK_DETAIL = (
    "two-sided, exact up to 200 differences and the normal approximation beyond, with mean ranks"
    " for ties and zero differences ranked and then left out {pratt1959}"
)

SIGNED_RANK = PlannedTest(
    name="wilcoxon",
    role="pairs",
    suits=lambda s: s.blocks,
    run=lambda x, y, design: wilcoxon(x, y),
    title="Wilcoxon's signed-rank test",
    short="signed-rank test",
    why="The two treatments are compared by the signed-rank test.",
    sources=("wilcoxon1945", "pratt1959"),
    detail=SIGNED_RANK_DETAIL,
    smallest_p=smallest_p,
)

PLANNED_TESTS: list[PlannedTest] = [
    PlannedTest(
        name="sequential_signed_rank",
        role="pairs",
        suits=lambda s: s.design.looks,
        run=lambda x, y, design: sequential_signed_rank(x, y, most=design.repeats)[-1],
        title="a group-sequential signed-rank test",
        short="group-sequential signed-rank test",
        why=(
            "Repeats are added until every strategy is decided, with a look after each; the test"
            " spreads its level over the looks, so that stopping early does no harm."
        ),
        sources=("lan1983", "hemerik2018"),
        detail=(
            "of differences ranked within each problem, two-sided, with a look after each repeat"
            " and the level spent as by O'Brien and Fleming; boundaries come from a group of sign"
            " flips {hemerik2018}"
        ),
        p_of=lambda look: 1.0 if look.p is None else float(look.p),
        sign_of=lambda look: {"better": -1, "worse": 1}.get(look.decision, 0),
        smallest_p=smallest_p,
    ),
    PlannedTest(
        name="stratified_signed_rank",
        role="pairs",
        suits=lambda s: s.unit == "repeat of a problem" and s.design.paired,
        run=lambda x, y, design: stratified_signed_rank(x, y),
        title="the signed-rank test stratified by problem",
        short="stratified signed-rank test",
        why=(
            "Two treatments are compared by the signed ranks of their differences within each"
            " problem, summed over problems; other treatments play no part."
        ),
        sources=("wilcoxon1945", "vanelteren1960", "pratt1959"),
        detail=SIGNED_RANK_DETAIL,
        smallest_p=smallest_p,
    ),
    PlannedTest(
        name="van_elteren",
        role="pairs",
        suits=lambda s: s.unit == "repeat of a problem",
        run=lambda x, y, design: van_elteren(x, y),
        title="van Elteren's test",
        short="van Elteren's test",
        why=(
            "Two treatments are compared by the ranks of their values within each problem, summed"
            " over problems. Pairing repeats by seed would make the test more powerful."
        ),
        sources=("vanelteren1960",),
        detail="two-sided, with the normal approximation corrected for ties",
    ),
    PlannedTest(
        name="signed_rank_of_wins",
        role="pairs",
        suits=lambda s: s.unit == "problem" and s.several,
        run=lambda x, y, design: signed_rank_of_wins(x, y, paired=design.paired),
        title="Wilcoxon's signed-rank test over problems",
        short="signed-rank test",
        why=(
            "Two treatments are compared by the share of repeats of each problem in which one is"
            " better than the other; other treatments play no part (Benavoli et al. 2016)."
        ),
        sources=("wilcoxon1945", "demsar2006", "benavoli2016", "pratt1959"),
        detail=f"of the share of repeats won in each problem, {SIGNED_RANK_DETAIL}",
        smallest_p=smallest_p,
    ),
    PlannedTest(
        name="friedman",
        role="omnibus",
        suits=lambda s: s.blocks and s.many and s.n >= FRIEDMAN_F_BLOCKS,
        run=lambda scores, design: friedman(scores),
        title="Friedman's test",
        short="Friedman",
        why=(
            "Friedman's test asks whether any treatments differ; with this number of blocks its"
            " Iman-Davenport F keeps its level."
        ),
        sources=("friedman1937", "iman1980"),
        detail="with the F approximation of Iman and Davenport {iman1980}",
        p_of=lambda outcome: float(outcome.f_p),
    ),
    PlannedTest(
        name="friedman_permutation",
        role="omnibus",
        suits=lambda s: s.blocks and s.many,
        run=lambda scores, design: friedman_permutation(scores),
        title="Friedman's test",
        short="Friedman",
        why=(
            "Friedman's test asks whether any treatments differ; with so few blocks its"
            " approximations do not hold, so permutations are counted."
        ),
        sources=("friedman1937",),
        detail=PERMUTED,
    ),
    PlannedTest(
        name="cochran_q",
        role="omnibus",
        suits=lambda s: s.unit == "example" and s.many,
        run=lambda scores, design: cochran_q(_all_right(scores), scores),
        title="Cochran's Q test",
        short="Cochran's Q",
        why="Cochran's Q test asks whether any models differ.",
        sources=("cochran1950",),
    ),
    replace(
        SIGNED_RANK,
        suits=lambda s: s.blocks and s.many,
        why=(
            "Two treatments are compared by the signed-rank test of these two alone, since tests on"
            " mean ranks let the other treatments decide on a pair (Benavoli et al. 2016)."
        ),
        sources=("wilcoxon1945", "benavoli2016", "pratt1959"),
    ),
    SIGNED_RANK,
    PlannedTest(
        name="rank_sum",
        role="pairs",
        suits=lambda s: s.unit == "repeat",
        run=lambda x, y, design: rank_sum(x, y),
        title="the Wilcoxon-Mann-Whitney rank-sum test",
        short="rank-sum test",
        why=(
            "Two treatments are compared by the ranks of their values among all repeats of both."
            " Pairing repeats by seed would make the test more powerful."
        ),
        sources=("mann1947", "vargha2000"),
        # All of one sample below all of the other: one choice of n in 2 n, in either direction.
        detail="two-sided, exact up to 80 values and the normal approximation beyond",
        smallest_p=lambda n: 2 / math.comb(2 * n, n),
    ),
    PlannedTest(
        name="repeated_kfold_t",
        role="pairs",
        suits=lambda s: s.split_by("repeated k-fold"),
        run=lambda x, y, design: repeated_kfold_t(x, y),
        title="the corrected repeated k-fold t test",
        short="corrected t test",
        why=(
            "The corrected repeated k-fold t test adds n2 / n1 to the variance for the correlation."
        ),
        sources=("bouckaert2004", "nadeau2003"),
    ),
    PlannedTest(
        name="corrected_t",
        role="pairs",
        suits=lambda s: s.split_by("holdout"),
        run=lambda x, y, design: corrected_t(x, y, design.test_fraction),
        title="the corrected resampled t test",
        short="corrected t test",
        why=("The corrected resampled t test adds n2 / n1 to the variance for the correlation."),
        sources=("nadeau2003",),
    ),
    PlannedTest(
        name="five_by_two_f",
        role="pairs",
        suits=lambda s: s.split_by("5x2cv"),
        run=lambda x, y, design: five_by_two_f(x, y),
        title="the combined 5x2cv F test",
        short="5x2cv F test",
        why=(
            "Two-fold training sets do not overlap, and the combined F test takes the variance from"
            " within each repetition. It does not see what all five repetitions share, so repeated"
            " k-fold with its corrected test is the safer plan."
        ),
        sources=("alpaydin1999", "dietterich1998"),
    ),
    PlannedTest(
        name="mcnemar",
        role="pairs",
        suits=lambda s: s.unit == "example",
        run=lambda x, y, design: mcnemar(_all_right(x), x, y),
        title="McNemar's test",
        short="McNemar",
        why=(
            "McNemar's test compares two models by the examples on which only one of them is right."
        ),
        sources=("mcnemar1947", "dietterich1998"),
    ),
    PlannedTest(
        name="bayes_signed_rank",
        role="posterior",
        suits=lambda s: s.unit == "problem" and not s.many,
        run=lambda x, y, rope, design: _over_problems_posterior(x, y, rope, design),
        title="the Bayesian signed-rank test",
        short="Bayesian signed-rank test",
        why=(
            "Its Bayesian form states how probable it is that a practical difference is the most"
            " probable result on problems of this kind."
        ),
        sources=("benavoli2017",),
    ),
    PlannedTest(
        name="correlated_t",
        role="posterior",
        suits=lambda s: s.split_by("repeated k-fold") or s.split_by("holdout"),
        run=lambda x, y, rope, design: correlated_t(*_flat(x, y), rope, design.test_fraction),
        title="the Bayesian correlated t test",
        short="Bayesian correlated t test",
        why=(
            "With a stated region of practical equivalence, its Bayesian form gives the probability"
            " of a practical difference."
        ),
        sources=("corani2015",),
    ),
]


def _all_right(scores: Any) -> FloatArray:
    """The truth for scores that are 1 where a model is right: one 1 per example, (n,)."""
    return np.ones(as_array(scores, "scores").shape[:1])


def _flat(x: Any, y: Any) -> tuple[FloatArray, FloatArray]:
    """Scores by splits (n,), or by folds (repeats, folds), as samples."""
    x, y = as_floats(x, "x"), as_floats(y, "y")
    if x.shape != y.shape or x.ndim not in (1, 2):
        raise StatisticsError(
            f"x and y must both have the shape (splits,) or (repeats, folds), got {x.shape} and"
            f" {y.shape}"
        )
    return x.ravel(), y.ravel()


def _over_problems_posterior(x: Any, y: Any, rope: float, design: Design) -> Posterior:
    """The Bayesian signed-rank test of what the signed-rank test of this design compares."""
    if design.resampling == "independent":
        share = win_shares(x, y, paired=design.paired)
        x, y = 1 - share, share
    return bayes_signed_rank(x, y, rope)


def _planned(role: Role, name: str, why: str) -> PlannedTest:
    for test in PLANNED_TESTS:
        if (test.role, test.name, test.why) == (role, name, why):
            return test
    raise StatisticsError(f"the pickled plan uses the test {name!r}, which is not in PLANNED_TESTS")


def _reduce(test: PlannedTest) -> tuple[Any, ...] | str:
    """Pickle a test of the table by what identifies it there: its functions have no names."""
    if any(known is test for known in PLANNED_TESTS):
        return _planned, (test.role, test.name, test.why)
    return test.__reduce_ex__(2)


copyreg.pickle(PlannedTest, _reduce)


def pick(role: Role, setting: Setting) -> PlannedTest | None:
    """Return the first test of the table with this role that suits the setting, or None.

    Args:
        role: what the test is for.
        setting: what it must suit.
    """
    return next((t for t in PLANNED_TESTS if t.role == role and t.suits(setting)), None)
