"""The results of a comparison of machine-learning models, as data: scores by folds, and tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from metaopt import stats
from metaopt.analysis.standings import LEVEL
from metaopt.core.errors import unknown_name
from metaopt.core.types import FloatArray


@dataclass(frozen=True)
class ModelPair:
    """Two models on the same folds; a positive difference means that `first` scores higher.

    Attributes:
        first: label of the one.
        second: label of the other.
        test: the corrected t test of first - second.
        p: its p-value, adjusted by Holm for all pairs compared.
        posterior: "above" is the probability that `first` is practically better; None without rope.
    """

    first: str
    second: str
    test: stats.TTest
    p: float
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
        adjusted = self.plan.adjust([m.p for m in made])
        return tuple(replace(m, p=float(p)) for m, p in zip(made, adjusted, strict=True))

    def _pair(self, first: str, second: str) -> ModelPair:
        x, y = self.scores[first], self.scores[second]
        test = self.plan.test_pair(x, y)
        posterior = None if self.rope is None else self.plan.probability(x, y, self.rope)
        assert self.plan.pairs is not None
        return ModelPair(first, second, test, self.plan.pairs.p_of(test), posterior)

    def pair(self, first: str, second: str) -> ModelPair:
        """Return the comparison of two models, in either order.

        Raises:
            UnknownNameError: that pair was not compared.
        """
        for p in self.pairs:
            if {p.first, p.second} == {first, second}:
                return p
        known = [f"{p.first} and {p.second}" for p in self.pairs]
        raise unknown_name("pair", f"{first} and {second}", known)
