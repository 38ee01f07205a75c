"""A call among its surroundings: what a rule looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metaopt.train.traced.tape import Call, Slot, leaves

Function = Callable[..., Any]


@dataclass(frozen=True)
class Site:
    """A call among its surroundings.

    Attributes:
        call: what is to be done.
        shapes: of one member's tensors, by slot.
        stacked: slots that hold (K, ...).

    """

    call: Call
    shapes: Sequence[tuple[int, ...]]
    stacked: Mapping[int, bool]

    def is_stacked(self, value: Any) -> bool:
        return isinstance(value, Slot) and self.stacked[value.number]

    def shape(self, value: Any) -> tuple[int, ...]:
        """One member's shape of a slot."""
        shape: tuple[int, ...] = self.shapes[value.number]
        return shape

    @property
    def result(self) -> tuple[int, ...]:
        """One member's shape of the only result."""
        return self.shape(self.call.results)

    def arg(self, place: int, default: Any = None) -> Any:
        """An argument of the call."""
        return self.call.args[place] if place < len(self.call.args) else default

    @property
    def all_stacked(self) -> bool:
        return all(self.is_stacked(slot) for slot in leaves((self.call.args, self.call.kwargs)))


Rule = Callable[[Site], Function | None]
