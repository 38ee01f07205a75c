"""A tape as a program for K members, proven to give each what it gives alone.

Notation as in `tape` and `rules`: a member's tensors are stacked, (K, ...); what does not depend
on the member is shared and computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from metaopt.train.traced.layout import Layout
from metaopt.train.traced.rules import RULES
from metaopt.train.traced.site import Site
from metaopt.train.traced.tape import (
    INPUTS,
    PULL,
    Call,
    Slot,
    Tape,
    Untraceable,
    leaves,
    swap,
)

# Arguments that are written into without a mark in the operation's schema: running statistics.
UNMARKED = dict.fromkeys(("native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm"), (3, 4))
Room = list[Any]  # of one run: what each slot holds


class Step:
    """One call for all members.

    Attributes:
        frees: slots that nobody needs afterwards.

    """

    def __init__(self, call: Call, function: Callable[..., Any]) -> None:
        self.call, self.function = call, function
        self.frees: list[int] = []
        self._args, self._kwargs = list(call.args), dict(call.kwargs)
        self._places = [(k, a.number) for k, a in enumerate(call.args) if isinstance(a, Slot)]
        # Slots within lists, or behind names, are rare.
        self._is_flat = len(self._places) == len(list(leaves((call.args, call.kwargs))))

    def run(self, room: Room) -> None:
        if self._is_flat:
            args = self._args.copy()
            for place, slot in self._places:
                args[place] = room[slot]
            results = self.function(*args, **self._kwargs)
        else:
            args, kwargs = swap((self._args, self._kwargs), lambda slot: room[slot.number])
            results = self.function(*args, **kwargs)
        fill(room, self.call.results, results)
        for slot in self.frees:
            room[slot] = None


class Loop(Step):
    """A call member by member."""

    def __init__(self, call: Call, stacked: Mapping[int, bool]) -> None:
        super().__init__(call, call.function)
        slots = list(leaves((call.args, call.kwargs)))
        self._first = next(slot.number for slot in slots if stacked[slot.number])
        self._stacked = stacked
        self._changed = _written(call)
        if torch.Tag.inplace_view in call.function.tags:
            raise Untraceable(f"{call.function} changes the shape of what it is given")
        if any(not stacked[number] for number in self._changed):
            raise Untraceable(f"{call.function} writes a member's numbers into what all share")

    def run(self, room: Room) -> None:
        k = len(room[self._first])
        rows = [list(_tensors(self.call.results, self._call(room, row, k))) for row in range(k)]
        for column, slot in enumerate(leaves(self.call.results)):
            if slot.number not in self._changed:
                found = [row[column] for row in rows]
                room[slot.number] = torch.stack(found) if k > 1 else found[0].unsqueeze(0)
        for freed in self.frees:
            room[freed] = None

    def _call(self, room: Room, row: int, k: int) -> Any:
        def own(slot: Slot) -> Any:
            value = room[slot.number]
            if not self._stacked[slot.number]:
                return value
            # A copy, for kernels may depend on where in memory a row begins.
            is_copied = k > 1 and slot.number not in self._changed
            return value[row].clone() if is_copied else value[row]

        args, kwargs = swap((self._args, self._kwargs), own)
        with torch.enable_grad():  # as recorded: some kernels keep more for their backward
            return self.function(*args, **kwargs)


def _written(call: Call) -> set[int]:
    """Slots of arguments that a call writes into."""
    written: set[int] = set()
    for place, (known, given) in enumerate(
        zip(call.function._schema.arguments, call.args, strict=False)
    ):
        marked = known.alias_info is not None and known.alias_info.is_write
        if marked or place in UNMARKED.get(call.base, ()):
            written |= {slot.number for slot in leaves([given])}
    return written


def fill(room: Room, slots: Any, results: Any) -> None:
    """Put results where a call's results belong."""
    if isinstance(slots, Slot):
        room[slots.number] = results
    elif isinstance(slots, (tuple, list)):
        for slot, result in zip(slots, results, strict=True):
            fill(room, slot, result)


def _tensors(slots: Any, results: Any) -> Iterable[Tensor]:
    """Yield the results that have slots, in the slots' order."""
    if isinstance(slots, Slot):
        yield results
    elif isinstance(slots, (tuple, list)):
        for slot, result in zip(slots, results, strict=True):
            yield from _tensors(slot, result)


