"""Inputs that are read from a Dataset when a step needs them, and never all at once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from metaopt.errors import TrainingError
from metaopt.seeds import derive
from metaopt.train.noise import Noise


class Streamed:
    """Stands where a tensor of inputs (n, ...) would, of which rows are taken.

    Random augmentation inside of the Dataset is drawn anew for every batch, from a seed that
    depends on the batch's rows only, so that a training stays reproducible.

    Attributes:
        shape: (n, ...).
        dtype: of what is read: int64 stays, the rest becomes the trainer's.
        device: what is read lands here.
        digest: a hash of all samples of the Dataset, and of which of them are these.

    """

    def __init__(
        self,
        dataset: Any,
        rows: Tensor,
        sample: tuple[int, ...],
        dtype: torch.dtype,
        digest: str,
        name: str,
        device: torch.device | None = None,
    ) -> None:
        self._dataset, self._rows, self._sample, self._name = dataset, rows, sample, name
        self.shape = torch.Size((len(rows), *sample))
        self.dtype, self.device = dtype, device or torch.device("cpu")
        self._digest = digest

    @property
    def digest(self) -> str:
        rows: Any = self._rows.numpy()
        return hashlib.blake2b(self._digest.encode() + rows.tobytes(), digest_size=16).hexdigest()

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        return len(self._rows)

    def numel(self) -> int:
        return prod(self.shape)

    def element_size(self) -> int:
        return torch.empty((), dtype=self.dtype).element_size()

    def is_floating_point(self) -> bool:
        return self.dtype.is_floating_point

    def __getitem__(self, index: int | slice | Tensor) -> Tensor:
        """Read some samples."""
        rows = self._rows[index]
        X = self._read(rows.reshape(-1).tolist()).to(self.device)
        return X[0] if rows.ndim == 0 else X

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """Read the samples with these numbers; `dim` is 0, as a tensor's method wants it."""
        assert dim == 0
        return self[index.cpu()]

    def part(self, rows: Tensor, device: torch.device) -> Streamed:
        """Return some of the samples, to be read onto `device`."""
        return Streamed(
            self._dataset, self._rows[rows], self._sample, self.dtype, self._digest, self._name,
            device,
        )  # fmt: skip

    def _read(self, rows: list[int]) -> Tensor:
        with Noise(derive(0, "samples", *rows)):
            items = _items(self._dataset, rows)
        pairs = zip(rows, items, strict=True)
        return torch.stack([_input(item, row, self._sample, self.dtype, self._name)
                            for row, item in pairs])  # fmt: skip


def open_stream(dataset: Any, dtype: torch.dtype, name: str) -> tuple[Streamed, NDArray[Any]]:
    """Go once through a map-style Dataset of (x, y); keep the targets and check all inputs.

    Raises:
        TrainingError: it is no such Dataset, or a sample is no pair, of another shape than the
            first, of other than numbers, or not finite.

    """
    if not isinstance(dataset, Dataset) or not hasattr(dataset, "__len__"):
        raise TrainingError(
            f"resident=False needs {name} to be a map-style Dataset with a length, got"
            f" {type(dataset).__name__}; its batches are read by the trainer, not by a DataLoader"
        )
    n, targets = len(dataset), []
    if n == 0:
        raise TrainingError(f"{name} is empty")
    hashed = hashlib.blake2b(digest_size=16)
    sample: tuple[int, ...] | None = None
    kind = dtype
    with Noise(0):
        for row in range(n):
            (item,) = _items(dataset, [row])
            if sample is None:
                x = _raw(item, row, name)
                sample, kind = tuple(x.shape), x.dtype if x.dtype == torch.int64 else dtype
            raw: Any = _input(item, row, sample, kind, name).contiguous()
            hashed.update(raw.reshape(-1).view(torch.uint8).numpy())
            targets.append(np.asarray(item[1]))
    assert sample is not None
    shapes = {y.shape for y in targets}
    if len(shapes) > 1:
        raise TrainingError(f"{name} must give targets of one shape, got {sorted(shapes)[:3]}")
    stream = Streamed(dataset, torch.arange(n), sample, kind, hashed.hexdigest(), name)
    return stream, np.stack(targets)


def _items(dataset: Any, rows: Sequence[int]) -> list[Any]:
    whole = getattr(dataset, "__getitems__", None)  # PyTorch's protocol for reading a batch
    return list(whole(list(rows))) if callable(whole) else [dataset[row] for row in rows]


def _raw(item: Any, row: int, name: str) -> Tensor:
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise TrainingError(
            f"{name} must give pairs (x, y), got {type(item).__name__} for sample {row}"
        )
    array = np.asarray(item[0]).copy(order="C")  # writable, without negative strides
    if array.dtype.kind not in "biuf":
        raise TrainingError(f"{name} must hold numbers, got {array.dtype} in sample {row}")
    return torch.from_numpy(array)


def _input(item: Any, row: int, sample: tuple[int, ...], dtype: torch.dtype, name: str) -> Tensor:
    x = _raw(item, row, name)
    if tuple(x.shape) != sample:
        raise TrainingError(
            f"{name} must give inputs of one shape, got {tuple(x.shape)} in sample {row} and"
            f" {sample} before"
        )
    if x.is_floating_point() and not bool(torch.isfinite(x).all()):
        raise TrainingError(f"{name} must be finite; the first bad sample is {row}")
    x = x.to(dtype)
    if x.is_floating_point() and not bool(torch.isfinite(x).all()):
        raise TrainingError(f"{name} holds numbers that overflow {dtype}, in sample {row}")
    return x
