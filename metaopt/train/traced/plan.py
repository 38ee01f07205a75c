"""Whether a network can be taken down, and the programs for all that are like it.

The answer depends on the architecture, the sizes of steps and the device only, so that it is the
same for a network whatever trains beside it, and is remembered in the process.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from torch import nn

from metaopt.train.engines.base import Member
from metaopt.train.population.mlp_layout import has_hooks
from metaopt.train.runtime.rng import Noise
from metaopt.train.traced.checking import check, prove_for, some_inputs
from metaopt.train.traced.layout import Layout
from metaopt.train.traced.program import Program
from metaopt.train.traced.skeleton import (
    Use,
    make_skeleton,
    masks_of,
    signature,
    take_down,
    with_masks,
)
from metaopt.train.traced.tape import Untraceable

PROBE_ROWS = 6
REMEMBERED = 64  # plans


@dataclass(frozen=True)
class Plan:
    """What networks of one signature share.

    Attributes:
        key: their signature, with the sizes of steps.
        masks: what each is for, by the name of its buffer, in the order of use.
        programs: of a step, by its size and whether all members have the same inputs.
        layout: of the trained parameters.
        numbers: that one member's largest step works on.

    """

    key: Hashable
    masks: Mapping[str, Use]
    programs: Mapping[tuple[int, bool], Program]
    layout: Layout
    numbers: int
    network: nn.Module  # kept alive, for signatures name some objects by their addresses


_plans: dict[Hashable, Plan | str] = {}
_lock = threading.Lock()


def find_plan(member: Member, sizes: Sequence[int]) -> Plan | str:
    """Return the plan for a member's network; a text says why there is none.

    Args:
        member: ready to be trained.
        sizes: of its steps.

    """
    X = member.data.train.X
    steps = tuple(sorted(set(sizes)))
    precision, shape = member.task.precision, tuple(X.shape[1:])
    key = (signature(member.network), steps, shape, X.dtype, precision, X.device)
    with _lock:
        if key not in _plans:
            while len(_plans) >= REMEMBERED:
                _plans.pop(next(iter(_plans)))
            _plans[key] = _make_plan(member, steps, key)
        return _plans[key]


def _make_plan(member: Member, sizes: Sequence[int], key: Hashable) -> Plan | str:
    trained = {p.dtype for p in member.network.parameters() if p.requires_grad}
    if len(trained) != 1:
        return "its parameters are of several types, or none is trained"
    if any(has_hooks(module) for module in member.network.modules()):
        return "it has hooks"
    X = member.data.train.X
    try:
        with Noise(0, X.device):  # of a network that draws numbers before it is found out
            skeleton, layout = make_skeleton(member.network), Layout(member.network)
            masks = masks_of(copy.deepcopy(skeleton), some_inputs(member, PROBE_ROWS))
            check(copy.deepcopy(skeleton).double(), some_inputs(member, PROBE_ROWS), masks)
            programs: dict[tuple[int, bool], Program] = {}
            numbers = 0
            for n in sizes:
                one = with_masks(skeleton, masks, n)
                tape = take_down(one, some_inputs(member, n), member.task.precision)
                numbers = max(numbers, sum(map(prod, tape.shapes)))
                proven = prove_for(tape, one, layout, masks, member, n)
                programs |= {(n, shared): program for shared, program in proven.items()}
    except Exception as error:  # whatever a network of the caller's raises
        return str(error) if isinstance(error, Untraceable) else f"{type(error).__name__}: {error}"
    return Plan(key, masks, programs, layout, numbers, member.network)
