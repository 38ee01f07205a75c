"""From the design of an experiment to its tests, by rules that never look at data.

`recommend` decides what the independent unit is, and picks the tests for it from the table in
`metaopt.stats.plan`. The plan that it returns runs these tests.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.stats.bayes import Posterior
from metaopt.stats.checks import as_level, as_whole
from metaopt.stats.design import Design, Unit
from metaopt.stats.friedman import holm
from metaopt.stats.plan import PlannedTest, Setting, pick
from metaopt.stats.references import references


@dataclass(frozen=True)
class Recommendation:
    """The plan of the tests for a design; it names functions of `metaopt.stats`, and runs them.

    Attributes:
        tests: names of functions in `metaopt.stats`, in the order of use; none where no test could
            reject, whatever the scores.
        correction: for multiple comparisons, in words.
        effects: names of functions for what to report beside, or in place of, p-values.
        unit: what is independent and counted: "problem", "repeat", "split" or "example".
        n: number of such units, 0 where the design does not say (examples).
        comparisons: hypotheses that the correction covers.
        enough: whether n units can reject at all at the level after correction.
        advice: where they cannot, what is needed and what is reported instead; else "".
        why: the choice, in words.
        keys: of the sources, in `references.bib`.
        design: that the tests are for.
        omnibus: the test whether any treatments differ; None for two treatments or without tests.
        pairs: the test of two treatments; None without tests.
        posterior: the test for the probability of a practical difference, or None.
    """

    tests: tuple[str, ...]
    correction: str
    effects: tuple[str, ...]
    unit: Unit
    n: int
    comparisons: int
    enough: bool
    advice: str
    why: str
    keys: tuple[str, ...]
    design: Design
    omnibus: PlannedTest | None = field(default=None, repr=False)
    pairs: PlannedTest | None = field(default=None, repr=False)
    posterior: PlannedTest | None = field(default=None, repr=False)

    @property
    def citations(self) -> tuple[str, ...]:
        """The sources, each as in a list of references."""
        return tuple(references()[key].full for key in self.keys)

    def test_any(self, scores: Any) -> float | None:
        """Return the p-value of the test whether any treatments differ, or None without one.

        Args:
            scores: shape (n, treatments).
        """
        if self.omnibus is None:
            return None
        return self.omnibus.p_of(self.omnibus.run(scores, self.design))

    def test_pair(self, x: Any, y: Any) -> Any:
        """Return the outcome of the test of two treatments, with at least an attribute `p`.

        Args:
            x, y: scores of the two, shape (n,), or (repeats, folds) for scores by folds.

        Raises:
            StatisticsError: the plan has no test of pairs.
        """
        if self.pairs is None:
            raise StatisticsError(f"the plan has no test of pairs: {self.advice}")
        return self.pairs.run(x, y, self.design)

    def probability(self, x: Any, y: Any, rope: float) -> Posterior | None:
        """Return the probabilities of a practical difference of two treatments, None without test.

        Args:
            x, y: scores of the two, shape (n,), or (repeats, folds) for scores by folds.
            rope: the largest difference that does not matter.
        """
        if self.posterior is None:
            return None
        found: Posterior = self.posterior.run(x, y, rope, self.design)
        return found

    def adjust(self, p: Any) -> FloatArray:
        """Return p-values adjusted for their number by Holm's method.

        Args:
            p: of all hypotheses of the family, shape (m,).
        """
        return holm(p)


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
        return _plan(setting, families, why, ("mean_ranks", "a12", "critical_groups"), ())
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
