"""Group members into batches (teams) and select the engine of each.

The engine depends only on a member's own network and recipe, never on the other members. So a
trial gives the same result whether trained alone or in any batch.
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
from metaopt.train.population.optimizers import FORMS, update_form
from metaopt.train.runtime.resources import WORTH_THREADS, work
from metaopt.train.scheduling.team import Form, Team
from metaopt.train.traced import Traced, find_plan

logger = logging.getLogger("metaopt.train")

# A larger team does not fit into the CPU caches, and the cost per member rises again.
CPU_BYTES = 2**25
CPU_MEMBERS = 64
GPU_SHARE = 0.3  # of the free GPU memory, for one team
# Tracing costs about 50 ms per batch size; below this number of steps it does not pay, at least
# not for a network that trains alone.
LEAST_STEPS = 100
GPU_WORK = 1e9  # multiply-additions per forward step that keep a GPU busy with one network

EngineChoice = Literal["auto", "single", "traced"]
Limit = Callable[[Member], AbstractContextManager[object]]


def form_teams(
    members: Sequence[Member], limit: Limit, choice: EngineChoice = "auto"
) -> list[Team]:
    """Group members by device, architecture and step sizes; others get a team of their own.

    Args:
        members: in any order and mixture.
        limit: returns the context in which the team of a member computes (number of threads).
        choice: the `engine` of the `Trainer`.

    Returns:
        The teams.

    """
    groups: dict[Hashable, list[Member]] = {}
    keys: dict[Hashable, Hashable | None] = {}  # equal keys: teams that may be merged later
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
        ordered = sorted(group, key=lambda m: kinds[m].neighbours)
        most = most_members(group[0], kind.numbers)
        parts = ceil(len(ordered) / most)
        size = ceil(len(ordered) / parts)  # teams of about equal size
        for start in range(0, len(ordered), size):
            together = ordered[start : start + size]
            first = partial(limit, together[0])
            teams.append(Team(together, kind.form, first, keys[key], most))
    return teams


@dataclass(frozen=True)
class Kind:
    """How a member is trained.

    Attributes:
        form: creates its engine.
        design: must be equal for members of one team; None if the member trains alone.
        neighbours: members are sorted by it, so that similar ones are adjacent.
        numbers: how many numbers a member's step keeps in memory, if known.

    """

    form: Form
    design: Hashable | None = None
    neighbours: tuple[str, ...] = ()
    numbers: int | None = None


def _kind_of(member: Member, limit: Limit, choice: EngineChoice) -> Kind:
    reason = "the engine 'single' was requested"
    if member.task.precision == "fp16":
        reason = "fp16 needs its own loss scale for each network"
    elif choice != "single" and member.batch_size == 1:
        reason = "with one sample per step, products are rounded differently in a batch"
    elif member.recipe.optimizer not in FORMS:
        reason = f"its optimizer {member.recipe.optimizer!r} has no batched form"
    elif choice != "single":
        form = update_form(member.recipe)
        reason = "it computes in half precision"
        if not member.task.half:
            net = read_perceptron(member.network, member.data.train, member.task)
            if not isinstance(net, str):
                return Kind(_lowered, net.design, (form, *net.activations))
            reason = net
        found = _not_worth_it(member) if choice == "auto" else ""
        if not found:
            with limit(member):
                plan = find_plan(member, step_sizes(len(member.data.train.y), member.batch_size))
            if not isinstance(plan, str):
                return Kind(partial(Traced, plan=plan), plan.key, (form,), plan.numbers)
            found = plan
        reason = f"{reason}; {found}"
    logger.debug("a network trains alone: %s", reason)
    return Kind(Compiled if member.task.compile else Single)


def _not_worth_it(member: Member) -> str:
    """Return why tracing a network would not make it faster; "" if it may."""
    if member.task.compile:
        return "compile=True"
    if any(type(module) is nn.LSTM for module in member.network.modules()):
        return "its LSTM is one PyTorch operation, which must be called for each member"
    steps = len(step_sizes(len(member.data.train.y), member.batch_size))
    if (member.epochs or member.recipe.epochs) * steps < LEAST_STEPS:
        return "it is trained for too few steps"
    most = WORTH_THREADS if member.device.type == "cpu" else GPU_WORK
    if work(member.network, member.batch_size, member.data.train.X.shape[1:]) >= most:
        return "its steps are so large that the overhead of calls does not matter"
    return ""


def _lowered(members: Sequence[Member]) -> Lowered:
    nets = [read_perceptron(m.network, m.data.train, m.task) for m in members]
    return Lowered(members, [net for net in nets if not isinstance(net, str)])


def most_members(member: Member, numbers: int | None = None) -> int:
    """Return the largest number of members like this one in a team, given the memory of each.

    Args:
        member: any member of the team.
        numbers: how many numbers its step keeps in memory; None estimates it for an MLP.

    """
    parameters = list(member.network.parameters())
    size = max(p.element_size() for p in parameters) if parameters else 4
    units = sum(len(p) for p in parameters if p.ndim == 2)
    held = 3 * member.batch_size * units if numbers is None else numbers
    need = size * (4 * sum(p.numel() for p in parameters) + held)
    if member.device.type != "cuda":
        return max(4, min(CPU_MEMBERS, CPU_BYTES // max(need, 1)))
    # With several splits, each member has its own samples.
    rows = member.batch_size + len(member.data.validation.y)
    X = member.data.train.X
    need += rows * X.shape[1:].numel() * X.element_size()
    free, _ = torch.cuda.mem_get_info(member.device)
    return max(1, int(GPU_SHARE * free) // max(need, 1))
