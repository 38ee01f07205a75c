"""A team: members that one engine trains and validates together, one epoch at a time.

Members that have ended are removed, and the batch shrinks. New members may join between two
epochs; each member counts its own epochs. A team that runs out of memory is split into halves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from metaopt.core.errors import TrainingError
from metaopt.train.data.chunks import is_reading_error
from metaopt.train.engines.base import Engine, Member
from metaopt.train.runtime.resources import Meter
from metaopt.train.settings.metrics import Metric
from metaopt.trials.failures import is_out_of_memory

logger = logging.getLogger("metaopt.train")

Form = Callable[[Sequence[Member]], Engine]


class Team:
    """Members that are trained together by one engine.

    Args:
        members: in the order of the engine's rows.
        form: creates the engine.
        limit: returns the context in which the team computes (number of threads).
        key: teams with equal keys may be merged; None never is.
        most: largest number of members after a merge.

    """

    def __init__(
        self,
        members: Sequence[Member],
        form: Form,
        limit: Callable[[], AbstractContextManager[object]] = nullcontext,
        key: Hashable | None = None,
        most: int = 1,
    ) -> None:
        self._waiting: list[Member] | None = list(members)
        self._form, self._limit = form, limit
        self._key, self._most = key, most
        self._engine: Engine | None = None

    @property
    def members(self) -> list[Member]:
        """The members in this team, in the order of the rows."""
        if self._engine is None:
            return self._waiting or []
        return self._engine.members

    def advance(self) -> list[Team]:
        """Train and validate one epoch; return the teams that replace this one.

        A team that fails (out of memory, or because of one member) is split into halves, which
        are trained again from the start up to this epoch. If a team of one member fails, the
        member has failed. Epochs that the members' checkpoints contain are not trained.
        """
        if all(member.over for member in self.members):
            return [self]
        ages = {member: member.epoch + 1 for member in self.members}
        try:
            with self._limit():
                if not self._replay():
                    self._advance()
        except Exception as error:
            members = self.members
            # The traceback would keep the tensors of the failed attempt in memory.
            failure = error.with_traceback(None) if is_out_of_memory(error) else error
            if is_reading_error(error):  # no member is the cause, so halves would fail, too
                for member in members:
                    member.error = error
                return [self]
            resumed = any(member.resumed is not None for member in members)
            if len(members) == 1 and not resumed:
                members[0].error = failure
                return [self]
            self.close()
            if resumed:
                logger.warning(
                    "%d checkpoints cannot be used, so training starts from epoch 1: %s: %s",
                    len(members),
                    type(error).__name__,
                    error,
                )
                return self._again(members, ages, self._most)
            expected = isinstance(error, TrainingError) or is_out_of_memory(error)
            logger.log(
                logging.INFO if expected else logging.WARNING,
                "%d networks failed together in epoch %d and train again in halves: %s: %s",
                len(members),
                max(ages.values()),
                type(error).__name__,
                error,
            )
        else:
            return [self]
        half = len(members) // 2
        halves = members[:half], members[half:]
        return [team for part in halves for team in self._again(part, ages, len(part))]

    def _again(
        self, members: Sequence[Member], ages: Mapping[Member, int], most: int
    ) -> list[Team]:
        """Train members again from the start up to their epochs in `ages`, without new reports."""
        for member in members:
            member.restart()
        if members[0].device.type == "cuda":
            torch.cuda.empty_cache()
        found = []
        for age in sorted({ages[member] for member in members}):
            group = [member for member in members if ages[member] == age]
            teams = [Team(group, self._form, self._limit, self._key, most)]
            for before in range(1, age + 1):
                teams = [part for team in teams for part in team.advance()]
                if before < age:  # members that have failed on the way are removed
                    teams = [part for team in teams for part in team.part()]
            found += teams
        return found

    def fits(self, other: Team) -> bool:
        """Whether the members of another team may join this one between two epochs."""
        if self._engine is None or not self._engine.admits or self._key is None:
            return False
        if other._key != self._key or any(m.resumed is not None for m in other.members):
            return False
        return len(self.members) + len(other.members) <= min(self._most, other._most)

    def join(self, other: Team) -> list[Team]:
        """Add the members of another team that `fits`; return the teams that replace the two.

        If memory runs out, this team is trained again and the other one stays as it was.
        """
        mine, theirs, members, new = self._engine, other._engine, self.members, other.members
        assert mine is not None
        try:
            with self._limit():
                states = [None if theirs is None else theirs.state(k) for k in range(len(new))]
                mine.admit(new, states)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            self.close()
        else:
            other.close()
            return [self]
        ages = {member: member.epoch for member in members}
        return [*self._again(members, ages, len(members)), other]

    def _replay(self) -> bool:
        """Take the next epoch from the checkpoints if they contain it; return whether they do."""
        found = [m.resumed for m in self.members if m.resumed is not None]
        epoch = self.members[0].epoch + 1
        if not found or epoch > found[0].epoch:
            return False
        for member in self.members:
            member.replay(epoch)
        if epoch == found[0].epoch:
            self._engine = self._form(self.members)
            self._waiting = None
            self._engine.load([one.state for one in found])
            for member in self.members:
                member.resumed = None  # releases the memory of its state
        return True

    def _advance(self) -> None:
        meter = Meter(self.members[0].device)
        if self._engine is None:
            self._engine = self._form(self.members)
            self._waiting = None
        engine = self._engine
        epochs = [member.epoch + 1 for member in engine.members]
        losses = engine.train(epochs[0])
        for row, error in engine.errors.items():
            engine.members[row].error = error
        values = self._scores(engine)
        best = []
        for row, member in enumerate(engine.members):
            if member.error is None and member.progress.take(epochs[row], losses[row], values[row]):
                best.append(row)
        engine.keep(best)
        reading = meter.read()
        for member in engine.members:
            member.cost.add(reading, len(engine.members))
        for row, member in enumerate(engine.members):
            if member.keeps:
                member.keep(engine.state(row))

    def _scores(self, engine: Engine) -> list[float]:
        """Return the metric of every member; a metric that raises fails its member only."""
        outputs = engine.outputs()
        return [
            _score(member, member.task.metric, o, member.data.validation.y)
            for member, o in zip(engine.members, outputs, strict=True)
        ]

    def part(self) -> list[Team]:
        """Remove finished members, write back their final weights; return what is left, if any."""
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
        if self._engine is None:  # their epochs still come from checkpoints
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
        return self._again(going, {member: member.epoch for member in going}, self._most)

    def close(self) -> None:
        """Close the engine; the team has no members afterwards."""
        if self._engine is not None:
            self._engine.feed.close()
            self._engine.close()
        self._engine, self._waiting = None, None


def _score(member: Member, metric: Metric, outputs: Tensor, targets: Tensor) -> float:
    if member.error is not None:
        return float("nan")
    try:
        if member.task.precision == "fp16" and not bool(outputs.isfinite().all()):
            return float("nan")  # not visible in the loss of skipped steps, nor in accuracy
        return metric(outputs, targets)
    except Exception as error:
        member.error = error
        return float("nan")
