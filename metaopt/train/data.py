"""Data for training: read once, checked, split, standardised and brought to the device.

Notation: n samples; X is (n, ...) and y is (n,) or (n, ...). A `Part` is (X, y) of one split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from metaopt.errors import TrainingError
from metaopt.train.reading import Labels, Part, read_inputs, read_pair, read_values
from metaopt.train.splitting import Rows, check_split, is_fraction, split_rows

KEPT_SPLITS = 2  # prepared splits to hold on to: all trials of a study share one


class Scaler(NamedTuple):
    """x -> (x - mean) / std, with statistics of the training part."""

    mean: Tensor
    std: Tensor

    @classmethod
    def fit(cls, x: Tensor) -> Scaler:
        """Per column of (n, d); per channel of (n, c, h, w, ...); over all of (n, h, w), (n,)."""
        dims = [0] if x.ndim == 2 else [0, *range(2 if x.ndim >= 4 else 1, x.ndim)]
        wide = x.double()
        mean = wide.mean(dims, keepdim=True)
        std = (wide - mean).square().mean(dims, keepdim=True).sqrt()
        # A constant column stays at 0 instead of becoming rounding noise of size 1.
        std[std <= 1e-12 * mean.abs().clamp(min=1)] = 1.0
        return cls(mean.to(x.dtype), std.to(x.dtype))

    def apply(self, x: Tensor) -> Tensor:
        return (x - self.mean.to(x.device)) / self.std.to(x.device)

    def undo(self, x: Tensor) -> Tensor:
        """Back to the units of the data; an (n, 1) output of an (n,) target comes back as it is."""
        mean, std = self.mean.to(x.device), self.std.to(x.device)
        return x * std.reshape(-1) + mean.reshape(-1) if mean.numel() == 1 else x * std + mean


@dataclass(frozen=True)
class Prepared:
    """The parts of one split on one device, and the scalers fitted to its training part."""

    train: Part
    validation: Part
    test: Part | None
    x_scaler: Scaler | None
    y_scaler: Scaler | None


@dataclass(frozen=True)
class Preparation:
    """What a trainer does with its data; see `Trainer` for the meaning of each."""

    validation: Any
    test: Any
    classify: bool
    stratify: bool
    standardize: bool
    standardize_target: bool
    dtype: torch.dtype


class Data:
    """All data of a trainer, checked.

    Attributes:
        classes: the labels in the order of their codes, for classification; else None.
        shape: of one input.
        outputs: how many numbers a network must give: classes, or columns of y.

    Raises:
        TrainingError: lengths, types, values or splits do not fit; the message says which.

    """

    def __init__(self, X: Any, y: Any, how: Preparation) -> None:
        self._standardize, self._standardize_target = how.standardize, how.standardize_target
        self._stratify, self._dtype = how.stratify, how.dtype
        raw = read_pair(X, y, "X", "y")
        self._labels = Labels.read(raw[1], "y") if how.classify else None
        self._all = self._part(raw, "X", "y")
        self._given: dict[str, Part] = {}
        self._fractions: dict[str, float] = {}
        for name, value in (("validation", how.validation), ("test", how.test)):
            if is_fraction(value, name):
                self._fractions[name] = float(value or 0)
            else:
                given = read_pair(*_explicit(value, name), f"{name} X", f"{name} y")
                self._given[name] = self._part(given, f"{name} X", f"{name} y")
        self.classes = None if self._labels is None else self._labels.classes
        self.shape = tuple(self._all.X.shape[1:])
        self._check_shapes()
        y_shape = self._all.y.shape
        self.outputs = len(self.classes) if self.classes is not None else int(y_shape[1:].numel())
        strata = self._strata()
        check_split(len(self._all.y), strata, self._fractions, self.classes)
        self._cache: dict[tuple[int, torch.device], Prepared] = {}

    def _part(self, raw: tuple[Any, Any], x_name: str, y_name: str) -> Part:
        inputs = read_inputs(raw[0], self._dtype, x_name)
        if self._standardize and not inputs.is_floating_point():
            raise TrainingError(f"standardize=True needs real inputs, got {x_name} of integers")
        encode = partial(read_values, dtype=self._dtype) if self._labels is None else self._labels
        targets = encode(raw[1], where=y_name)
        if len(inputs) != len(targets):
            raise TrainingError(
                f"{x_name} and {y_name} must have the same length, got {len(inputs)} and"
                f" {len(targets)}"
            )
        if self._standardize_target and not targets.is_floating_point():
            raise TrainingError(f"standardize_target=True needs real targets, got {y_name}")
        return Part(inputs, targets)

    def _check_shapes(self) -> None:
        for name, part in self._given.items():
            for what, ours, theirs in (("X", self._all.X, part.X), ("y", self._all.y, part.y)):
                if ours.shape[1:] != theirs.shape[1:]:
                    raise TrainingError(
                        f"{name} {what} must have samples of shape {tuple(ours.shape[1:])} as"
                        f" {what} has, got {tuple(theirs.shape[1:])}"
                    )

    def _strata(self) -> np.ndarray[Any, np.dtype[Any]] | None:
        y = self._all.y
        return y.numpy() if self._stratify and y.ndim == 1 else None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cache": {}}  # not sent to worker processes

    def prepare(self, data_seed: int, device: torch.device) -> Prepared:
        """Return the split of `data_seed` on `device`; the tensors are shared: only read them."""
        key = (data_seed, device)
        prepared = self._cache.get(key)
        if prepared is None:
            rows = split_rows(len(self._all.y), self._strata(), self._fractions, data_seed)
            prepared = self._prepare(rows, device)
            while len(self._cache) >= KEPT_SPLITS:
                self._cache.pop(next(iter(self._cache)), None)
            self._cache[key] = prepared
        return prepared

    def _prepare(self, rows: Mapping[str, Rows], device: torch.device) -> Prepared:
        parts = dict(self._given)
        for name, chosen in rows.items():
            index = torch.from_numpy(chosen)
            parts[name] = Part(self._all.X[index], self._all.y[index])
        train = parts["train"]
        x_scaler = Scaler.fit(train.X) if self._standardize else None
        y_scaler = Scaler.fit(train.y) if self._standardize_target else None

        def place(part: Part) -> Part:
            X = part.X if x_scaler is None else x_scaler.apply(part.X)
            y = part.y if y_scaler is None else y_scaler.apply(part.y)
            return Part(X.to(device), y.to(device))

        test = place(parts["test"]) if "test" in parts else None
        return Prepared(place(train), place(parts["validation"]), test, x_scaler, y_scaler)


def _explicit(value: Any, name: str) -> tuple[Any, Any]:
    if isinstance(value, torch.utils.data.Dataset):
        return value, None
    if isinstance(value, (tuple, list)) and len(value) == 2:
        return value[0], value[1]
    raise TrainingError(
        f"{name} must be a fraction of the data, a pair (X, y) or a Dataset, got"
        f" {type(value).__name__}"
    )
