"""Engine that trains K networks at once by running their traced training step for all of them.

Notation: K members; parameters, buffers and dropout masks are stacked, (K, ...).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from metaopt.train.engines.base import Engine, Member
from metaopt.train.engines.single import outputs_of
from metaopt.train.population.ops import Mask
from metaopt.train.population.optimizers import StackedOptimizer, update_form
from metaopt.train.population.stack import Stack
from metaopt.train.runtime.checkpoint import State, copy_all, listed, numbered
from metaopt.train.runtime.rng import Bits, dropout_bits
from metaopt.train.settings.metrics import check_outputs
from metaopt.train.traced.plan import Plan
from metaopt.train.traced.pull import Pull
from metaopt.train.traced.skeleton import Use
from metaopt.train.traced.tape import INPUTS

Tensors = dict[str, Tensor]


class Traced(Engine):
    """Trains networks that share a plan.

    Args:
        members: their networks have the signature of the plan.
        plan: what `find_plan` returned.

    """

    name = "traced"
    admits = True

    def __init__(self, members: Sequence[Member], plan: Plan) -> None:
        super().__init__(members)
        self._plan = plan
        nets = [m.network for m in members]
        layout = plan.layout
        self._stack = Stack(
            layout.regions([dict(n.named_parameters()) for n in nets]), layout.n_weights
        )
        self._state = {k: torch.stack([_tensor(n, k) for n in nets]) for k in self._fixed_names()}
        self._kept_state: Tensors = {}
        self._bits = [_streams(m, plan.masks.values()) for m in members]
        self._pull = Pull(members[0].task, self._stack.w[0])
        self._t = [0] * len(members)  # steps taken by each member
        self._rebuild()

    def _fixed_names(self) -> list[str]:
        """Return the names of buffers and frozen parameters."""
        network = self.members[0].network
        frozen = [k for k, p in network.named_parameters() if not p.requires_grad]
        return frozen + [k for k, _ in network.named_buffers()]

    def _rebuild(self) -> None:
        """Rebuild everything that depends on the set of rows."""
        first, w = self.members[0], self._stack.w
        self._optimizer = StackedOptimizer(self._stack, [m.recipe for m in self.members], self._t)
        self._values = {**self._plan.layout.views(w), **self._state}
        self._gradients = self._plan.layout.views(self._stack.g)
        self._masks = {
            name: self._mask(use, w[0].dtype, first.device)
            for name, use in self._plan.masks.items()
        }

    def _mask(self, use: Use, dtype: torch.dtype, device: torch.device) -> Mask:
        p = [_p(m, use) for m in self.members]
        streams = [own[use.path] for own in self._bits]
        bits = [b if 0 < x < 1 else None for x, b in zip(p, streams, strict=True)]
        return Mask(p, bits, dtype, device)

    @torch.no_grad()
    def train(self, epoch: int) -> list[float]:
        losses = self._stack.w[0].new_empty(len(self.members), self.feed.n)
        self.errors = {}
        self._optimizer.start_epoch([m.epoch + 1 for m in self.members])
        start = 0
        for (X, y), size in zip(self.feed.epoch(epoch), self.feed.sizes, strict=True):
            self._step(X, y, losses[:, start : start + size], check=start == 0)
            start += size
        self._t = self._optimizer.times
        means: list[float] = losses.double().mean(1).tolist()  # the only synchronisation per epoch
        return means

    def _step(self, X: Tensor, y: Tensor, losses: Tensor, check: bool) -> None:
        shared = self.feed.shared
        program = self._plan.programs[losses.shape[1], shared]
        drawn = self._draw(losses.shape[1])
        outputs, room = program.forward({**self._values, **drawn, INPUTS: X})
        if check:
            task = self.members[0].task
            check_outputs(outputs[0], y if shared else y[0], task.loss, task.n_classes)
        gradients = program.backward(room, self._pull(outputs, y, shared, losses, self.errors))
        for name, g in self._gradients.items():
            found = gradients[name]
            g.zero_() if found is None else g.copy_(found)
        self._optimizer.step()

    def _draw(self, n: int) -> Tensors:
        return {
            name: self._masks[name].draw(n, prod(use.shape)).view(-1, n, *use.shape)
            for name, use in self._plan.masks.items()
        }

    @torch.no_grad()
    def outputs(self) -> list[Tensor]:
        return [self._evaluate(row) for row in range(len(self.members))]

    def _evaluate(self, row: int) -> Tensor:
        member = self.members[row]
        # Copies, since the results of kernels may depend on a row's alignment in memory.
        values = {name: value[row].clone() for name, value in self._values.items()}

        def apply(X: Tensor) -> Any:
            return functional_call(member.network, values, (X,))

        outputs = outputs_of(member, member.data.validation.X, apply)
        return outputs.to(self._stack.w[0].dtype)

    def keep(self, rows: Sequence[int]) -> None:
        self._stack.keep(rows)
        if not self._kept_state:
            self._kept_state = {name: tensor.clone() for name, tensor in self._state.items()}
        for name, tensor in self._state.items():
            for row in rows:
                self._kept_state[name][row] = tensor[row]

    @torch.no_grad()
    def settle(self, row: int, kept: bool) -> None:
        network = self.members[row].network
        regions = [region.unsqueeze(0) for region in self._stack.row(row, kept)]
        for name, value in self._plan.layout.views(regions).items():
            network.get_parameter(name).copy_(value[0])
        for name, tensor in (self._kept_state if kept else self._state).items():
            _tensor(network, name).copy_(tensor[row])

    def state(self, row: int) -> dict[str, Tensor]:
        return {
            **self._stack.state(row),
            **numbered("buffers", [tensor[row] for tensor in self._state.values()]),
            **numbered("kept buffers", [tensor[row] for tensor in self._kept_state.values()]),
            **numbered("bits", [bits.state() for bits in self._bits[row].values()]),
            "t": torch.tensor(self._t[row]),
        }

    @torch.no_grad()
    def load(self, states: Sequence[State]) -> None:
        self._load(states)
        self._rebuild()

    def _load(self, states: Sequence[State | None]) -> None:
        if any(listed("kept buffers", state) for state in states if state is not None):
            self._kept_state = {name: tensor.clone() for name, tensor in self._state.items()}
        for row, state in enumerate(states):
            if state is None:
                continue
            self._stack.load(row, state)
            copy_all("buffers", state, [tensor[row] for tensor in self._state.values()])
            if listed("kept buffers", state):
                kept = [tensor[row] for tensor in self._kept_state.values()]
                copy_all("kept buffers", state, kept)
            streams = listed("bits", state)
            for bits, stream in zip(self._bits[row].values(), streams, strict=True):
                bits.load(stream)
            self._t[row] = int(state["t"])

    @torch.no_grad()
    def admit(self, members: Sequence[Member], states: Sequence[State | None]) -> None:
        other = Traced(members, self._plan)
        other._load(states)
        everyone = [*self.members, *members]
        # The order that a new team has: rows with one form of update are adjacent.
        order = sorted(range(len(everyone)), key=lambda k: update_form(everyone[k].recipe))
        self._stack.admit(other._stack, order)
        if self._kept_state or other._kept_state:
            mine, theirs = self._kept_state or self._state, other._kept_state or other._state
            self._kept_state = _joined(mine, theirs, order)
        self._state = _joined(self._state, other._state, order)
        bits, times = [*self._bits, *other._bits], [*self._t, *other._t]
        self._bits, self._t = [bits[k] for k in order], [times[k] for k in order]
        self._become([everyone[k] for k in order])
        self._rebuild()

    def select(self, rows: Sequence[int]) -> None:
        index = torch.tensor(rows, device=self.members[0].device)
        for state in (self._state, self._kept_state):
            for name, tensor in state.items():
                state[name] = tensor.index_select(0, index)
        super().select(rows)
        self._bits = [self._bits[k] for k in rows]
        self._t = [self._t[k] for k in rows]
        self._stack.select(rows)
        self._rebuild()


def _joined(mine: Tensors, theirs: Tensors, order: Sequence[int]) -> Tensors:
    """Concatenate the rows of both, then reorder: new row k is old row order[k]."""
    return {name: torch.cat([t, theirs[name]])[list(order)] for name, t in mine.items()}


def _p(member: Member, use: Use) -> float:
    module = member.network.get_submodule(use.path)
    assert isinstance(module, nn.modules.dropout._DropoutNd)
    return float(module.p)


def _streams(member: Member, uses: Iterable[Use]) -> dict[str, Bits]:
    """Return the random streams of a member's dropout layers, by path."""
    numbers = {use.path: use.number for use in uses}
    return {p: dropout_bits(member.seed, n, member.device) for p, n in numbers.items()}


def _tensor(network: nn.Module, name: str) -> Tensor:
    """Return the parameter or buffer of that name, detached; it shares the memory."""
    owner, _, last = name.rpartition(".")
    tensor: Tensor = getattr(network.get_submodule(owner), last)
    return tensor.detach()
