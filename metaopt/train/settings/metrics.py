"""Losses and metrics: functions of outputs and targets that end in one number.

Shapes: outputs (n, c, ...) and targets (n, ...) of class codes for classification; outputs and
targets (n, k), or outputs (n, 1) and targets (n,), for regression.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from metaopt.core.errors import TrainingError, did_you_mean, real
from metaopt.core.types import Direction
from metaopt.space.values import native
from metaopt.train.runtime.resources import COSTS

LossFunction = Callable[[Tensor, Tensor], Tensor]
MetricFunction = Callable[[Tensor, Tensor], Any]


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean of -log softmax(outputs)[target], in nats."""
    return F.cross_entropy(outputs, targets)


@dataclass(frozen=True)
class WeightedCrossEntropy:
    """The mean of -w[target] log softmax(outputs)[target] over the mean of w[target]."""

    weights: Tensor

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets, weight=self.weights.to(outputs))


def read_class_weights(given: Any, classes: NDArray[Any] | None, counts: Any) -> Tensor | None:
    """Return a weight for each class code.

    Args:
        given: None, "balanced" (n / (number of classes * samples of the class), as scikit-learn
            has it), or a mapping from labels to numbers above 0; labels left out weigh 1.
        classes: labels by code; None for what is no classification.
        counts: samples of each class.

    Raises:
        TrainingError: a label is unknown or a weight no number above 0.

    """
    if given is None:
        return None
    if classes is None:
        raise TrainingError("class_weights need loss='cross_entropy'")
    if isinstance(given, str) and given == "balanced":
        return torch.tensor([sum(counts) / (len(counts) * c) for c in counts], dtype=torch.float64)
    if not isinstance(given, Mapping):
        raise TrainingError(f"class_weights must be 'balanced' or a dict of labels, got {given!r}")
    weights = dict.fromkeys(classes.tolist(), 1.0)
    for label, weight in given.items():
        if native(label) not in weights:
            raise TrainingError(
                f"class_weights has the label {label!r}, which y does not have"
                f"{did_you_mean(str(label), map(str, weights))}"
            )
        number = real(f"class_weights[{label!r}]", weight, TrainingError, above=0)
        if number == math.inf:
            raise TrainingError(f"class_weights[{label!r}] must be finite")
        weights[native(label)] = number
    return torch.tensor(list(weights.values()), dtype=torch.float64)


