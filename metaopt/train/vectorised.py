"""Many networks of one architecture, whatever their layers, as one program of torch.func's.

Notation: K members; a skeleton is a copy of one network that lends its code, while parameters,
buffers and dropout masks come stacked, (K, ...), through `functional_call` under `vmap`.

PyTorch turns some layers (convolutions, for one) into other kernels when they are stacked, so a
member equals its training alone up to rounding and not bit for bit; that is why a trainer uses
this engine only when asked to. A probe in double precision decides whether a module is right
under `vmap`: outputs, gradients and buffers must be those of the plain module.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from metaopt.train.batched import Mask
from metaopt.train.checkpoint import State, copy_all, listed, numbered
from metaopt.train.engine import Engine, Member, mean_losses
from metaopt.train.loop import half_precision
from metaopt.train.metrics import check_loss, check_outputs, check_untouched
from metaopt.train.noise import FEATURE_DROPOUTS, Bits, Noise, dropout_bits
from metaopt.train.stack import Stack
from metaopt.train.stacked_steps import StackedOptimizer

PROBE_ROWS = 6
DROPOUTS = (nn.Dropout, *FEATURE_DROPOUTS)
INTERNAL = set(vars(nn.Module())) - {"training"}
Tensors = dict[str, Tensor]


class MaskedDropout(nn.Module):
    """Dropout whose mask is given, as a buffer; knows for which shapes it is asked."""

    mask: Tensor

    def __init__(self, channels: bool) -> None:
        super().__init__()
        self.channels = channels
        self.shapes: list[tuple[int, ...]] = []
        self.register_buffer("mask", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        ones = (1,) * (x.ndim - 2)
        self.shapes.append((*x.shape[:2], *ones) if self.channels else tuple(x.shape))
        return x * self.mask


def signature(network: nn.Module) -> Hashable:
    """What networks must have in common to share a skeleton: all but weights and dropout's p."""
    described = []
    for path, module in network.named_modules(remove_duplicate=False):
        plain = sorted(
            (name, repr(value))
            for name, value in vars(module).items()
            if name not in INTERNAL and not (name == "p" and type(module) in DROPOUTS)
        )
        described.append((path, type(module), tuple(plain)))
    tensors = [
        (name, tuple(t.shape), t.dtype, t.requires_grad)
        for named in (network.named_parameters(), network.named_buffers())
        for name, t in named
    ]
    return tuple(described), tuple(tensors)


def make_skeleton(network: nn.Module) -> tuple[nn.Module, list[str]]:
    """Copy a network with masked dropout; return also the paths of its dropout layers."""
    skeleton = copy.deepcopy(network)
    paths = [path for path, m in skeleton.named_modules() if path and type(m) in DROPOUTS]
    for path in paths:
        parent, _, name = path.rpartition(".")
        kind = type(skeleton.get_submodule(path))
        setattr(skeleton.get_submodule(parent), name, MaskedDropout(kind in FEATURE_DROPOUTS))
    return skeleton, paths


def probe(member: Member) -> dict[str, tuple[int, ...]] | str:
    """Try a member's network under `vmap`.

    Returns:
        The shape of one sample's mask of every dropout layer; or why it cannot be vectorised.

    """
    named = list(member.network.named_modules(remove_duplicate=False))
    if len({id(m) for _, m in named if type(m) in DROPOUTS}) < sum(
        type(m) in DROPOUTS for _, m in named
    ):
        return "a dropout layer occurs twice in it"
    trained = {p.dtype for p in member.network.parameters() if p.requires_grad}
    if len(trained) != 1:
        return "its parameters are of several types, or none is trained"
    skeleton, paths = make_skeleton(member.network)
    skeleton = skeleton.double().train()
    X = member.data.train.X[:PROBE_ROWS]
    X = X.double() if X.is_floating_point() else X
    X = X.clone()  # a network might write into it
    try:
        return _compare(skeleton, paths, X)
    except Exception as error:
        return f"{type(error).__name__}: {error}".split("\n")[0]


