"""Training in lockstep: all teams finish an epoch before any trial is judged on it.

Every epoch all teams train and validate; then all runs report, and only then are they asked
whether to stop, so that a pruner compares all at the same epoch; then members that have ended
leave. Runs may join at any time, and programs that fit each other become one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from metaopt.train.engines.base import Member
from metaopt.train.scheduling.devices import DeviceThreads
from metaopt.train.scheduling.run import TrainingRun
from metaopt.train.scheduling.team import Team

Place = Callable[[Sequence[Member]], list[Team]]


def train_in_step(
    arrivals: Iterable[Sequence[TrainingRun]], place: Place
) -> Iterator[list[TrainingRun]]:
    """Train runs until they end; yield after every epoch those of which no member trains any more.

    Args:
        arrivals: the runs that begin with each epoch; asked when what ended was taken.
        place: puts members into new teams.

    """
    alive: list[Team] = []
    going: list[TrainingRun] = []
    devices = DeviceThreads()
    try:
        for starting in arrivals:
            going += starting
            alive += place([member for run in starting for member in run.members])
            alive = devices.advance(joined(alive))
            for run in going:
                run.report()
            for run in going:
                run.judge()
            alive = [part for team in alive for part in team.part()]
            ended = [run for run in going if run.over]
            going = [run for run in going if not run.over]
            yield ended
    finally:
        devices.close()
        for team in alive:
            team.close()


def joined(teams: Sequence[Team]) -> list[Team]:
    """Let every team join the first one before it that it fits."""
    found: list[Team] = []
    for team in teams:
        k = next((k for k, host in enumerate(found) if host.fits(team)), None)
        if k is None:
            found.append(team)
        else:
            found[k : k + 1] = found[k].join(team)
    return found


def at_once(runs: Sequence[TrainingRun]) -> Iterator[Sequence[TrainingRun]]:
    """Runs that all begin with the first epoch, as arrivals."""
    yield runs
    while not all(run.over for run in runs):
        yield []
