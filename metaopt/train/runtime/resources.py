"""Device, threads and cost of a training run."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch import nn

from metaopt.core.errors import TrainingError

MB = 2**20

# Multiply-additions of a forward pass below which threads cost more than they save: a little on
# idle cores, up to a hundred times on busy ones (other workers), where each operation must wait.
WORTH_THREADS = 16e6


def find_device(device: str | torch.device) -> torch.device:
    """Return the device of that name; "auto" is the current CUDA device, or the CPU without one.

    Raises:
        TrainingError: the name is unknown, or the machine has no such device.

    """
    if not isinstance(device, (str, torch.device)):
        raise TrainingError(
            f"device must be 'auto', 'cpu', 'cuda', ..., or a list of devices, got {device!r}"
        )
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.device(device)
    except RuntimeError:
        raise TrainingError(
            f"device must be 'auto', 'cpu', 'cuda', 'cuda:1', ..., got {device!r}"
        ) from None
    if found.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if str(found) == "cuda":
            index = torch.cuda.current_device() if count else 0
        else:
            index = found.index
        if index >= count:
            raise TrainingError(
                f"device {device!r} was requested, but PyTorch finds {count} CUDA devices;"
                " use device='auto' to fall back to the CPU"
            )
        found = torch.device("cuda", index)
    return found


def process_memory() -> float | None:
    """Return the peak resident memory of this process, in megabytes; None if it is unknown."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MB if sys.platform == "darwin" else peak / 1024


def work(network: nn.Module, rows: int, shape: tuple[int, ...]) -> float:
    """Estimate the multiply-additions of one forward pass on `rows` samples of `shape`."""
    pixels = 1
    for side in shape[1:]:
        pixels *= side
    # The weights of a convolution are used at every pixel, those of a dense layer once.
    return float(
        rows * sum(p.numel() * (pixels if p.ndim > 2 else 1) for p in network.parameters())
    )


@cache
def _thread_pools() -> Any:
    return import_module("threadpoolctl").ThreadpoolController()  # a dependency of scikit-learn


def limit_threads(count: int | None) -> AbstractContextManager[object]:
    """Use `count` threads within PyTorch's operations in a block; None changes nothing.

    OpenMP has this number for each calling thread, so other threads of the process and the value
    of `torch.set_num_threads` do not change.
    """
    if count is None:
        return nullcontext()
    torch.get_num_threads()  # in a new thread, PyTorch sets the number at its first use only
    limit: AbstractContextManager[object] = _thread_pools().limit(limits=count, user_api="openmp")
    return limit


COSTS = ("wall_seconds", "cpu_seconds", "gpu_seconds", "memory_mb", "gpu_memory_mb")


class Meter:
    """Measures time and memory from its creation to `read()`.

    CPU seconds and memory are those of the process. They are exact with one training per process,
    as in worker processes; trainings in several threads of a process are measured together. GPU
    seconds are from the first to the last operation on the current stream of the device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._on_gpu = device.type == "cuda"
        if self._on_gpu:
            torch.cuda.init()  # type: ignore[no-untyped-call]
            torch.cuda.reset_peak_memory_stats(device)
            self._start = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            self._start.record(torch.cuda.current_stream(device))
        self._wall = time.perf_counter()
        self._cpu = time.process_time()

    def read(self) -> dict[str, float]:
        """Return seconds (wall, CPU, GPU) and peak memory in megabytes, named as in `COSTS`."""
        out: dict[str, float] = {}
        if self._on_gpu:
            end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            end.record(torch.cuda.current_stream(self._device))
            end.synchronize()
            out["gpu_seconds"] = self._start.elapsed_time(end) / 1e3
            out["gpu_memory_mb"] = torch.cuda.max_memory_allocated(self._device) / MB
        out["wall_seconds"] = time.perf_counter() - self._wall
        out["cpu_seconds"] = time.process_time() - self._cpu
        memory = process_memory()
        return out if memory is None else {**out, "memory_mb": memory}


class Cost:
    """The cost of training one network; members that train together have equal shares."""

    def __init__(self) -> None:
        self._total: dict[str, float] = {}

    def add(self, reading: Mapping[str, float], members: int = 1) -> None:
        """Add a reading of `Meter.read` for `members` networks: a share of seconds, full peaks."""
        for name, value in reading.items():
            before = self._total.get(name, 0.0)
            together = before + value / members
            self._total[name] = together if name.endswith("seconds") else max(before, value)

    def read(self) -> dict[str, float]:
        """Return the totals so far, named as in `COSTS`."""
        return dict(self._total)
