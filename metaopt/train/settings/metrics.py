"""Losses and metrics: functions of outputs and targets that return one number.

Shapes: for classification, outputs (n, c, ...) and targets (n, ...) of class codes; for regression,
outputs and targets (n, k), or outputs (n, 1) and targets (n,).
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
    """Return the mean of -log softmax(outputs)[target], in nats; lower is better.

    Args:
        outputs: scores (logits) of the c classes, shape (n, c, ...).
        targets: class codes from 0 to c - 1, shape (n, ...).

    Returns:
        A tensor of shape (), differentiable with respect to `outputs`.

    """
    return F.cross_entropy(outputs, targets)


@dataclass(frozen=True)
class WeightedCrossEntropy:
    """The mean of -w[target] log softmax(outputs)[target], divided by the mean of w[target].

    Attributes:
        weights: w, the weight of each class code, shape (c,).

    """

    weights: Tensor

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets, weight=self.weights.to(outputs))


def read_class_weights(given: Any, classes: NDArray[Any] | None, counts: Any) -> Tensor | None:
    """Return a weight for each class code.

    Args:
        given: None, "balanced" (n / (number of classes * samples of the class), as in
            scikit-learn), or a mapping from labels to numbers above 0; labels that it lacks have
            weight 1.
        classes: labels in the order of their codes; None if the task is not a classification.
        counts: number of samples of each class.

    Raises:
        TrainingError: a label is unknown, or a weight is not a finite number above 0.

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
    """Return the mean squared error; lower is better.

    Outputs (n, 1) are compared with targets (n,) row by row, not broadcast to (n, n).

    Args:
        outputs: predictions, of the shape of the targets or (n, 1).
        targets: true values, shape (n,) or (n, k).

    Returns:
        A tensor of shape (), differentiable with respect to `outputs`.

    """
    if outputs.ndim == targets.ndim + 1 and outputs.shape[-1] == 1:
        outputs = outputs.squeeze(-1)
    return F.mse_loss(outputs, targets)


def accuracy(outputs: Tensor, targets: Tensor) -> float:
    """Return the fraction of targets whose class has the largest output; higher is better.

    Args:
        outputs: scores of the c classes, shape (n, c, ...).
        targets: class codes from 0 to c - 1, shape (n, ...).

    Returns:
        A number between 0 and 1.

    """
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
    """A score by which networks are compared. Call it with outputs and targets.

    A built-in function is computed on the device of the data. A user's own function gets copies
    on the CPU, which NumPy and scikit-learn accept, too.

    Attributes:
        name: under which results record it.
        function: (outputs, targets) -> one number.
        direction: "minimize" or "maximize".
        own: whether the function is the user's own.

    """

    name: str
    function: MetricFunction
    direction: Direction
    own: bool = False

    def __call__(self, outputs: Tensor, targets: Tensor) -> float:
        if self.own:  # copies, because the function might change them in place
            outputs, targets = outputs.cpu().clone(), targets.cpu().clone()
        value = self.function(outputs, targets)
        try:
            return float(value.item() if isinstance(value, Tensor) else value)
        except (TypeError, ValueError, RuntimeError):
            raise TrainingError(
                f"metric {self.name!r} must return one number, got {value!r}"
            ) from None


def find_loss(loss: str | LossFunction) -> LossFunction:
    """Return the loss of that name, or the user's own function.

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
    """Return the metric of that name or the user's own; None stands for the loss.

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
    """Refuse outputs whose shape the named loss would misinterpret.

    Raises:
        TrainingError: the shape is not what the loss needs, or the outputs are not a tensor.

    """
    if not isinstance(outputs, Tensor):
        kind = type(outputs).__name__
        raise TrainingError(f"the network must return one tensor, got {kind}")
    got, want = tuple(outputs.shape), tuple(targets.shape)
    if loss == "cross_entropy":
        if outputs.ndim != targets.ndim + 1 or got[1] < n_classes or got[:1] + got[2:] != want:
            need = (want[0], n_classes, *want[1:])
            raise TrainingError(
                f"the network must return one score per class, of shape {need}, got {got}"
            )
    elif loss == "mse" and got not in (want, (*want, 1)):
        raise TrainingError(f"the network must return outputs of shape {want}, got {got}")


def check_loss(loss: Any) -> None:
    """Refuse a value of the user's loss that is not one number with a gradient.

    Raises:
        TrainingError: it is not a tensor of shape () that requires a gradient.

    """
    if not isinstance(loss, Tensor) or loss.ndim != 0 or not loss.requires_grad:
        raise TrainingError(
            "loss(outputs, targets) must return one number (a tensor of shape ()) that"
            f" depends on the outputs, got {loss!r}"
        )


def check_names(extra: Sequence[Metric]) -> None:
    """Refuse further metrics whose names are used twice or reserved.

    Raises:
        TrainingError: two entries of a result would have the same name.

    """
    seen = {"epochs", "best_epoch", "parameters", "test", *COSTS}
    for metric in extra:
        for name in (metric.name, f"test_{metric.name}"):
            if name in seen:
                raise TrainingError(
                    f"the metric name {name!r} is used twice or reserved; give each function a"
                    " name of its own (def, or __name__)"
                )
            seen.add(name)


def check_untouched(before: Sequence[int], *tensors: Tensor) -> None:
    """Refuse a network or loss that has changed its samples in place; other trials share them.

    Args:
        before: the versions of the tensors before the call.
        *tensors: inputs and targets.

    Raises:
        TrainingError: a tensor has another version now.

    """
    if [t._version for t in tensors] != list(before):
        raise TrainingError(
            "the network or the loss changes its inputs or targets in place, but other trials"
            " share them; use out-of-place operations (no trailing _), or clone() first"
        )


def is_classification(loss: str | LossFunction) -> bool:
    """Whether the targets are class labels, which must be encoded."""
    return loss == "cross_entropy"
