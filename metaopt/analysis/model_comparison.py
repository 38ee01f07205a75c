"""The results of a comparison of machine-learning models, as data: scores by folds, and tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from metaopt import stats
from metaopt.analysis.family import LEVEL
from metaopt.core.errors import unknown_name
from metaopt.core.types import FloatArray


@dataclass(frozen=True)
class ModelPair:
    """Two models on the same folds; a positive difference means that `first` scores higher.

    Attributes:
        first: label of the one.
        second: label of the other.
        difference: mean over folds of first - second.
        test: the corrected t test of first - second; its interval has the level at which the pair
            was tested after the correction. None where the difference is the same on every fold,
            and not 0: then there is no variance to judge it by.
        p: its p-value, adjusted by Holm for all pairs compared; None without a test.
        posterior: "above" is the probability that `first` is practically better; None without rope.
    """

    first: str
    second: str
    difference: float
    test: stats.TTest | None
    p: float | None
    posterior: stats.Posterior | None


@dataclass(frozen=True)
class ModelComparisonData:
    """Scores of models by folds, higher is better, and what they say.

    Attributes:
        scores: by label, (repeats, folds); NaN where a fit failed.
        seconds: of fitting and scoring, likewise.
        errors: by label, what went wrong first, for models that failed somewhere.
        scoring: name of the score.
        control: the label that all others are compared with, None for all pairs.
        rope: the largest difference that does not matter, None if none was stated.
        seed: what folds and random states derive from.
        samples: number of samples.
    """

    scores: Mapping[str, FloatArray]
    seconds: Mapping[str, FloatArray]
    errors: Mapping[str, str]
    scoring: str
    control: str | None
    rope: float | None
    seed: int
    samples: int

    @property
    def folds(self) -> int:
        """Number of folds."""
        return int(next(iter(self.scores.values())).shape[1])

    @property
    def repeats(self) -> int:
        """Number of repetitions of the folds."""
        return int(next(iter(self.scores.values())).shape[0])

    @property
    def ranking(self) -> list[str]:
        """Labels by mean score, the best first; models with a failed fit come last."""
        means = {
            k: -np.inf if np.isnan(s).any() else float(s.mean()) for k, s in self.scores.items()
        }
        return sorted(means, key=lambda k: -means[k])

    @cached_property
    def plan(self) -> stats.Recommendation:
        """The tests for this design, of the models that were scored on all folds."""
        return stats.recommend(
            stats.Design(
                max(2, len(self.scores) - len(self.errors)),
                repeats=self.repeats,
                resampling="repeated k-fold",
                test_fraction=1 / self.folds,
                control=self.control is not None,
            ),
            LEVEL,
        )

    @cached_property
    def pairs(self) -> tuple[ModelPair, ...]:
        """Each model with the control, or all pairs, the higher mean first; without failed ones."""
        whole_ones = [k for k in self.ranking if k not in self.errors]
        chosen = [p for p in combinations(whole_ones, 2) if self.control in (None, *p)]
        made = [self._pair(*p) for p in chosen]
        tested = [m for m in made if m.p is not None]
        # A pair without a test counts in the correction, as if it had been rejected last.
        raw = [m.p if m.p is not None else 1.0 for m in made]
        adjusted, levels = self.plan.adjust(raw), stats.holm_levels(raw, LEVEL)
        rows = zip(made, adjusted.tolist(), levels.tolist(), strict=True)
        return tuple(_adjusted(m, p, level) if m in tested else m for m, p, level in rows)

    def _pair(self, first: str, second: str) -> ModelPair:
        x, y = self.scores[first], self.scores[second]
        difference = float((x - y).mean())
        if _is_constant(x, y):
            return ModelPair(first, second, difference, None, None, None)
        test = self.plan.test_pair(x, y)
        posterior = None if self.rope is None else self.plan.probability(x, y, self.rope)
        assert self.plan.pairs is not None
        return ModelPair(first, second, difference, test, self.plan.pairs.p_of(test), posterior)

    def pair(self, first: str, second: str) -> ModelPair:
        """Return the comparison of two models, in either order.

        Raises:
            UnknownNameError: that pair was not compared.
        """
        for p in self.pairs:
            if (first, second) in ((p.first, p.second), (p.second, p.first)):
                return p
        known = [f"{p.first} and {p.second}" for p in self.pairs]
        raise unknown_name("pair", f"{first} and {second}", known)


def _is_constant(x: FloatArray, y: FloatArray) -> bool:
    """Whether two models differ by the same amount on every fold, apart from rounding errors."""
    d = (x - y).ravel()
    slack = np.finfo(np.float64).eps * float((np.abs(x) + np.abs(y)).max())
    return bool(np.abs(d).max() > slack and np.ptp(d) <= 2 * slack)


def _adjusted(pair: ModelPair, p: float, level: float) -> ModelPair:
    """The pair with its adjusted p-value and an interval that fits it."""
    test = pair.test
    if isinstance(test, stats.TTest):
        test = test.at_level(1 - level)
    return replace(pair, p=p, test=test)
