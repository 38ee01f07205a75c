"""The design of an experiment: what is compared, on what, how often.

A design is stated before the data are seen, and the test follows from it alone. Looking at the
data first, for example by a test of normality, and choosing the test afterwards makes the level of
both tests wrong (Rochon, Gondan and Kieser 2012).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from metaopt.core.errors import StatisticsError
from metaopt.stats.checks import as_fraction, as_whole

Resampling = Literal["independent", "repeated k-fold", "5x2cv", "holdout"]
Unit = Literal["problem", "repeat", "split", "example"]
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
