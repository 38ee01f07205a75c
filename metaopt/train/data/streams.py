"""Inputs that are read from a Dataset when a step needs them, and never all at once."""

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

HEAD = 8  # samples of a stream that are kept for whoever wants to see some
Pairs = Generator[tuple[Tensor, Tensor], None, None]  # inputs and targets
Encode = Callable[[NDArray[Any]], Tensor]


class Streamed(ABC):
    """Stands where a tensor of inputs (n, ...) would.

    Random augmentation inside of the Dataset is drawn anew for every batch (or pass, of an
    iterable one) from a seed that depends on the batch's rows (or the pass's epoch) only, so that
    a training stays reproducible.

    Attributes:
        readers: of the Dataset.
        shape: (n, ...).
        dtype: of what is read: int64 stays, the rest becomes the trainer's.
        device: what is read lands here.

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
        """A hash of all samples of the Dataset, and of which of them are these."""
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
        """Return some samples."""

    @abstractmethod
    def part(self, rows: Tensor, device: torch.device, encode: Encode) -> Streamed:
        """Return some of the samples, to be read onto `device`.

        Args:
            rows: of the Dataset; of an iterable one all.
            device: where a training wants them.
            encode: makes the Dataset's targets what they are in training, on the device.

        """

    def _placed(self, chunk: Chunk, first: int) -> Tensor:
        """Bring inputs to the device, if they are like those of the first pass."""
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
        """Read the samples with these numbers, step by step."""
        sizes = [len(step) for step in steps]
        rows = [r.tolist() for r in torch.split(self._rows[torch.cat(list(steps)).cpu()], sizes)]
        with closing(self.readers.rows(rows)) as chunks:
            for step, chunk in zip(rows, chunks, strict=True):
                yield self._placed(chunk, step[0])

    def __getitem__(self, index: slice | Tensor) -> Tensor:
        """Read some samples at once."""
        wanted = torch.arange(len(self))[index]
        with self.readers.kept():
            # What comes from another process is a file that stays open until it is copied.
            pieces = [X.clone() for X in self.batches(torch.split(wanted, CHUNK))]
        return torch.cat(pieces)

    def part(self, rows: Tensor, device: torch.device, encode: Encode) -> StreamedRows:
        return StreamedRows(self.readers, self._rows[rows], self._like, self._digest, device)


class StreamedPasses(Streamed):
    """All samples of an iterable Dataset, in its own order; the targets come with them."""

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
        """Return some of the first samples of all."""
        return self._like[index].to(self.device)

    def part(self, rows: Tensor, device: torch.device, encode: Encode) -> StreamedPasses:
        assert len(rows) == len(self)
        return StreamedPasses(self.readers, len(self), self._like, self._digest, device, encode)

    def epoch(self, epoch: int, sizes: Sequence[int]) -> Pairs:
        """Make a pass, in batches of these sizes, which together are all samples.

        Raises:
            ReadingError: there are more or fewer samples than in the first pass, or others.

        """
        n, name = len(self), self.readers.name
        with closing(self._pairs(epoch)) as pairs:
            given = yield from regrouped(pairs, sizes)
        if given != n:
            more = "more" if given > n else f"only {given}"
            raise ReadingError(
                f"{name} must give the same number of samples in every pass, {n} as in the first"
                f" one, got {more} in epoch {epoch}"
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
    """Cut a sequence of samples anew; return how many there were, or some number that is too many.

    Args:
        pairs: inputs and targets, some at a time.
        sizes: of what is yielded, as far as the samples go.

    """
    held: deque[tuple[Tensor, Tensor]] = deque()
    wanted, total, given, taken = deque(sizes), sum(sizes), 0, 0
    for pair in pairs:
        given += len(pair[0])
        if given > total:
            break  # there may be no end to it
        held.append(pair)
        while wanted and given - taken >= wanted[0]:
            yield _taken(held, wanted[0])
            taken += wanted.popleft()
    return given


def _taken(held: deque[tuple[Tensor, Tensor]], size: int) -> tuple[Tensor, Tensor]:
    """Take the first samples away, and join them."""
    parts = []
    while size:
        X, y = held.popleft()
        if len(X) > size:
            held.appendleft((X[size:], y[size:]))
        parts.append((X[:size], y[:size]))
        size -= len(parts[-1][0])
    return torch.cat([X for X, _ in parts]), torch.cat([y for _, y in parts])


def check_alike(X: Tensor, like: Tensor, first: int, name: str) -> None:
    """Compare the inputs of a chunk, whose first has that number, with those before."""
    if X.shape[1:] != like.shape[1:]:
        raise other_shape(name, first, X.shape[1:], like.shape[1:])
    if X.dtype != like.dtype:
        raise other_type(name, first, X.dtype, like.dtype)


@contextmanager
def kept_open(streams: Iterable[object]) -> Iterator[None]:
    """Keep the processes that read these inputs, of whatever kind, until the end of a block."""
    with ExitStack() as stack:
        for readers in {X.readers for X in streams if isinstance(X, Streamed)}:
            stack.enter_context(readers.kept())
        yield
