"""Tests of classifiers on one test set, by which examples each classifies correctly.

Notation: of n examples, b are correct in the first model only and c in the second only. Examples
that both models get right, or both wrong, carry no information about the difference. The tests
treat the examples as the source of randomness, not the training: a model trained on other data may
perform differently (Dietterich 1998, section 3.1).
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaopt.core.errors import StatisticsError
from metaopt.stats.checks import MOST_DRAWN, as_array, as_seed, as_whole, shown
from metaopt.stats.permutation import arranged


@dataclass(frozen=True)
class McNemar:
    """Result of McNemar's test.

    Attributes:
        statistic: the smaller of b and c.
        p: two-sided p-value, exact and conservative.
        mid_p: mid-p value; less conservative, but not guaranteed to keep its level.
        n: number of examples.
        only_x: b, number of examples that only x gets right.
        only_y: c, number of examples that only y gets right.
        difference: accuracy of x minus accuracy of y, (b - c) / n.
        method: description of the method.
    """

    statistic: int
    p: float
    mid_p: float
    n: int
    only_x: int
    only_y: int
    difference: float
    method: str


def mcnemar(truth: Any, x: Any, y: Any) -> McNemar:
    """Test whether two classifiers have the same accuracy on one test set; two-sided.

    Exact: under the null hypothesis b is binomial(b + c, 1/2). The mid-p value counts half the
    probability of the observed b (Fagerland, Lydersen and Laake 2013). If the models never differ
    in which examples they get right, both p-values are 1.

    Args:
        truth: true labels, shape (n,): numbers, strings or booleans.
        x, y: predictions of the two classifiers, shape (n,), of the same kind as `truth`.

    Returns:
        The test with b, c and the difference in accuracy.

    Raises:
        StatisticsError: lengths differ, there is no example, a label is missing (NaN or None), or
            only one of truth and predictions holds strings.

    Source: McNemar (1947).
    """
    from scipy.special import bdtr

    right = _right(truth, {"x": x, "y": y})
    b, c = int((right[:, 0] & ~right[:, 1]).sum()), int((right[:, 1] & ~right[:, 0]).sum())
    few, m, n = min(b, c), b + c, len(right)
    below = float(bdtr(few - 1, m, 0.5)) if few > 0 else 0.0
    upto = float(bdtr(few, m, 0.5))
    p = min(1.0, 2 * upto)
    # Both tails contain the observed count; if b = c, they share it.
    mid = upto + below if b != c else 1.0 - (upto - below) / 2
    mid = mid if m else 1.0
    method = f"McNemar's test, exact, {b} and {c} of {n} examples right in one model only"
    return McNemar(few, p, mid, n, b, c, (b - c) / n, method)


@dataclass(frozen=True)
class CochranQ:
    """Result of Cochran's Q test.

    Attributes:
        statistic: Q, approximately chi-square with k - 1 degrees of freedom.
        p: p-value of the permutation distribution.
        chi2_p: p-value of the chi-square approximation.
        n: number of examples.
        right: accuracy of each model.
        method: description of the method.
    """

    statistic: float
    p: float
    chi2_p: float
    n: int
    right: tuple[float, ...]
    method: str


def cochran_q(truth: Any, predictions: Any, samples: int = 20_000, seed: int = 0) -> CochranQ:
    """Test whether k classifiers have the same accuracy on one test set.

    Q = (k - 1) (k sum G_j^2 - T^2) / (k T - sum L_i^2), where G_j is the number of correct answers
    of model j, L_i the number of models that are correct on example i, and T the total. p compares
    Q with its distribution if the correct answers on each example are randomly assigned to models.
    With two models Q is McNemar's (b - c)^2 / (b + c). If the models never differ in which examples
    they get right, p is 1.

    Args:
        truth: true labels, shape (n,): numbers, strings or booleans.
        predictions: shape (n, k), one column per model, of the same kind as `truth`.
        samples: number of random arrangements; used only if the exact distribution is too large.
        seed: of the random arrangements.

    Returns:
        The test with the accuracies.

    Raises:
        StatisticsError: shapes do not match, fewer than 2 models, no example, a label is missing
            (NaN or None), only one of truth and predictions holds strings, `samples` is not a
            positive whole number, or `seed` is not a whole number of at least 0.

    Source: Cochran (1950).
    """
    from scipy.special import chdtrc

    samples, seed = as_whole(samples, "samples", most=MOST_DRAWN), as_seed(seed)
    table = as_array(predictions, "predictions")
    if table.ndim != 2 or table.shape[1] < 2:
        raise StatisticsError(
            f"predictions must have the shape (examples, models) with at least 2 models,"
            f" got shape {table.shape}"
        )
    names = {f"column {j} of predictions": table[:, j] for j in range(table.shape[1])}
    right = _right(truth, names).astype(np.int64)
    n, k = right.shape
    by_model, by_example, total = right.sum(axis=0), right.sum(axis=1), int(right.sum())
    spread = k * total - int((by_example**2).sum())
    q = (k - 1) * (k * int((by_model**2).sum()) - total**2) / spread if spread else 0.0
    p, exact = arranged(right, samples, seed)
    how = "exact" if exact else f"{samples} arrangements drawn, +1 rule"
    shares = tuple((by_model / n).tolist())
    method = f"Cochran's Q test of {k} models on {n} examples, permutation p, {how}"
    return CochranQ(q, p, float(chdtrc(k - 1, q)), n, shares, method)


def _right(truth: Any, predictions: dict[str, Any]) -> NDArray[np.bool_]:
    """Which predictions equal the truth, shape (n, models)."""
    expected = _labels(truth, "truth")
    columns = []
    for name, given in predictions.items():
        labels = _labels(given, name)
        if len(labels) != len(expected):
            raise StatisticsError(
                f"{name} must have one label for each of the {len(expected)} examples of truth,"
                f" got {len(labels)}"
            )
        # Strings never equal numbers: "1" instead of 1 would silently make every answer wrong.
        if isinstance(labels.tolist()[0], str) != isinstance(expected.tolist()[0], str):
            raise StatisticsError(
                f"{name} and truth must hold labels of the same kind, got {labels.tolist()[0]!r}"
                f" and {expected.tolist()[0]!r}; convert one of them"
            )
        columns.append(np.asarray(labels == expected, dtype=np.bool_))
    return np.stack(columns, axis=1)


def _labels(values: Any, name: str) -> NDArray[Any]:
    labels = as_array(values, name)
    if labels.ndim != 1 or not len(labels):
        raise StatisticsError(f"{name} must be a sequence of labels, got shape {labels.shape}")
    found = labels.tolist()
    other = [v for v in found if not isinstance(v, (str, numbers.Real, type(None)))]
    if other:
        raise StatisticsError(
            f"{name} must hold numbers, strings or booleans, got {shown(other[0])}"
        )
    missing = [i for i, v in enumerate(found) if v is None or v != v]
    if missing:
        raise StatisticsError(
            f"{name} must have a label for every example, got none at [{missing[0]}];"
            f" leave out such examples for all models"
        )
    return labels
