"""Training in step: all teams finish an epoch before any trial is judged on it.

A team is an engine with its members. Every epoch all teams train and validate; then all runs
report, and only then are they asked whether to stop, so that a pruner compares all at the same
epoch; then members that have ended leave, and the programs shrink to the survivors.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from metaopt.errors import TrainingError
from metaopt.train.engine import Engine, Member
from metaopt.train.lanes import Lanes
from metaopt.train.metrics import Metric
from metaopt.train.resources import Meter, is_out_of_memory
from metaopt.train.run import Run

logger = logging.getLogger("metaopt.train")

Form = Callable[[Sequence[Member]], Engine]


class Team:
    """Members that train together.

    Args:
        members: in the order of the engine's rows.
        form: makes the engine.
        limit: makes the context in which the team computes.

    """

    def __init__(
        self,
        members: Sequence[Member],
        form: Form,
        limit: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._waiting: list[Member] | None = list(members)
        self._form, self._limit = form, limit
        self._engine: Engine | None = None

    @property
    def members(self) -> list[Member]:
        """Those who still train."""
        if self._engine is None:
            return self._waiting or []
        return self._engine.members

    def advance(self, epoch: int) -> list[Team]:
        """Train and validate one epoch; return the teams that this one became.

        A team that fails (for lack of memory, or because of one member) is halved; the halves
        begin again and come back to this epoch. A member that fails alone has failed.
        Epochs that are in the members' checkpoints are taken from there.
        """
        if all(member.over for member in self.members):
            return [self]
        try:
            with self._limit():
                if self._replay(epoch):
                    return [self]
                self._advance(epoch)
        except Exception as error:
            members = self.members
            # The traceback holds the failed attempt's tensors.
            failure = error.with_traceback(None) if is_out_of_memory(error) else error
            resumed = any(member.resumed is not None for member in members)
            if len(members) == 1 and not resumed:
                members[0].error = failure
                return [self]
            self.close()
            if resumed:
                logger.warning(
                    "%d checkpoints cannot be used, so these trainings begin again: %s: %s",
                    len(members),
                    type(error).__name__,
                    error,
                )
                return self._again(members, epoch)
            expected = isinstance(error, TrainingError) or is_out_of_memory(error)
            logger.log(
                logging.INFO if expected else logging.WARNING,
                "%d networks failed together in epoch %d and train again in halves: %s: %s",
                len(members),
                epoch,
                type(error).__name__,
                error,
            )
        else:
            return [self]
        half = len(members) // 2
        return [*self._again(members[:half], epoch), *self._again(members[half:], epoch)]

    def _again(self, members: Sequence[Member], epoch: int) -> list[Team]:
        """Train members from the beginning up to an epoch; nothing is reported twice."""
        for member in members:
            member.restart()
        if members[0].device.type == "cuda":
            torch.cuda.empty_cache()
        teams = [Team(members, self._form, self._limit)]
        for before in range(1, epoch + 1):
            teams = [part for team in teams for part in team.advance(before)]
            if before < epoch:  # who has failed on the way leaves
                teams = [part for team in teams for part in team.part(before)]
        return teams

    def _replay(self, epoch: int) -> bool:
        """Take in an epoch of the members' checkpoints instead, if it is one of those."""
        found = [m.resumed for m in self.members if m.resumed is not None]
        if not found or epoch > found[0].epoch:
            return False
        for member in self.members:
            member.replay(epoch)
        if epoch == found[0].epoch:
            self._engine = self._form(self.members)
            self._waiting = None
            self._engine.load([one.state for one in found])
            for member in self.members:
                member.resumed = None  # the state's memory is needed no more
        return True

    def _advance(self, epoch: int) -> None:
        meter = Meter(self.members[0].device)
        if self._engine is None:
            self._engine = self._form(self.members)
            self._waiting = None
        engine = self._engine
        losses = engine.train(epoch)
        for row, error in engine.errors.items():
            engine.members[row].error = error
        values = self._scores(engine)
        best = []
        for row, member in enumerate(engine.members):
            if member.error is None and member.progress.take(epoch, losses[row], values[row]):
                best.append(row)
        engine.keep(best)
        reading = meter.read()
        for member in engine.members:
            member.cost.add(reading, len(engine.members))
        for row, member in enumerate(engine.members):
            if member.keeps:
                member.keep(engine.state(row))

    def _scores(self, engine: Engine) -> list[float]:
        """Return the metric of every member; one that raises is its member's failure."""
        outputs = engine.outputs()
        return [
            _score(member, member.task.metric, o, member.data.validation.y)
            for member, o in zip(engine.members, outputs, strict=True)
        ]

    def part(self, epoch: int) -> list[Team]:
        """Let those go who have ended, their networks as they shall stay; return who goes on."""
        stay = []
        for row, member in enumerate(self.members):
            if not member.over:
                stay.append(row)
            elif self._engine is not None and member.error is None:
                self._engine.settle(row, member.progress.settle())
        if not stay:
            self.close()
            return []
        if len(stay) == len(self.members):
            return [self]
        going = [self.members[row] for row in stay]
        if self._engine is None:  # they are at epochs of their checkpoints
            self._waiting = going
            return [self]
        try:
            self._engine.select(stay)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            self.close()
        else:
            return [self]
        return self._again(going, epoch)

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()
        self._engine, self._waiting = None, None


def _score(member: Member, metric: Metric, outputs: Tensor, targets: Tensor) -> float:
    if member.error is not None:
        return float("nan")
    try:
        if member.task.precision == "fp16" and not bool(outputs.isfinite().all()):
            return float("nan")  # skipped steps hide it from the loss, and accuracy would from all
        return metric(outputs, targets)
    except Exception as error:
        member.error = error
        return float("nan")


def train_in_step(teams: Sequence[Team], runs: Sequence[Run]) -> Iterator[Run]:
    """Train all teams to their ends; yield runs when all of their members have ended."""
    alive, going, epoch, lanes = list(teams), list(runs), 0, Lanes()
    try:
        while going:
            epoch += 1
            alive = lanes.advance(alive, epoch)
            for run in going:
                run.report(epoch)
            for run in going:
                run.judge()
            alive = [part for team in alive for part in team.part(epoch)]
            ended = [run for run in going if run.over]
            going = [run for run in going if not run.over]
            yield from ended
    finally:
        lanes.close()
        for team in alive:
            team.close()
