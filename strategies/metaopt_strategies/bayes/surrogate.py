"""What the model says, in the user's units: predictions, relevance, leave-one-out diagnostics.

Notation: w standardised outcomes, y = b(w) values in the user's (minimised) units, b increasing
(`transforms`). The process is Gaussian in w. Since b is increasing, b(mean) is the median of y; the
spread is half the distance between b(mean + sd) and b(mean - sd), the central 68 % of y.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metaopt.core.types import FloatArray
from metaopt.space import Space
from metaopt_strategies.bayes.model import Model
from metaopt_strategies.bayes.threads import one_thread
from metaopt_strategies.bayes.transforms import Outcome


class Surrogate:
    """The fitted model of a strategy at one moment; it does not change with later tells."""

    def __init__(self, space: Space, model: Model, outcome: Outcome, values: FloatArray) -> None:
        self._space, self._model, self._outcome, self._values = space, model, outcome, values

    def predict(self, configs: Sequence[Mapping[str, Any]]) -> tuple[FloatArray, FloatArray]:
        """Median and half-width of the central 68 % of the noise-free value, (m,) each.

        Both are in the units of the told values; where the outcome transform is linear they are
        the mean and the standard deviation.
        """
        U, A = self._space.encode(configs)
        with one_thread():
            return self._in_units(*self._model.predict(U, A))

    def _in_units(self, mean: FloatArray, sd: FloatArray) -> tuple[FloatArray, FloatArray]:
        b = self._outcome.backward
        with np.errstate(over="ignore"):
            return b(mean), np.minimum(b(mean + sd) / 2 - b(mean - sd) / 2, 1.7e308)

    def relevance(self) -> dict[str, float]:
        """How quickly the value changes along each parameter: 1 / length scale, largest first.

        A length scale is a fraction of the parameter's range; constants have no entry.
        """
        columns, theta = self._model.columns, self._model.theta
        names = [self._space.names[c.index] for c in columns.columns]
        inverse = np.exp(-theta[: len(names)]).tolist()
        return dict(sorted(zip(names, inverse, strict=True), key=lambda pair: -pair[1]))

    def noise(self) -> float:
        """Standard deviation of the noise as a fraction of that of the (transformed) outcomes."""
        return float(np.sqrt(self._model.posterior.noise))

    def leave_one_out(self) -> dict[str, FloatArray]:
        """Each told value against what the model says without it, (n,) each.

        `number` is the index (from 0) among the complete and pruned observations, `value` the told
        value, `mean` and `std` the prediction as in `predict` (with noise), `z` the standardised
        error, which a calibrated model spreads like a standard normal.
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
