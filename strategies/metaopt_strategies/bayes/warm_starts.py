"""The memory of fits: hyper-parameters by model, so that the next fit starts where the last ended.

Notation: theta (g + 3,) as in `gp`; n the number of points told when a model was fitted; U (m, d),
A (m, d), y (m,) the data of a model.

This is what resuming needs: theta of a warm start is not determined by the told history.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from metaopt.core.types import FloatArray
from metaopt.space.encoding import BoolArray
from metaopt.trials.records import Json
from metaopt_strategies.bayes.model import Model, Offer
from metaopt_strategies.bayes.transforms import Outcome, Shape

FRESH = 4  # a fit starts from the prior's mean too, this many times while n doubles
FEW = 30  # a model is fitted again when n has grown by a FEW-th


def epoch(n: int) -> int:
    """Number of fresh fits due by the n-th point."""
    return math.floor(FRESH * math.log2(max(n, 1)))


@dataclass
class Fit:
    """The last fit of one model."""

    theta: FloatArray
    n: int
    shape: int  # which of the transforms offered


@dataclass
class Fits:
    """The last fits by the names of their models."""

    last: dict[str, Fit] = field(default_factory=dict)

    def to_json(self) -> Json:
        """All of it, as JSON."""
        return {k: [f.theta.tolist(), f.n, f.shape] for k, f in self.last.items()}

    @classmethod
    def from_json(cls, data: Json) -> Fits:
        """Rebuild what `to_json` gave."""
        return cls({k: Fit(np.array(theta), n, shape) for k, (theta, n, shape) in data.items()})

    def fit(
        self,
        name: str,
        model: Model,
        data: tuple[FloatArray, BoolArray, FloatArray],
        n: int,
        shapes: tuple[Shape, ...] = (),
    ) -> FloatArray:
        """Bring `model` up to date with `data` (U, A, y); return the outcomes w that it saw.

        With several `shapes` of the outcome transform, that of the largest evidence is taken at
        each fresh fit; with none, y goes in as it is.
        """
        U, A, y = data
        last = self.last.get(name)
        if last is None or epoch(n) > epoch(last.n):
            offers = [offer(y, shapes, i, last) for i in range(max(len(shapes), 1))]
            taken = model.fit(U, A, offers, fresh=True)
            w = offers[taken].w
            self.last[name] = Fit(model.theta, n, taken)
        else:
            again = offer(y, shapes, last.shape, last)
            w = again.w
            model.theta = last.theta
            if n - last.n >= max(1, n // FEW):
                model.fit(U, A, [again], fresh=False)
                self.last[name] = Fit(model.theta, n, last.shape)
        model.condition(U, A, w)
        return w


def offer(y: FloatArray, shapes: tuple[Shape, ...], i: int, last: Fit | None) -> Offer:
    """Values y in the i-th shape, or as they are if there are none."""
    warm = last.theta if last is not None and last.shape == i else None
    if not shapes:
        return Offer(y, 0.0, warm)
    outcome = Outcome.fit(y, shapes[i])
    return Offer(outcome.forward(y), outcome.log_jacobian(y), warm)
