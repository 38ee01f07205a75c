"""Data sets of the caller's, and how their DataLoader, if they come in one, would read them."""

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

CHUNK = 64  # samples read at a time where no step says how many


@dataclass(frozen=True)
class Source:
    """A Dataset of (x, y), and how it is read.

    Attributes:
        dataset: map-style, with a length; or iterable.
        chunk: samples that a pass over an iterable one takes at a time, of one process; where
            several take turns, the order depends on it, so that it is the DataLoader's batch size.
        num_workers: processes that read; 0 is this one alone. This and the rest as in DataLoader.
        context: the start method of the processes.

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
        """Whether it can only be gone through, in its own order."""
        return isinstance(self.dataset, IterableDataset)


def read_source(value: Any, name: str) -> Source | None:
    """Return what a Dataset or a DataLoader says of reading; None if the value is neither.

    Raises:
        TrainingError: it has no length, or the DataLoader chooses or collates samples in a way
            that the trainer does not follow.

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
    """Return how processes are started here: a worker of a study's would start them afresh."""
    if loader.multiprocessing_context is not None:
        return str(loader.multiprocessing_context.get_start_method())
    chosen = multiprocessing.get_start_method(allow_none=True)
    return chosen or multiprocessing.get_all_start_methods()[0]


def _check_loader(loader: DataLoader[Any], name: str) -> None:
    if loader.collate_fn not in (default_collate, default_convert):
        collate = getattr(loader.collate_fn, "__name__", type(loader.collate_fn).__name__)
        raise TrainingError(
            f"{name} is a DataLoader with a collate_fn of its own ({collate}), but the trainer"
            " stacks the pairs (x, y) of the Dataset by itself: leave collate_fn out and do what"
            " it does to a sample in the Dataset's __getitem__ (or __getitems__)"
        )
    if isinstance(loader.dataset, IterableDataset):
        return  # PyTorch itself refuses samplers of these
    chooses: Any = loader.sampler if loader.batch_sampler is None else loader.batch_sampler
    if type(chooses) is BatchSampler:
        chooses = chooses.sampler
    plain = type(chooses) is SequentialSampler or (
        type(chooses) is RandomSampler and not chooses.replacement
    )
    sized: Any = loader.dataset
    if not plain or (hasattr(sized, "__len__") and len(chooses) != len(sized)):
        raise TrainingError(
            f"{name} is a DataLoader that chooses its samples by a {type(chooses).__name__}, but"
            " the trainer visits every sample once an epoch, in an order and in batches of its own"
            " (parameter 'batch_size'): leave the sampler out; for some of the samples give a"
            " torch.utils.data.Subset, for rare classes class_weights='balanced'"
        )
