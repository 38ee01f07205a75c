"""Reads a Dataset with PyTorch's DataLoader, and keeps worker processes between passes.

A reader is a DataLoader that makes one pass at a time. Concurrent passes (several splits in one
team, threads) have a reader each. A finished reader and its processes are used again by the next
pass. Readers are closed when the last training that uses the Dataset ends.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader, get_worker_info

from metaopt.train.data.chunks import Chunks, Passes, ReadingError, Rows, Unread
from metaopt.train.data.sources import CHUNK, Source
from metaopt.trials.failures import is_out_of_memory

T = TypeVar("T")

# Processes that several threads fork at the same time inherit each other's pipes. The parent would
# then not notice when one of them ends.
_STARTING = threading.Lock()


class Readers:
    """All readers of one Dataset.

    Args:
        source: the Dataset, and how it is read.
        dtype: of real inputs.
        name: of the data in messages.

    """

    def __init__(self, source: Source, dtype: torch.dtype, name: str) -> None:
        self.source, self.dtype, self.name = source, dtype, name
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._readers: list[_Reader] = []
        self._free: list[_Reader] = []
        self._users = 0

    def __getstate__(self) -> dict[str, Any]:
        return {"source": self.source, "dtype": self.dtype, "name": self.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep processes between passes within a block; the last block to end closes them."""
        with self._lock:
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                ending = [] if self._users else self._readers
                if ending:
                    self._readers, self._free = [], []
            for reader in ending:
                reader.close()

    def all(self) -> Chunks:
        """Yield all samples in order, in chunks; those of an iterable Dataset as in epoch 0."""
        if self.source.iterable:
            return self.epoch(0)
        n = len(self.source.dataset)
        return self.rows([list(range(k, min(k + CHUNK, n))) for k in range(0, n, CHUNK)])

    def rows(self, steps: Sequence[list[int]]) -> Chunks:
        """Yield these rows of a map-style Dataset, one chunk per step.

        Raises:
            ReadingError: a chunk cannot be read; the message gives the reason.

        """
        return self._pass(steps, 0)

    def epoch(self, epoch: int) -> Chunks:
        """Yield the samples of an iterable Dataset, in chunks; raises as `rows` does."""
        return self._pass((), epoch)

    def _pass(self, steps: Sequence[list[int]], epoch: int) -> Chunks:
        reader = self._take()
        try:
            yield from reader.read(steps, epoch)
        except BaseException:  # also GeneratorExit: processes have already begun to read the rest
            self._drop(reader)
            raise
        with self._lock:
            keep = self._users > 0 and reader in self._readers
            if keep:
                self._free.append(reader)
        if not keep:
            self._drop(reader)

    def _take(self) -> _Reader:
        with self._lock:
            if self._free:
                return self._free.pop()
            reader = _Reader(self.source, self.dtype, self.name)
            self._readers.append(reader)
            return reader

    def _drop(self, reader: _Reader) -> None:
        with self._lock, suppress(ValueError):
            self._readers.remove(reader)
        reader.close()


class _Plan:
    """Replaces the sampler: the rows of every step of the next pass."""

    steps: Sequence[list[int]] = ()

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.steps)


class _Reader:
    """A DataLoader, its worker processes, and the plan of its next pass."""

    def __init__(self, source: Source, dtype: torch.dtype, name: str) -> None:
        self._name, self._workers, self._plan = name, source.num_workers, _Plan()
        self._iterator: Any = None
        self._epoch = torch.zeros((), dtype=torch.int64)
        options: dict[str, Any] = {}
        if source.num_workers:
            self._epoch.share_memory_()  # type: ignore[no-untyped-call]
            options = {
                "prefetch_factor": source.prefetch_factor,
                "multiprocessing_context": source.context,
                "worker_init_fn": partial(_start_worker, source.worker_init_fn),
                "timeout": source.timeout,
                "persistent_workers": True,
            }
        data: Any = Rows(source.dataset, dtype, name)
        if source.iterable:
            data = Passes(source.dataset, source.chunk, dtype, name, self._epoch)
        else:
            options["sampler"] = self._plan
        self._loader: DataLoader[Any] | None = DataLoader(
            data,
            batch_size=None,
            num_workers=source.num_workers,
            collate_fn=_as_it_is,
            pin_memory=source.pin_memory and torch.cuda.is_available(),
            generator=torch.Generator(),  # else PyTorch draws a seed from the global one
            **options,
        )

    def read(self, steps: Sequence[list[int]], epoch: int) -> Chunks:
        """Make a pass; the previous one must be complete."""
        self._plan.steps = steps
        self._epoch.fill_(epoch)
        loader = self._loader
        assert loader is not None
        iterator = self._iterator = self._attempt(lambda: self._start(loader))
        while True:
            found = self._attempt(lambda: next(iterator, None))
            if found is None:
                return
            if isinstance(found, Unread):
                raise found.error()
            yield found

    def _start(self, loader: DataLoader[Any]) -> Any:
        if self._iterator is not None or not self._workers:
            return iter(loader)
        with _STARTING:
            return iter(loader)

    def _attempt(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise ReadingError(
                f"{self._name} cannot be read with num_workers={self._workers}{self._died()}:"
                f" {type(error).__name__}: {error}"
            ) from error

    def _died(self) -> str:
        """Return a reason that PyTorch's message may lack; else an empty string."""
        if self._workers and multiprocessing.current_process().daemon:
            return " (a daemon process cannot start other processes: use num_workers=0)"
        for process in getattr(self._iterator, "_workers", ()):
            process.join(0.1)
            if process.exitcode:
                return f" (a worker process died with exit code {process.exitcode})"
        return ""

    def close(self) -> None:
        """End the worker processes, even in the middle of a pass."""
        iterator, self._iterator, self._loader = self._iterator, None, None
        # Without this, processes live as long as any traceback refers to the iterator.
        shut_down = getattr(iterator, "_shutdown_workers", None)
        if shut_down is not None:
            shut_down()


def _as_it_is(found: Any) -> Any:
    return found


def _start_worker(init: Callable[[int], None] | None, worker: int) -> None:
    info: Any = get_worker_info()
    # The user's code expects its own Dataset there, as PyTorch documents.
    object.__setattr__(info, "dataset", info.dataset.dataset)
    if init is not None:
        init(worker)