def mse(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error; (n, 1) against (n,) is one column and not an outer product."""
    if outputs.ndim == targets.ndim + 1 and outputs.shape[-1] == 1:
        outputs = outputs.squeeze(-1)
    return F.mse_loss(outputs, targets)


def accuracy(outputs: Tensor, targets: Tensor) -> float:
    """Fraction of the targets that are the class with the largest output."""
    return int((outputs.argmax(1) == targets).sum()) / targets.numel()


LOSSES: dict[str, LossFunction] = {"cross_entropy": cross_entropy, "mse": mse}
METRICS: dict[str, tuple[MetricFunction, Direction]] = {
    "accuracy": (accuracy, "maximize"),
    "cross_entropy": (cross_entropy, "minimize"),
    "mse": (mse, "minimize"),
}
OF_CLASSES = ("accuracy", "cross_entropy")


@dataclass(frozen=True)
class Metric:
    """A number by which networks are compared, and which way is better.

    A ready-made function works where the data is; the caller's own gets detached tensors on the
    CPU, which numpy and scikit-learn take too.
    """

    name: str
    function: MetricFunction
    direction: Direction
    own: bool = False

    def __call__(self, outputs: Tensor, targets: Tensor) -> float:
        if self.own:  # copies, because it might write into them
            outputs, targets = outputs.cpu().clone(), targets.cpu().clone()
        value = self.function(outputs, targets)
        try:
            return float(value.item() if isinstance(value, Tensor) else value)
        except (TypeError, ValueError, RuntimeError):
            raise TrainingError(
                f"metric {self.name!r} must return one number, got {value!r}"
            ) from None


def find_loss(loss: str | LossFunction) -> LossFunction:
    """Return the loss of that name, or the caller's own.

    Raises:
        TrainingError: the name is unknown.

    """
    if callable(loss):
        return loss
    return LOSSES[_known("loss", loss, LOSSES)]


def find_metric(
    metric: str | MetricFunction | None,
    loss: str | LossFunction,
    direction: Direction | None = None,
) -> Metric:
    """Return the metric of that name or the caller's own; None is the loss as a metric.

    Raises:
        TrainingError: the name is unknown, or contradicts the loss or the direction.

    """
    if direction not in (None, "minimize", "maximize"):
        raise TrainingError(f"direction must be 'minimize' or 'maximize', got {direction!r}")
    wanted = loss if metric is None else metric
    if callable(wanted):
        name = getattr(wanted, "__name__", type(wanted).__name__)
        return Metric(name, wanted, direction or "minimize", own=metric is not None)
    name = _known("metric", wanted, METRICS)
    function, natural = METRICS[name]
    if direction not in (None, natural):
        raise TrainingError(f"metric {name!r} has direction {natural!r}, got {direction!r}")
    if isinstance(loss, str) and (name in OF_CLASSES) != (loss in OF_CLASSES):
        raise TrainingError(f"metric {name!r} does not fit loss {loss!r}")
    return Metric(name, function, natural)


def _known(kind: str, name: Any, known: dict[str, Any]) -> str:
    if isinstance(name, str) and name in known:
        return name
    hint = did_you_mean(str(name), known)
    raise TrainingError(
        f"{kind} must be one of {', '.join(known)} or a function, got {name!r}{hint}"
    )


def check_outputs(outputs: Any, targets: Tensor, loss: str | LossFunction, n_classes: int) -> None:
    """Refuse outputs whose shape the named loss would misread.

    Raises:
        TrainingError: the shape is not what the loss needs, or the outputs are no tensor.

    """
    if not isinstance(outputs, Tensor):
        kind = type(outputs).__name__
        raise TrainingError(f"the network must return one tensor, got {kind}")
    got, want = tuple(outputs.shape), tuple(targets.shape)
    if loss == "cross_entropy":
        if outputs.ndim != targets.ndim + 1 or got[1] < n_classes or got[:1] + got[2:] != want:
            need = (want[0], n_classes, *want[1:])
            raise TrainingError(
                f"the network must return one score a class, of shape {need}, got {got}"
            )
    elif loss == "mse" and got not in (want, (*want, 1)):
        raise TrainingError(f"the network must return outputs of shape {want}, got {got}")


def check_loss(loss: Any) -> None:
    """Refuse a loss of the caller's that is not one number with a gradient."""
    if not isinstance(loss, Tensor) or loss.ndim != 0 or not loss.requires_grad:
        raise TrainingError(
            "loss(outputs, targets) must return one number (a tensor of shape ()) that"
            f" depends on the outputs, got {loss!r}"
        )


def check_names(extra: Sequence[Metric]) -> None:
    """Refuse further metrics that would overwrite one another or what every result records."""
    seen = {"epochs", "best_epoch", "parameters", "test", *COSTS}
    for metric in extra:
        for name in (metric.name, f"test_{metric.name}"):
            if name in seen:
                raise TrainingError(
                    f"metrics has two entries {name!r}, or every result has one already; give"
                    " functions names of their own (def, or __name__)"
                )
            seen.add(name)


def check_untouched(before: Sequence[int], *tensors: Tensor) -> None:
    """Refuse a network or loss that has written into its samples, which others share.

    Args:
        before: the tensors' versions before it was called.
        tensors: inputs, targets.

    """
    if [t._version for t in tensors] != list(before):
        raise TrainingError(
            "the network or the loss writes into its inputs or targets, which other trials share;"
            " use operations that are not in place (no trailing _), or clone() first"
        )


def is_classification(loss: str | LossFunction) -> bool:
    """Whether targets are labels that have to be encoded."""
    return loss == "cross_entropy"
