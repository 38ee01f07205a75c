"""Datasets of the user, and the settings for reading them of their DataLoader, if any."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    default_collate,
    default_convert,
)

from metaopt.core.errors import TrainingError

CHUNK = 64  # samples read at a time where no batch size is given


@dataclass(frozen=True)
class Source:
    """A Dataset of (x, y), and how it is read.

    Attributes:
        dataset: map-style, with a length; or iterable.
        chunk: samples that one process reads at a time from an iterable Dataset. With several
            processes, which take turns, the order of samples depends on it; it is then the batch
            size of the DataLoader.
        num_workers: number of processes that read; 0 reads in this process.
        context: start method of the processes.
        prefetch_factor, worker_init_fn, timeout, pin_memory: as in PyTorch's DataLoader.

    """

    dataset: Any
    chunk: int = CHUNK
    num_workers: int = 0
    prefetch_factor: int | None = None
    context: str | None = None
    worker_init_fn: Callable[[int], None] | None = None
    timeout: float = 0
    pin_memory: bool = False

    @property
    def iterable(self) -> bool:
        """Whether it can only be iterated over, in its own order."""
        return isinstance(self.dataset, IterableDataset)


def read_source(value: Any, name: str) -> Source | None:
    """Return how to read a Dataset or DataLoader; None if the value is neither.

    Raises:
        TrainingError: a map-style Dataset has no length, or the DataLoader has a sampler or
            `collate_fn` that the trainer does not support.

    """
    if isinstance(value, DataLoader):
        _check_loader(value, name)
        source = Source(
            value.dataset,
            chunk=(value.batch_size or CHUNK) if value.num_workers > 1 else CHUNK,
            num_workers=value.num_workers,
            prefetch_factor=value.prefetch_factor,
            context=_start_method(value) if value.num_workers else None,
            worker_init_fn=value.worker_init_fn,
            timeout=value.timeout,
            pin_memory=value.pin_memory,
        )
    elif isinstance(value, Dataset):
        source = Source(value)
    else:
        return None
    if not source.iterable and not hasattr(source.dataset, "__len__"):
        raise TrainingError(
            f"{name} must be a map-style Dataset with a length or an IterableDataset, got"
            f" {type(source.dataset).__name__}, which is neither"
        )
    return source


def _start_method(loader: DataLoader[Any]) -> str:
    """Return the start method of this process; workers of a study have another default."""
    if loader.multiprocessing_context is not None:
        return str(loader.multiprocessing_context.get_start_method())
    chosen = multiprocessing.get_start_method(allow_none=True)
    return chosen or multiprocessing.get_all_start_methods()[0]


def _check_loader(loader: DataLoader[Any], name: str) -> None:
    if loader.collate_fn not in (default_collate, default_convert):
        collate = getattr(loader.collate_fn, "__name__", type(loader.collate_fn).__name__)
        raise TrainingError(
            f"{name} is a DataLoader with a custom collate_fn ({collate}), but the trainer stacks"
            " the pairs (x, y) of the Dataset itself: remove collate_fn and process samples in the"
            " Dataset's __getitem__ (or __getitems__)"
        )
    if isinstance(loader.dataset, IterableDataset):
        return  # PyTorch itself refuses a sampler for these
    chooses: Any = loader.sampler if loader.batch_sampler is None else loader.batch_sampler
    if type(chooses) is BatchSampler:
        chooses = chooses.sampler
    plain = type(chooses) is SequentialSampler or (
        type(chooses) is RandomSampler and not chooses.replacement
    )
    sized: Any = loader.dataset
    if not plain or (hasattr(sized, "__len__") and len(chooses) != len(sized)):
        raise TrainingError(
            f"{name} is a DataLoader that chooses its samples with a {type(chooses).__name__}, but"
            " the trainer visits every sample once per epoch, in its own order and batches"
            " (parameter 'batch_size'): remove the sampler; to use only some samples, pass a"
            " torch.utils.data.Subset; for rare classes, use class_weights='balanced'"
        )
