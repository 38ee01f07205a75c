"""Perceptrons as data: what a chain of dense layers, activations and dropout consists of.

Notation: layer l = 0..L-1 computes z_l = h_l W_l + b_l with h_0 the input and, for l > 0,
h_l = dropout_l(f(z_{l-1})); z_{L-1} are the outputs.

Hidden layers of similar widths share a program: each is computed at its padded width, with units
whose weights are 0 and stay 0, because f(0) = 0 or is made 0, so that neither they nor what they
lead to ever gets a gradient. A width is padded in the same way whatever the company. Inputs and
outputs of one number are padded to two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import prod

import torch
from torch import Tensor, nn

from metaopt.train.data.arrays import Part, StreamedPart
from metaopt.train.settings.history import Task

aten = torch.ops.aten


@dataclass(frozen=True)
class Function:
    """An activation, elementwise.

    Attributes:
        apply: (z, out) -> f(z), written into `out`; in place of z where `in_place`.
        pull: (gradient by f(z), z, f(z)) -> gradient by z, written over the first.
        in_place: whether `pull` needs no z, so that f(z) may take its place.
        centred: whether f(0) = 0.
        ragged: whether the last few numbers of a tensor, which fill no vector register, may come
            out a rounding error apart from what they are elsewhere.

    """

    apply: Callable[[Tensor, Tensor], Tensor]
    pull: Callable[[Tensor, Tensor, Tensor], Tensor]
    in_place: bool = True
    centred: bool = True
    ragged: bool = False


def _relu() -> Function:
    return Function(
        lambda z, out: torch.relu_(z),
        lambda d, z, h: aten.threshold_backward.grad_input(d, h, 0, grad_input=d),
    )


def _tanh() -> Function:
    return Function(
        lambda z, out: z.tanh_(), lambda d, z, h: aten.tanh_backward.grad_input(d, h, grad_input=d)
    )


def _sigmoid() -> Function:
    return Function(
        lambda z, out: z.sigmoid_(),
        lambda d, z, h: aten.sigmoid_backward.grad_input(d, h, grad_input=d),
        centred=False,
        ragged=True,
    )


def _silu() -> Function:
    return Function(
        lambda z, out: aten.silu.out(z, out=out),
        lambda d, z, h: aten.silu_backward.grad_input(d, z, grad_input=d),
        in_place=False,
        ragged=True,
    )


def _gelu(approximate: str) -> Function:
    return Function(
        lambda z, out: aten.gelu.out(z, approximate=approximate, out=out),
        lambda d, z, h: aten.gelu_backward.grad_input(d, z, approximate=approximate, grad_input=d),
        in_place=False,
        ragged=True,
    )


FUNCTIONS: dict[str, Function] = {
    "relu": _relu(),
    "tanh": _tanh(),
    "sigmoid": _sigmoid(),
    "silu": _silu(),
    "gelu": _gelu("none"),
    "gelu tanh": _gelu("tanh"),
}
MODULES: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.Tanh: "tanh",
    nn.Sigmoid: "sigmoid",
    nn.SiLU: "silu",
}


@dataclass(frozen=True)
class Layer:
    """A dense layer at its padded sizes, and whether an activation follows it."""

    inputs: int
    outputs: int
    bias: bool
    active: bool = False


@dataclass(frozen=True)
class Design:
    """What members must have in common; activations, and dropout but of the inputs, are free."""

    layers: tuple[Layer, ...]
    outputs: int
    input_dropout: bool
    dtype: torch.dtype


@dataclass(frozen=True)
class Perceptron:
    """One network as a chain.

    Attributes:
        design: its architecture.
        dense: its layers.
        activations: a name of `FUNCTIONS` for each layer, "" for none.
        dropout: for each layer the p and the number of the dropout before it, or None.

    """

    design: Design
    dense: tuple[nn.Linear, ...]
    activations: tuple[str, ...]
    dropout: tuple[tuple[float, int] | None, ...]

    @property
    def is_padded(self) -> bool:
        """Whether any layer has units that the network lacks."""
        pairs = zip(self.design.layers, self.dense, strict=True)
        return any(layer.outputs > dense.out_features for layer, dense in pairs)


def read_perceptron(network: nn.Module, data: Part | StreamedPart, task: Task) -> Perceptron | str:
    """Take a network apart; a text says why it is no such chain."""
    chain = list(_flat(network))
    if any(has_hooks(m) or "forward" in vars(m) for m in network.modules()):
        return "it has hooks"
    if chain and type(chain[0]) is nn.Flatten and (chain[0].start_dim, chain[0].end_dim) == (1, -1):
        chain = chain[1:]
    elif data.X.ndim != 2:
        return f"its inputs have {data.X.ndim - 1} dimensions and no Flatten comes first"
    found = _read_chain(chain)
    if isinstance(found, str):
        return found
    layers, dense, activations, dropout = found
    parameters = list(network.parameters())  # each once
    dtype = parameters[0].dtype
    if len(parameters) < sum(1 + layer.bias for layer in layers):
        return "layers share parameters"
    if not all(p.requires_grad and p.dtype == dtype == data.X.dtype for p in parameters):
        return "not all of its parameters are trained, or of the inputs' type"
    if dtype not in (torch.float32, torch.float64):
        return f"it computes in {dtype}"
    sizes = [prod(data.X.shape[1:]), *(layer.outputs for layer in layers)]
    if [layer.inputs for layer in layers] != sizes[:-1] or not _fits(sizes[-1], data.y, task):
        return "its layers do not fit the data or each other"
    design = Design(_padded(layers), layers[-1].outputs, dropout[0] is not None, dtype)
    return Perceptron(design, dense, activations, dropout)


def padded_width(width: int) -> int:
    """Units to compute for a hidden layer: at most 31 more, 63 above 128, none above 256.

    Padding costs little where a step is bound by the number of calls, and much in large layers.
    """
    if width > 256:
        return width
    unit = 32 if width <= 128 else 64
    return -(-width // unit) * unit


def _padded(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    widths = [padded_width(layer.outputs) for layer in layers[:-1]]
    # A product with a side of 1 is summed in another order alone than among others.
    inputs, outputs = [max(2, layers[0].inputs), *widths], [*widths, max(2, layers[-1].outputs)]
    return tuple(
        replace(layer, inputs=i, outputs=o)
        for layer, i, o in zip(layers, inputs, outputs, strict=True)
    )


def _fits(outputs: int, y: Tensor, task: Task) -> bool:
    """Whether the loss takes these outputs as they are."""
    if task.loss == "cross_entropy":
        return y.ndim == 1 and outputs >= task.n_classes
    if task.loss == "mse":
        return tuple(y.shape[1:]) in ((outputs,), () if outputs == 1 else (outputs,))
    return True


def _flat(network: nn.Module) -> Iterator[nn.Module]:
    if type(network) is nn.Sequential:
        for module in network:
            yield from _flat(module)
    elif type(network) is not nn.Identity:
        yield network


def has_hooks(module: nn.Module) -> bool:
    """Whether code of the caller's runs beside the module's own."""
    return any(bool(v) for k, v in vars(module).items() if k.endswith("_hooks"))


def _activation(module: nn.Module) -> str | None:
    if type(module) is nn.GELU:
        return "gelu" if module.approximate == "none" else "gelu tanh"
    return MODULES.get(type(module))


Dropouts = tuple[tuple[float, int] | None, ...]
Chain = tuple[tuple[Layer, ...], tuple[nn.Linear, ...], tuple[str, ...], Dropouts]


def _read_chain(chain: list[nn.Module]) -> Chain | str:
    layers: list[Layer] = []
    dense: list[nn.Linear] = []
    activations: list[str] = []
    dropout: list[tuple[float, int] | None] = [None]  # before each layer, the next included
    numbers: dict[int, int] = {}  # a dropout module that occurs twice has one stream
    for module in chain:
        activation = _activation(module)
        if type(module) is nn.Linear:
            bias = module.bias is not None
            layers.append(Layer(module.in_features, module.out_features, bias))
            dense.append(module)
            activations.append("")
            dropout.append(None)
        elif type(module) is nn.Dropout and dropout[-1] is None:
            dropout[-1] = (module.p, numbers.setdefault(id(module), len(numbers)))
        elif activation and layers and not layers[-1].active and dropout[-1] is None:
            layers[-1] = replace(layers[-1], active=True)
            activations[-1] = activation
        else:
            return f"{type(module).__name__} stands where it is not known"
    if not layers or layers[-1].active or dropout.pop():
        return "it does not end in a dense layer"
    return tuple(layers), tuple(dense), tuple(activations), tuple(dropout)
