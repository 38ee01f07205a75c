"""Decide whether a network can be traced, and cache the programs for networks like it.

The answer depends only on the architecture, the data type and sizes of a step and the device, so
it does not depend on the other networks in a batch. It is cached per process.
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
REMEMBERED = 64  # plans in the cache


@dataclass(frozen=True)
class Plan:
    """What all networks with one signature share.

    Attributes:
        key: the signature with the step sizes, precision and device.
        masks: dropout calls by the name of the buffer for their mask, in the order of use.
        programs: one for each step size, and for shared or separate inputs of the members.
        layout: where the trained parameters lie in the stack.
        numbers: total size of the tensors in one member's largest step.
        network: any network with this signature.

    """

    key: Hashable
    masks: Mapping[str, Use]
    programs: Mapping[tuple[int, bool], Program]
    layout: Layout
    numbers: int
    network: nn.Module  # signatures contain addresses of objects, which must not be freed


_plans: dict[Hashable, Plan | str] = {}
_lock = threading.Lock()


def find_plan(member: Member, sizes: Sequence[int]) -> Plan | str:
    """Return the plan for a member's network, from the cache if possible.

    Args:
        member: has the network and the data.
        sizes: number of samples in each of its steps.

    Returns:
        The plan; a text with the reason if the network cannot be traced.

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
        return "its trained parameters have several dtypes, or there are none"
    if any(has_hooks(module) for module in member.network.modules()):
        return "it has hooks"
    X = member.data.train.X
    try:
        with Noise(0, X.device):  # for networks that draw random numbers, until they are refused
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
    except Exception as error:  # the code of the network may raise anything
        return str(error) if isinstance(error, Untraceable) else f"{type(error).__name__}: {error}"
    return Plan(key, masks, programs, layout, numbers, member.network)
