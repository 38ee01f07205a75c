"""Distribute the runs of a batch over devices, one thread each.

A device is named by its index in the trainer's list of devices. The device of a run depends on the
run's place in the batch and on the sizes of the runs before it, never on time. Its result does not
depend on the device, since runs share nothing but the samples, which are only read.
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
    """The work of each device for a batch so far, in multiply-additions."""

    def __init__(self) -> None:
        self._sums: defaultdict[int, float] = defaultdict(float)

    def least(self, devices: int) -> int:
        """Return the index of the device with the least work so far, the first of several."""
        return min(range(devices), key=lambda device: self._sums[device])

    def add(self, device: int, run: TrainingRun) -> None:
        """Add the work of a run to a device."""
        self._sums[device] += sum(map(effort, run.members))


def effort(member: Member) -> float:
    """Estimate the multiply-additions of a member's forward steps in all of its epochs."""
    shape = tuple(member.data.train.X.shape[1:])
    epochs = member.epochs or member.recipe.epochs
    return epochs * work(member.network, len(member.data.train.y), shape)


class DeviceThreads:
    """Advances teams; those of each device one after the other, in a thread per device."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._stopped = False

    def advance(self, teams: Sequence[Team]) -> list[Team]:
        """Have all teams train and validate one epoch; return what they became, in their order.

        Raises:
            BaseException: the first that a team raised, in the order of devices, after all
                threads have ended.

        """
        places: dict[int, list[int]] = {}
        for place, team in enumerate(teams):
            places.setdefault(team.members[0].device_index, []).append(place)
        if len(places) < 2:
            return [part for team in teams for part in team.advance()]
        found: list[list[Team]] = [[team] for team in teams]
        # A new thread would take PyTorch's number, not the one that the caller's thread has.
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
        except BaseException:  # an interrupt reaches the caller's thread only
            self._stopped = True
            raise
        for future in futures:
            future.result()
        return [part for parts in found for part in parts]

    def close(self) -> None:
        """Wait for the threads, which end after the teams that they are at."""
        self._stopped = True
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None


def _current(device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which a GPU is the thread's own, for code that names none."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
