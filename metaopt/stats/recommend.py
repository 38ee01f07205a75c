"""Which test suits which design: the table of tests, and the rules that pick from it.

`recommend` never looks at data. It decides what the independent unit of a design is, and picks the
tests for it from `PLANNED_TESTS`; `compare` and `compare_models` run what was picked, and their
reports take the words from it. To add a test, write its function in a file of `metaopt.stats` and
add one entry to `PLANNED_TESTS`, before others that suit the same designs: for each role the first
one that suits is used. Its sources must be in `references.bib`.
"""

from __future__ import annotations

import copyreg
import math
from dataclasses import replace
from typing import Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.stats.bayes import bayes_signed_rank, correlated_t
from metaopt.stats.checks import as_level, as_whole
from metaopt.stats.corrected_t import corrected_t, five_by_two_f, repeated_kfold_t
from metaopt.stats.design import Design, PlannedTest, Recommendation, Role, Setting
from metaopt.stats.friedman import friedman
from metaopt.stats.mcnemar import cochran_q, mcnemar
from metaopt.stats.permutation import friedman_permutation
from metaopt.stats.rank_sum import rank_sum
from metaopt.stats.signed_rank import smallest_p, wilcoxon

FRIEDMAN_F_BLOCKS = 10  # from so many blocks on, the Iman-Davenport F keeps its level

SIGNED_RANK = PlannedTest(
    name="wilcoxon",
    role="pairs",
    suits=lambda s: s.blocks,
    run=lambda x, y, design: wilcoxon(x, y),
    title="Wilcoxon's signed-rank test",
    short="signed-rank test",
    why="The two treatments are compared by the signed-rank test.",
    sources=("wilcoxon1945",),
    smallest_p=smallest_p,
)

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
    replace(
        SIGNED_RANK,
        suits=lambda s: s.blocks and s.many,
        why=(
            "Two treatments are compared by the signed-rank test of these two alone, since tests on"
            " mean ranks let the other treatments decide on a pair (Benavoli et al. 2016)."
        ),
        sources=("wilcoxon1945", "benavoli2016"),
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
        why=(
            "With a stated region of practical equivalence, its Bayesian form gives the probability"
            " of a practical difference."
        ),
        sources=("corani2015",),
    ),
]


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


def recommend(design: Design, level: float = 0.05, *, families: int = 1) -> Recommendation:
    """Choose tests, correction and effects for a stated design; data play no part.

    With several problems, the problem is the unit if there are enough problems to reject at all;
    the finding then holds for problems of that kind. Otherwise each problem is tested on its own,
    and Holm's correction covers all of them. On one problem the unit is the paired repeat, the
    split of a corrected test, or the test example.

    Args:
        design: of the experiment.
        level: the family-wise error rate, between 0 and 1.
        families: number of experiments of this one design, for example one per problem, that
            share Holm's correction.

    Returns:
        The plan: which tests, why, and the functions that run them.

    Raises:
        StatisticsError: `design` is no Design, `level` is not between 0 and 1, or `families` is
            not a positive whole number.

    Example:
        >>> plan = recommend(Design(treatments=4, repeats=12, control=True))
        >>> plan.tests
        ('friedman', 'pairwise')
    """
    if not isinstance(design, Design):
        raise StatisticsError(f"design must be a stats.Design, got {design!r:.80}")
    level, families = as_level(level), as_whole(families, "families")
    if design.problems == 1:
        return _one_problem(design, level, families)
    whole = Setting(design, "problem", design.problems)
    need = _fewest(whole, level, design.comparisons * families)
    if design.problems >= need:
        return _over_problems(whole, families)
    each = _one_problem(replace(design, problems=1), level, design.problems * families)
    advice = (
        f"{design.problems} problems cannot show p <= {level:g}"
        f" for {_comparisons(design.comparisons)} with the problem as the unit, whatever the"
        f" scores: that needs at least {need}. Instead each problem is tested on its own: findings"
        f" hold for these ones only."
    )
    return replace(each, advice=f"{advice} {each.advice}".rstrip())


def _fewest(setting: Setting, level: float, comparisons: int) -> int:
    """How many units the test of pairs needs to reject at all."""
    test = pick("pairs", setting)
    return 1 if test is None else test.fewest(level, comparisons)


def _over_problems(setting: Setting, families: int) -> Recommendation:
    why = (
        "Problems are the unit: one mean or median per problem and treatment is independent of the"
        " others, however its repeats or folds are correlated (Demsar 2006). Scores of different"
        " problems have different scales, so ranks are compared and not means."
    )
    effects = ("mean_ranks", "a12", "critical_groups") if setting.many else ("median_difference",)
    return _plan(setting, families, why, effects, ("demsar2006",))


