"""Inputs that are read from a Dataset when a step needs them, never all at once."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from math import prod
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from metaopt.core.errors import TrainingError
from metaopt.train.data.chunks import Chunk, ReadingError, other_shape, other_type
from metaopt.train.data.sources import CHUNK
from metaopt.train.data.workers import Readers

Pairs = Generator[tuple[Tensor, Tensor], None, None]  # inputs and targets
Encode = Callable[[NDArray[Any]], Tensor]


class Streamed(ABC):
    """Replaces a tensor of inputs (n, ...).

    Random augmentation inside the Dataset is drawn again for every batch of a map-style Dataset,
    with a seed that depends on the rows only, and for every pass over an iterable Dataset, with a
    seed that depends on the epoch only. So training stays reproducible.

    Attributes:
        readers: the readers of the Dataset.
        shape: (n, ...).
        dtype: of the inputs: int64 stays, others have the dtype of the trainer.
        device: of the inputs that are returned.

    """

    def __init__(
        self, readers: Readers, n: int, like: Tensor, digest: str, device: torch.device | None
    ) -> None:
        self.readers = readers
        self.shape = torch.Size((n, *like.shape[1:]))
        self.dtype, self.device = like.dtype, device or torch.device("cpu")
        self._like, self._digest = like, digest

    @property
    def digest(self) -> str:
        """A hash of all samples of the Dataset, and of the selection of rows."""
        return self._digest

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def numel(self) -> int:
        return prod(self.shape)

    def element_size(self) -> int:
        return torch.empty((), dtype=self.dtype).element_size()

    def is_floating_point(self) -> bool:
        return self.dtype.is_floating_point

    @abstractmethod
    def __getitem__(self, index: slice | Tensor) -> Tensor:
        """Return the inputs of some samples."""

    @abstractmethod
    def part(self, rows: Tensor, device: torch.device, encode: Encode) -> Streamed:
        """Return a stream of some of the samples, on `device`.

        Args:
            rows: row numbers of the Dataset; all rows for an iterable Dataset.
            device: on which training needs the inputs.
            encode: converts targets of the Dataset to those of training, on the device.

        """

    def _placed(self, chunk: Chunk, first: int) -> Tensor:
        """Move inputs to the device; refuse them if they differ in shape or type from the first."""
        check_alike(chunk.X, self._like, first, self.readers.name)
        return chunk.X.to(self.device, non_blocking=chunk.X.is_pinned())


class StreamedRows(Streamed):
    """Some samples of a map-style Dataset, in any order."""

    def __init__(
        self,
        readers: Readers,
        rows: Tensor,
        like: Tensor,
        digest: str,
        device: torch.device | None = None,
    ) -> None:
        super().__init__(readers, len(rows), like, digest, device)
        self._rows = rows

    @property
    def digest(self) -> str:
        rows: Any = self._rows.numpy()
        return hashlib.blake2b(self._digest.encode() + rows.tobytes(), digest_size=16).hexdigest()

    def batches(self, steps: Sequence[Tensor]) -> Generator[Tensor, None, None]:
        """Yield the inputs of each step, whose samples are given by number."""
        sizes = [len(step) for step in steps]
        rows = [r.tolist() for r in torch.split(self._rows[torch.cat(list(steps)).cpu()], sizes)]
        with closing(self.readers.rows(rows)) as chunks:
            for step, chunk in zip(rows, chunks, strict=True):
                yield self._placed(chunk, step[0])

    def __getitem__(self, index: slice | Tensor) -> Tensor:
        """Return the inputs of some samples as one tensor."""
        wanted = torch.arange(len(self))[index]
        with self.readers.kept():
            # A tensor from another process keeps a file open until it is copied.
            pieces = [X.clone() for X in self.batches(torch.split(wanted, CHUNK))]
        return torch.cat(pieces)

    def part(self, rows: Tensor, device: torch.device, encode: Encode) -> StreamedRows:
        return StreamedRows(self.readers, self._rows[rows], self._like, self._digest, device)


class StreamedPasses(Streamed):
    """All samples of an iterable Dataset, in its own order; targets are read with the inputs."""

    def __init__(
        self,
        readers: Readers,
        n: int,
        like: Tensor,
        digest: str,
        device: torch.device | None = None,
        encode: Encode = torch.from_numpy,
    ) -> None:
        super().__init__(readers, n, like, digest, device)
        self._encode = encode

    def __getitem__(self, index: slice | Tensor) -> Tensor:
        """Return the inputs of some of the samples that are kept as an example."""
        return self._like[index].to(self.device)

    def part(self, rows: Tensor, device: torch.device, encode: Encode) -> StreamedPasses:
        assert len(rows) == len(self)
        return StreamedPasses(self.readers, len(self), self._like, self._digest, device, encode)

    def epoch(self, epoch: int, sizes: Sequence[int]) -> Pairs:
        """Pass over the Dataset and yield batches of these sizes, which sum up to n.

        Raises:
            ReadingError: the number, shape or type of samples differs from the first pass, or a
                target cannot be encoded.

        """
        n, name = len(self), self.readers.name
        with closing(self._pairs(epoch)) as pairs:
            given = yield from regrouped(pairs, sizes)
        if given != n:
            more = "more" if given > n else f"only {given}"
            raise ReadingError(
                f"{name} must give the same number of samples in every pass, {n} as in the first"
                f" pass, got {more} in epoch {epoch}"
            )

    def _pairs(self, epoch: int) -> Pairs:
        first = 0
        with closing(self.readers.epoch(epoch)) as chunks:
            for chunk in chunks:
                X = self._placed(chunk, first)
                try:
                    y = self._encode(chunk.y)
                except TrainingError as error:
                    raise ReadingError(f"{error}, in epoch {epoch}") from error
                yield X, y
                first += len(X)


def regrouped(
    pairs: Iterable[tuple[Tensor, Tensor]], sizes: Sequence[int]
) -> Generator[tuple[Tensor, Tensor], None, int]:
    """Yield the samples again in batches of other sizes.

    Args:
        pairs: inputs and targets, a few samples at a time.
        sizes: number of samples in each batch that is yielded.

    Returns:
        The number of samples. Reading stops once there are more than `sizes` sum up to; the
        number is then only known to be too large.

    """
    held: deque[tuple[Tensor, Tensor]] = deque()
    wanted, total, given, taken = deque(sizes), sum(sizes), 0, 0
    for pair in pairs:
        given += len(pair[0])
        if given > total:
            break  # the stream may be infinite
        held.append(pair)
        while wanted and given - taken >= wanted[0]:
            yield _taken(held, wanted[0])
            taken += wanted.popleft()
    return given


def _taken(held: deque[tuple[Tensor, Tensor]], size: int) -> tuple[Tensor, Tensor]:
    """Remove the first `size` samples from the queue and join them."""
    parts = []
    while size:
        X, y = held.popleft()
        if len(X) > size:
            held.appendleft((X[size:], y[size:]))
        parts.append((X[:size], y[:size]))
        size -= len(parts[-1][0])
    return torch.cat([X for X, _ in parts]), torch.cat([y for _, y in parts])


def check_alike(X: Tensor, like: Tensor, first: int, name: str) -> None:
    """Refuse a chunk whose inputs differ in shape or type from those before.

    Args:
        X: inputs of the chunk.
        like: inputs before it.
        first: number of the first sample of the chunk.
        name: of the data in messages.

    Raises:
        ReadingError: shape or type differ.

    """
    if X.shape[1:] != like.shape[1:]:
        raise other_shape(name, first, X.shape[1:], like.shape[1:])
    if X.dtype != like.dtype:
        raise other_type(name, first, X.dtype, like.dtype)


@contextmanager
def kept_open(streams: Iterable[object]) -> Iterator[None]:
    """Keep the worker processes that read these inputs, if any, until the end of a block."""
    with ExitStack() as stack:
        for readers in {X.readers for X in streams if isinstance(X, Streamed)}:
            stack.enter_context(readers.kept())
        yield
