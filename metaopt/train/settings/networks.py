"""Ready-made networks: a multi-layer perceptron and a small convolutional network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import nn

from metaopt.core.errors import TrainingError, did_you_mean
from metaopt.space import Scalar
from metaopt.space.values import is_number, native

Build = Callable[[Mapping[str, Scalar]], nn.Module]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
}


def mlp(
    inputs: int,
    outputs: int,
    *,
    depth: int = 2,
    width: int = 64,
    activation: str = "relu",
    dropout: float = 0.0,
) -> nn.Sequential:
    """Return a multi-layer perceptron, which maps (n, ...) to (n, outputs).

    Args:
        inputs: numbers per sample, after flattening.
        outputs: numbers per sample: classes, or columns of y.
        depth: hidden layers; 0 gives a linear model.
        width: units of each hidden layer.
        activation: "relu", "tanh", "sigmoid" or "gelu".
        dropout: probability that a hidden unit is dropped, after every activation; at least 0 and
            below 1.

    Raises:
        TrainingError: a value is out of its range.

    Example:
        >>> import torch
        >>> from metaopt.train import mlp
        >>> network = mlp(4, 3, depth=2, width=32, activation="tanh")
        >>> network(torch.zeros(10, 4)).shape
        torch.Size([10, 3])

    """
    _check_count("depth", depth, 0)
    _check_count("width", width, 1)
    function = _activation(activation)
    layers: list[nn.Module] = [nn.Flatten()]
    for k in range(depth):
        layers += [nn.Linear(inputs if k == 0 else width, width), function()]
        layers += _dropout(dropout)
    layers.append(nn.Linear(width if depth else inputs, outputs))
    return nn.Sequential(*layers)


def cnn(
    shape: tuple[int, ...],
    outputs: int,
    *,
    depth: int = 2,
    channels: int = 8,
    width: int = 64,
    activation: str = "relu",
    dropout: float = 0.0,
) -> nn.Sequential:
    """Return a convolutional network, which maps (n, c, h, w) or (n, h, w) to (n, outputs).

    It has `depth` blocks of a 3x3 convolution, an activation and 2x2 max pooling, then one hidden
    dense layer. Channels double from block to block; there is no pooling once a side of the image
    is one pixel.

    Args:
        shape: of one input, (c, h, w) or (h, w).
        outputs: numbers per sample: classes, or columns of y.
        depth: number of convolution blocks, at least 1.
        channels: of the first block.
        width: units of the hidden layer.
        activation: "relu", "tanh", "sigmoid" or "gelu".
        dropout: probability that an input or an output of the hidden layer is dropped; at least 0
            and below 1.

    Raises:
        TrainingError: a value is out of its range.

    """
    if len(shape) not in (2, 3):
        raise TrainingError(f"cnn needs inputs (n, c, h, w) or (n, h, w), got samples of {shape}")
    _check_count("depth", depth, 1)
    _check_count("channels", channels, 1)
    _check_count("width", width, 1)
    function = _activation(activation)
    layers: list[nn.Module] = []
    if len(shape) == 2:
        layers.append(nn.Unflatten(1, (1, shape[0])))
    c, h, w = (1, *shape) if len(shape) == 2 else shape
    for k in range(depth):
        layers += [nn.Conv2d(c, channels * 2**k, kernel_size=3, padding=1), function()]
        c = channels * 2**k
        if h > 1 and w > 1:
            layers.append(nn.MaxPool2d(2))
            h, w = h // 2, w // 2
    layers += [nn.Flatten(), *_dropout(dropout), nn.Linear(c * h * w, width), function()]
    layers += [*_dropout(dropout), nn.Linear(width, outputs)]
    return nn.Sequential(*layers)


def _dropout(p: float) -> list[nn.Module]:
    p = native(p)
    if not (is_number(p) and 0 <= p < 1):
        raise TrainingError(f"parameter 'dropout' must be at least 0 and below 1, got {p!r}")
    return [nn.Dropout(p)] if p else []


def _activation(name: str) -> type[nn.Module]:
    if name not in ACTIVATIONS:
        hint = did_you_mean(str(name), ACTIVATIONS)
        known = ", ".join(ACTIVATIONS)
        raise TrainingError(f"parameter 'activation' must be one of {known}, got {name!r}{hint}")
    return ACTIVATIONS[name]


def _check_count(name: str, value: Any, low: int) -> None:
    value = native(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < low:
        raise TrainingError(f"parameter {name!r} must be an integer from {low}, got {value!r}")


READS = {
    "mlp": ("depth", "width", "activation", "dropout"),
    "cnn": ("depth", "channels", "width", "activation", "dropout"),
}


@dataclass(frozen=True)
class ReadyMade:
    """The function `build(config)` of a built-in network; it can be pickled and stored as JSON.

    Attributes:
        kind: "mlp" or "cnn".
        shape: of one input.
        outputs: numbers per sample: classes, or columns of y.

    """

    kind: str
    shape: tuple[int, ...]
    outputs: int

    def __call__(self, config: Mapping[str, Scalar]) -> nn.Module:
        given: dict[str, Any] = {name: config[name] for name in READS[self.kind] if name in config}
        if self.kind == "cnn":
            return cnn(self.shape, self.outputs, **given)
        return mlp(prod(self.shape), self.outputs, **given)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "shape": list(self.shape), "outputs": self.outputs}


def find_build(build: str | Build, shape: tuple[int, ...], outputs: int) -> Build:
    """Return the user's `build`, or the built-in one of that name for the shapes of the data.

    Raises:
        TrainingError: the name is unknown, or `build` is a network and not a function.

    """
    if isinstance(build, nn.Module):
        raise TrainingError(
            "build must be a function that returns a new network for a configuration, got a"
            f" network: {type(build).__name__}"
        )
    if isinstance(build, str) and build in READS:
        return ReadyMade(build, shape, outputs)
    if callable(build):
        return build
    names = " or ".join(map(repr, READS))
    raise TrainingError(f"build must be a function of the configuration, {names}, got {build!r}")
