"""Power analysis: how many repeats are needed to detect an effect, and the power of a given number.

Notation: paired differences d are normal with mean / standard deviation = delta, the `effect`. A
single pair then has the correct sign with probability Phi(delta): 0.60 at delta = 0.25, 0.69 at
0.5, 0.84 at 1. delta is measured in standard deviations over repeats, not in units of the score.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.stats.checks import (
    MOST_DRAWN,
    as_choice,
    as_fraction,
    as_level,
    as_number,
    as_seed,
    as_whole,
    shown,
)
from metaopt.stats.corrected_t import corrected_error
from metaopt.stats.signed_rank import EXACT_PAIRS, fewest_pairs, signed_rank_chances

TESTS = ("wilcoxon", "t", "corrected t", "sign")
MOST = 100_000  # repeats; an effect that needs more is too small for such an experiment
SIMULATED = 400  # largest number of pairs for which the signed-rank test is simulated
LOSS = math.pi / 3  # signed-rank pairs per pair of the t test, asymptotically, on normal data


@dataclass(frozen=True)
class Power:
    """Power of a test.

    Attributes:
        test: name of the test.
        n: number of paired repeats; of scores for the corrected t test.
        power: probability of rejecting at `level` if the effect is real.
        effect: mean difference divided by its standard deviation.
        level: level of one comparison: the family-wise level divided by the number of comparisons.
        error: Monte Carlo standard error of `power`; 0 if computed by a formula.
        method: description of the method.
    """

    test: str
    n: int
    power: float
    effect: float
    level: float
    error: float
    method: str


def power(
    test: str,
    effect: float,
    n: int | None = None,
    *,
    target: float = 0.8,
    level: float = 0.05,
    comparisons: int = 1,
    test_fraction: float | None = None,
    samples: int = 10_000,
    seed: int = 0,
) -> Power:
    """Power of n paired repeats to detect an effect, or the smallest n that reaches a power.

    Args:
        test: name of a two-sided test: "wilcoxon" (simulated at the exact critical value; above 400
            pairs computed from the t test by their relative efficiency, 3 / pi), "t" or
            "corrected t" (noncentral t), "sign" (binomial).
        effect: mean of the paired differences divided by their standard deviation, of either sign;
            for "corrected t" the standard deviation over splits.
        n: number of paired repeats; for "corrected t" of scores, repeats times folds. None computes
            the smallest n.
        target: required power, between 0 and 1; used if n is None.
        level: family-wise level, between 0 and 1.
        comparisons: number of hypotheses tested together; each is tested at level / comparisons,
            the first step of Holm's correction and thus the strictest.
        test_fraction: share of the data in each test set, between 0 and 1; for "corrected t" only.
        samples: number of simulated experiments, for "wilcoxon".
        seed: of the simulation; the same seed gives the same power.

    Returns:
        The power together with n.

    Raises:
        StatisticsError: an argument is not valid, or no number of repeats reaches `target`.
    """
    test, delta = as_choice(test, "test", TESTS), _as_effect(effect)
    target, seed = as_level(target, "target"), as_seed(seed)
    alpha = as_level(level) / as_whole(comparisons, "comparisons")
    samples = as_whole(samples, "samples", most=MOST_DRAWN)
    at = _function(test, delta, alpha, test_fraction, samples, seed)
    if n is not None:
        n = as_whole(n, "n", 1 if test in ("wilcoxon", "sign") else 2, MOST)
    elif delta == 0:
        raise StatisticsError("effect must not be 0 if n is None: no number of repeats can show it")
    else:
        n = _fewest(test, delta, alpha, target, test_fraction, at)
    value = at(n)
    error = _error(value, samples) if test == "wilcoxon" and n <= SIMULATED else 0.0
    return Power(test, n, value, float(effect), alpha, error, _method(test, n, samples, alpha))


def _error(share: float, samples: int) -> float:
    """Standard error of a simulated share; a share of 0 or 1 has the error of one sample."""
    return math.sqrt(max(1 / samples, share * (1 - share)) / samples)


def _as_effect(effect: Any) -> float:
    what = "the mean difference over its standard deviation"
    return abs(as_number(effect, "effect", what, -math.inf))


def _method(test: str, n: int, samples: int, alpha: float) -> str:
    how = {
        "t": "noncentral t",
        "corrected t": "noncentral t with the corrected variance",
        "sign": "exact binomial",
        "wilcoxon": f"simulation of {samples} normal samples"
        if n <= SIMULATED
        else "noncentral t at 3 / pi of the pairs",
    }[test]
    return f"power of the {test} test, two-sided at {alpha:.3g}, {how}"


def _function(
    test: str, delta: float, alpha: float, fraction: float | None, samples: int, seed: int
) -> Callable[[float], float]:
    """Return the power as a function of n."""
    if (fraction is not None) != (test == "corrected t"):
        raise StatisticsError(
            f"test_fraction must be given for the corrected t test and only for it, got"
            f" {shown(fraction)} for {test!r}"
        )
    if test == "t":
        return lambda n: _noncentral(delta * math.sqrt(n), n, alpha)
    if test == "corrected t":
        f = as_fraction(fraction)
        return lambda n: _noncentral(delta / corrected_error(1.0, int(n), f), n, alpha)
    if test == "sign":
        from scipy.special import ndtr

        return lambda n: _sign(float(ndtr(delta)), int(n), alpha)
    return lambda n: _signed_rank(delta, int(n), alpha, samples, seed)


def _noncentral(shift: float, n: float, alpha: float) -> float:
    """P(|T| > t) for a noncentral T with n - 1 degrees of freedom."""
    from scipy.special import nctdtr, stdtrit

    t = float(stdtrit(n - 1, 1 - alpha / 2))
    upper = 1.0 - float(nctdtr(n - 1, shift, t))
    return min(1.0, upper + float(nctdtr(n - 1, shift, -t)))


def _sign(chance: float, n: int, alpha: float) -> float:
    from scipy.special import bdtr

    counts = np.arange(n // 2 + 1)
    fits = 2 * bdtr(counts, n, 0.5) <= alpha
    if not fits[0]:
        return 0.0
    few = int(counts[fits].max())
    return float(bdtr(few, n, chance) + bdtr(few, n, 1 - chance))


def _signed_rank(delta: float, n: int, alpha: float, samples: int, seed: int) -> float:
    if n > SIMULATED:
        return _noncentral(delta * math.sqrt(n / LOSS), n / LOSS, alpha)
    ranks = np.arange(1.0, n + 1)
    if n <= EXACT_PAIRS:
        tail = 2 * np.cumsum(signed_rank_chances(ranks)[::2])  # ranks are whole: every second entry
        critical = float(np.searchsorted(tail, alpha * (1 + 1e-12), side="right")) - 1
    else:
        from scipy.special import ndtri

        z = -float(ndtri(alpha / 2))
        critical = ranks.sum() / 2 - 0.5 - z * math.sqrt(float((ranks**2).sum())) / 2
    rng = np.random.Generator(np.random.PCG64(seed))
    hits, size = 0, max(1, 2_000_000 // n)
    for start in range(0, samples, size):
        d = rng.normal(delta, size=(min(size, samples - start), n))
        order = np.argsort(np.abs(d), axis=1)
        minus: FloatArray = np.take_along_axis(d < 0, order, axis=1) @ ranks
        hits += int((np.minimum(minus, ranks.sum() - minus) <= critical).sum())
    return hits / samples


def _fewest(
    test: str,
    delta: float,
    alpha: float,
    target: float,
    fraction: float | None,
    at: Callable[[float], float],
) -> int:
    if test == "corrected t":
        _reachable(delta, alpha, target, as_fraction(fraction))
        return _bisect(at, 2, MOST, target)
    t = _bisect(lambda n: _noncentral(delta * math.sqrt(n), n, alpha), 2, MOST, target)
    if test == "t":
        return t
    least = fewest_pairs(alpha)
    if test == "sign":  # power rises in a saw-tooth: n after the last dip below the target
        most = max(40, least + 20, 2 * t)  # the sign test needs pi / 2 times the pairs of t
        enough = [at(n) >= target for n in range(least, most + 1)]
        return most + 1 - next(i for i, ok in enumerate([*reversed(enough), False]) if not ok)
    if t * LOSS > SIMULATED:
        return math.ceil(t * LOSS)
    low = max(least, math.floor(0.9 * t))
    if low <= 40:  # the steps of an exact test are large here, and simulations are cheap
        return next(n for n in count(low) if at(n) >= target)
    return _bisect(at, low, 2 * SIMULATED, target)


def _reachable(delta: float, alpha: float, target: float, fraction: float) -> None:
    """Raise if no number of splits of one data set reaches the target with the corrected t test.

    Its standard error is never below S sqrt(n2 / n1), see `corrected_error`.
    """
    from scipy.special import ndtr, ndtri

    limit = delta / math.sqrt(fraction / (1 - fraction))
    z = -float(ndtri(alpha / 2))
    most = float(ndtr(limit - z) + ndtr(-limit - z))
    if most <= target:
        raise StatisticsError(
            f"no number of splits of one data set reaches a power of {target:g}: at an effect of"
            f" {delta:g} and a test fraction of {fraction:.3g} the corrected t test stays below"
            f" {most:.3g}; use more folds (a smaller test fraction), more data or more problems"
        )


def _bisect(at: Callable[[float], float], low: int, high: int, target: float) -> int:
    if at(high) < target:
        raise StatisticsError(
            f"more than {high} repeats are needed for a power of {target:g}: the effect is too"
            f" small to matter; use a larger effect"
        )
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if at(middle) >= target else (middle + 1, high)
    return low
