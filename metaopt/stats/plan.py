"""The table of tests: which test suits which design, how it is called, and the words for it.

`recommend` picks from this table, `compare` and `compare_models` run what was picked, and their
reports take the words from it. To add a test, write its function in a file of `metaopt.stats` and
add one `PlannedTest` to `PLANNED_TESTS`; for each role the first one that suits the design is used.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from metaopt.stats.bayes import bayes_signed_rank, correlated_t
from metaopt.stats.corrected_t import corrected_t, five_by_two_f, repeated_kfold_t
from metaopt.stats.design import Design, Unit
from metaopt.stats.friedman import friedman
from metaopt.stats.mcnemar import cochran_q, mcnemar
from metaopt.stats.permutation import friedman_permutation
from metaopt.stats.rank_sum import rank_sum
from metaopt.stats.signed_rank import smallest_p, wilcoxon

Role = Literal["omnibus", "pairs", "posterior"]
FRIEDMAN_F_BLOCKS = 10  # from so many blocks on, the Iman-Davenport F keeps its level


@dataclass(frozen=True)
class Setting:
    """What decides on a test.

    Attributes:
        design: of the experiment.
        unit: what is independent and counted.
        n: number of such units, 0 where the design does not say (test examples).
    """

    design: Design
    unit: Unit
    n: int

    @property
    def blocks(self) -> bool:
        """Whether the units are independent blocks that hold all treatments."""
        return self.unit == "problem" or (self.unit == "repeat" and self.design.paired)

    @property
    def many(self) -> bool:
        """Whether there are three or more treatments."""
        return self.design.treatments > 2

    def split_by(self, resampling: str) -> bool:
        """Whether the units are splits of one data set, made by this resampling.

        Args:
            resampling: as in `Design`.
        """
        return self.unit == "split" and self.design.resampling == resampling


@dataclass(frozen=True)
class PlannedTest:
    """One test of the table.

    Attributes:
        name: of the function in `metaopt.stats`.
        role: "omnibus" (do any treatments differ), "pairs" (do two differ) or "posterior" (how
            probable is a practical difference of two).
        suits: whether it is right for a `Setting`.
        run: calls the function: with (scores, design) for "omnibus", scores (n, treatments); with
            (x, y, design) for "pairs", each (n,), or (repeats, folds) for splits by folds; with
            (x, y, rope, design) for "posterior". Scores of test examples are 1 where a model is
            right, else 0.
        title: with its article, for a sentence: "Wilcoxon's signed-rank test".
        short: for a table or parentheses: "signed-rank test".
        why: why it is chosen, as a sentence.
        sources: keys in `references.bib`.
        detail: how its p-value is found, to follow a comma; sources in braces; may be empty.
        p_of: takes the p-value from the outcome.
        smallest_p: the smallest p-value that n units can give; None if there is no such limit.
    """

    name: str
    role: Role
    suits: Callable[[Setting], bool]
    run: Callable[..., Any]
    title: str
    short: str
    why: str
    sources: tuple[str, ...]
    detail: str = ""
    p_of: Callable[[Any], float] = lambda outcome: float(outcome.p)
    smallest_p: Callable[[int], float] | None = None

    def fewest(self, level: float, comparisons: int) -> int:
        """Return how many units are needed to reject at all after Holm's correction.

        Args:
            level: of the family of tests, between 0 and 1.
            comparisons: hypotheses in the family.
        """
        if self.smallest_p is None:
            return 1
        n = 1
        while self.smallest_p(n) * comparisons > level:
            n += 1
        return n


PLANNED_TESTS: list[PlannedTest] = [
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
        detail="with permutations of ranks counted or drawn, since blocks are few",
    ),
    PlannedTest(
        name="cochran_q",
        role="omnibus",
        suits=lambda s: s.unit == "example" and s.many,
        run=lambda scores, design: cochran_q(np.ones(len(scores)), scores),
        title="Cochran's Q test",
        short="Cochran's Q",
        why="Cochran's Q test asks whether any models differ.",
        sources=("cochran1950",),
    ),
    PlannedTest(
        name="wilcoxon",
        role="pairs",
        suits=lambda s: s.blocks,
        run=lambda x, y, design: wilcoxon(x, y),
        title="Wilcoxon's signed-rank test",
        short="signed-rank test",
        why=(
            "Two treatments are compared by the signed-rank test of these two alone, since tests on"
            " mean ranks let the other treatments decide on a pair (Benavoli et al. 2016)."
        ),
        sources=("wilcoxon1945", "benavoli2016"),
        smallest_p=smallest_p,
    ),
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
        run=lambda x, y, design: mcnemar(np.ones(len(x)), x, y),
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
        run=lambda x, y, rope, design: bayes_signed_rank(x, y, rope),
        title="the Bayesian signed-rank test",
        short="Bayesian signed-rank test",
        why="Its Bayesian form states how probable a practical difference is.",
        sources=("benavoli2017",),
    ),
    PlannedTest(
        name="correlated_t",
        role="posterior",
        suits=lambda s: s.split_by("repeated k-fold") or s.split_by("holdout"),
        run=lambda x, y, rope, design: correlated_t(
            np.ravel(x), np.ravel(y), rope, design.test_fraction
        ),
        title="the Bayesian correlated t test",
        short="Bayesian correlated t test",
        why="Its Bayesian form states how probable a practical difference is.",
        sources=("corani2015",),
    ),
]


def pick(role: Role, setting: Setting) -> PlannedTest | None:
    """Return the first test of the table with this role that suits the setting, or None.

    Args:
        role: what the test is for.
        setting: what it must suit.
    """
    return next((t for t in PLANNED_TESTS if t.role == role and t.suits(setting)), None)
