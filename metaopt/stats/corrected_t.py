"""Two models on resampled data, whose scores are not independent.

Notation: d are the differences x - y of two models' scores on the same splits, D their mean and S
their standard deviation (one less below); n1 and n2 are the numbers of training and test examples.
Training sets overlap, so the d are correlated, the plain paired t test takes their variance for too
small and rejects far too often (Dietterich 1998, section 3). No unbiased estimate of that variance
exists (Bengio and Grandvalet 2004): each test here rests on a stated approximation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.stats.checks import as_floats, as_fraction, as_level, as_pairs, deviation, differences
from metaopt.stats.paired import TTest, student


def corrected_error(s: float, n: int, test_fraction: float) -> float:
    """Standard error of the mean of n differences with deviation s (Nadeau and Bengio 2003).

    sqrt((1 / n + n2 / n1) S^2), which follows from a correlation rho = n2 / (n1 + n2) between any
    two differences: then E S^2 = (1 - rho) sigma^2 and Var D = (rho + (1 - rho) / n) sigma^2.
    """
    return s * math.sqrt(1 / n + test_fraction / (1 - test_fraction))


def corrected_t(x: Any, y: Any, test_fraction: float, level: float = 0.95) -> TTest:
    """Test whether two models differ, from scores (n,) on n random splits; two-sided.

    The corrected resampled t test of Nadeau and Bengio (2003): t = D / sqrt((1 / n + n2 / n1) S^2)
    with n - 1 degrees of freedom. `test_fraction` is n2 / (n1 + n2). x and y are scores of the same
    splits in the same order. More splits of the same data help only up to a point, since n2 / n1
    stays. Without any difference, p is 1.

    Raises:
        StatisticsError: lengths differ, there are fewer than 2 splits, a value is not finite, all
            differences are equal and not 0, or `test_fraction` is not between 0 and 1.
    """
    level, fraction = as_level(level), as_fraction(test_fraction)
    x, y = as_pairs(x, y, least=2)
    return _corrected(x, y, fraction, level, f"corrected resampled t test, {len(x)} splits")


def _corrected(x: FloatArray, y: FloatArray, fraction: float, level: float, method: str) -> TTest:
    d, slack = differences(x, y)
    error = corrected_error(deviation(d, slack), len(d), fraction)
    return student(float(d.mean()), error, len(d), level, f"{method}, test fraction {fraction:.3g}")


def repeated_kfold_t(x: Any, y: Any, level: float = 0.95) -> TTest:
    """Test whether two models differ, from repeated k-fold scores, (r, k) both; two-sided.

    Bouckaert and Frank (2004): the corrected t of all r k differences with n2 / n1 =
    1 / (k - 1) and r k - 1 degrees of freedom. Row i holds the k folds of repetition i, both models
    on the same folds. Ten times ten folds are what they advise; without repetition, (1, k), it is
    the corrected form of the cross-validated t test. Without any difference, p is 1.

    Raises:
        StatisticsError: shapes differ or are not (r, k) with k at least 2, a value is not finite,
            or all differences are equal and not 0.
    """
    level = as_level(level)
    x, y = _tables(x, y, "(repeats, folds)")
    r, k = x.shape
    if k < 2:
        raise StatisticsError(
            f"scores need at least 2 folds (columns), got shape {x.shape}; for single random splits"
            f" use corrected_t with their test_fraction"
        )
    method = f"corrected repeated k-fold t test, {r} x {k} folds"
    return _corrected(x.ravel(), y.ravel(), 1 / k, level, method)


def _tables(x: Any, y: Any, shape: str) -> tuple[FloatArray, FloatArray]:
    x, y = as_floats(x, "x"), as_floats(y, "y")
    if x.ndim != 2 or x.shape != y.shape or not x.size:
        raise StatisticsError(
            f"x and y must both have the shape {shape}, one score a fold, got {x.shape} and"
            f" {y.shape}; give both models the same folds"
        )
    return x, y


@dataclass(frozen=True)
class FiveByTwo:
    """Outcome of the combined 5x2cv F test.

    Attributes:
        statistic: F, with 10 and 5 degrees of freedom.
        p: p-value, approximate.
        n: number of differences, 10.
        difference: mean of x - y.
        method: in words.
    """

    statistic: float
    p: float
    n: int
    difference: float
    method: str


def five_by_two_f(x: Any, y: Any) -> FiveByTwo:
    """Test whether two models differ, from five repetitions of 2-fold scores, (5, 2) both.

    Alpaydin (1999): F = sum of p_ij^2 / (2 sum of s_i^2), p_ij the difference in fold j of
    repetition i and s_i^2 = (p_i1 - p_i2)^2 / 2 the variance in repetition i. It is the mean of the
    squares of the ten t statistics that Dietterich's (1998) 5x2cv t test may choose from, and so
    does not hang on which fold is called the first. Rejected at 0.05 from F = 4.74 on. At that
    level it rejects 2 % of true hypotheses with independent normal differences, and 3 % where
    chance lies in the test examples; but where all repetitions share a training set's luck (two
    means learned from the same 60 noisy examples) 14 %, as the corrected t tests do not. Without
    any difference, p is 1.

    Raises:
        StatisticsError: shapes are not (5, 2), a value is not finite, or both folds of every
            repetition differ alike, so that there is no variance.
    """
    from scipy.special import fdtrc

    x, y = _tables(x, y, "(5, 2)")
    if x.shape != (5, 2):
        raise StatisticsError(
            f"x and y must have the shape (5, 2), five repetitions of 2 folds, got {x.shape}; for"
            f" other numbers of folds use repeated_kfold_t"
        )
    d, slack = differences(x.ravel(), y.ravel())
    d = d.reshape(5, 2)
    within = d[:, 0] - d[:, 1]
    noise = float(np.where(np.abs(within) > 2 * slack, within**2, 0.0).sum())  # 2 sum of s_i^2
    if noise == 0 and d.any():
        raise StatisticsError(
            f"the two folds of some repetition must differ for a variance, got equal differences"
            f" within all five, {d.tolist()}; use predictions on a test set and mcnemar"
        )
    f = float((d**2).sum()) / noise if noise > 0 else 0.0
    p = float(fdtrc(10, 5, f))
    return FiveByTwo(
        f, p, 10, float(d.mean()), "combined 5x2cv F test, 10 and 5 degrees of freedom"
    )
