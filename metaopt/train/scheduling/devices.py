"""Distribute the runs of a batch over devices, one thread each.

A device is identified by its index in the trainer's list of devices. The device of a run depends
on its position in the batch and on the sizes of the runs before it, never on time. Runs share
nothing but the samples, which are only read, so results do not depend on how runs are distributed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context

import torch

from metaopt.train.engines.base import Member
from metaopt.train.runtime.resources import limit_threads, work
from metaopt.train.scheduling.run import TrainingRun
from metaopt.train.scheduling.team import Team


class Loads:
    """The work assigned to each device in a batch so far, in multiply-additions."""

    def __init__(self) -> None:
        self._sums: defaultdict[int, float] = defaultdict(float)

    def least(self, devices: int) -> int:
        """Return the index, below `devices`, of the device with the least work; ties: the first."""
        return min(range(devices), key=lambda device: self._sums[device])

    def add(self, device: int, run: TrainingRun) -> None:
        """Add the work of a run to a device."""
        self._sums[device] += sum(map(effort, run.members))


def effort(member: Member) -> float:
    """Return the estimated multiply-additions of a member's forward passes in all its epochs."""
    shape = tuple(member.data.train.X.shape[1:])
    epochs = member.epochs or member.recipe.epochs
    return epochs * work(member.network, len(member.data.train.y), shape)


class DeviceThreads:
    """Trains teams by one epoch, with one thread per device."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._stopped = False

    def advance(self, teams: Sequence[Team]) -> list[Team]:
        """Train and validate one epoch of all teams; return their replacements, in their order.

        Raises:
            BaseException: the error of the first device, in the order of devices, whose team
                raised; it is raised after all threads have finished.

        """
        places: dict[int, list[int]] = {}
        for place, team in enumerate(teams):
            places.setdefault(team.members[0].device_index, []).append(place)
        if len(places) < 2:
            return [part for team in teams for part in team.advance()]
        found: list[list[Team]] = [[team] for team in teams]
        # A new thread has PyTorch's default number of threads, not that of the calling thread.
        threads = torch.get_num_threads()

        def work_off(mine: Sequence[int]) -> None:
            with limit_threads(threads), _current(teams[mine[0]].members[0].device):
                for place in mine:
                    if not self._stopped:
                        found[place] = teams[place].advance()

        pool = self._pool = self._pool or ThreadPoolExecutor(len(places), "metaopt device")
        order = sorted(places)
        futures = [pool.submit(copy_context().run, work_off, places[index]) for index in order]
        try:
            wait(futures)
        except BaseException:  # an interrupt reaches only the calling thread
            self._stopped = True
            raise
        for future in futures:
            future.result()
        return [part for parts in found for part in parts]

    def close(self) -> None:
        """Stop the threads; wait until each has finished its current team."""
        self._stopped = True
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None


def _current(device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which a GPU is the default one of the thread."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
