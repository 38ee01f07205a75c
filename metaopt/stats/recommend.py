"""From the design of an experiment to its tests, by rules that never look at data."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import count

from metaopt.core.errors import StatisticsError
from metaopt.stats.checks import as_level, as_whole
from metaopt.stats.design import Design, Recommendation
from metaopt.stats.signed_rank import fewest_pairs

CITATIONS = {
    "alpaydin": "Alpaydin (1999), Neural Computation 11(8), 1885-1892",
    "benavoli2016": "Benavoli, Corani and Mangili (2016), JMLR 17(5), 1-10",
    "benavoli2017": "Benavoli, Corani, Demsar and Zaffalon (2017), JMLR 18(77), 1-36",
    "bouckaert": "Bouckaert and Frank (2004), PAKDD, LNCS 3056, 3-12",
    "cochran": "Cochran (1950), Biometrika 37(3/4), 256-266",
    "corani": "Corani and Benavoli (2015), Machine Learning 100(2-3), 285-304",
    "demsar": "Demsar (2006), JMLR 7, 1-30",
    "dietterich": "Dietterich (1998), Neural Computation 10(7), 1895-1923",
    "friedman": "Friedman (1937), JASA 32(200), 675-701",
    "holm": "Holm (1979), Scandinavian Journal of Statistics 6(2), 65-70",
    "iman": "Iman and Davenport (1980), Communications in Statistics 9(6), 571-595",
    "mann": "Mann and Whitney (1947), Annals of Mathematical Statistics 18(1), 50-60",
    "mcnemar": "McNemar (1947), Psychometrika 12(2), 153-157",
    "nadeau": "Nadeau and Bengio (2003), Machine Learning 52(3), 239-281",
    "vargha": "Vargha and Delaney (2000), J. Educational and Behavioral Statistics 25(2), 101-132",
    "wilcoxon": "Wilcoxon (1945), Biometrics Bulletin 1(6), 80-83",
}
SHARP = 10  # blocks from which the Iman-Davenport F keeps its level


def recommend(design: Design, level: float = 0.05, *, families: int = 1) -> Recommendation:
    """Choose tests, correction and effects for a stated design; data play no part.

    Several problems: the problem is the unit if there are enough of them to reject at all, so that
    the finding speaks for problems of that kind; else each problem is tested on its own, and Holm's
    correction covers all of them. On one problem the unit is the paired repeat, the split of a
    corrected test, or the test example. `families` experiments of this one design, say one a
    problem, share Holm's correction.

    Raises:
        StatisticsError: `design` is no Design, `level` is not between 0 and 1, or `families` is no
            positive whole number.
    """
    if not isinstance(design, Design):
        raise StatisticsError(f"design must be a stats.Design, got {design!r:.80}")
    level, families = as_level(level), as_whole(families, "families")
    if design.problems == 1:
        return _one_problem(design, level, families)
    need = fewest_pairs(level, design.comparisons * families)
    if design.problems >= need:
        return _over_problems(design, families)
    each = _one_problem(replace(design, problems=1), level, design.problems * families)
    advice = (
        f"{design.problems} problems cannot show p <= {level:g}"
        f" for {_comparisons(design.comparisons)} with the problem as the unit, whatever the"
        f" scores: that needs at least {need}. Instead each problem is tested on its own: findings"
        f" hold for these ones only."
    )
    return replace(each, advice=f"{advice} {each.advice}".rstrip())


def _over_problems(design: Design, families: int) -> Recommendation:
    why = (
        "Problems are the unit: one mean or median a problem and treatment is independent of the"
        " others, however its repeats or folds are correlated (Demsar 2006). Scores of different"
        " problems have different scales, so ranks are compared and not means."
    )
    if design.treatments == 2:
        return _make(
            design, ("wilcoxon", "bayes_signed_rank"), ("median_difference",), "problem",
            design.problems, families,
            f"{why} The signed-rank test is for two; its Bayesian form says how probable a"
            f" practical difference is.",
            ("demsar", "wilcoxon", "benavoli2017"),
        )  # fmt: skip
    return _many_blocks(design, design.problems, "problem", families, why)


def _many_blocks(design: Design, n: int, unit: str, families: int, why: str) -> Recommendation:
    """Three or more treatments on n independent blocks."""
    omnibus = "friedman" if n >= SHARP else "friedman_permutation"
    sharp = (
        f"with {n} blocks its Iman-Davenport F keeps its level"
        if n >= SHARP
        else f"with {n} blocks its approximations do not hold, so arrangements are counted"
    )
    whom = "each with the control" if design.control else "all pairs"
    return _make(
        design, (omnibus, "pairwise"), ("mean_ranks", "a12", "critical_groups"), unit, n, families,
        f"{why} Friedman's test asks whether any differ; {sharp}. Which do is asked by signed-rank"
        f" tests of {whom}, since tests on mean ranks let the other treatments decide on a pair"
        f" (Benavoli et al. 2016); with Holm they keep the family-wise level by themselves.",
        ("demsar", "friedman", "iman", "benavoli2016"),
    )  # fmt: skip


def _one_problem(design: Design, level: float, families: int) -> Recommendation:
    if design.resampling == "independent":
        return _independent(design, level, families)
    if design.resampling == "holdout" and design.repeats == 1:
        return _one_test_set(design, families)
    return _resampled(design, families)


def _independent(design: Design, level: float, families: int) -> Recommendation:
    n, m = design.repeats, design.comparisons * families
    if design.paired:
        need, what = fewest_pairs(level, m), "paired repeats"
    else:
        # All of one sample below all of the other: one choice of n in 2 n, in either direction.
        need = next(i for i in count(1) if 2 / math.comb(2 * i, i) <= level / m)
        what = "repeats of each treatment"
    if n < need:
        effects = ("a12", "median_difference" if design.paired else "shift", "bootstrap_two")
        out = _make(
            design, (), effects[: 3 if n > 1 else 2], "repeat", n, families,
            "No test: its smallest possible p-value lies above the level.",
            ("vargha",),
        )  # fmt: skip
        advice = (
            f"{n} {what} cannot show p <= {level:g} for {_comparisons(m)}, whatever the scores:"
            f" at least {need} are needed (and more to see a small effect: stats.power). Instead"
            f" the size of the effect is reported{', with its interval,' if n > 1 else ''}"
            f" and no p."
        )
        return replace(out, enough=False, advice=advice)
    if not design.paired:
        tests = ("rank_sum",) if design.treatments == 2 else ("pairwise", "rank_sum")
        return _make(
            design, tests, ("a12", "shift"), "repeat", n, families,
            "Repeats are independent and share nothing between treatments, so values are compared"
            " across all repeats by their ranks. Pairing them by seed would make the test sharper.",
            ("mann", "vargha"),
        )  # fmt: skip
    why = (
        "Repeats are independent and paired: all treatments share the seed of a repeat, so"
        " differences within repeats are tested. Ranks are used since values of stochastic search"
        " are seldom normal, which is settled beforehand and not looked up in the data."
    )
    if design.treatments == 2:
        return _make(
            design, ("wilcoxon",), ("a12", "median_difference", "bootstrap_two"), "repeat", n,
            families, why, ("wilcoxon", "demsar", "vargha"),
        )  # fmt: skip
    return _many_blocks(design, n, "repeat", families, why)


def _one_test_set(design: Design, families: int) -> Recommendation:
    why = (
        "Each model is trained once and judged on one test set, so the examples are the unit. The"
        " finding holds for these trained models; that training on other data would change them is"
        " not seen (Dietterich 1998)."
    )
    two = design.treatments == 2
    tests = ("mcnemar",) if two else ("cochran_q", "pairwise", "mcnemar")
    cited = ("mcnemar", "dietterich") if two else ("cochran", "mcnemar", "dietterich")
    return _make(design, tests, (), "example", 0, families, why, cited)


def _resampled(design: Design, families: int) -> Recommendation:
    test, cited, how = {
        "repeated k-fold": (
            "repeated_kfold_t", ("bouckaert", "nadeau", "corani"),
            "the corrected repeated k-fold t test adds n2 / n1 to the variance for it",
        ),
        "holdout": (
            "corrected_t", ("nadeau", "corani"),
            "the corrected resampled t test adds n2 / n1 to the variance for it",
        ),
        "5x2cv": (
            "five_by_two_f", ("alpaydin", "dietterich"),
            "two-fold training sets do not overlap, and the combined F test takes the variance from"
            " within each repetition; what all five share it does not see, so repeated k-fold with"
            " its corrected test is the safer plan",
        ),
    }[design.resampling]  # fmt: skip
    why = (
        f"Scores of one data set are correlated, since its examples serve again and again: a plain"
        f" paired test rejects far too often (Dietterich 1998); {how}. The finding holds for this"
        f" data set."
    )
    bayes = () if design.resampling == "5x2cv" else ("correlated_t",)
    tests = (test, *bayes) if design.treatments == 2 else ("pairwise", test, *bayes)
    return _make(design, tests, (), "split", design.splits, families, why, cited)


def _comparisons(n: int) -> str:
    return "one comparison" if n == 1 else f"{n} comparisons"


def _make(
    design: Design,
    tests: tuple[str, ...],
    effects: tuple[str, ...],
    unit: str,
    n: int,
    families: int,
    why: str,
    cited: tuple[str, ...],
) -> Recommendation:
    m = design.comparisons * families
    correction = "none needed: one hypothesis is tested"
    if m > 1:
        correction = f"Holm (1979) over all {m} comparisons"
        cited = (*cited, "holm")
    if families > 1:  # `pairwise` corrects within one problem only
        correction += f" of {families} problems: holm of all their unadjusted p-values together"
        tests = (*tests, "holm") if tests else ()
    return Recommendation(
        tests, correction, effects, unit, n, m, True, "", why, tuple(CITATIONS[c] for c in cited)
    )
