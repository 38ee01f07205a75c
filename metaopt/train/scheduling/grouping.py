"""Who trains together, and by which engine: static rules, a function of the members alone.

The engine depends on a member's own network and recipe and never on its company, so that a trial
has the same result alone and in any batch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Literal

import torch
from torch import nn

from metaopt.train.data.batches import step_sizes
from metaopt.train.engines.base import Member
from metaopt.train.engines.compiled import Compiled
from metaopt.train.engines.single import Single
from metaopt.train.population.mlp import Lowered
from metaopt.train.population.mlp_layout import read_perceptron
from metaopt.train.population.optimizers import update_form
from metaopt.train.runtime.resources import WORTH_THREADS, work
from metaopt.train.scheduling.team import Form, Team
from metaopt.train.traced import Traced, find_plan

logger = logging.getLogger("metaopt.train")

# Beyond it, the working set leaves the caches and a member costs more again.
CPU_BYTES = 2**25
CPU_MEMBERS = 64
GPU_SHARE = 0.3  # of the free memory, for one team
# Steps below which taking a network down (some 50 ms for each size of a step) costs more than it
# saves a network that trains alone.
LEAST_STEPS = 100
GPU_WORK = 1e9  # multiply-additions of a forward step above which a GPU is busy with one network

EngineChoice = Literal["auto", "single", "traced"]
Limit = Callable[[Member], AbstractContextManager[object]]


def form_teams(
    members: Sequence[Member], limit: Limit, choice: EngineChoice = "auto"
) -> list[Team]:
    """Group members by architecture and the sizes of steps; those of no group train alone.

    Args:
        members: any mix.
        limit: makes the context in which a member's team computes.
        choice: see `Trainer`.

    """
    groups: dict[Hashable, list[Member]] = {}
    keys: dict[Hashable, Hashable | None] = {}  # of teams that may become one later
    kinds: dict[Member, Kind] = {}
    for member in members:
        kind = kinds[member] = _kind_of(member, limit, choice)
        sizes = len(member.data.train.y), len(member.data.validation.y)
        begun = 0 if member.resumed is None else member.resumed.epoch
        step = member.device_index, member.batch_size, *sizes
        shared = None if kind.design is None else (kind.design, *step)
        key: Hashable = (member if shared is None else shared, begun)
        groups.setdefault(key, []).append(member)
        keys[key] = shared
    teams = []
    for key, group in groups.items():
        kind = kinds[group[0]]
        ordered = sorted(group, key=lambda m: (update_form(m.recipe), kinds[m].neighbours))
        most = most_members(group[0], kind.numbers)
        parts = ceil(len(ordered) / most)
        size = ceil(len(ordered) / parts)  # of about the same size each
        for start in range(0, len(ordered), size):
            together = ordered[start : start + size]
            first = partial(limit, together[0])
            teams.append(Team(together, kind.form, first, keys[key], most))
    return teams


@dataclass(frozen=True)
class Kind:
    """How a member is trained.

    Attributes:
        form: makes its engine.
        design: what members must share to train together; None if they cannot.
        neighbours: what they had better stand next to each other by.
        numbers: that a member's step works on, if known.

    """

    form: Form
    design: Hashable | None = None
    neighbours: tuple[str, ...] = ()
    numbers: int | None = None


def _kind_of(member: Member, limit: Limit, choice: EngineChoice) -> Kind:
    reason = "the engine 'single' was asked for"
    if member.task.precision == "fp16":
        reason = "its loss has a scale of its own"
    elif choice != "single" and member.batch_size == 1:
        reason = "its steps are of one sample, which come out another way among others"
    elif choice != "single":
        reason = "it computes in half precision"
        if not member.task.half:
            net = read_perceptron(member.network, member.data.train, member.task)
            if not isinstance(net, str):
                return Kind(_lowered, net.design, net.activations)
            reason = net
        found = _not_worth_it(member) if choice == "auto" else ""
        if not found:
            with limit(member):
                plan = find_plan(member, step_sizes(len(member.data.train.y), member.batch_size))
            if not isinstance(plan, str):
                return Kind(partial(Traced, plan=plan), plan.key, numbers=plan.numbers)
            found = plan
        reason = f"{reason}; {found}"
    logger.debug("a network trains alone: %s", reason)
    return Kind(Compiled if member.task.compile else Single)


def _not_worth_it(member: Member) -> str:
    """Say why taking a network down would gain nothing; "" if it may."""
    if member.task.compile:
        return "it is to be compiled"
    if any(type(module) is nn.LSTM for module in member.network.modules()):
        return "its recurrence is one operation of PyTorch's, called member by member"
    steps = len(step_sizes(len(member.data.train.y), member.batch_size))
    if (member.epochs or member.recipe.epochs) * steps < LEAST_STEPS:
        return "it takes few steps"
    most = WORTH_THREADS if member.device.type == "cpu" else GPU_WORK
    if work(member.network, member.batch_size, member.data.train.X.shape[1:]) >= most:
        return "its steps are so large that calls cost next to nothing"
    return ""


def _lowered(members: Sequence[Member]) -> Lowered:
    nets = [read_perceptron(m.network, m.data.train, m.task) for m in members]
    return Lowered(members, [net for net in nets if not isinstance(net, str)])


def most_members(member: Member, numbers: int | None = None) -> int:
    """How many members like this one, whose step works on so many numbers, a team may hold."""
    parameters = list(member.network.parameters())
    size = max(p.element_size() for p in parameters) if parameters else 4
    units = sum(len(p) for p in parameters if p.ndim == 2)
    held = 3 * member.batch_size * units if numbers is None else numbers
    need = size * (4 * sum(p.numel() for p in parameters) + held)
    if member.device.type != "cuda":
        return max(4, min(CPU_MEMBERS, CPU_BYTES // max(need, 1)))
    # Members of several splits have samples of their own.
    rows = member.batch_size + len(member.data.validation.y)
    X = member.data.train.X
    need += rows * X.shape[1:].numel() * X.element_size()
    free, _ = torch.cuda.mem_get_info(member.device)
    return max(1, int(GPU_SHARE * free) // max(need, 1))
