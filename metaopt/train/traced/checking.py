"""Check that a traced program matches PyTorch, with the same bits for each member in any batch."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from metaopt.train.engines.base import Member
from metaopt.train.traced.layout import Layout
from metaopt.train.traced.program import Program, prove
from metaopt.train.traced.skeleton import Use, take_down, with_masks
from metaopt.train.traced.tape import INPUTS, PULL, Tape, Untraceable


def some_inputs(member: Member, n: int) -> Tensor:
    """Return n inputs like those of a step: random if floating-point, else the first samples."""
    X = member.data.train.X
    if not X.is_floating_point():
        return X[:n].clone()
    generator = torch.Generator().manual_seed(0)
    made = torch.randn(n, *X.shape[1:], dtype=X.dtype, generator=generator)
    return made.to(X.device)


def check(skeleton: nn.Module, X: Tensor, masks: Mapping[str, Use]) -> None:
    """Compare programs for two members, in double precision, with autograd.

    Args:
        skeleton: the template of the network, with masked dropout.
        X: inputs of a step.
        masks: of its dropout layers.

    Raises:
        Untraceable: outputs, gradients or buffers differ.

    """
    X = X.double() if X.is_floating_point() else X
    skeleton = with_masks(skeleton, masks, len(X))
    named = [*skeleton.named_parameters(), *skeleton.named_buffers()]
    states = [{name: t.detach().clone() for name, t in named} for _ in range(2)]
    for name, _ in skeleton.named_parameters():
        states[1][name].mul_(0.5)
    tape = take_down(skeleton, X, precision="full")
    expected = [_plain_step(skeleton, state, X) for state in states]
    # The second program uses no rules except for views, which are never called per member.
    for alone in ((), [k for k, call in enumerate(tape.calls) if not call.is_view]):
        values = {name: torch.stack([state[name] for state in states]) for name, _ in named}
        program = Program(tape, True, alone)
        outputs, room = program.forward({**values, INPUTS: X})
        found = program.backward(room, 2 * outputs)
        for row, (result, gradients, buffers) in enumerate(expected):
            if any((found[name] is None) != (g is None) for name, g in gradients.items()):
                raise Untraceable("its traced program lacks a gradient")
            mine = {name: g[row] for name, g in found.items() if g is not None}
            pairs = [(outputs[row], result)]
            pairs += [(values[name][row], buffer) for name, buffer in buffers.items()]
            pairs += [(mine[name], g) for name, g in gradients.items() if g is not None]
            if not all(torch.allclose(a, b, rtol=1e-8, atol=1e-10) for a, b in pairs):
                raise Untraceable("its traced program computes other values")


def _plain_step(
    skeleton: nn.Module, state: Mapping[str, Tensor], X: Tensor
) -> tuple[Tensor, dict[str, Tensor | None], dict[str, Tensor]]:
    """Return outputs, gradients of their sum of squares, and buffers after a step, by autograd."""
    network = copy.deepcopy(skeleton)
    with torch.no_grad():
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            tensor.copy_(state[name])
    with torch.enable_grad():
        outputs = network(X)
        outputs.square().sum().backward()
    gradients = {k: p.grad for k, p in network.named_parameters() if p.requires_grad}
    return outputs.detach(), gradients, dict(network.named_buffers())


def prove_for(
    tape: Tape,
    skeleton: nn.Module,
    layout: Layout,
    masks: Mapping[str, Use],
    member: Member,
    n: int,
) -> dict[bool, Program]:
    """Return the programs of a step; on the CPU with the same bits for each member in any batch.

    Args:
        tape: the traced step.
        skeleton: the template that was traced.
        layout: of the parameters.
        masks: of the dropout layers.
        member: has the data and the device.
        n: samples in the step.

    Returns:
        The program for shared inputs (True) and for separate inputs (False).

    """
    if member.device.type != "cpu":
        return {shared: Program(tape, shared) for shared in (True, False)}
    generator = torch.Generator().manual_seed(1)

    def uniform(shape: Sequence[int]) -> Tensor:
        return torch.rand(*shape, dtype=torch.float64, generator=generator)

    def made_up(t: Tensor) -> Tensor:
        if not t.is_floating_point():
            return t.detach().clone()[None]
        numbers = uniform(t.shape)
        if t.ndim > 1:
            numbers = (numbers - 0.5) * (12 / t[0].numel()) ** 0.5
        return (numbers if t.ndim > 1 else numbers + 0.5).to(t.dtype)[None]

    def sample() -> dict[str, Tensor]:
        values: dict[str, Any] = dict(skeleton.named_buffers()) | dict(skeleton.named_parameters())
        values = {k: made_up(t) for k, t in values.items()}
        dtype = next(p.dtype for p in skeleton.parameters() if p.requires_grad)
        for name in masks:
            values[name] = (uniform(values[name].shape) > 0.3).to(dtype) * 1.5
        values[PULL] = (uniform(tape.shapes[tape.outputs]) - 0.5).to(dtype)[None]
        X = some_inputs(member, n)
        if X.is_floating_point():
            X = (uniform(X.shape) * 2 - 1).to(X.dtype)
        return {**values, INPUTS: X[None]}

    with torch.no_grad():
        return prove(tape, layout, [sample() for _ in range(3)])
