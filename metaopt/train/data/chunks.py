"""Code that reads samples, in this process or in the worker processes of a DataLoader.

A chunk is a few samples that are read together, stacked and checked: X (B, ...) and y (B, ...).
Exceptions are passed on as values, so that messages are the same in every process.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from metaopt.core.errors import TrainingError
from metaopt.core.seeds import derive
from metaopt.train.runtime.global_rng import GlobalNoise
from metaopt.trials.failures import is_out_of_memory

T = TypeVar("T")


class ReadingError(TrainingError):
    """Samples cannot be read; the trials that train on them fail."""


def is_reading_error(error: BaseException) -> bool:
    """Whether an exception says that samples cannot be read.

    PyTorch's signal handler raises its own exception when a DataLoader's process dies. It comes
    wherever the main thread is at that moment, which need not be where samples are read.
    """
    died = isinstance(error, RuntimeError) and str(error).startswith("DataLoader worker (pid")
    return died or isinstance(error, ReadingError)


class Chunk(NamedTuple):
    """A few samples: inputs (B, ...) and targets (B, ...) as the Dataset gives them."""

    X: Tensor
    y: NDArray[Any]


Chunks = Generator[Chunk, None, None]


@dataclass(frozen=True)
class Unread:
    """A failure to read samples, as a value that can be sent to another process.

    Attributes:
        reason: the message.
        trace: the traceback of the exception that the Dataset raised, if it raised one.

    """

    reason: str
    trace: str = ""

    def error(self) -> ReadingError:
        """Return the exception to raise."""
        error = ReadingError(self.reason)
        if self.trace:
            error.add_note(self.trace)
        return error


class Rows(Dataset[Any]):
    """Reads rows of a map-style Dataset; the index is a list of row numbers.

    Random numbers that the Dataset draws from global generators depend on this list only. The
    state of these generators is restored afterwards.
    """

    def __init__(self, dataset: Any, dtype: torch.dtype, name: str) -> None:
        self.dataset, self._dtype, self._name = dataset, dtype, name

    def __getitem__(self, rows: list[int]) -> Chunk | Unread:
        return _attempt(lambda: self._read(rows), self._name)

    def _read(self, rows: list[int]) -> Chunk:
        with GlobalNoise(derive(0, "samples", *rows)):
            whole = getattr(self.dataset, "__getitems__", None)  # PyTorch's protocol for batches
            items = (
                list(whole(list(rows))) if callable(whole) else [self.dataset[row] for row in rows]
            )
        if len(items) != len(rows):
            raise ReadingError(
                f"{self._name}.__getitems__ must return {len(rows)} samples for as many indices,"
                f" got {len(items)}"
            )
        return stacked(items, rows, self._dtype, self._name)


class Passes(IterableDataset[Any]):
    """Passes over an IterableDataset, a few samples at a time.

    Args:
        dataset: the Dataset; if it has a method ``set_epoch(epoch)``, it is called.
        size: samples per chunk.
        dtype: of real inputs.
        name: of the data in messages.
        epoch: of the next pass, a tensor of shape (), in shared memory if other processes read.

    """

    def __init__(
        self, dataset: Any, size: int, dtype: torch.dtype, name: str, epoch: Tensor
    ) -> None:
        self.dataset, self._size, self._dtype = dataset, size, dtype
        self._name, self._epoch = name, epoch

    def __iter__(self) -> Iterator[Chunk | Unread]:
        # A generator, because a worker of PyTorch ends without a message if `iter` raises.
        epoch, info = int(self._epoch), get_worker_info()
        noise = GlobalNoise(derive(0, "pass", epoch, 0 if info is None else info.id))
        samples: Iterator[Any] | None = None
        start = 0

        def read() -> Chunk | None:
            nonlocal samples
            with noise:
                samples = self._begin(epoch) if samples is None else samples
                items = list(islice(samples, self._size))
            rows = range(start, start + len(items))
            return stacked(items, rows, self._dtype, self._name) if items else None

        while True:
            found = _attempt(read, self._name)
            if found is None:
                return
            yield found
            if isinstance(found, Unread):
                return
            start += len(found.y)

    def _begin(self, epoch: int) -> Iterator[Any]:
        set_epoch = getattr(self.dataset, "set_epoch", None)
        if callable(set_epoch):
            set_epoch(epoch)
        return iter(self.dataset)


def _attempt(read: Callable[[], T], name: str) -> T | Unread:
    try:
        return read()
    except ReadingError as error:
        return Unread(str(error))
    except Exception as error:
        if is_out_of_memory(error):
            raise
        reason = f"{name} cannot be read: {type(error).__name__}: {error}"
        return Unread(reason, "".join(traceback.format_exception(error)))


def stacked(items: Sequence[Any], rows: Sequence[int], dtype: torch.dtype, name: str) -> Chunk:
    """Check and stack one or more samples; int64 inputs stay, others become `dtype`.

    Raises:
        ReadingError: a sample is not a pair, its inputs are not finite numbers, or it has another
            shape or type than the first one.

    """
    raw = [_raw(item, row, name) for item, row in zip(items, rows, strict=True)]
    kind = torch.int64 if raw[0].dtype == np.int64 else dtype
    for x, row in zip(raw, rows, strict=True):
        if x.shape != raw[0].shape:
            raise other_shape(name, row, x.shape, raw[0].shape)
        if (x.dtype == np.int64) != (kind == torch.int64):
            raise other_type(name, row, x.dtype, kind)
    targets = [np.asarray(item[1]) for item in items]
    shapes = {y.shape for y in targets}
    if len(shapes) > 1:
        raise ReadingError(f"{name} must give targets of one shape, got {sorted(shapes)[:3]}")
    together = np.stack(raw)  # a copy: writable, without negative strides
    given = torch.from_numpy(together.astype(together.dtype.newbyteorder("="), copy=False))
    X = given.to(kind)
    bad = _first_bad(X)
    if bad is not None:
        if _first_bad(given[bad : bad + 1]) is None:
            raise ReadingError(f"{name} holds numbers that overflow {kind}, in sample {rows[bad]}")
        raise ReadingError(f"{name} must be finite; the first bad sample is {rows[bad]}")
    return Chunk(X, np.stack(targets))


def _first_bad(X: Tensor) -> int | None:
    if not X.is_floating_point():
        return None
    finite = torch.isfinite(X)
    return None if bool(finite.all()) else int(finite.reshape(len(X), -1).all(1).int().argmin())


def other_shape(name: str, row: int, found: Sequence[int], before: Sequence[int]) -> ReadingError:
    """Return the error for an input whose shape differs from those before."""
    return ReadingError(
        f"{name} must give inputs of one shape, got {tuple(found)} in sample {row} and"
        f" {tuple(before)} before"
    )


def other_type(name: str, row: int, found: object, before: object) -> ReadingError:
    """Return the error for inputs of which only some are int64."""
    return ReadingError(
        f"{name} must give inputs of one type, got {found} in sample {row} and {before} before;"
        " int64 inputs are treated as token indices"
    )


def _raw(item: Any, row: int, name: str) -> NDArray[Any]:
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise ReadingError(
            f"{name} must give pairs (x, y), got {type(item).__name__} for sample {row}"
        )
    array = np.asarray(item[0])
    if array.dtype.kind not in "biuf":
        raise ReadingError(f"{name} must hold numbers, got {array.dtype} in sample {row}")
    return array
