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
from metaopt.core.types import FloatArray
from metaopt.stats.bayes import Posterior
from metaopt.stats.checks import as_fraction, as_whole
from metaopt.stats.friedman import holm
from metaopt.stats.references import references

Resampling = Literal["independent", "repeated k-fold", "5x2cv", "holdout"]
Unit = Literal["problem", "repeat", "split", "example"]
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
    """

    treatments: int = 2
    problems: int = 1
    repeats: int = 10
    paired: bool = True
    resampling: Resampling = "independent"
    test_fraction: float | None = None
    control: bool = False

    def __post_init__(self) -> None:
        """Check the design.

        Raises:
            StatisticsError: a count is too small, there is no such resampling, or the parts do
                not fit together.
        """
        as_whole(self.treatments, "treatments", 2)
        as_whole(self.problems, "problems")
        as_whole(self.repeats, "repeats")
        if self.resampling not in RESAMPLINGS:
            raise StatisticsError(
                f"resampling must be one of {', '.join(map(repr, RESAMPLINGS))},"
                f" got {self.resampling!r}"
            )
        if self.resampling != "independent" and not self.paired:
            raise StatisticsError(
                f"{self.resampling!r} scores must be paired: give all treatments the same splits"
            )
        if self.resampling == "5x2cv" and self.repeats != 5:
            raise StatisticsError(f"5x2cv has 5 repeats of 2 folds, got repeats={self.repeats}")
        self._check_fraction()

    def _check_fraction(self) -> None:
        splits = self.resampling == "holdout" and self.repeats > 1
        if not (splits or self.resampling == "repeated k-fold"):
            if self.test_fraction is not None and self.resampling != "holdout":
                raise StatisticsError(
                    f"test_fraction belongs to 'repeated k-fold' and 'holdout', got"
                    f" {self.test_fraction!r} for {self.resampling!r}"
                )
            return
        fraction = as_fraction(self.test_fraction)
        k = 1 / fraction
        if not splits and (abs(k - round(k)) > 1e-6 * k or k < 1.5):
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
            (x, y, rope, design) for "posterior". An outcome of "pairs" for splits also has
            `difference`, `low` and `high`. Scores of test examples are 1 where a model is
            right, else 0.
        title: with its article, for a sentence: "Wilcoxon's signed-rank test".
        short: for a table or parentheses: "signed-rank test".
        why: why it is chosen, as a sentence.
        sources: keys in `references.bib`.
        detail: how its p-value is found, to follow a comma; sources in braces; may be empty.
        p_of: takes the p-value from the outcome.
        smallest_p: the smallest p-value that n units can give; None if there is no such limit.

    Raises:
        StatisticsError: the role or a source is unknown, or there is no source.
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

    def __post_init__(self) -> None:
        if self.role not in get_args(Role):
            known = ", ".join(map(repr, get_args(Role)))
            raise StatisticsError(
                f"planned test {self.name!r}: role must be one of {known}, got {self.role!r}"
            )
        unknown = [key for key in self.sources if key not in references()]
        if unknown or not self.sources:
            raise StatisticsError(
                f"planned test {self.name!r}: sources must be keys of references.bib, at least"
                f" one, got {self.sources!r}; known are {', '.join(references())}"
            )

    def fewest(self, level: float, comparisons: int) -> int:
        """Return how many units are needed to reject at all after Holm's correction.

        Args:
            level: of the family of tests, between 0 and 1.
            comparisons: hypotheses in the family.

        Raises:
            StatisticsError: `smallest_p` does not fall with n.
        """
        if self.smallest_p is None:
            return 1
        for n in range(1, MOST_UNITS):
            if self.smallest_p(n) * comparisons <= level:
                return n
        raise StatisticsError(
            f"the planned test {self.name!r} rejects with no number of units: its smallest_p must"
            f" fall with n, got {self.smallest_p(MOST_UNITS)} for {MOST_UNITS} units"
        )


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
