"""Trace one training step of a network as a tape: the list of its ATen operations.

A tape is the recorded sequence of the operations that PyTorch dispatches to kernels (ATen), of the
forward and the backward pass, while one step runs. Replaying it gives the same results without
running autograd and the network's Python code in every step.

Notation: a tape has slots 0, 1, ..., one for each tensor; a call applies an operation to slots and
constants and writes its results into slots. Calls before `split` compute the outputs from the
inputs x, parameters, buffers and dropout masks. Calls from `split` on compute the gradients from
these and d, the gradient of the loss with respect to the outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
INPUTS, PULL = "<x>", "<d>"  # a parameter cannot have these names
# Operations on a tensor that was just created from Python numbers, as by torch.tensor(1.0).
FRESH = (aten.lift_fresh.default, aten.lift_fresh_copy.default)


class Untraceable(Exception):
    """The training step of a network cannot be traced; the message is the reason."""


class Slot(NamedTuple):
    """Stands for a tensor among the arguments or results of a call."""

    number: int


@dataclass(frozen=True)
class Call:
    """One traced operation.

    Attributes:
        function: the operation, from torch.ops.aten.
        args, kwargs: its arguments, with slots in place of tensors, also within lists.
        results: its results, with slots in place of tensors.

    """

    function: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    results: Any

    @property
    def base(self) -> str:
        """Name of the operation, without the underscore of in-place variants."""
        return str(self.function._schema.name).removeprefix("aten::").removesuffix("_")

    @property
    def is_view(self) -> bool:
        """Whether it returns a view of an argument, or changes the view of an argument in place."""
        aliases = [r.alias_info for r in self.function._schema.returns]
        returned = any(alias is not None and not alias.is_write for alias in aliases)
        return returned or torch.Tag.inplace_view in self.function.tags

    @property
    def is_in_place(self) -> bool:
        """Whether its result is its first argument."""
        return bool(self.args) and self.args[0] == self.results


@dataclass(frozen=True)
class Tape:
    """The traced training step of one network.

    Attributes:
        calls: the operations in their order.
        split: number of calls that compute the outputs; the rest computes the gradients.
        shapes: shape of the tensor in each slot.
        inputs: slot of x and d, and of each parameter, buffer and mask, by name.
        constants: by slot, tensors that are an argument of a call, but the result of none.
        outputs: slot of the outputs.
        gradients: slot of the gradient of each trained parameter; None if it has no gradient.

    """

    calls: Sequence[Call]
    split: int
    shapes: Sequence[tuple[int, ...]]
    inputs: Mapping[str, int]
    constants: Mapping[int, Tensor]
    outputs: int
    gradients: Mapping[str, int | None]


@dataclass
class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records all ATen operations within a `with` block."""

    slots: dict[int, int] = field(default_factory=dict)  # by id(tensor)
    tensors: list[Tensor] = field(default_factory=list)  # kept alive, so that each id stays unique
    calls: list[Call] = field(default_factory=list)
    constants: dict[int, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # skipping would import PyTorch's compiler, for more than a second

    def place(self, tensor: Tensor) -> Slot:
        """Return the slot of a tensor; a new slot if the tensor is new."""
        if id(tensor) not in self.slots:
            self.slots[id(tensor)] = len(self.tensors)
            self.tensors.append(tensor)
        return Slot(self.slots[id(tensor)])

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        _refuse(func, args)
        for tensor in leaves((args, kwargs)):
            if id(tensor) not in self.slots:
                self._take_constant(func, tensor)
        results = func(*args, **kwargs)
        self.calls.append(
            Call(func, swap(args, self.place), swap(kwargs, self.place), swap(results, self.place))
        )
        return results

    def _take_constant(self, func: Any, tensor: Tensor) -> None:
        if func not in FRESH and tensor.is_floating_point():
            # It may differ between members.
            raise Untraceable("it uses a tensor that is neither parameter nor buffer")
        self.constants[self.place(tensor).number] = tensor


class _Pulled(torch.autograd.Function):
    """A loss whose gradient with respect to the outputs is given.

    Passing the gradient to `torch.autograd.grad` instead would import PyTorch's compiler.
    """

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, d: Tensor, calls: list[Call]) -> Tensor:
        ctx.d, ctx.calls, ctx.split = d, calls, len(calls)
        return outputs.new_zeros(())

    @staticmethod
    def backward(ctx: Any, *_: Any) -> tuple[Tensor, None, None]:
        del ctx.calls[ctx.split :]  # calls for the gradient of the loss itself, which is not used
        return ctx.d, None, None


