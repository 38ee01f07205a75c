"""Template modules for tracing, and the signature that networks with one plan share.

A skeleton is the template module used for tracing: a copy of one network whose dropout layers take
their masks from outside. Only its code is used; the weights come from each member.
"""

from __future__ import annotations

import copy
import hashlib
import weakref
from collections.abc import Hashable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from metaopt.train.engines.single import half_precision
from metaopt.train.runtime.rng import FEATURE_DROPOUTS
from metaopt.train.settings.history import Precision
from metaopt.train.settings.hyperparameters import ConfigView
from metaopt.train.traced.tape import Tape, Untraceable, record

DROPOUTS = (nn.Dropout, *FEATURE_DROPOUTS)
INTERNAL = set(vars(nn.Module())) - {"training"}
MOST_CALLS = 4000  # longer tapes, from recurrent loops over long sequences, take long to trace


class MaskedDropout(nn.Module):
    """Dropout with given masks: buffers `mask0`, `mask1`, ..., one per call within a step.

    Attributes:
        channels: whether whole channels of inputs (n, c, ...) are dropped.
        shapes: shape of the mask of each call in this step.

    """

    def __init__(self, channels: bool) -> None:
        super().__init__()
        self.channels = channels
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        ones = (1,) * (x.ndim - 2)
        name = f"mask{len(self.shapes)}"
        self.shapes.append((*x.shape[:2], *ones) if self.channels else tuple(x.shape))
        return x * self.get_buffer(name) if name in self._buffers else x


class Use(NamedTuple):
    """One call of a dropout layer in a step.

    Attributes:
        path: name of the layer in the network.
        number: index of the layer among the dropout layers of the network.
        shape: of the mask of one sample.

    """

    path: str
    number: int
    shape: tuple[int, ...]


def signature(network: nn.Module) -> Hashable:
    """Return a key that is equal for networks that can share a plan.

    It covers everything except the values of the weights and dropout probabilities.
    """
    tensors = [
        (name, tuple(t.shape), t.dtype, t.requires_grad)
        for named in (network.named_parameters(), network.named_buffers())
        for name, t in named
    ]
    return _described(network), tuple(tensors)


def _described(network: nn.Module) -> Hashable:
    """Return the classes and plain attributes of all modules."""
    described = []
    for path, module in network.named_modules(remove_duplicate=False):
        plain = sorted(
            (name, "a configuration" if isinstance(value, ConfigView) else _text(value))
            for name, value in vars(module).items()
            if name not in INTERNAL
            and not (name == "p" and type(module) in DROPOUTS)
            and not (name == "shapes" and type(module) is MaskedDropout)
        )
        described.append((path, type(module), tuple(plain)))
    return tuple(described)


def _text(value: Any) -> str:
    """Return a text that differs if an attribute may change what its module computes."""
    if isinstance(value, Tensor):
        # Floating-point tensors must be parameters or buffers; integers become constants.
        held = "" if value.is_floating_point() else _text(value.detach().cpu().numpy())
        return f"{value.dtype} {tuple(value.shape)} {held}"
    if isinstance(value, np.ndarray):  # its `repr` may leave out the middle
        digest = hashlib.blake2b(np.ascontiguousarray(value).tobytes(), digest_size=16)
        return f"{value.dtype} {value.shape} {digest.hexdigest()}"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({', '.join(map(_text, value))})"
    if isinstance(value, dict):
        return ", ".join(f"{key!r}: {_text(item)}" for key, item in value.items())
    return "a reference" if isinstance(value, weakref.ref) else repr(value)


def make_skeleton(network: nn.Module) -> nn.Module:
    """Return a copy of a network, in training mode, with `MaskedDropout` for its dropout."""
    skeleton = copy.deepcopy(network).train()
    masked: dict[nn.Module, MaskedDropout] = {}
    for path, module in list(skeleton.named_modules(remove_duplicate=False)):
        if path and type(module) in DROPOUTS:
            parent, _, name = path.rpartition(".")
            layer = masked.setdefault(module, MaskedDropout(type(module) in FEATURE_DROPOUTS))
            setattr(skeleton.get_submodule(parent), name, layer)
    return skeleton


def _masked(skeleton: nn.Module) -> dict[str, MaskedDropout]:
    return {k: m for k, m in skeleton.named_modules() if isinstance(m, MaskedDropout)}


def masks_of(skeleton: nn.Module, X: Tensor) -> dict[str, Use]:
    """Return the dropout calls of a skeleton in a step, by the name of their mask.

    Raises:
        Untraceable: dropout is applied to a tensor whose first dimension is not the batch.

    """
    with torch.no_grad():
        skeleton(X)
    masks = {}
    for number, (path, layer) in enumerate(_masked(skeleton).items()):
        for k, shape in enumerate(layer.shapes):
            if shape[:1] != (len(X),):
                raise Untraceable(f"the input of dropout {path!r} has no batch dimension first")
            masks[f"{path}.mask{k}"] = Use(path, number, shape[1:])
    return masks


def with_masks(skeleton: nn.Module, masks: Mapping[str, Use], n: int) -> nn.Module:
    """Return a copy of a skeleton with buffers for the masks of steps of n samples."""
    skeleton = copy.deepcopy(skeleton)
    like = next(p for p in skeleton.parameters() if p.requires_grad)
    for name, use in masks.items():
        layer = skeleton.get_submodule(use.path)
        layer.register_buffer(name.rpartition(".")[2], like.new_ones(n, *use.shape))
    return skeleton


def take_down(skeleton: nn.Module, X: Tensor, precision: Precision) -> Tape:
    """Trace a step of a skeleton with masks.

    Args:
        skeleton: the template with masks, from `with_masks`.
        X: inputs of the step.
        precision: for autocast.

    Raises:
        Untraceable: the step cannot be traced, or changes more than buffers.

    """
    skeleton = copy.deepcopy(skeleton)
    before, views = _described(skeleton), _configurations(skeleton)
    for view in views:
        view.asked.clear()
    tape = record(skeleton, X, partial(half_precision, precision, X.device))
    if _described(skeleton) != before:
        raise Untraceable("its Python objects change from step to step")
    if any(view.asked for view in views):
        raise Untraceable("it reads its configuration in every step")
    if len(tape.calls) > MOST_CALLS:
        raise Untraceable(f"a step has {len(tape.calls)} operations, which is too many")
    return tape


def _configurations(skeleton: nn.Module) -> list[ConfigView]:
    """Return the configurations that modules have stored; they differ between members."""
    held = [value for module in skeleton.modules() for value in vars(module).values()]
    return [value for value in held if isinstance(value, ConfigView)]
