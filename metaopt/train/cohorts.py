"""Who trains together, and by which engine: static rules, a function of the members alone.

The engine depends on a member's own network and recipe and never on its company, so that a trial
has the same result alone and in any batch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from math import ceil
from typing import Literal

import torch

from metaopt.train import vectorised
from metaopt.train.compiled import Compiled
from metaopt.train.engine import Member
from metaopt.train.loop import Single
from metaopt.train.lowered import Lowered
from metaopt.train.perceptron import read_perceptron
from metaopt.train.stacked_steps import update_form
from metaopt.train.team import Form, Team

logger = logging.getLogger("metaopt.train")

# Beyond it, the working set leaves the caches and a member costs more again.
CPU_BYTES = 2**25
CPU_MEMBERS = 64
GPU_SHARE = 0.3  # of the free memory, for one team

EngineChoice = Literal["auto", "single", "vectorised"]
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
    forms: dict[Hashable, Form] = {}
    probes: dict[Hashable, dict[str, tuple[int, ...]] | str] = {}
    activations: dict[Member, tuple[str, ...]] = {}
    for member in members:
        design, form, activations[member] = _engine_of(member, choice, probes)
        sizes = len(member.data.train.y), len(member.data.validation.y)
        begun = 0 if member.resumed is None else member.resumed.epoch
        shared = (design, member.lane, member.batch_size, *sizes, begun)
        key: Hashable = member if design is None else shared
        groups.setdefault(key, []).append(member)
        forms[key] = form
    teams = []
    for key, group in groups.items():
        ordered = sorted(group, key=lambda m: (update_form(m.recipe), activations[m]))
        parts = ceil(len(ordered) / most_members(group[0]))
        size = ceil(len(ordered) / parts)  # of about the same size each
        for start in range(0, len(ordered), size):
            together = ordered[start : start + size]
            teams.append(Team(together, forms[key], partial(limit, together[0])))
    return teams


def _engine_of(
    member: Member, choice: EngineChoice, probes: dict[Hashable, dict[str, tuple[int, ...]] | str]
) -> tuple[Hashable | None, Form, tuple[str, ...]]:
    """Return what members must share to train together, None if they cannot; their engine; and
    what they had better stand next to each other by.
    """
    if member.task.precision == "fp16":
        logger.debug("a network trains alone: its loss has a scale of its own")
        return None, _one_by_one(member), ()
    reason: str = "the engine 'single' was asked for"
    if member.task.half:
        reason = "it computes in half precision"
    elif choice != "single" and member.batch_size == 1:
        reason = "its steps are of one sample, which come out another way among others"
    elif choice != "single":
        net = read_perceptron(member.network, member.data.train, member.task)
        if not isinstance(net, str):
            return net.design, _lowered, net.activations
        reason = net
    if choice == "vectorised":
        design = vectorised.signature(member.network)
        if design not in probes:
            probes[design] = vectorised.probe(member)
        found = probes[design]
        if not isinstance(found, str):
            return design, partial(vectorised.Vectorised, shapes=found), ()
        reason = f"{reason}; {found}"
    logger.debug("a network trains alone: %s", reason)
    return None, _one_by_one(member), ()


def _one_by_one(member: Member) -> Form:
    return Compiled if member.task.compile else Single


def _lowered(members: Sequence[Member]) -> Lowered:
    nets = [read_perceptron(m.network, m.data.train, m.task) for m in members]
    return Lowered(members, [net for net in nets if not isinstance(net, str)])


def most_members(member: Member) -> int:
    """How many members like this one a team may hold."""
    parameters = list(member.network.parameters())
    size = max(p.element_size() for p in parameters) if parameters else 4
    units = sum(len(p) for p in parameters if p.ndim == 2)
    need = size * (4 * sum(p.numel() for p in parameters) + 3 * member.batch_size * units)
    if member.device.type != "cuda":
        return max(4, min(CPU_MEMBERS, CPU_BYTES // max(need, 1)))
    # Members of several splits have samples of their own.
    rows = member.batch_size + len(member.data.validation.y)
    need += rows * member.data.train.X[0].numel() * member.data.train.X.element_size()
    free, _ = torch.cuda.mem_get_info(member.device)
    return max(1, int(GPU_SHARE * free) // max(need, 1))
