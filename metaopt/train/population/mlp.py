"""Engine that trains K MLPs at once with batched matrix products and hand-written gradients.

Notation: K members, B samples per step, layer l = 0..L-1 from I_l to O_l units:

    h_0 = X (B, I_0), or (K, B, I_0) if each member has its own samples
    W_l (K, I_l, O_l), b_l (K, O_l)
    z_l = h_l W_l + b_l (K, B, O_l)                  h_{l+1} = m_l f(z_l), m_l a dropout mask

The outputs z_{L-1} are stored as (K, C, B), classes before samples: sums over a few classes are
then sums of long rows, three times faster. d_l is the gradient of the sum of the members' losses
with respect to z_l; dW_l = h_l^T d_l, db_l = sum_B d_l, and
d_{l-1} = f'(z_{l-1}) m_{l-1} (d_l W_l^T).

Autograd and torch.func would compute the same. Without them a step takes a third of the time,
because for small networks the number of calls matters most. No operation mixes members, so the
numbers of a row do not depend on the other rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from metaopt.train.engines.base import Engine, Member, own_loss
from metaopt.train.population.mlp_layout import FUNCTIONS, Function, Perceptron, read_perceptron
from metaopt.train.population.ops import VECTORS, CrossEntropy, Mask, multiply
from metaopt.train.population.optimizers import StackedOptimizer, update_form
from metaopt.train.population.stack import Stack
from metaopt.train.runtime.checkpoint import State, listed, numbered
from metaopt.train.runtime.rng import Bits, dropout_bits


class Activated(NamedTuple):
    """Adjacent rows with the same activation.

    Attributes:
        rows: the rows.
        function: their activation.
        units: 1 for units of the network and 0 for padding, (K, 1, O); None if padding stays 0
            without it.

    """

    rows: slice
    function: Function
    units: Tensor | None


class Hidden(NamedTuple):
    """What the backward pass of a layer needs.

    Attributes:
        z, f: z and f(z) of the layer before.
        h: the input of the layer.
        mask: the dropout mask of its input, if any.

    """

    z: Tensor
    f: Tensor
    h: Tensor
    mask: Tensor | None


class Lowered(Engine):
    """Trains MLPs of one design.

    Args:
        members: the members to train.
        nets: their networks, as `read_perceptron` returned them.

    """

    name = "lowered"
    admits = True

    def __init__(self, members: Sequence[Member], nets: Sequence[Perceptron]) -> None:
        super().__init__(members)
        self._nets = list(nets)
        self._design = nets[0].design
        self._layers = self._design.layers
        task = members[0].task
        self._input_dims = members[0].data.train.X.ndim - 1
        self._loss, self._function = task.loss, task.loss_function
        self._evaluation_rows = task.evaluation_rows
        self._like = torch.empty(0, dtype=self._design.dtype, device=self._device)
        self._cross_entropy = CrossEntropy(task.loss_function, self._layers[-1].outputs, self._like)
        self._stack = _stack(nets)
        self._bits = [self._member_bits(m, net) for m, net in zip(members, nets, strict=True)]
        self._t = [0] * len(members)  # steps taken by each member
        self._rebuild()

    def _member_bits(self, member: Member, net: Perceptron) -> list[Bits | None]:
        drawing = [d if d is not None and 0 < d[0] < 1 else None for d in net.dropout]
        streams = {d[1]: dropout_bits(member.seed, d[1], self._device) for d in drawing if d}
        return [None if d is None else streams[d[1]] for d in drawing]

    @property
    def _device(self) -> torch.device:
        return self.feed.device

    def _rebuild(self) -> None:
        """Rebuild everything that depends on the set of rows."""
        stack = self._stack
        self._optimizer = StackedOptimizer(stack, [m.recipe for m in self.members], self._t)
        self._w, self._dw = stack.w[: len(self._layers)], stack.g[: len(self._layers)]
        self._b, self._db = (list(self._bias_views(r)) for r in (stack.w, stack.g))
        self._scratch: dict[tuple[object, ...], Tensor] = {}
        self._masks = [self._mask_of(k) for k in range(len(self._layers))]
        self._functions = [list(self._runs(k)) for k in range(len(self._layers))]

    def _bias_views(self, regions: list[Tensor]) -> Iterator[Tensor | None]:
        start = 0
        for layer in self._layers:
            if layer.bias:
                yield regions[-1][:, start : start + layer.outputs]
                start += layer.outputs
            else:
                yield None

    def _runs(self, k: int) -> Iterator[Activated]:
        """Yield groups of adjacent rows with the same activation after layer k."""
        start = 0
        for name, group in groupby(self._nets, lambda net: net.activations[k]):
            nets = list(group)
            stop = start + len(nets)
            if name:
                function, units = FUNCTIONS[name], None
                if not function.centred and any(net.is_padded for net in nets):
                    units = self._own_units(nets, k)
                yield Activated(slice(start, stop), function, units)
            start = stop

    def _own_units(self, nets: Sequence[Perceptron], k: int) -> Tensor:
        """Return 1 for the units of layer k that a network has and 0 for padding, (K, 1, O)."""
        own = self._like.new_zeros(len(nets), 1, self._layers[k].outputs)
        for row, net in enumerate(nets):
            own[row, :, : net.dense[k].out_features] = 1
        return own

    def _mask_of(self, k: int) -> Mask | None:
        dropout = [net.dropout[k] for net in self._nets]
        if all(d is None or d[0] == 0 for d in dropout):
            return None
        p = [0.0 if d is None else d[0] for d in dropout]
        units = [net.dense[k].in_features for net in self._nets]
        bits = [of_member[k] for of_member in self._bits]
        return Mask(p, bits, self._design.dtype, self._device, units)

    def _buffer(self, kind: str, layer: int, shape: tuple[int, ...]) -> Tensor:
        """Return memory that every step reuses: allocating costs more than the arithmetic."""
        key = (kind, layer, shape)
        if key not in self._scratch:
            self._scratch[key] = self._like.new_empty(shape)
        return self._scratch[key]

    # -- training --------------------------------------------------------------------------------

    @torch.no_grad()
    def train(self, epoch: int) -> list[float]:
        losses = self._buffer("losses", 0, (len(self.members), self.feed.n))
        self.errors = {}
        self._optimizer.start_epoch([m.epoch + 1 for m in self.members])
        start = 0
        pairs = zip(self.feed.epoch(epoch), self.feed.sizes, strict=True)
        for (X, y), size in pairs:
            stop = start + size
            hidden, outputs = self._forward(self._inputs(X, self.feed.shared))
            self._backward(hidden, self._pull_loss(outputs, y, losses[:, start:stop]))
            self._optimizer.step()
            start = stop
        self._t = self._optimizer.times
        means: list[float] = losses.double().mean(1).tolist()  # the only synchronisation per epoch
        return means

    def _inputs(self, X: Tensor, shared: bool) -> Tensor:
        """Return the samples as (K, B, I), whether all members share them or not."""
        X = X.flatten(X.ndim - self._input_dims)
        if X.shape[-1] < self._layers[0].inputs:
            X = F.pad(X, (0, self._layers[0].inputs - X.shape[-1]))
        return X.expand(len(self.members), *X.shape) if shared else X

    def _forward(self, h: Tensor) -> tuple[list[Hidden], Tensor]:
        """Return what each layer's backward pass needs, and the outputs (K, C, B)."""
        n = h.shape[1]
        hidden: list[Hidden] = []
        z = f = h
        for k, layer in enumerate(self._layers):
            mask = self._masks[k]
            drawn = None if mask is None else mask.draw(n, layer.inputs)
            if drawn is not None:
                h = torch.mul(h, drawn, out=self._buffer("h", k, (len(h), n, layer.inputs)))
            hidden.append(Hidden(z, f, h, drawn))
            if k < len(self._layers) - 1:
                z = self._affine(h, k, self._buffer("z", k, (len(h), n, layer.outputs)))
                f = h = self._activate(z, k)
        return hidden, self._outputs_by_class(h)

    def _affine(self, h: Tensor, k: int, out: Tensor) -> Tensor:
        b = self._b[k]
        return multiply(h, self._w[k], None if b is None else b.unsqueeze(1), out)

    def _activate(self, z: Tensor, k: int) -> Tensor:
        """Return f(z) of layer k, written over z if no member needs z any more."""
        runs = self._functions[k]
        if all(run.function.in_place for run in runs):
            out = z
        else:
            out = self._buffer("f", k, tuple(z.shape))
        for rows, function, units in runs:
            for a, b in _evenly(function, z[rows], out[rows]):
                function.apply(a, b)
            if function.in_place and out is not z:
                out[rows].copy_(z[rows])
            if units is not None:
                out[rows].mul_(units)
        return out

    def _outputs_by_class(self, h: Tensor) -> Tensor:
        k = len(self._layers) - 1
        b, w = self._b[k], self._w[k]
        out = self._buffer("out", k, (len(w), w.shape[2], h.shape[1]))
        start = None if b is None else b.unsqueeze(2)
        return multiply(w.transpose(1, 2), h.transpose(1, 2), start, out)

    def _pull_loss(self, z: Tensor, y: Tensor, losses: Tensor) -> Tensor:
        """Write the losses (K, B); return the gradients with respect to z (K, C, B); z is lost."""
        if self._loss == "cross_entropy":
            return self._cross_entropy.pull(z, y, losses)
        if self._loss == "mse":
            own = z[:, : self._design.outputs]
            columns = y.reshape(*y.shape[: 1 if self.feed.shared else 2], -1).to(z.dtype)
            own.sub_(columns.transpose(-1, -2))
            torch.mean(own.square(), dim=1, out=losses)
            own.mul_(2 / own[0].numel())
            return z
        own = z[:, : self._design.outputs]
        targets = y.expand(len(z), *y.shape) if self.feed.shared else y
        values, gradients = own_loss(self._function, own.transpose(1, 2), targets, self.errors)
        losses.copy_(values.unsqueeze(1))  # the mean over the batch, for each sample
        own.copy_(gradients.transpose(1, 2))
        return z

    def _backward(self, hidden: list[Hidden], d: Tensor) -> None:
        """Compute all gradients from `d`, the gradient with respect to the outputs (K, C, B)."""
        last = len(self._layers) - 1
        for k in range(last, -1, -1):
            z, f, h, drawn = hidden[k]
            by_sample = d.transpose(1, 2) if k == last else d
            multiply(h.transpose(1, 2), by_sample, out=self._dw[k])
            db = self._db[k]
            if db is not None:
                torch.sum(d, 2 if k == last else 1, out=db)
            if k == 0:
                return
            buffer = self._buffer("d", k, tuple(f.shape))
            d = multiply(by_sample, self._w[k].transpose(1, 2), out=buffer)
            if drawn is not None:
                d.mul_(drawn)
            for rows, function, _ in self._functions[k - 1]:
                for parts in _evenly(function, d[rows], z[rows], f[rows]):
                    function.pull(*parts)

    # -- other methods of Engine -----------------------------------------------------------------

    @torch.no_grad()
    def outputs(self) -> Tensor:
        X = self._inputs(self.feed.validation().X, self.feed.validated_alike)
        pieces = [self._evaluate(piece) for piece in torch.split(X, self._evaluation_rows, dim=1)]
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=1)

    def _evaluate(self, h: Tensor) -> Tensor:
        if h.shape[1] == 1:  # as in `_padded` of mlp_layout.py
            return self._evaluate(h.expand(-1, 2, -1))[:, :1]
        for k, layer in enumerate(self._layers):
            shape = (*h.shape[:2], layer.outputs)
            last = k == len(self._layers) - 1
            h = self._affine(h, k, h.new_empty(shape) if last else self._buffer("e", k, shape))
            h = self._activate(h, k)
        return h[..., : self._design.outputs]

    def keep(self, rows: Sequence[int]) -> None:
        self._stack.keep(rows)

    @torch.no_grad()
    def settle(self, row: int, kept: bool) -> None:
        regions = self._stack.row(row, kept)
        start = 0
        for dense, layer, weight in zip(self._nets[row].dense, self._layers, regions, strict=False):
            dense.weight.copy_(weight[: dense.in_features, : dense.out_features].t())
            if dense.bias is not None:
                dense.bias.copy_(regions[-1][start : start + dense.out_features])
                start += layer.outputs

    def state(self, row: int) -> dict[str, Tensor]:
        drawing = [bits for bits in self._bits[row] if bits is not None]
        streams = numbered("bits", [bits.state() for bits in drawing])
        return {**self._stack.state(row), **streams, "t": torch.tensor(self._t[row])}

    @torch.no_grad()
    def load(self, states: Sequence[State]) -> None:
        for row, state in enumerate(states):
            self._stack.load(row, state)
            _load_bits(self._bits[row], state)
        self._t = [int(state["t"]) for state in states]
        self._rebuild()

    @torch.no_grad()
    def admit(self, members: Sequence[Member], states: Sequence[State | None]) -> None:
        found = [read_perceptron(m.network, m.data.train, m.task) for m in members]
        new = [net for net in found if not isinstance(net, str)]
        bits = [self._member_bits(m, net) for m, net in zip(members, new, strict=True)]
        stack = _stack(new)
        for row, state in enumerate(states):
            if state is not None:
                stack.load(row, state)
                _load_bits(bits[row], state)
        everyone, nets = [*self.members, *members], [*self._nets, *new]
        # The order that a new team has: rows with one form of update are adjacent.
        keys = [(update_form(m.recipe), n.activations) for m, n in zip(everyone, nets, strict=True)]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        self._stack.admit(stack, order)
        times = [*self._t, *(0 if state is None else int(state["t"]) for state in states)]
        bits = [*self._bits, *bits]
        self._nets, self._bits = [nets[k] for k in order], [bits[k] for k in order]
        self._t = [times[k] for k in order]
        self._become([everyone[k] for k in order])
        self._rebuild()

    def select(self, rows: Sequence[int]) -> None:
        super().select(rows)
        self._nets = [self._nets[k] for k in rows]
        self._bits = [self._bits[k] for k in rows]
        self._t = [self._t[k] for k in rows]
        self._stack.select(rows)
        self._rebuild()


