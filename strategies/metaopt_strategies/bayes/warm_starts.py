"""Warm starts: the last hyperparameters of each model, from which its next fit starts.

Notation: theta (g + 3,) as in `gp`; n the number of points told when a model was fitted; U (m, d),
A (m, d), y (m,) the data of a model.

They are stored with a study, because the told history does not determine them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from metaopt.core.types import FloatArray
from metaopt.space.encoding import BoolArray
from metaopt.trials.records import Json
from metaopt_strategies.bayes.model import Model, Offer
from metaopt_strategies.bayes.transforms import OutcomeTransform, Shape

FRESH = 4  # number of fits from the prior's starting points, too, each time n doubles
FEW = 30  # a model is fitted again when n has grown by 1/FEW


def epoch(n: int) -> int:
    """Return how many fresh fits are due within the first n points."""
    return math.floor(FRESH * math.log2(max(n, 1)))


@dataclass
class Fit:
    """The last fit of one model.

    Attributes:
        theta: hyperparameters, shape (g + 3,).
        n: number of points told at that time.
        shape: index of the chosen outcome transform.
    """

    theta: FloatArray
    n: int
    shape: int


@dataclass
class Fits:
    """The last fits.

    Attributes:
        last: the last fit of each model, by the model's name.
    """

    last: dict[str, Fit] = field(default_factory=dict)

    def to_json(self) -> Json:
        """Return all fits as JSON."""
        return {k: [f.theta.tolist(), f.n, f.shape] for k, f in self.last.items()}

    @classmethod
    def from_json(cls, data: Json) -> Fits:
        """Rebuild the fits from the result of `to_json`."""
        return cls({k: Fit(np.array(theta), n, shape) for k, (theta, n, shape) in data.items()})

    def fit(
        self,
        name: str,
        model: Model,
        data: tuple[FloatArray, BoolArray, FloatArray],
        n: int,
        shapes: tuple[Shape, ...] = (),
    ) -> FloatArray:
        """Condition `model` on `data`, with a new fit of theta if one is due.

        Args:
            name: name of the model.
            model: the model; its theta and posterior are set.
            data: U, A and y of the model.
            n: number of points told so far.
            shapes: candidate outcome transforms; each fresh fit chooses the one with the largest
                evidence. Without any, y is not transformed.

        Returns:
            The standardised outcomes w, shape (m,).
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
    """Return the values y under the i-th transform, or unchanged if there are no `shapes`."""
    warm = last.theta if last is not None and last.shape == i else None
    if not shapes:
        return Offer(y, 0.0, warm)
    outcome = OutcomeTransform.fit(y, shapes[i])
    return Offer(outcome.forward(y), outcome.log_jacobian(y), warm)
