"""Read an nn.Module as an MLP: its dense layers, activations and dropout, with padded widths.

Notation: layer l = 0..L-1 computes z_l = h_l W_l + b_l with h_0 the input and, for l > 0,
h_l = dropout_l(f(z_{l-1})); z_{L-1} are the outputs.

Networks with hidden layers of similar widths are trained in one batch, at the padded width. The
weights of the added units are 0 and stay 0: f(0) is 0 or is set to 0, so their gradients are 0.
The padded width of a layer does not depend on the other networks in the batch. A single input or
output is padded to two.
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
    """An elementwise activation function.

    Attributes:
        apply: (z, out) -> f(z), written into `out`, or over z if `in_place`.
        pull: backward pass, (gradient with respect to f(z), z, f(z)) -> gradient with respect to
            z, written over the first argument.
        in_place: whether `pull` does not need z, so that f(z) may overwrite it.
        centred: whether f(0) = 0.
        ragged: whether the last few numbers of a tensor, which do not fill a vector register, may
            differ by a rounding error from the same numbers at another place.

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
    """A dense layer.

    Attributes:
        inputs, outputs: number of units, with padding where it is part of a `Architecture`.
        bias: whether it has a bias.
        active: whether an activation follows.

    """

    inputs: int
    outputs: int
    bias: bool
    active: bool = False


@dataclass(frozen=True)
class Architecture:
    """What members of one batch must have in common.

    Activations and hidden dropout may differ between members.

    Attributes:
        layers: at their padded sizes.
        outputs: number of outputs, without padding.
        input_dropout: whether dropout is applied to the inputs.
        dtype: of all parameters.

    """

    layers: tuple[Layer, ...]
    outputs: int
    input_dropout: bool
    dtype: torch.dtype


@dataclass(frozen=True)
class Perceptron:
    """One network as a chain of layers.

    Attributes:
        design: its architecture with padding.
        dense: its nn.Linear modules.
        activations: for each layer the name of its activation in `FUNCTIONS`, "" for none.
        dropout: for each layer p and the index of the dropout module before it; None for none.

    """

    design: Architecture
    dense: tuple[nn.Linear, ...]
    activations: tuple[str, ...]
    dropout: tuple[tuple[float, int] | None, ...]

    @property
    def is_padded(self) -> bool:
        """Whether any layer of the design is wider than the network's layer."""
        pairs = zip(self.design.layers, self.dense, strict=True)
        return any(layer.outputs > dense.out_features for layer, dense in pairs)


def read_perceptron(network: nn.Module, data: Part | StreamedPart, task: Task) -> Perceptron | str:
    """Return a network as a chain of layers, or the reason why it is not one.

    Args:
        network: any module.
        data: the training samples.
        task: has the loss.

    Returns:
        The chain; a text with the reason if this network is not supported.

    """
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
        return "a parameter is frozen or its dtype differs from that of the inputs"
    if dtype not in (torch.float32, torch.float64):
        return f"its dtype is {dtype}"
    sizes = [prod(data.X.shape[1:]), *(layer.outputs for layer in layers)]
    if [layer.inputs for layer in layers] != sizes[:-1] or not _fits(sizes[-1], data.y, task):
        return "its layers do not fit the data or each other"
    design = Architecture(_padded(layers), layers[-1].outputs, dropout[0] is not None, dtype)
    return Perceptron(design, dense, activations, dropout)


def padded_width(width: int) -> int:
    """Return the padded width of a hidden layer.

    It is a multiple of 32 up to 128 units and of 64 up to 256; wider layers are not padded.
    Padding costs little in small layers, where the number of calls matters most.
    """
    if width > 256:
        return width
    unit = 32 if width <= 128 else 64
    return -(-width // unit) * unit


def _padded(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    widths = [padded_width(layer.outputs) for layer in layers[:-1]]
    # bmm sums in another order for K = 1 than for K > 1 if a side of the matrices is 1.
    inputs, outputs = [max(2, layers[0].inputs), *widths], [*widths, max(2, layers[-1].outputs)]
    return tuple(
        replace(layer, inputs=i, outputs=o)
        for layer, i, o in zip(layers, inputs, outputs, strict=True)
    )


def _fits(outputs: int, y: Tensor, task: Task) -> bool:
    """Whether the loss accepts this number of outputs."""
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
    """Whether hooks of the user run when the module is called."""
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
    dropout: list[tuple[float, int] | None] = [None]  # before each layer, and before the next one
    numbers: dict[int, int] = {}  # a dropout module that is used twice has one random stream
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
            return f"its {type(module).__name__} is not supported at that place"
    if not layers or layers[-1].active or dropout.pop():
        return "its last module is not a linear layer"
    return tuple(layers), tuple(dense), tuple(activations), tuple(dropout)
