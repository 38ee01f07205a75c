"""Train teams in lockstep: all finish an epoch before a pruner decides about any trial.

In each epoch all teams train and validate, and all runs report their metric. Only then is each run
asked whether to stop, so that a pruner compares all runs at the same epoch. Then finished members
are removed. Runs may join at any time, and teams that fit each other are merged.
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
    """Train runs until they end; yield after every epoch the runs that have ended.

    Args:
        arrivals: yields the runs that start with the next epoch; asked for them after the caller
            has taken the runs that ended in the last one.
        place: groups members into new teams.

    Yields:
        The runs whose members have all ended, possibly none.

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
    """Merge each team into the first earlier team that it fits; return the teams."""
    found: list[Team] = []
    for team in teams:
        k = next((k for k, host in enumerate(found) if host.fits(team)), None)
        if k is None:
            found.append(team)
        else:
            found[k : k + 1] = found[k].join(team)
    return found


def at_once(runs: Sequence[TrainingRun]) -> Iterator[Sequence[TrainingRun]]:
    """Yield arrivals in which all runs start with the first epoch."""
    yield runs
    while not all(run.over for run in runs):
        yield []
