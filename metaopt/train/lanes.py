"""Several devices at work for one batch: which run goes where, and a thread for each.

A lane is a place in the trainer's list of devices, counted from 0. Where a run goes depends on its
place in the batch and on the sizes of those before it, never on time; what comes of it does not
depend on where it went, for runs share nothing but the samples, which are only read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from typing import TYPE_CHECKING

import torch

from metaopt.train.engine import Member
from metaopt.train.resources import limit_threads, work
from metaopt.train.run import Run

if TYPE_CHECKING:
    from metaopt.train.team import Team


class Loads:
    """What the lanes have to do for a batch, in multiply-additions, as far as it is known."""

    def __init__(self) -> None:
        self._sums: defaultdict[int, float] = defaultdict(float)

    def least(self, lanes: int) -> int:
        """Return the lane with the least to do so far, the first of several."""
        return min(range(lanes), key=lambda lane: self._sums[lane])

    def add(self, lane: int, run: Run) -> None:
        """Take in that a run goes there."""
        self._sums[lane] += sum(map(effort, run.members))


def effort(member: Member) -> float:
    """Estimate the multiply-additions of a member's forward steps in all of its epochs."""
    shape = tuple(member.data.train.X.shape[1:])
    epochs = member.epochs or member.recipe.epochs
    return epochs * work(member.network, len(member.data.train.y), shape)


class Lanes:
    """Advances teams, those of each lane one after the other in a thread of its own."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._stopped = False

    def advance(self, teams: Sequence[Team]) -> list[Team]:
        """Have all teams train and validate one epoch; return what they became, in their order.

        Raises:
            BaseException: the first that a team raised, in the order of lanes, after all lanes
                have come to their ends.

        """
        places: dict[int, list[int]] = {}
        for place, team in enumerate(teams):
            places.setdefault(team.members[0].lane, []).append(place)
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

        pool = self._pool = self._pool or ThreadPoolExecutor(len(places), "metaopt lane")
        order = sorted(places)
        futures = [pool.submit(copy_context().run, work_off, places[lane]) for lane in order]
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