def _refuse(func: Any, args: tuple[Any, ...]) -> None:
    """Raise for operations that are not determined by their arguments alone."""
    if torch.Tag.nondeterministic_seeded in func.tags and _draws(func, args):
        raise Untraceable("it draws random numbers itself")
    if func is aten._local_scalar_dense.default or _has_open_shape(func, args):
        raise Untraceable("it has data-dependent control flow or shapes")
    if func.namespace not in ("aten", "prims"):
        raise Untraceable(f"it uses {func}, which is not an ATen operation")


def _draws(func: Any, args: tuple[Any, ...]) -> bool:
    """Whether a call may draw random numbers; attention with dropout 0 does not."""
    names = [argument.name for argument in func._schema.arguments]
    place = names.index("dropout_p") if "dropout_p" in names else None
    return place is None or (place < len(args) and args[place] != 0)


def _has_open_shape(func: Any, args: tuple[Any, ...]) -> bool:
    """Whether the shape of a result depends on values; for indexing only if the index is a mask."""
    if func is aten.index.Tensor:
        return any(index.dtype in (torch.bool, torch.uint8) for index in leaves(args[1]))
    return torch.Tag.dynamic_output_shape in func.tags


def leaves(tree: Any) -> Iterator[Any]:
    """Yield the tensors or slots within tuples, lists and dicts."""
    if isinstance(tree, (Tensor, Slot)):
        yield tree
    elif isinstance(tree, (tuple, list)):
        for item in tree:
            yield from leaves(item)
    elif isinstance(tree, dict):
        for item in tree.values():
            yield from leaves(item)


def swap(tree: Any, function: Callable[[Any], Any]) -> Any:
    """Return `tree` with `function` applied to each tensor or slot in tuples, lists and dicts."""
    if isinstance(tree, (Tensor, Slot)):
        return function(tree)
    if isinstance(tree, (tuple, list)):
        return type(tree)([swap(item, function) for item in tree])
    if isinstance(tree, dict):
        return {key: swap(value, function) for key, value in tree.items()}
    return tree


def record(
    network: nn.Module, X: Tensor, context: Callable[[], AbstractContextManager[object]]
) -> Tape:
    """Run one training step of a network and trace it.

    Args:
        network: in training mode; the step updates its buffers.
        X: inputs of a step.
        context: returns the context for the forward pass (autocast).

    Raises:
        Untraceable: the step cannot be traced.

    """
    recorder = _Recorder()
    parameters, buffers = dict(network.named_parameters()), dict(network.named_buffers())
    named = {INPUTS: X, **parameters, **buffers}
    slots = {name: recorder.place(tensor).number for name, tensor in named.items()}
    trained = {name: p for name, p in parameters.items() if p.requires_grad}
    version = X._version
    with torch.enable_grad(), recorder:
        with context():
            outputs = network(X)
        if not isinstance(outputs, Tensor) or not outputs.requires_grad:
            raise Untraceable("it returns no tensor that depends on its parameters")
        outputs = outputs.to(next(iter(trained.values())).dtype)
    split = len(recorder.calls)
    d = torch.ones_like(outputs)
    slots[PULL] = recorder.place(d).number
    with torch.enable_grad():
        loss: Tensor = _Pulled.apply(outputs, d, recorder.calls)  # type: ignore[no-untyped-call]
    recorder.place(loss)
    with recorder:
        found = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
    if X._version != version:
        raise Untraceable("it writes into its inputs")
    if any(network.get_buffer(name) is not buffer for name, buffer in buffers.items()):
        raise Untraceable("it replaces a buffer instead of changing it in place")
    return Tape(
        calls=recorder.calls,
        split=split,
        shapes=[tuple(t.shape) for t in recorder.tensors],
        inputs=slots,
        constants=recorder.constants,
        outputs=recorder.place(outputs).number,
        gradients={
            name: None if g is None else recorder.place(g).number
            for name, g in zip(trained, found, strict=True)
        },
    )