def _compare(skeleton: nn.Module, paths: list[str], X: Tensor) -> dict[str, tuple[int, ...]] | str:
    before = {k: v.clone() for k, v in skeleton.state_dict().items()}
    noise = Noise(0, X.device)
    with noise, torch.enable_grad():
        expected = skeleton(X)
        expected.square().sum().backward()
    if noise.used:
        return "it draws random numbers of its own"
    shapes: dict[str, tuple[int, ...]] = {}
    for path in paths:
        layer = skeleton.get_submodule(path)
        assert isinstance(layer, MaskedDropout)
        asked = layer.shapes
        if len(asked) != 1 or asked[0][0] != len(X):
            return f"the dropout {path!r} is not used once a step on samples"
        shapes[path] = asked[0][1:]
    gradients = {k: p.grad for k, p in skeleton.named_parameters() if p.grad is not None}
    buffers = {k: b.clone() for k, b in skeleton.named_buffers()}
    skeleton.load_state_dict(before)
    # A second member with other weights shows whether rows mix.
    leaves = {
        k: torch.stack([p.detach(), p.detach() * 0.5]).requires_grad_(p.requires_grad)
        for k, p in skeleton.named_parameters()
    }
    state = {k: torch.stack([b, b]) for k, b in skeleton.named_buffers()}
    with torch.enable_grad():
        outputs = _stacked(skeleton, shared=True)(leaves, state, {}, X)
        outputs.square().sum().backward()  # type: ignore[no-untyped-call]
    pairs = [(outputs[0], expected), *((state[k][0], b) for k, b in buffers.items())]
    for name, gradient in gradients.items():
        stacked = leaves[name].grad
        if stacked is None:
            return f"the gradient of {name!r} is lost when it is vectorised"
        pairs.append((stacked[0], gradient))
    right = all(torch.allclose(a, b, rtol=1e-8, atol=1e-10) for a, b in pairs)
    return shapes if right else "it computes something else when vectorised"


def _stacked(skeleton: nn.Module, shared: bool) -> Callable[..., Tensor]:
    """Return the skeleton as a function of stacked tensors and inputs, `shared` or stacked."""

    def one(parameters: Tensors, buffers: Tensors, masks: Tensors, x: Tensor) -> Any:
        return functional_call(skeleton, {**parameters, **buffers, **masks}, (x,))

    dims = (0, 0, 0, None if shared else 0)
    stacked: Callable[..., Tensor] = vmap(one, in_dims=dims, randomness="error")
    return stacked


