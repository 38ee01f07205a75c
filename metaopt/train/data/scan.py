"""First pass over a Dataset: checks all inputs and keeps the targets, and inputs if needed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metaopt.core.errors import TrainingError
from metaopt.train.data.chunks import Chunk, Chunks
from metaopt.train.data.sources import Source
from metaopt.train.data.streams import Streamed, StreamedPasses, StreamedRows, check_alike
from metaopt.train.data.workers import Readers

HEAD = 8  # samples of a stream that are kept as an example


def open_stream(source: Source, dtype: torch.dtype, name: str) -> tuple[Streamed, NDArray[Any]]:
    """Pass once over a Dataset of (x, y): check all inputs, and return a stream and the targets.

    Raises:
        TrainingError: the Dataset is empty or cannot be read, or a sample is not a pair, does not
            have the shape of the first one, or does not hold finite numbers.

    """
    readers = Readers(source, dtype, name)
    hashed = hashlib.blake2b(digest_size=16)
    targets, first = [], []
    n = 0
    for chunk in checked(readers):
        raw: Any = chunk.X.contiguous().reshape(-1).view(torch.uint8).numpy()
        hashed.update(raw)
        targets.append(chunk.y)
        if n < HEAD:
            first.append(chunk.X[: HEAD - n].clone())
        n += len(chunk.y)
    like, digest = torch.cat(first), hashed.hexdigest()
    stream: Streamed
    if source.iterable:
        stream = StreamedPasses(readers, n, like, digest)
    else:
        stream = StreamedRows(readers, torch.arange(n), like, digest)
    return stream, joined(targets, name)


def read_all(source: Source, dtype: torch.dtype, name: str) -> tuple[Tensor, NDArray[Any]]:
    """Return all inputs and targets of a Dataset; raises as `open_stream` does."""
    # A tensor from another process keeps a file open until it is copied.
    chunks = [Chunk(X.clone(), y) for X, y in checked(Readers(source, dtype, name))]
    return torch.cat([X for X, _ in chunks]), joined([y for _, y in chunks], name)


def checked(readers: Readers) -> Chunks:
    """Yield all samples once; inputs have one shape and type, and there is at least one.

    Raises:
        TrainingError: inputs differ in shape or type, or there are none.

    """
    like: Tensor | None = None
    first = 0
    with readers.kept(), closing(readers.all()) as chunks:
        for chunk in chunks:
            like = chunk.X if like is None else like
            check_alike(chunk.X, like, first, readers.name)
            yield chunk
            first += len(chunk.y)
    if like is None:
        raise TrainingError(f"{readers.name} is empty")


def joined(targets: Sequence[NDArray[Any]], name: str) -> NDArray[Any]:
    """Join the targets of chunks.

    Raises:
        TrainingError: their shapes differ.

    """
    shapes = {y.shape[1:] for y in targets}
    if len(shapes) > 1:
        raise TrainingError(f"{name} must give targets of one shape, got {sorted(shapes)[:3]}")
    return np.concatenate(list(targets))
