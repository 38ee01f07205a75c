"""A configuration in training: one member, or one for each fold, reported and judged as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from metaopt.train.engines.base import Member


class TrainingRun:
    """The members of one configuration.

    With folds, the report of an epoch is the mean over them: of the metric that a fold has in
    this epoch or, once it has ended, of the value that stands for it. Who stops the run stops all
    of its folds; a fold that fails ends them too.

    Args:
        members: one a fold.
        watch: told the metric and the number of every epoch in which some fold stayed finite.
        halt: asked after every epoch that others would follow whether to stop ("pruned").

    """

    def __init__(
        self,
        members: Sequence[Member],
        watch: Callable[[float, int], None] | None = None,
        halt: Callable[[], bool] | None = None,
    ) -> None:
        self.members = list(members)
        self._epoch = 0  # reported
        self._watch, self._halt = watch, halt

    @property
    def over(self) -> bool:
        """Whether no member trains any more."""
        return all(m.over for m in self.members)

    @property
    def failed(self) -> int | None:
        """The first fold that raised or has no value, counted from 0; None while there is none."""
        for k, member in enumerate(self.members):
            if member.error is not None or (member.progress.ended and _standing(member) is None):
                return k
        return None

    def report(self) -> None:
        """Tell what all folds together have reached in the next epoch, now over for all of them."""
        self._epoch += 1
        epoch = self._epoch
        failed = self.failed
        if failed is not None:
            self.cancel()
        elif self._watch is not None and any(_reached(m, epoch) for m in self.members):
            self._watch(sum(_value(m, epoch) for m in self.members) / len(self.members), epoch)

    def judge(self) -> None:
        """Ask whether to stop, unless the run is over anyway."""
        if not self.over and self._halt is not None and self._halt():
            self.cancel()

    def cancel(self) -> None:
        """End the members that still train."""
        for member in self.members:
            if not member.over:
                member.progress.prune()


def _reached(member: Member, epoch: int) -> bool:
    """Whether the member stayed finite in this epoch."""
    curve = member.progress.history.curve
    return bool(curve) and curve[-1][0] == epoch


def _standing(member: Member) -> float | None:
    member.progress.settle()
    return member.progress.history.value


def _value(member: Member, epoch: int) -> float:
    if _reached(member, epoch):
        return member.progress.history.curve[-1][1]
    value = _standing(member)
    assert value is not None
    return value
