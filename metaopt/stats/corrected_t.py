"""Tests of two models on resampled data, whose scores are not independent.

Notation: d are the differences x - y of two models' scores on the same splits, D their mean and S
their standard deviation (ddof=1); n1 and n2 are the numbers of training and test examples.
Training sets overlap, so the d are correlated: the plain paired t test underestimates their
variance and rejects far too often (Dietterich 1998, section 3). There is no unbiased estimate of
that variance (Bengio and Grandvalet 2004), so each test here uses a documented approximation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.stats.checks import as_floats, as_fraction, as_level, as_pairs
from metaopt.stats.extremes import deviation, scaled_differences
from metaopt.stats.paired import TTest, student


def corrected_error(s: float, n: int, test_fraction: float) -> float:
    """Standard error of the mean of n differences with deviation s (Nadeau and Bengio 2003).

    sqrt((1 / n + n2 / n1) S^2). It assumes a correlation rho = n2 / (n1 + n2) between any two
    differences: then E S^2 = (1 - rho) sigma^2 and Var D = (rho + (1 - rho) / n) sigma^2.
    """
    return s * math.sqrt(1 / n + test_fraction / (1 - test_fraction))


def corrected_t(x: Any, y: Any, test_fraction: float, level: float = 0.95) -> TTest:
    """Test whether two models differ, from scores on n random train/test splits; two-sided.

    The corrected resampled t test: t = D / sqrt((1 / n + n2 / n1) S^2) with n - 1 degrees of
    freedom. More splits of the same data help only up to a point, because n2 / n1 does not shrink.
    If all differences are 0, p is 1.

    Args:
        x, y: scores of two models on the same splits in the same order, shape (n,), finite.
        test_fraction: share of the data in each test set, n2 / (n1 + n2), between 0 and 1.
        level: confidence level of the interval of the mean difference, between 0 and 1.

    Returns:
        The test with the mean of x - y and its interval.

    Raises:
        StatisticsError: lengths differ, there are fewer than 2 splits, a value is not finite, all
            differences are equal and not 0, or `test_fraction` or `level` is not between 0 and 1.

    Source: Nadeau and Bengio (2003).
    """
    level, fraction = as_level(level), as_fraction(test_fraction)
    x, y = as_pairs(x, y, least=2)
    return _corrected(x, y, fraction, level, f"corrected resampled t test, {len(x)} splits")


def _corrected(x: FloatArray, y: FloatArray, fraction: float, level: float, method: str) -> TTest:
    d, slack, unit = scaled_differences(x, y)
    error = corrected_error(deviation(d, slack, unit), len(d), fraction)
    method = f"{method}, test fraction {fraction:.3g}"
    return student(float(d.mean()), error, len(d), level, method, unit)


def repeated_kfold_t(x: Any, y: Any, level: float = 0.95) -> TTest:
    """Test whether two models differ, from scores of repeated k-fold cross-validation; two-sided.

    The corrected t test (see `corrected_t`) of all r k differences, with n2 / n1 = 1 / (k - 1) and
    r k - 1 degrees of freedom. The authors advise 10 repetitions of 10 folds; one repetition, (1,
    k), gives the corrected form of the cross-validated t test. If all differences are 0, p is 1.

    Args:
        x, y: scores of two models on the same folds, shape (r, k), finite; row i holds the k folds
            of repetition i.
        level: confidence level of the interval of the mean difference, between 0 and 1.

    Returns:
        The test with the mean of x - y and its interval.

    Raises:
        StatisticsError: shapes differ or are not (r, k) with k at least 2, a value is not finite,
            all differences are equal and not 0, or `level` is not between 0 and 1.

    Source: Bouckaert and Frank (2004).
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
            f"x and y must both have the shape {shape}, one score per fold, got {x.shape} and"
            f" {y.shape}; give both models the same folds"
        )
    return x, y


@dataclass(frozen=True)
class FiveByTwo:
    """Result of the combined 5x2cv F test.

    Attributes:
        statistic: F, with 10 and 5 degrees of freedom.
        p: p-value, approximate.
        n: number of differences, 10.
        difference: mean of x - y.
        method: description of the method.
    """

    statistic: float
    p: float
    n: int
    difference: float
    method: str


def five_by_two_f(x: Any, y: Any) -> FiveByTwo:
    """Test whether two models differ, from scores of five repetitions of 2-fold cross-validation.

    F = sum of p_ij^2 / (2 sum of s_i^2), where p_ij is the difference in fold j of repetition i and
    s_i^2 = (p_i1 - p_i2)^2 / 2 the variance in repetition i. F is the mean of the squares of the
    ten possible t statistics of Dietterich's (1998) 5x2cv t test, so it does not depend on which
    fold is called the first. It rejects at level 0.05 from F = 4.74. At that level it rejects 2 %
    of true hypotheses if the differences are independent and normal, and 3 % if the randomness lies
    in the test examples. It rejects 14 % if the training examples of all repetitions deviate
    together (two means learned from the same 60 noisy examples); the corrected t tests keep their
    level there. If all differences are 0, p is 1.

    Args:
        x, y: scores of two models on the same folds, shape (5, 2), finite.

    Returns:
        The test with the mean of x - y.

    Raises:
        StatisticsError: shapes are not (5, 2), a value is not finite, or in every repetition both
            folds have the same difference, so that the variance is 0.

    Source: Alpaydin (1999).
    """
    from scipy.special import fdtrc

    x, y = _tables(x, y, "(5, 2)")
    if x.shape != (5, 2):
        raise StatisticsError(
            f"x and y must have the shape (5, 2), five repetitions of 2 folds, got {x.shape}; for"
            f" other numbers of folds use repeated_kfold_t"
        )
    d, slack, unit = scaled_differences(x.ravel(), y.ravel())
    d = d.reshape(5, 2)
    within = d[:, 0] - d[:, 1]
    noise = float(np.where(np.abs(within) > 2 * slack, within**2, 0.0).sum())  # 2 sum of s_i^2
    if noise == 0 and d.any():
        raise StatisticsError(
            f"the two folds of at least one repetition must differ to estimate a variance, got"
            f" {(d * unit).tolist()}; use predictions on a test set and mcnemar"
        )
    f = float((d**2).sum()) / noise if noise > 0 else 0.0
    p = float(fdtrc(10, 5, f))
    return FiveByTwo(
        f, p, 10, float(d.mean()) * unit, "combined 5x2cv F test, 10 and 5 degrees of freedom"
    )
