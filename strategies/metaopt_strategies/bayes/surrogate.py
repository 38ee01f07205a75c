"""The fitted model in the user's units: predictions, relevance, leave-one-out diagnostics.

Notation: w standardised outcomes, y = b(w) values in the user's (minimised) units, b increasing
(`transforms`). The process is Gaussian in w. Since b is increasing, b(mean) is the median of y; the
interval from b(mean - sd) to b(mean + sd) holds the central 68 % of y, and half its width is
reported as the spread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metaopt.core.types import FloatArray
from metaopt.space import Space
from metaopt_strategies.bayes.model import Model
from metaopt_strategies.bayes.threads import one_thread
from metaopt_strategies.bayes.transforms import OutcomeTransform


class Surrogate:
    """The fitted model of a strategy at one moment; later tells do not change it.

    Args:
        space: the search space.
        model: the model, fitted and conditioned on the data.
        outcome: the outcome transform, between values and standardised outcomes.
        values: the values of complete and pruned observations, shape (n,).
    """

    def __init__(
        self, space: Space, model: Model, outcome: OutcomeTransform, values: FloatArray
    ) -> None:
        self._space, self._model, self._outcome, self._values = space, model, outcome, values

    def predict(self, configs: Sequence[Mapping[str, Any]]) -> tuple[FloatArray, FloatArray]:
        """Predict the noise-free objective value.

        Args:
            configs: m configurations of the space.

        Returns:
            Median and half-width of the central 68 % interval, shape (m,) each, in the units of
            the told values. Where the outcome transform is linear, they are the mean and the
            standard deviation.
        """
        U, A = self._space.encode(configs)
        with one_thread():
            return self._in_units(*self._model.predict(U, A))

    def _in_units(self, mean: FloatArray, sd: FloatArray) -> tuple[FloatArray, FloatArray]:
        b = self._outcome.backward
        with np.errstate(over="ignore"):
            return b(mean), np.minimum(b(mean + sd) / 2 - b(mean - sd) / 2, 1.7e308)

    def relevance(self) -> dict[str, float]:
        """Return how quickly the value changes with each parameter, largest first.

        The number is 1 / length scale, with the length scale as a fraction of the parameter's
        range. Constants have no entry.
        """
        columns, theta = self._model.columns, self._model.theta
        names = [self._space.names[c.index] for c in columns.columns]
        inverse = np.exp(-theta[: len(names)]).tolist()
        return dict(sorted(zip(names, inverse, strict=True), key=lambda pair: -pair[1]))

    def noise(self) -> float:
        """Return the noise's standard deviation, relative to that of the transformed outcomes."""
        return float(np.sqrt(self._model.posterior.noise))

    def leave_one_out(self) -> dict[str, FloatArray]:
        """Compare each told value with the prediction of a model without that value.

        Returns:
            Arrays of shape (n,): `number`, the index (from 0) among the complete and pruned
            observations; `value`, the told value; `mean` and `std`, the prediction as in
            `predict`, but with noise; `z`, the standardised error, which follows a standard
            normal distribution if the model is calibrated.
        """
        with one_thread():
            mean, sd = self._model.posterior.leave_one_out()
        w = self._model.posterior.w
        center, spread = self._in_units(mean, sd)
        held = self._model.held
        return {
            "number": held.astype(np.float64),
            "value": self._values[held],
            "mean": center,
            "std": spread,
            "z": (w - mean) / sd,
        }