class Vectorised(Engine):
    """Trains networks of one signature that passed the probe.

    Args:
        members: with networks of one signature.
        shapes: of one sample's mask, by dropout layer, as the probe found them.

    """

    name = "vectorised"

    def __init__(self, members: Sequence[Member], shapes: dict[str, tuple[int, ...]]) -> None:
        super().__init__(members)
        self._shapes = shapes
        first = members[0]
        self._skeleton, _ = make_skeleton(first.network)
        trained = [(k, p) for k, p in first.network.named_parameters() if p.requires_grad]
        trained.sort(key=lambda item: item[1].ndim < 2)
        self._names = [k for k, _ in trained]
        nets = [m.network for m in members]
        self._stack = Stack(
            [torch.stack([n.get_parameter(k).detach() for n in nets]) for k in self._names],
            sum(p.ndim >= 2 for _, p in trained),
        )
        self._state = {k: torch.stack([_tensor(n, k) for n in nets]) for k in self._fixed_names()}
        self._kept_state: Tensors = {}
        self._layers = [_dropout_layers(m, shapes) for m in members]
        self._t = 0
        self._rebuild()

    def _fixed_names(self) -> list[str]:
        """Names of buffers and frozen parameters."""
        network = self.members[0].network
        frozen = [k for k, p in network.named_parameters() if not p.requires_grad]
        return frozen + [k for k, _ in network.named_buffers()]

    def _rebuild(self) -> None:
        first = self.members[0]
        self._call = _stacked(self._skeleton, self.feed.shared)
        self._optimizer = StackedOptimizer(self._stack, [m.recipe for m in self.members], self._t)
        pairs = zip(self._names, self._stack.w, strict=True)
        self._leaves = {k: w.detach().requires_grad_() for k, w in pairs}
        self._masks: dict[str, Mask] = {}
        for k, path in enumerate(self._shapes):
            p = [layers[k][0] for layers in self._layers]
            bits = [b if 0 < x < 1 else None for x, b in (layers[k] for layers in self._layers)]
            self._masks[path] = Mask(p, bits, self._stack.w[0].dtype, first.device)

    def _draw(self, n: int) -> Tensors:
        return {
            f"{path}.mask": mask.draw(n, prod(shape)).view(-1, n, *shape)
            for (path, mask), shape in zip(self._masks.items(), self._shapes.values(), strict=True)
        }

    def train(self, epoch: int) -> list[float]:
        losses: list[Tensor] = []
        self.errors = {}
        self._skeleton.train()
        self._optimizer.start_epoch(epoch)
        for X, y in self.feed.epoch(epoch):
            losses.append(self._step(X, y, check=epoch == 1 and not losses))
        self._t = self._optimizer.t
        return mean_losses(torch.stack(losses), self.feed.sizes)

    def _step(self, X: Tensor, y: Tensor, check: bool) -> Tensor:
        task = self.members[0].task
        targets = [y] * len(self.members) if self.feed.shared else list(y)
        versions = X._version, y._version
        with torch.enable_grad():
            drawn = self._draw(len(targets[0]))
            with half_precision(task.precision, X.device):
                outputs = self._call(self._leaves, self._state, drawn, X)
            outputs = self._full(outputs)
            if check:
                check_outputs(outputs[0], targets[0], task.loss, task.n_classes)
            pairs = zip(outputs, targets, strict=True)
            losses = torch.stack([self._loss(row, o, t) for row, (o, t) in enumerate(pairs)])
            if check:
                check_untouched(versions, X, y)
            gradients = torch.autograd.grad(
                losses.sum(), list(self._leaves.values()), allow_unused=True
            )
        for g, gradient in zip(self._stack.g, gradients, strict=True):
            g.zero_() if gradient is None else g.copy_(gradient)
        with torch.no_grad():
            self._optimizer.step()
        return losses.detach()

    def _loss(self, row: int, outputs: Tensor, y: Tensor) -> Tensor:
        try:
            loss = self.members[row].task.loss_function(outputs, y)
            check_loss(loss)
            return loss
        except Exception as error:
            self.errors.setdefault(row, error)
            return outputs.sum() * torch.nan

    @torch.no_grad()
    def outputs(self) -> Tensor:
        self._skeleton.eval()
        X, rows = self.feed.validation().X, self.members[0].task.evaluation_rows
        parts = torch.split(X, rows, dim=0 if self.feed.shared else 1)
        with half_precision(self.members[0].task.precision, X.device):
            pieces = [self._call(self._leaves, self._state, {}, part) for part in parts]
        outputs = pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=1)
        return self._full(outputs)

    def _full(self, outputs: Tensor) -> Tensor:
        """Outputs in the parameters' precision."""
        half = self.members[0].task.half
        return outputs.to(self._stack.w[0].dtype) if half else outputs

    def keep(self, rows: Sequence[int]) -> None:
        self._stack.keep(rows)
        for name, tensor in self._state.items():
            kept = self._kept_state.setdefault(name, tensor.clone())
            for row in rows:
                kept[row] = tensor[row]

    @torch.no_grad()
    def settle(self, row: int, kept: bool) -> None:
        network = self.members[row].network
        for name, value in zip(self._names, self._stack.row(row, kept), strict=True):
            network.get_parameter(name).copy_(value)
        for name, tensor in (self._kept_state if kept else self._state).items():
            _tensor(network, name).copy_(tensor[row])

    def state(self, row: int) -> dict[str, Tensor]:
        return {
            **self._stack.state(row),
            **numbered("buffers", [tensor[row] for tensor in self._state.values()]),
            **numbered("kept buffers", [tensor[row] for tensor in self._kept_state.values()]),
            **numbered("bits", [bits.state() for _, bits in self._layers[row]]),
            "t": torch.tensor(self._t),
        }

    @torch.no_grad()
    def load(self, states: Sequence[State]) -> None:
        if any(listed("kept buffers", state) for state in states):
            self._kept_state = {name: tensor.clone() for name, tensor in self._state.items()}
        for row, state in enumerate(states):
            self._stack.load(row, state)
            copy_all("buffers", state, [tensor[row] for tensor in self._state.values()])
            if listed("kept buffers", state):
                kept = [tensor[row] for tensor in self._kept_state.values()]
                copy_all("kept buffers", state, kept)
            streams = listed("bits", state)
            for (_, bits), stream in zip(self._layers[row], streams, strict=True):
                bits.load(stream)
        self._t = int(states[0]["t"])
        self._rebuild()

    def select(self, rows: Sequence[int]) -> None:
        index = torch.tensor(rows, device=self.members[0].device)
        for state in (self._state, self._kept_state):
            for name, tensor in state.items():
                state[name] = tensor.index_select(0, index)
        super().select(rows)
        self._layers = [self._layers[k] for k in rows]
        self._stack.select(rows)
        self._rebuild()


def _dropout_layers(member: Member, paths: Iterable[str]) -> list[tuple[float, Bits]]:
    """The p and the stream of a member's dropout layers."""
    found = []
    for k, path in enumerate(paths):
        module: Any = member.network.get_submodule(path)
        found.append((float(module.p), dropout_bits(member.seed, k, member.device)))
    return found


def _tensor(network: nn.Module, name: str) -> Tensor:
    """Return the parameter or buffer of that name, detached and writable."""
    owner, _, last = name.rpartition(".")
    tensor: Tensor = getattr(network.get_submodule(owner), last)
    return tensor.detach()