def _one_problem(design: Design, level: float, families: int) -> Recommendation:
    if design.resampling == "independent":
        return _independent(design, level, families)
    if design.resampling == "holdout" and design.repeats == 1:
        why = (
            "Each model is trained once and judged on one test set, so the examples are the unit."
            " The finding holds for these trained models; that training on other data would change"
            " them is not seen (Dietterich 1998)."
        )
        return _plan(Setting(design, "example", 0), families, why, (), ("dietterich1998",))
    why = (
        "Scores of one data set are correlated, since its examples are used again and again: a"
        " plain paired test rejects far too often (Dietterich 1998). The finding holds for this"
        " data set."
    )
    return _plan(Setting(design, "split", design.splits), families, why, (), ())


def _independent(design: Design, level: float, families: int) -> Recommendation:
    n, m = design.repeats, design.comparisons * families
    setting = Setting(design, "repeat", n)
    need = _fewest(setting, level, m)
    if n < need:
        return _too_few(setting, level, families, need)
    if not design.paired:
        why = (
            "Repeats are independent and share nothing between treatments, so values are compared"
            " across all repeats by their ranks."
        )
        return _plan(setting, families, why, ("a12", "shift"), ())
    why = (
        "Repeats are independent and paired: all treatments share the seed of a repeat, so"
        " differences within repeats are tested. Ranks are used since values of stochastic search"
        " are seldom normal; this is decided beforehand and not looked up in the data."
    )
    if setting.many:
        effects = ("mean_ranks", "a12", "critical_groups")
        return _plan(setting, families, why, effects, ("demsar2006",))
    effects = ("a12", "median_difference", "bootstrap_two")
    return _plan(setting, families, why, effects, ("demsar2006", "vargha2000"))


def _too_few(setting: Setting, level: float, families: int, need: int) -> Recommendation:
    """The plan of a design in which no test could reject: effect sizes, and what is needed."""
    design, n, m = setting.design, setting.n, setting.design.comparisons * families
    effects = ("a12", "median_difference" if design.paired else "shift", "bootstrap_two")
    what = "paired repeats" if design.paired else "repeats of each treatment"
    advice = (
        f"{n} {what} cannot show p <= {level:g} for {_comparisons(m)}, whatever the scores:"
        f" at least {need} are needed (and more to see a small effect: stats.power). Instead"
        f" the size of the effect is reported{', with its interval,' if n > 1 else ''}"
        f" and no p."
    )
    why = "No test: its smallest possible p-value lies above the level."
    correction, keys = _correction(design.comparisons, families)
    return Recommendation(
        (), correction, effects[: 3 if n > 1 else 2], setting.unit, n, m, False, advice, why,
        ("vargha2000", *keys), design,
    )  # fmt: skip


def _plan(
    setting: Setting, families: int, why: str, effects: tuple[str, ...], keys: tuple[str, ...]
) -> Recommendation:
    """Pick the tests for a setting; words and sources are those of the unit and of the tests."""
    design = setting.design
    omnibus, pairs = pick("omnibus", setting), pick("pairs", setting)
    posterior = pick("posterior", setting)
    used = [test for test in (omnibus, pairs, posterior) if test is not None]
    correction, corrected = _correction(design.comparisons, families)
    sources_ = [*keys, *(key for test in used for key in test.sources), *corrected]
    return Recommendation(
        _names(setting, omnibus, pairs, posterior, families),
        correction,
        effects,
        setting.unit,
        setting.n,
        design.comparisons * families,
        True,
        "",
        " ".join([why, *(test.why for test in used)]),
        tuple(dict.fromkeys(sources_)),
        design,
        omnibus,
        pairs,
        posterior,
    )


def _names(
    setting: Setting,
    omnibus: PlannedTest | None,
    pairs: PlannedTest | None,
    posterior: PlannedTest | None,
    families: int,
) -> tuple[str, ...]:
    """Names of functions in the order of use; `pairwise` runs the test of pairs for many."""
    names = [] if omnibus is None else [omnibus.name]
    if setting.many:
        names.append("pairwise")
    if pairs is not None and not (setting.many and pairs.name == "wilcoxon"):
        names.append(pairs.name)  # of `pairwise`, the signed-rank test is the default
    if posterior is not None:
        names.append(posterior.name)
    # `pairwise` corrects within one problem only.
    return (*names, "holm") if families > 1 else tuple(names)


def _correction(comparisons: int, families: int) -> tuple[str, tuple[str, ...]]:
    """The correction in words, and its source."""
    m = comparisons * families
    if m == 1:
        return "none needed: one hypothesis is tested", ()
    text = f"Holm (1979) over all {m} comparisons"
    if families > 1:
        text += f" of {families} problems: holm of all their unadjusted p-values together"
    return text, ("holm1979",)


def _comparisons(n: int) -> str:
    return "one comparison" if n == 1 else f"{n} comparisons"
