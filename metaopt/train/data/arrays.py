"""Copies the arrays, tensors and Datasets of the user to tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from metaopt.core.errors import TrainingError
from metaopt.train.data.scan import read_all
from metaopt.train.data.sources import read_source
from metaopt.train.data.streams import Streamed


class Part(NamedTuple):
    """Inputs (n, ...) and targets (n,) or (n, ...) of one part: training, validation or test."""

    X: Tensor
    y: Tensor


class StreamedPart(NamedTuple):
    """Like `Part`, but the inputs are read from the Dataset when they are needed."""

    X: Streamed
    y: Tensor


def read_pair(X: Any, y: Any, x_name: str, y_name: str, dtype: torch.dtype) -> tuple[Any, Any]:
    """Return inputs and targets; a Dataset, or the one of a DataLoader, is read once.

    Random augmentation inside a Dataset is therefore drawn only once. Augmentation that must
    differ in every epoch belongs in the network, whose random numbers follow the trial's seed.

    Args:
        X: inputs, or a Dataset or DataLoader of (x, y).
        y: targets; None with a Dataset or DataLoader.
        x_name, y_name: names of both in messages.
        dtype: of real inputs.

    Raises:
        TrainingError: `y` is missing, or given although `X` contains the targets; or the samples
            cannot be read.

    """
    source = read_source(X, x_name)
    if source is None:
        if y is None:
            raise TrainingError(
                f"{y_name} is missing; it is only optional if {x_name} is a Dataset"
            )
        return X, y
    if y is not None:
        kind = "DataLoader" if isinstance(X, DataLoader) else "Dataset"
        raise TrainingError(f"{x_name} is a {kind} and contains the targets; do not pass {y_name}")
    if isinstance(source.dataset, TensorDataset):
        tensors = source.dataset.tensors
        if len(tensors) != 2:
            raise TrainingError(f"{x_name} must hold two tensors, got {len(tensors)}")
        return tensors[0], tensors[1]
    return read_all(source, dtype, x_name)


def _to_array(values: Any, where: str) -> NDArray[Any]:
    if isinstance(values, Tensor):
        here = values.detach().cpu()
        return np.asarray((here.float() if here.dtype == torch.bfloat16 else here).numpy())
    if np.ma.is_masked(values):
        raise TrainingError(f"{where} is an array with masked values; fill or remove them")
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise TrainingError(f"{where} must be an array: {error}") from None
    if array.ndim == 0:
        raise TrainingError(f"{where} must be an array of samples, got {values!r}")
    return array


def read_values(values: Any, *, dtype: torch.dtype, where: str) -> Tensor:
    """Copy numbers to a tensor on the CPU: integers and bools as int64, others as `dtype`.

    Raises:
        TrainingError: the array is empty, or its values are not finite numbers.

    """
    array = _to_array(values, where)
    if array.dtype.kind not in "biuf":
        raise TrainingError(f"{where} must hold numbers, got values of type {array.dtype}")
    if array.size == 0:
        raise TrainingError(f"{where} is empty, of shape {array.shape}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int(np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))[0])
        raise TrainingError(f"{where} must be finite; the first bad sample is {bad}")
    # PyTorch accepts neither negative strides nor a foreign byte order.
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    return torch.tensor(array, dtype=dtype if array.dtype.kind == "f" else torch.int64)


def read_inputs(values: Any, dtype: torch.dtype, where: str) -> Tensor:
    """Copy inputs as `dtype`; an int64 tensor keeps its type, because it holds token indices."""
    read = read_values(values, dtype=dtype, where=where)
    keep = isinstance(values, Tensor) and values.dtype == torch.int64
    read = read if keep else read.to(dtype)
    if read.is_floating_point() and not bool(torch.isfinite(read).all()):
        raise TrainingError(f"{where} holds numbers that overflow {dtype}")
    return read


def read_groups(values: Any, n: int) -> NDArray[Any] | None:
    """Copy the group of each of n samples; None stays None.

    Raises:
        TrainingError: the shape is not (n,).

    """
    if values is None:
        return None
    groups = _to_array(values, "groups")
    if groups.shape != (n,):
        raise TrainingError(f"groups must have the shape ({n},) of y, got {groups.shape}")
    return groups.astype(str) if groups.dtype.kind == "O" else groups.copy()


@dataclass(frozen=True)
class Labels:
    """Encodes labels of any type as codes 0, 1, ... in the sorted order of `classes`.

    Attributes:
        classes: the distinct labels, sorted.

    """

    classes: NDArray[Any]

    @classmethod
    def read(cls, values: Any, where: str) -> Labels:
        """Find the classes.

        Raises:
            TrainingError: the values are not labels, or there is only one class.

        """
        array = _as_labels(_to_array(values, where), where)
        classes = np.unique(array)
        if len(classes) < 2:
            raise TrainingError(f"{where} must hold at least two classes, got {classes.tolist()}")
        return cls(classes)

    def __call__(self, values: Any, *, where: str) -> Tensor:
        array = _as_labels(_to_array(values, where), where)
        codes = np.clip(np.searchsorted(self.classes, array), 0, len(self.classes) - 1)
        known = self.classes[codes] == array
        if not known.all():
            unknown = array[~known].reshape(-1)[0].item()
            raise TrainingError(f"{where} holds the class {unknown!r}, which y does not have")
        return torch.tensor(codes, dtype=torch.int64)


def _as_labels(array: NDArray[Any], where: str) -> NDArray[Any]:
    if array.size == 0:
        raise TrainingError(f"{where} is empty, of shape {array.shape}")
    if array.dtype.kind == "O":  # pandas stores strings as objects, which cannot be saved
        if not all(isinstance(v, str) for v in array.reshape(-1)):
            raise TrainingError(f"{where} must hold labels of one type: integers or strings")
        return array.astype(str)
    if array.dtype.kind == "f" and not np.equal(array, np.round(array)).all():  # NaN differs too
        raise TrainingError(
            f"{where} must hold class labels for the loss 'cross_entropy', got real numbers;"
            " use loss='mse' for regression"
        )
    if array.dtype.kind not in "biufU":
        raise TrainingError(f"{where} must hold class labels, got values of type {array.dtype}")
    return array
