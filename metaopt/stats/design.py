"""The design of an experiment, and the plan of the tests for it.

A design is stated before the data are seen, and the test follows from it alone. Looking at the
data first, for example by a test of normality, and choosing the test afterwards makes the level of
both tests wrong (Rochon, Gondan and Kieser 2012).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from metaopt.core.errors import StatisticsError
from metaopt.core.text import counted
from metaopt.core.types import FloatArray
from metaopt.stats.bayes import Posterior
from metaopt.stats.checks import (
    MOST,
    as_flag,
    as_fraction,
    as_function,
    as_level,
    as_whole,
    is_real,
    shown,
)
from metaopt.stats.friedman import holm
from metaopt.stats.references import references

Resampling = Literal["independent", "repeated k-fold", "5x2cv", "holdout"]
Unit = Literal["problem", "repeat of a problem", "repeat", "split", "example"]
Role = Literal["omnibus", "pairs", "posterior"]
MOST_UNITS = 10_000  # repeats or problems that no experiment reaches
RESAMPLINGS = ("independent", "repeated k-fold", "5x2cv", "holdout")


@dataclass(frozen=True)
class Design:
    """An experiment as planned.

    Attributes:
        treatments: strategies or models compared, at least 2.
        problems: problems or data sets.
        repeats: on each problem, of each treatment: independent runs, repetitions of the k folds,
            or random splits ("holdout"); 5 for "5x2cv".
        paired: whether repeat i of all treatments shares its seed, folds or split.
        resampling: where repeats come from. "independent": new runs on all the data, or new data;
            "repeated k-fold", "5x2cv": folds of one data set; "holdout": one test set (repeats 1),
            or several random splits of one data set.
        test_fraction: share of the data in each test set: 1 / k for k folds; needed for "repeated
            k-fold" and for several "holdout" splits, else None.
        control: whether all treatments are compared with one of them only, not all pairs.
        looks: whether one looks at the results after each repeat and may stop then; `repeats` is
            the largest number. For independent, paired repeats and a control.
    """

    treatments: int = 2
    problems: int = 1
    repeats: int = 10
    paired: bool = True
    resampling: Resampling = "independent"
    test_fraction: float | None = None
    control: bool = False
    looks: bool = False

    def __post_init__(self) -> None:
        """Check the design.

        Raises:
            StatisticsError: a count is too small, a flag is neither True nor False, there is no
                such resampling, or the parts do not fit together.
        """
        as_whole(self.treatments, "treatments", 2)
        as_whole(self.problems, "problems")
        as_whole(self.repeats, "repeats")
        for flag in ("paired", "control", "looks"):
            as_flag(getattr(self, flag), flag)
        if not isinstance(self.resampling, str) or self.resampling not in RESAMPLINGS:
            raise StatisticsError(
                f"resampling must be one of {', '.join(map(repr, RESAMPLINGS))},"
                f" got {shown(self.resampling)}"
            )
        if self.resampling != "independent" and not self.paired:
            raise StatisticsError(
                f"{self.resampling!r} scores must be paired: give all treatments the same splits"
            )
        if self.resampling == "5x2cv" and self.repeats != 5:
            raise StatisticsError(f"5x2cv has 5 repeats of 2 folds, got repeats={self.repeats}")
        if self.looks and not (self.resampling == "independent" and self.paired and self.control):
            raise StatisticsError(
                "looks after each repeat need independent, paired repeats and a control"
            )
        self._check_fraction()

    def _check_fraction(self) -> None:
        splits = self.resampling == "holdout" and self.repeats > 1
        if not (splits or self.resampling == "repeated k-fold"):
            if self.test_fraction is not None and self.resampling != "holdout":
                raise StatisticsError(
                    f"test_fraction belongs to 'repeated k-fold' and 'holdout', got"
                    f" {shown(self.test_fraction)} for {self.resampling!r}"
                )
            if self.test_fraction is not None:
                as_fraction(self.test_fraction)
            return
        fraction = as_fraction(self.test_fraction)
        k = 1 / fraction
        if not splits and (k > MOST or abs(k - round(k)) > 1e-6 * k or k < 1.5):
            raise StatisticsError(
                f"test_fraction of k folds must be 1 / k, such as 0.1, got {fraction!r};"
                f" for random splits the resampling is 'holdout'"
            )

    @property
    def comparisons(self) -> int:
        """Pairs that are compared on one problem, or over all problems."""
        k = self.treatments
        return k - 1 if self.control else k * (k - 1) // 2

    @property
    def splits(self) -> int:
        """Scores of one treatment on one problem."""
        if self.resampling == "repeated k-fold" and self.test_fraction:
            return self.repeats * round(1 / self.test_fraction)
        return 10 if self.resampling == "5x2cv" else self.repeats


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
        return self.unit == "problem" or (self.repeats and self.design.paired)

    @property
    def repeats(self) -> bool:
        """Whether the units are independent repeats, on one problem or on several."""
        return self.unit in ("repeat", "repeat of a problem")

    @property
    def several(self) -> bool:
        """Whether independent repeats of several problems are compared within each problem."""
        return self.design.problems > 1 and self.design.resampling == "independent"

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


def direction(outcome: Any) -> int:
    """Return the direction of x - y that a test of two treatments found.

    Args:
        outcome: of the test, with an attribute `sign`, or `difference` (x - y).

    Raises:
        StatisticsError: it has neither.
    """
    for name in ("sign", "difference"):
        found = getattr(outcome, name, None)
        if found is not None:
            return int(found > 0) - int(found < 0)
    raise StatisticsError(
        f"the outcome of a planned test must have an attribute sign or difference, or the entry a"
        f" function sign_of, got {type(outcome).__name__}"
    )


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
            (x, y, rope, design) for "posterior". For two treatments, independent repeats of
            several problems come as (problems, repeats). An outcome of "pairs" for splits also has
            `difference`, `low` and `high`. Scores of test examples are 1 where a model is right,
            else 0.
        title: with its article, for a sentence: "Wilcoxon's signed-rank test".
        short: for a table or parentheses: "signed-rank test".
        why: why it is chosen, as a sentence.
        sources: keys in `references.bib`.
        detail: how its p-value is found, to follow a comma; sources in braces; may be empty.
        p_of: takes the p-value from the outcome.
        sign_of: takes the direction of x - y from an outcome of "pairs": -1 if the test says that x
            is lower, 1 if higher, 0 if neither.
        smallest_p: the smallest p-value that n units can give; None if there is no such limit.

    Raises:
        StatisticsError: the role or a source is unknown, there is no source, or a text or a
            function is missing.
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
    sign_of: Callable[[Any], int] = lambda outcome: direction(outcome)
    smallest_p: Callable[[int], float] | None = None

    def __post_init__(self) -> None:
        where = f"planned test {shown(self.name)}"
        if not isinstance(self.role, str) or self.role not in get_args(Role):
            known = ", ".join(map(repr, get_args(Role)))
            raise StatisticsError(f"{where}: role must be one of {known}, got {shown(self.role)}")
        keys = self.sources if isinstance(self.sources, tuple) else ()
        if not keys or any(not isinstance(k, str) or k not in references() for k in keys):
            raise StatisticsError(
                f"{where}: sources must be keys of references.bib, at least one in a tuple, got"
                f" {shown(self.sources)}; known are {', '.join(references())}"
            )
        for part in ("name", "title", "short", "why", "detail"):
            if not isinstance(getattr(self, part), str):
                raise StatisticsError(
                    f"{where}: {part} must be a text, got {shown(getattr(self, part))}"
                )
        for part in ("suits", "run", "p_of", "sign_of", "smallest_p"):
            found = getattr(self, part)
            if not callable(found) and (part != "smallest_p" or found is not None):
                raise StatisticsError(f"{where}: {part} must be a function, got {shown(found)}")

    def fewest(self, level: float, comparisons: int) -> int:
        """Return how many units are needed to reject at all after Holm's correction.

        Args:
            level: of the family of tests, between 0 and 1.
            comparisons: hypotheses in the family.

        Raises:
            StatisticsError: `level` is not between 0 and 1, `comparisons` is not a positive whole
                number, or `smallest_p` does not return numbers that fall with n.
        """
        level, comparisons = as_level(level), as_whole(comparisons, "comparisons")
        if self.smallest_p is None:
            return 1
        of_units = as_function(self.smallest_p, "smallest_p", "stats.smallest_p")
        least: Any = None
        for n in range(1, MOST_UNITS + 1):
            least = of_units(n)
            if not is_real(least):
                break
            if least * comparisons <= level:
                return n
        raise StatisticsError(
            f"the planned test {self.name!r} rejects with no number of units: its smallest_p must"
            f" fall with n, got {shown(least)} for {counted(n, 'unit')}"
        )


@dataclass(frozen=True)
class Recommendation:
    """The plan of the tests for a design; it names functions of `metaopt.stats`, and runs them.

    Attributes:
        tests: names of functions in `metaopt.stats`, in the order of use; none where no test could
            reject, whatever the scores.
        correction: for multiple comparisons, in words.
        effects: names of functions for what to report beside, or in place of, p-values.
        unit: what is independent and counted: "problem", "repeat of a problem" (in strata, one per
            problem), "repeat", "split" or "example".
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