class Program:
    """A tape for any number of members.

    Args:
        tape: of one of them.
        shared: whether all have the same inputs x.
        alone: calls to be done member by member though there is a rule.

    Raises:
        Untraceable: a call can be done in neither way.

    """

    def __init__(self, tape: Tape, shared: bool, alone: Collection[int] = ()) -> None:
        self._tape, self.shared = tape, shared
        self._stacked = {
            slot: name != INPUTS or not shared for name, slot in tape.inputs.items()
        } | dict.fromkeys(tape.constants, False)
        self.steps = [self._lower(call, k in alone) for k, call in enumerate(tape.calls)]
        for slot in (tape.outputs, *(s for s in tape.gradients.values() if s is not None)):
            if not self._stacked[slot]:
                raise Untraceable("its outputs do not depend on its parameters")
        self._free()

    def _lower(self, call: Call, alone: bool) -> Step:
        stacked = any(self._stacked[s.number] for s in leaves((call.args, call.kwargs)))
        self._stacked |= {
            s.number: stacked for s in leaves(call.results) if s.number not in self._stacked
        }
        if not stacked:
            return Step(call, call.function)
        site = Site(call, self._tape.shapes, self._stacked)
        rule = None if alone else RULES.get(call.base)
        function = None if rule is None else rule(site)
        return Loop(call, self._stacked) if function is None else Step(call, function)

    def _free(self) -> None:
        """Let each slot go after its last use, so that memory is used again while it is warm."""
        tape = self._tape
        kept = {*tape.inputs.values(), *tape.constants, tape.outputs, *tape.gradients.values()}
        for step in reversed(self.steps):
            used = {s.number for s in leaves((step.call.args, step.call.kwargs, step.call.results))}
            step.frees = sorted(used - kept)
            kept |= used

    def row(self, room: Room, slot: Slot, row: int) -> Tensor | None:
        """One member's part of what a slot holds; None if it was let go."""
        value: Tensor | None = room[slot.number]
        return value[row] if value is not None and self._stacked[slot.number] else value

    def room(self, values: Mapping[str, Tensor]) -> Room:
        """Begin a run from inputs by name."""
        room: Room = [None] * len(self._tape.shapes)
        for name, value in values.items():
            room[self._tape.inputs[name]] = value
        for slot, constant in self._tape.constants.items():
            room[slot] = constant.clone()  # a call may write into it
        return room

    def forward(self, values: Mapping[str, Tensor]) -> tuple[Tensor, Room]:
        """Compute the outputs (K, ...) from x, parameters, buffers and masks."""
        room = self.room(values)
        for step in self.steps[: self._tape.split]:
            step.run(room)
        outputs: Tensor = room[self._tape.outputs]
        return outputs, room

    def backward(self, room: Room, d: Tensor) -> dict[str, Tensor | None]:
        """Compute the gradients (K, ...) by the trained parameters from that by the outputs."""
        room[self._tape.inputs[PULL]] = d
        for step in self.steps[self._tape.split :]:
            step.run(room)
        found = self._tape.gradients.items()
        return {name: None if slot is None else room[slot] for name, slot in found}


def prove(
    tape: Tape, layout: Layout, samples: Sequence[Mapping[str, Tensor]]
) -> dict[bool, Program]:
    """Return programs in which every member has the same numbers alone and among others.

    Every call is run for all samples at once and for each alone, and its results are compared bit
    by bit; where they differ, the call is done member by member.

    Args:
        tape: of a step.
        layout: of the parameters.
        samples: values of all inputs of a few members, one row each, (1, ...), also of x.

    Returns:
        One for members with the same inputs (True) and one for members with inputs of their own.

    Raises:
        Untraceable: two runs of a call differ even so.

    """
    alone: set[int] = set()
    while True:
        programs = {shared: Program(tape, shared, alone) for shared in (True, False)}
        found = [_first_difference(programs[True], p, layout, samples) for p in programs.values()]
        wrong = next((number for number in found if number is not None), None)
        if wrong is None:
            return programs
        if wrong in alone:
            raise Untraceable(f"{tape.calls[wrong].function} does not come out twice the same")
        alone.add(wrong)


def _first_difference(
    one: Program, many: Program, layout: Layout, samples: Sequence[Mapping[str, Tensor]]
) -> int | None:
    """Compare a program for each sample alone with one for all; the number of the first call of
    which a result differs.
    """
    if many.shared:
        samples = [{**sample, INPUTS: samples[0][INPUTS]} for sample in samples]
    together = many.room(_joined(samples, layout, many.shared))
    singles = [one.room(_joined([sample], layout, True)) for sample in samples]
    pairs = zip(one.steps, many.steps, strict=True)
    for number, (step_of_one, step) in enumerate(pairs):
        step.run(together)
        for single in singles:
            step_of_one.run(single)
        if "empty" in step.call.base:  # nobody has written anything there yet
            continue
        for slot in leaves(step.call.results):
            for row, single in enumerate(singles):
                a, b = many.row(together, slot, row), one.row(single, slot, 0)
                if a is not None and b is not None and not torch.equal(_bits(a), _bits(b)):
                    return number
    return None


def _joined(
    samples: Sequence[Mapping[str, Tensor]], layout: Layout, shared: bool
) -> dict[str, Tensor]:
    """Lay the values of samples out as an engine does."""
    joined = {name: torch.cat([sample[name] for sample in samples]) for name in samples[0]}
    if shared:
        joined[INPUTS] = samples[0][INPUTS][0].clone()
    rows = [{name: sample[name][0] for name in layout.places} for sample in samples]
    return joined | layout.views(layout.regions(rows))


def _bits(x: Tensor) -> Tensor:
    """Numbers of which NaN equals NaN; what is no real number may hold anything."""
    return torch.nan_to_num(x) if x.is_floating_point() else x.new_zeros(())