def _load_bits(streams: Sequence[Bits | None], state: State) -> None:
    drawing = [bits for bits in streams if bits is not None]
    for bits, stream in zip(drawing, listed("bits", state), strict=True):
        bits.load(stream)


def _evenly(function: Function, *tensors: Tensor) -> Iterable[tuple[Tensor, ...]]:
    """Split (K, ...) so that the numbers of a member have the same bits in any row."""
    if function.ragged and tensors[0][0].numel() % VECTORS:
        return zip(*tensors, strict=True)
    return [tensors]


@torch.no_grad()
def _stack(nets: Sequence[Perceptron]) -> Stack:
    """Stack weights as (K, I, O) for each layer and all biases as (K, sum of O); padding is 0."""
    layers = nets[0].design.layers
    weights = [
        torch.stack([_pad(net.dense[k].weight.t(), layer.inputs, layer.outputs) for net in nets])
        for k, layer in enumerate(layers)
    ]
    if not any(layer.bias for layer in layers):
        return Stack(weights, len(weights))
    biases = [
        torch.cat(
            [
                F.pad(dense.bias, (0, layer.outputs - dense.out_features))
                for dense, layer in zip(net.dense, layers, strict=True)
                if dense.bias is not None
            ]
        )
        for net in nets
    ]
    return Stack([*weights, torch.stack(biases)], len(weights))


def _pad(weight: Tensor, inputs: int, outputs: int) -> Tensor:
    """Append rows and columns of zeros."""
    return F.pad(weight, (0, outputs - weight.shape[1], 0, inputs - weight.shape[0]))
