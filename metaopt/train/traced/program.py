"""Run a traced step (tape) for K members at once, with the same bits per member for any K.

Notation as in `tape` and `rules`: tensors of members are stacked, (K, ...); tensors that do not
depend on the member are shared and computed once.
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

# Arguments that are written to although the schema does not say so: running statistics.
UNMARKED = dict.fromkeys(("native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm"), (3, 4))
Room = list[Any]  # the current value of each slot while a program runs


class Step:
    """One operation for all members.

    Args:
        call: the traced call.
        function: computes it for all members.

    Attributes:
        frees: slots that are not used afterwards.

    """

    def __init__(self, call: Call, function: Callable[..., Any]) -> None:
        self.call, self.function = call, function
        self.frees: list[int] = []
        self._args, self._kwargs = list(call.args), dict(call.kwargs)
        self._places = [(k, a.number) for k, a in enumerate(call.args) if isinstance(a, Slot)]
        # Slots within lists or keyword arguments are rare.
        self._is_flat = len(self._places) == len(list(leaves((call.args, call.kwargs))))

    def run(self, room: Room) -> None:
        """Compute the operation on the values of the slots."""
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
    """An operation that is called once per member."""

    def __init__(self, call: Call, stacked: Mapping[int, bool]) -> None:
        super().__init__(call, call.function)
        slots = list(leaves((call.args, call.kwargs)))
        self._first = next(slot.number for slot in slots if stacked[slot.number])
        self._stacked = stacked
        self._changed = _written(call)
        if torch.Tag.inplace_view in call.function.tags:
            raise Untraceable(f"{call.function} changes the shape of its argument in place")
        if any(not stacked[number] for number in self._changed):
            raise Untraceable(f"{call.function} writes one member's values into a shared tensor")

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
            # A copy, since results of kernels may depend on a row's alignment in memory.
            is_copied = k > 1 and slot.number not in self._changed
            return value[row].clone() if is_copied else value[row]

        args, kwargs = swap((self._args, self._kwargs), own)
        with torch.enable_grad():  # as when traced: some kernels save more for their backward pass
            return self.function(*args, **kwargs)


def _written(call: Call) -> set[int]:
    """Return the slots of the arguments that a call writes to."""
    written: set[int] = set()
    for place, (known, given) in enumerate(
        zip(call.function._schema.arguments, call.args, strict=False)
    ):
        marked = known.alias_info is not None and known.alias_info.is_write
        if marked or place in UNMARKED.get(call.base, ()):
            written |= {slot.number for slot in leaves([given])}
    return written


def fill(room: Room, slots: Any, results: Any) -> None:
    """Store the results of a call in its slots."""
    if isinstance(slots, Slot):
        room[slots.number] = results
    elif isinstance(slots, (tuple, list)):
        for slot, result in zip(slots, results, strict=True):
            fill(room, slot, result)


def _tensors(slots: Any, results: Any) -> Iterable[Tensor]:
    """Yield the results that have slots, in the order of the slots."""
    if isinstance(slots, Slot):
        yield results
    elif isinstance(slots, (tuple, list)):
        for slot, result in zip(slots, results, strict=True):
            yield from _tensors(slot, result)


class Program:
    """A traced step for any number of members.

    Args:
        tape: the step of one member.
        shared: whether all members have the same inputs x.
        alone: indices of calls that are made once per member even if there is a rule.

    Raises:
        Untraceable: a call can be made neither by a rule nor once per member.

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
        """Return the step for a call: shared, by a rule, or once per member."""
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
        """Free each slot after its last use, so that its memory is reused while in the cache."""
        tape = self._tape
        kept = {*tape.inputs.values(), *tape.constants, tape.outputs, *tape.gradients.values()}
        for step in reversed(self.steps):
            used = {s.number for s in leaves((step.call.args, step.call.kwargs, step.call.results))}
            step.frees = sorted(used - kept)
            kept |= used

    def row(self, room: Room, slot: Slot, row: int) -> Tensor | None:
        """Return one member's part of a slot's value; None if it was freed."""
        value: Tensor | None = room[slot.number]
        return value[row] if value is not None and self._stacked[slot.number] else value

    def room(self, values: Mapping[str, Tensor]) -> Room:
        """Return the values of all slots at the start, from the inputs by name."""
        room: Room = [None] * len(self._tape.shapes)
        for name, value in values.items():
            room[self._tape.inputs[name]] = value
        for slot, constant in self._tape.constants.items():
            room[slot] = constant.clone()  # a call may write into it
        return room

    def forward(self, values: Mapping[str, Tensor]) -> tuple[Tensor, Room]:
        """Compute the outputs (K, ...) from x, parameters, buffers and masks.

        Returns:
            The outputs, and the values that `backward` needs.

        """
        room = self.room(values)
        for step in self.steps[: self._tape.split]:
            step.run(room)
        outputs: Tensor = room[self._tape.outputs]
        return outputs, room

    def backward(self, room: Room, d: Tensor) -> dict[str, Tensor | None]:
        """Compute the gradients with respect to the trained parameters, each (K, ...).

        Args:
            room: the values that `forward` returned.
            d: the gradient with respect to the outputs, (K, ...).

        """
        room[self._tape.inputs[PULL]] = d
        for step in self.steps[self._tape.split :]:
            step.run(room)
        found = self._tape.gradients.items()
        return {name: None if slot is None else room[slot] for name, slot in found}


def prove(
    tape: Tape, layout: Layout, samples: Sequence[Mapping[str, Tensor]]
) -> dict[bool, Program]:
    """Return programs that give each member the same bits whether trained alone or in a batch.

    Each call is run for all samples at once and for each sample alone, and the results are
    compared bit by bit. A call whose results differ is made once per member.

    Args:
        tape: the traced step.
        layout: of the parameters.
        samples: values of all inputs, x included, for a few members, each (1, ...).

    Returns:
        The program for shared inputs (True) and for separate inputs (False).

    Raises:
        Untraceable: results of a call differ even if it is made once per member.

    """
    alone: set[int] = set()
    while True:
        programs = {shared: Program(tape, shared, alone) for shared in (True, False)}
        found = [_first_difference(programs[True], p, layout, samples) for p in programs.values()]
        wrong = next((number for number in found if number is not None), None)
        if wrong is None:
            return programs
        if wrong in alone:
            raise Untraceable(f"two calls of {tape.calls[wrong].function} give different results")
        alone.add(wrong)


def _first_difference(
    one: Program, many: Program, layout: Layout, samples: Sequence[Mapping[str, Tensor]]
) -> int | None:
    """Run `one` for each sample alone and `many` for all samples at once.

    Returns:
        The index of the first call whose results differ; None if there is none.

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
        if "empty" in step.call.base:  # the new memory has no defined values
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
    """Stack the values of samples in the memory layout of the engine."""
    joined = {name: torch.cat([sample[name] for sample in samples]) for name in samples[0]}
    if shared:
        joined[INPUTS] = samples[0][INPUTS][0].clone()
    rows = [{name: sample[name][0] for name in layout.places} for sample in samples]
    return joined | layout.views(layout.regions(rows))


def _bits(x: Tensor) -> Tensor:
    """Return values to compare, with NaN equal to NaN; integers and bools are not compared."""
    return torch.nan_to_num(x) if x.is_floating_point() else x.new_zeros(())
