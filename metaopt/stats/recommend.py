"""Which tests suit a design: the rules for the unit, and what a plan says.

`recommend` never looks at data. It decides what the independent unit of a design is, and picks the
tests for it from the table in `metaopt.stats.planned_tests`.
"""

from __future__ import annotations

import math
from dataclasses import replace

from metaopt.stats.checks import as_level, as_result, as_whole
from metaopt.stats.design import Design, PlannedTest, Recommendation, Setting
from metaopt.stats.planned_tests import pick

# With fewer problems, a test over problems has little power.
LEAST_PROBLEMS = 10


def recommend(design: Design, level: float = 0.05, *, families: int = 1) -> Recommendation:
    """Choose tests, correction and effects for a stated design; data play no part.

    With 10 problems or more, and enough to reject at all, the problem is the unit; the finding then
    holds for problems of that kind. With fewer, independent repeats are tested in strata, one per
    problem, and the finding holds for these problems. Scores of resampled data are then tested on
    each problem on its own, under one correction. On one problem the unit is the repeat, the split
    of a corrected test, or the test example.

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
        ('friedman_permutation', 'pairwise')
    """
    design = as_result(design, "design", Design)
    level, families = as_level(level), as_whole(families, "families")
    if design.problems == 1:
        return _one_problem(design, level, families)
    whole = Setting(design, "problem", design.problems)
    need = max(LEAST_PROBLEMS, _fewest(whole, level, design.comparisons * families))
    if design.problems >= need and not design.looks:
        return _over_problems(whole, families)
    if whole.several:
        return _in_strata(design, level, families, need)
    each = _one_problem(replace(design, problems=1), level, design.problems * families)
    advice = (
        f"A test with the problem as the unit needs at least {need} problems to be of use for"
        f" {_comparisons(design.comparisons)}, and there are {design.problems}. Instead each"
        f" problem is tested on its own: findings hold for these ones only."
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
    effects = ("win_shares", "critical_groups") if setting.several else ("median_difference",)
    return _plan(setting, families, why, effects, ("demsar2006",))


def _in_strata(design: Design, level: float, families: int, wanted: int) -> Recommendation:
    """The plan for independent repeats of fewer problems than a test over problems needs."""
    setting = Setting(design, "repeat of a problem", design.problems * design.repeats)
    need = _fewest(setting, level, design.comparisons * families)
    if setting.n < need:
        return _too_few(setting, level, families, math.ceil(need / design.problems))
    reason = (
        "Problems are strata"
        if design.problems >= wanted
        else f"{design.problems} problems are too few to be a sample of problems (at least {wanted}"
        f" are needed), so they are strata"
    )
    why = (
        f"{reason}: repeats are compared within each problem, since scales differ, and the evidence"
        f" is added up. The finding holds for these problems."
    )
    return _plan(setting, families, why, ("win_shares", "wins"), ())


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
        many = ("median_difference", "wins", "rank_biserial", "critical_groups")
        return _plan(setting, families, why, many, ("demsar2006",))
    effects = ("median_difference", "wins", "rank_biserial")
    return _plan(setting, families, why, effects, ("demsar2006",))


def _too_few(setting: Setting, level: float, families: int, need: int) -> Recommendation:
    """The plan of a design in which no test could reject: effect sizes, and what is needed."""
    design, m = setting.design, setting.design.comparisons * families
    n = design.repeats
    effects = ("wins", "median_difference") if design.paired else ("a12", "shift")
    what = f"paired repeat{'s' * (n != 1)}" if design.paired else "repeats of each treatment"
    what += " of each problem" if design.problems > 1 else ""
    advice = (
        f"{n} {what} cannot show p <= {level:g} for {_comparisons(m)}, whatever the scores:"
        f" at least {need} are needed (and more to see a small effect: stats.power). Instead"
        f" the size of the effect is reported{', with its interval,' if n > 1 else ''}"
        f" and no p."
    )
    why = "No test: its smallest possible p-value lies above the level."
    correction, keys = _correction(design.comparisons, families)
    return Recommendation(
        (), correction, effects, setting.unit, setting.n, m, False, advice, why,
        ("hodges1963" if design.paired else "vargha2000", *keys), design,
    )  # fmt: skip


def _plan(
    setting: Setting, families: int, why: str, effects: tuple[str, ...], keys: tuple[str, ...]
) -> Recommendation:
    """Pick the tests for a setting; words and sources are those of the unit and of the tests."""
    design = setting.design
    omnibus = None if design.looks else pick("omnibus", setting)
    pairs, posterior = pick("pairs", setting), pick("posterior", setting)
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
