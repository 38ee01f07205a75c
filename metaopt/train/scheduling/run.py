"""A training run: the members of one configuration, one per fold, with a common report."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from metaopt.train.engines.base import Member


class TrainingRun:
    """The members of one configuration: one per fold, or a single one.

    With folds, the metric reported for an epoch is the mean over folds: of the metric in this
    epoch or, for a fold that has ended, of its final value. Stopping the run, or the failure of
    one fold, stops all folds.

    Args:
        members: one per fold.
        watch: called with the metric and the epoch, after every epoch in which at least one fold
            had a finite metric.
        halt: called after every epoch but the last; returns whether to stop the run ("pruned").

    """

    def __init__(
        self,
        members: Sequence[Member],
        watch: Callable[[float, int], None] | None = None,
        halt: Callable[[], bool] | None = None,
    ) -> None:
        self.members = list(members)
        self._epoch = 0  # the last one reported
        self._watch, self._halt = watch, halt

    @property
    def over(self) -> bool:
        """Whether all members have ended or failed."""
        return all(m.over for m in self.members)

    @property
    def failed(self) -> int | None:
        """Index of the first fold that raised or ended without a value; None if there is none."""
        for k, member in enumerate(self.members):
            if member.error is not None or (member.progress.ended and _standing(member) is None):
                return k
        return None

    def report(self) -> None:
        """Report the mean metric of the next epoch, which all folds have finished."""
        self._epoch += 1
        epoch = self._epoch
        failed = self.failed
        if failed is not None:
            self.cancel()
        elif self._watch is not None and any(_reached(m, epoch) for m in self.members):
            self._watch(sum(_value(m, epoch) for m in self.members) / len(self.members), epoch)

    def judge(self) -> None:
        """Stop the run if `halt` returns true, unless it has ended already."""
        if not self.over and self._halt is not None and self._halt():
            self.cancel()

    def cancel(self) -> None:
        """End the members that still train."""
        for member in self.members:
            if not member.over:
                member.progress.prune()


def _reached(member: Member, epoch: int) -> bool:
    """Whether the member has a finite metric in this epoch."""
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
