"""The memory of fits: hyper-parameters by model, so that the next fit starts where the last ended.

Notation: theta (g + 3,) as in `gp`; n the number of points told when a model was fitted; U (m, d),
A (m, d), y (m,) the data of a model.

This is what resuming needs: theta of a warm start is not determined by the told history.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from metaopt.records import Json
from metaopt.space.encoding import BoolArray
from metaopt.space.parameters import FloatArray
from metaopt_strategies.bayes.model import FITTED, Model
from metaopt_strategies.bayes.transforms import Outcome, Shape

FRESH = 4  # a fit starts from the prior's mean too, this many times while n doubles
FEW = 50  # beyond FITTED points a model is fitted again when n has grown by a FEW-th


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
            losses = []
            for i, shape in enumerate(shapes or (None,)):
                warm = last.theta if last is not None and last.shape == i else None
                losses.append(self._try(model, data, shape, warm))
            best = min(range(len(losses)), key=lambda i: losses[i][0])
            last = self.last[name] = Fit(losses[best][1], n, best)
        elif n - last.n >= max(1, n // FEW if n > FITTED else 1):
            w = Outcome.fit(y, shapes[last.shape]).forward(y) if shapes else y
            last = self.last[name] = Fit(model.fit(U, A, w, last.theta, False), n, last.shape)
        w = Outcome.fit(y, shapes[last.shape]).forward(y) if shapes else y
        model.theta = last.theta
        model.condition(U, A, w)
        return w

    @staticmethod
    def _try(
        model: Model,
        data: tuple[FloatArray, BoolArray, FloatArray],
        shape: Shape | None,
        warm: FloatArray | None,
    ) -> tuple[float, FloatArray]:
        """Negative log evidence of the untransformed outcomes at the optimum, and the optimum."""
        U, A, y = data
        if shape is None:
            return 0.0, model.fit(U, A, y, warm, True)
        outcome = Outcome.fit(y, shape)
        theta = model.fit(U, A, outcome.forward(y), warm, True)
        return model.loss - outcome.log_jacobian(y), theta
