"""Data for training: read once, checked, split, standardised and moved to the device.

Notation: n samples; X is (n, ...) and y is (n,) or (n, ...). A `Part` is (X, y) of the training,
validation or test part of a split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metaopt.core.errors import TrainingError
from metaopt.train.data.arrays import (
    Labels,
    Part,
    StreamedPart,
    read_groups,
    read_inputs,
    read_pair,
    read_values,
)
from metaopt.train.data.folds import Splitter, in_time, is_folds, make_folds
from metaopt.train.data.scaling import Scaler
from metaopt.train.data.scan import open_stream
from metaopt.train.data.sources import read_source
from metaopt.train.data.splitting import (
    Rows,
    check_split,
    is_fraction,
    split_groups,
    split_in_time,
    split_rows,
)
from metaopt.train.data.streams import Streamed, kept_open

KEPT_SPLITS = 2  # prepared splits to cache, on each device; all trials of a study share one


@dataclass(frozen=True)
class Prepared:
    """The parts of one split on one device, and the scalers fitted to its training part.

    Attributes:
        train: the training part.
        validation: the validation part.
        test: the hidden test part; None if there is none.
        x_scaler: of the inputs; None if they are not standardised.
        y_scaler: of the targets; None if they are not standardised.
        rows: row numbers of X in the validation part; None if that was given as separate data.

    """

    train: Part | StreamedPart
    validation: Part
    test: Part | None
    x_scaler: Scaler | None
    y_scaler: Scaler | None
    rows: Rows | None = None


@dataclass(frozen=True)
class Preparation:
    """How a trainer prepares its data; `Trainer` documents each field."""

    validation: Any
    test: Any
    classify: bool
    stratify: bool
    standardize: bool
    standardize_target: bool
    dtype: torch.dtype
    groups: Any = None
    resident: bool = True


class Data:
    """All data of a trainer, checked.

    Args:
        X: inputs, or a Dataset or DataLoader of (x, y).
        y: targets; None with a Dataset or DataLoader.
        how: what to do with them.

    Attributes:
        classes: labels in the order of their codes; None for regression.
        shape: of one input.
        outputs: the number of outputs that a network needs: classes, or columns of y.
        folds: the number of folds or the splitter; None without cross-validation.

    Raises:
        TrainingError: lengths, types, values or splits do not fit; the message says which.

    """

    def __init__(self, X: Any, y: Any, how: Preparation) -> None:
        self._standardize, self._standardize_target = how.standardize, how.standardize_target
        self._stratify, self._dtype = how.stratify, how.dtype
        stream: Streamed | None = None
        if how.resident:
            raw = read_pair(X, y, "X", "y", how.dtype)
        else:
            stream, targets = _open(X, y, how)
            raw = np.zeros(len(targets)), targets  # the inputs have been checked
        self._labels = Labels.read(raw[1], "y") if how.classify else None
        read = self._part(raw, "X", "y")
        self._all = read if stream is None else StreamedPart(stream, read.y)
        self._groups = read_groups(how.groups, len(self._all.y))
        self._given: dict[str, Part] = {}
        self._fractions: dict[str, float] = {}
        self.folds: int | Splitter | None = None
        # The test part is split off first, so that it does not depend on the validation part.
        for name, value in (("test", how.test), ("validation", how.validation)):
            if name == "validation" and is_folds(value):
                self.folds = value
            elif is_fraction(value, name):
                self._fractions[name] = float(value or 0)
            else:
                names = f"{name} X", f"{name} y"
                given = read_pair(*_explicit(value, name), *names, how.dtype)
                self._given[name] = self._part(given, *names)
        self.classes = None if self._labels is None else self._labels.classes
        self.shape = tuple(self._all.X.shape[1:])
        self._check_shapes()
        y_shape = self._all.y.shape
        self.outputs = len(self.classes) if self.classes is not None else int(y_shape[1:].numel())
        self._cache: dict[int, dict[torch.device, tuple[Prepared, ...]]] = {}
        self._splits(0, self.folds)  # refuses data that no seed can split

    def _part(self, raw: tuple[Any, Any], x_name: str, y_name: str) -> Part:
        inputs = read_inputs(raw[0], self._dtype, x_name)
        if self._standardize and not inputs.is_floating_point():
            raise TrainingError(
                f"standardize=True needs floating-point inputs, got integers in {x_name}"
            )
        targets = self._encode(raw[1], y_name)
        if len(inputs) != len(targets):
            raise TrainingError(
                f"{x_name} and {y_name} must have the same length, got {len(inputs)} and"
                f" {len(targets)}"
            )
        if self._standardize_target and not targets.is_floating_point():
            raise TrainingError(
                f"standardize_target=True needs floating-point targets, got integers in {y_name}"
            )
        return Part(inputs, targets)

    def _encode(self, raw: Any, name: str) -> Tensor:
        if self._labels is None:
            return read_values(raw, dtype=self._dtype, where=name)
        return self._labels(raw, where=name)

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

    @property
    def counts(self) -> list[int]:
        """Number of samples of each class, in the order of the codes; [] for regression."""
        if self.classes is None:
            return []
        return [int((self._all.y == code).sum()) for code in range(len(self.classes))]

    def __len__(self) -> int:
        return len(self._all.y)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cache": {}}  # the cache is not sent to worker processes

    def prepare(self, data_seed: int, device: torch.device) -> tuple[Prepared, ...]:
        """Return the split of `data_seed` on `device`, or the splits of all folds.

        The tensors are shared, so they must not be changed.
        """
        here = self._cache.get(data_seed)
        if here is None:
            while len(self._cache) >= KEPT_SPLITS:
                self._cache.pop(next(iter(self._cache)), None)
            here = self._cache[data_seed] = {}
        if device not in here:
            here[device] = self.split(data_seed, device, self.folds)
        return here[device]

    def split(
        self, data_seed: int, device: torch.device, folds: int | Splitter | None
    ) -> tuple[Prepared, ...]:
        """Return the folds of the given splitter; with None, the split by the fractions."""
        return tuple(self._prepare(rows, device) for rows in self._splits(data_seed, folds))

    def whole(self, data_seed: int, device: torch.device) -> Prepared:
        """Return a split whose training and validation parts are all but the test part."""
        rows = self._outer(data_seed, self.folds)
        return self._prepare({**rows, "validation": rows["train"]}, device)

    def _outer(self, data_seed: int, folds: int | Splitter | None) -> dict[str, Rows]:
        """Return the rows of each part; with folds, "train" has the rows that they are made of."""
        fractions = dict(self._fractions)
        if folds is not None:
            fractions.pop("validation", None)
        n = len(self._all.y)
        if in_time(folds):
            rows = split_in_time(n, fractions)
        elif self._groups is not None:
            rows = split_groups(self._groups, fractions, data_seed)
        else:
            strata = self._strata()
            check_split(n, strata, fractions, self.classes)
            rows = split_rows(n, strata, fractions, data_seed)
        return rows

    def _splits(self, data_seed: int, folds: int | Splitter | None) -> list[dict[str, Rows]]:
        outer = self._outer(data_seed, folds)
        if folds is None:
            return [outer]
        if isinstance(self._all, StreamedPart):
            raise TrainingError(
                "folds need the data in memory, but resident=False was given; validate on a"
                " fraction or on separate data"
            )
        inner = outer["train"]
        strata = self._strata()
        found = make_folds(
            folds,
            self._all.y.numpy()[inner],
            None if self._groups is None else self._groups[inner],
            data_seed,
            self.classes,
            strata is not None,
        )
        return [{**outer, "train": inner[a], "validation": inner[b]} for a, b in found]

    def targets(self, y: Tensor, y_scaler: Scaler | None) -> np.ndarray[Any, np.dtype[Any]]:
        """Return targets as the user gave them: labels, or numbers in the units of y."""
        y = y.cpu() if y_scaler is None else y_scaler.undo(y.cpu())
        return y.numpy() if self.classes is None else self.classes[y.numpy()]

    def _prepare(self, rows: Mapping[str, Rows], device: torch.device) -> Prepared:
        parts = dict(self._given)
        X, y = self._all
        index = {name: torch.from_numpy(chosen) for name, chosen in rows.items()}
        mine = index.pop("train")
        with kept_open([X]):
            parts |= {name: Part(X[chosen], y[chosen]) for name, chosen in index.items()}
        y_scaler = Scaler.fit(y[mine]) if self._standardize_target else None

        def encode(raw: Any) -> Tensor:
            y = self._encode(raw, "X")
            return (y if y_scaler is None else y_scaler.apply(y)).to(device)

        train_X = X.part(mine, device, encode) if isinstance(X, Streamed) else X[mine]
        x_scaler = None
        if self._standardize and isinstance(train_X, Tensor):
            x_scaler = Scaler.fit(train_X)

        def place(part: Part) -> Part:
            X = part.X if x_scaler is None else x_scaler.apply(part.X)
            y = part.y if y_scaler is None else y_scaler.apply(part.y)
            return Part(X.to(device), y.to(device))

        train: Part | StreamedPart
        if isinstance(train_X, Tensor):
            train = place(Part(train_X, y[mine]))
        else:
            targets = y[mine] if y_scaler is None else y_scaler.apply(y[mine])
            train = StreamedPart(train_X, targets.to(device))
        test = place(parts["test"]) if "test" in parts else None
        valid = place(parts["validation"])
        return Prepared(train, valid, test, x_scaler, y_scaler, rows.get("validation"))


def _open(X: Any, y: Any, how: Preparation) -> tuple[Streamed, Any]:
    source = read_source(X, "X")
    if source is None:
        raise TrainingError(
            "resident=False needs X to be a map-style Dataset with a length, an IterableDataset or"
            f" a DataLoader over one, got {type(X).__name__}"
        )
    if y is not None:
        raise TrainingError("resident=False needs X to be a Dataset of (x, y); do not pass y")
    if how.standardize:
        raise TrainingError("standardize=True needs resident=True; scale the inputs in the Dataset")
    for name, value in (("validation", how.validation), ("test", how.test)):
        folds = name == "validation" and is_folds(value)
        if source.iterable and not folds and is_fraction(value, name) and value:
            none = "" if name == "validation" else ", or None for no hidden test"
            raise TrainingError(
                f"X is an IterableDataset, which cannot be split: {name} must be separate data"
                f"{none}, got the fraction {value!r}; resident=True reads all samples into memory"
            )
    return open_stream(source, how.dtype, "X")


def _explicit(value: Any, name: str) -> tuple[Any, Any]:
    if isinstance(value, (torch.utils.data.Dataset, torch.utils.data.DataLoader)):
        return value, None
    if isinstance(value, (tuple, list)) and len(value) == 2:
        return value[0], value[1]
    raise TrainingError(
        f"{name} must be a fraction of the data, a pair (X, y), a Dataset or a DataLoader, got"
        f" {type(value).__name__}"
    )
