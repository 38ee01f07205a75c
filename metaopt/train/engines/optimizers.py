"""Optimizers (SGD, Adam, AdamW, RMSprop) on one vector of all trainable parameters of a network.

Notation: w is the vector of parameters (P,), g the gradient of the loss with respect to w. In both,
weights (parameters of two or more dimensions) come before biases and normalisation scales, so that
penalties act on a prefix. eta is the learning rate, t = 1, 2, ... the step.

With one vector a step takes a few tensor operations for any number of layers. It also avoids
importing torch.optim's compiler hooks (more than a second in every worker process).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from metaopt.core.errors import TrainingError
from metaopt.train.settings.hyperparameters import Recipe


class Snapshot(NamedTuple):
    """A copy of a network's parameters and buffers."""

    vector: Tensor
    buffers: list[Tensor]


class FlatParameters:
    """The trainable parameters of a network in one vector; the parameters become views of it.

    Args:
        network: its trainable parameters must have one dtype and device.

    Attributes:
        vector: w, shape (P,).
        gradient: g, shape (P,); `backward` adds to it.
        weights: the prefix of `vector` with the weights, on which penalties act.

    Raises:
        TrainingError: no parameter is trainable, or they differ in dtype or device.

    """

    def __init__(self, network: nn.Module) -> None:
        trainable = [p for p in network.parameters() if p.requires_grad]
        if not trainable:
            raise TrainingError("build(config) returned a network without trainable parameters")
        kinds = {(p.dtype, p.device) for p in trainable}
        if len(kinds) > 1 or not trainable[0].is_floating_point():
            listed = ", ".join(sorted(f"{dtype} on {device}" for dtype, device in kinds))
            raise TrainingError(
                f"parameters must have one floating-point dtype and one device, got {listed}"
            )
        self._network = network
        self._parameters = sorted(trainable, key=lambda p: p.ndim < 2)
        self.vector = torch.cat([p.detach().reshape(-1) for p in self._parameters])
        self.gradient = torch.zeros_like(self.vector)
        n_weights = sum(p.numel() for p in self._parameters if p.ndim >= 2)
        self.weights = self.vector[:n_weights]
        self._weights_gradient = self.gradient[:n_weights]
        start = 0
        for p in self._parameters:
            end = start + p.numel()
            p.data = self.vector[start:end].view(p.shape)
            p.grad = self.gradient[start:end].view(p.shape)
            start = end

    def penalise(self, l1: float, l2: float) -> None:
        """Add the gradient of l1 * |w|_1 + l2 / 2 * |w|_2^2 over the weights."""
        if l2:
            self._weights_gradient.add_(self.weights, alpha=l2)
        if l1:
            self._weights_gradient.add_(self.weights.sign(), alpha=l1)

    def snapshot(self) -> Snapshot:
        return Snapshot(self.vector.clone(), [b.detach().clone() for b in self._network.buffers()])

    def restore(self, snapshot: Snapshot) -> None:
        self.vector.copy_(snapshot.vector)
        with torch.no_grad():
            for buffer, value in zip(self._network.buffers(), snapshot.buffers, strict=True):
                buffer.copy_(value)

    def release(self) -> None:
        """Give each parameter its own memory again, and remove the gradients."""
        for p in self._parameters:
            p.data = p.detach().clone()
            p.grad = None


class Optimizer(ABC):
    """Base class of optimizers, which update w from g.

    Args:
        flat: holds w and g.
        recipe: the hyper-parameters.

    Attributes:
        t: number of steps so far, if the optimizer counts them; a tensor () after `step_where`.
        moments: the optimizer's state (momentum and moment estimates), each (P,).

    """

    def __init__(self, flat: FlatParameters, recipe: Recipe) -> None:
        self._flat = flat
        self._w, self._g = flat.vector, flat.gradient
        self._recipe = recipe
        self.t: int | Tensor = 0
        self.moments: list[Tensor] = []

    def _zeros(self) -> Tensor:
        self.moments.append(torch.zeros_like(self._w))
        return self.moments[-1]

    @abstractmethod
    def step(self, lr: float) -> None:
        """Update w once, with eta = `lr`."""

    @torch.no_grad()
    def step_where(self, good: Tensor, lr: float) -> None:
        """Update w once if `good`, a bool tensor (), is true; does not synchronise the device."""
        self.t = torch.as_tensor(self.t, dtype=torch.float64, device=self._w.device)
        changing = [self._w, *self.moments, self.t]
        before = [tensor.clone() for tensor in changing]
        self.step(lr)
        for now, old in zip(changing, before, strict=True):
            now.copy_(torch.where(good, now, old))


class SGD(Optimizer):
    """v <- momentum v + g; w <- w - eta v. Also full-batch gradient descent, without momentum."""

    def __init__(self, flat: FlatParameters, recipe: Recipe) -> None:
        super().__init__(flat, recipe)
        self._momentum = 0.0 if recipe.optimizer == "gd" else recipe.momentum
        self._v = self._zeros() if self._momentum else self._g

    def step(self, lr: float) -> None:
        if self._momentum:
            self._v.mul_(self._momentum).add_(self._g)
        self._w.add_(self._v, alpha=-lr)


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015, algorithm 1); for "adamw" with decoupled weight decay.

    AdamW is algorithm 2 of Loshchilov and Hutter 2019, with the decay scaled by eta.
    """

    def __init__(self, flat: FlatParameters, recipe: Recipe) -> None:
        super().__init__(flat, recipe)
        self._m, self._v = self._zeros(), self._zeros()
        self._decay = recipe.weight_decay if recipe.optimizer == "adamw" else 0.0

    def step(self, lr: float) -> None:
        self.t += 1
        r, g = self._recipe, self._g
        if self._decay:
            self._flat.weights.mul_(1 - lr * self._decay)
        self._m.lerp_(g, 1 - r.beta1)
        self._v.mul_(r.beta2).addcmul_(g, g, value=1 - r.beta2)
        if isinstance(self.t, Tensor):
            size: Tensor = lr / (1 - r.beta1**self.t)
            root = self._v.sqrt().div_((1 - r.beta2**self.t).sqrt()).add_(r.eps)
            self._w.sub_((self._m * size).div_(root))
            return
        root = self._v.sqrt().div_(math.sqrt(1 - r.beta2**self.t)).add_(r.eps)
        self._w.addcdiv_(self._m, root, value=-lr / (1 - r.beta1**self.t))


class RMSprop(Optimizer):
    """RMSprop (Hinton, Coursera 2012, lecture 6e), with momentum applied as in PyTorch."""

    def __init__(self, flat: FlatParameters, recipe: Recipe) -> None:
        super().__init__(flat, recipe)
        self._v = self._zeros()
        self._b = self._zeros() if recipe.momentum else None

    def step(self, lr: float) -> None:
        r, g = self._recipe, self._g
        self._v.mul_(r.alpha).addcmul_(g, g, value=1 - r.alpha)
        root = self._v.sqrt().add_(r.eps)
        if self._b is None:
            self._w.addcdiv_(g, root, value=-lr)
        else:
            self._b.mul_(r.momentum).addcdiv_(g, root)
            self._w.add_(self._b, alpha=-lr)


RULES: dict[str, type[Optimizer]] = {
    "gd": SGD,
    "sgd": SGD,
    "adam": Adam,
    "adamw": Adam,
    "rmsprop": RMSprop,
}


def make_optimizer(flat: FlatParameters, recipe: Recipe) -> Optimizer:
    """Return a new optimizer of the kind that the recipe names."""
    return RULES[recipe.optimizer](flat, recipe)
