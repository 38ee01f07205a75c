"""A traced call with the shapes of its tensors: the argument of a batching rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metaopt.train.traced.tape import Call, Slot, leaves

Function = Callable[..., Any]


@dataclass(frozen=True)
class Site:
    """A traced call with the shapes of its tensors.

    Attributes:
        call: the operation with its arguments.
        shapes: shape of one member's tensor in each slot.
        stacked: for each slot, whether it holds one tensor per member, (K, ...), or a shared one.

    """

    call: Call
    shapes: Sequence[tuple[int, ...]]
    stacked: Mapping[int, bool]

    def is_stacked(self, value: Any) -> bool:
        """Whether an argument is a slot that holds (K, ...)."""
        return isinstance(value, Slot) and self.stacked[value.number]

    def shape(self, value: Any) -> tuple[int, ...]:
        """Return the shape of one member's tensor in a slot."""
        shape: tuple[int, ...] = self.shapes[value.number]
        return shape

    @property
    def result(self) -> tuple[int, ...]:
        """Shape of one member's result; for calls with a single result."""
        return self.shape(self.call.results)

    def arg(self, place: int, default: Any = None) -> Any:
        """Return a positional argument of the call, or the default if it is missing."""
        return self.call.args[place] if place < len(self.call.args) else default

    @property
    def all_stacked(self) -> bool:
        """Whether all tensor arguments are stacked."""
        return all(self.is_stacked(slot) for slot in leaves((self.call.args, self.call.kwargs)))


Rule = Callable[[Site], Function | None]
