"""What one network computes in a training step, as a list of PyTorch's operations.

Notation: a tape has slots 0, 1, ..., one for each tensor that occurs; a call applies an operation
to slots and constants and fills slots. Calls before `split` compute the outputs from the inputs
x, parameters, buffers and dropout masks; those from `split` on compute the gradients from these
and d, the gradient of the loss by the outputs.

The operations are those that PyTorch dispatches to kernels (ATen), forward and backward, written
down while one step runs; so autograd and the network's Python code run once and not in every step.
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
INPUTS, PULL = "<x>", "<d>"  # no names that a parameter can have
# Operations whose tensor is made of Python's numbers at that moment, as torch.tensor(1.0) is.
FRESH = (aten.lift_fresh.default, aten.lift_fresh_copy.default)


class Untraceable(Exception):
    """A network whose steps cannot be written down; the text says why."""


class Slot(NamedTuple):
    """A tensor's place among the arguments of a call."""

    number: int


@dataclass(frozen=True)
class Call:
    """One operation.

    Attributes:
        function: of torch.ops.aten.
        args, kwargs: with slots for tensors, also within lists.
        results: with slots for tensors.

    """

    function: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    results: Any

    @property
    def base(self) -> str:
        """The operation's name, without the underscore of those that are in place."""
        return str(self.function._schema.name).removeprefix("aten::").removesuffix("_")

    @property
    def is_view(self) -> bool:
        """Whether it returns a view of an argument, or makes the argument itself another view."""
        aliases = [r.alias_info for r in self.function._schema.returns]
        returned = any(alias is not None and not alias.is_write for alias in aliases)
        return returned or torch.Tag.inplace_view in self.function.tags

    @property
    def is_in_place(self) -> bool:
        """Whether its result is its first argument."""
        return bool(self.args) and self.args[0] == self.results


@dataclass(frozen=True)
class Tape:
    """A step of one network.

    Attributes:
        calls: in their order.
        split: how many of them compute the outputs.
        shapes: of each slot.
        floats: whether each slot holds real numbers.
        inputs: slot of x and d, and of each parameter, buffer and mask by name.
        constants: tensors that a call takes and that none has made.
        outputs: slot of the outputs.
        gradients: slot of each trained parameter's gradient, None for those not used.

    """

    calls: Sequence[Call]
    split: int
    shapes: Sequence[tuple[int, ...]]
    floats: Sequence[bool]
    inputs: Mapping[str, int]
    constants: Mapping[int, Tensor]
    outputs: int
    gradients: Mapping[str, int | None]


@dataclass
class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes down all operations of a block."""

    slots: dict[int, int] = field(default_factory=dict)  # by a tensor's identity
    tensors: list[Tensor] = field(default_factory=list)  # kept, so that identities stay theirs
    calls: list[Call] = field(default_factory=list)
    constants: dict[int, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # skipping would import PyTorch's compiler, for more than a second

    def place(self, tensor: Tensor) -> Slot:
        """Return the slot of a tensor, a new one for one that was not seen before."""
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
            # It might differ from member to member.
            raise Untraceable("it uses a tensor that is neither parameter nor buffer")
        self.constants[self.place(tensor).number] = tensor


class _Pulled(torch.autograd.Function):
    """A loss whose gradient by the outputs is given.

    As an argument of `torch.autograd.grad` it would cost the import of PyTorch's compiler.
    """

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, d: Tensor, calls: list[Call]) -> Tensor:
        ctx.d, ctx.calls, ctx.split = d, calls, len(calls)
        return outputs.new_zeros(())

    @staticmethod
    def backward(ctx: Any, *_: Any) -> tuple[Tensor, None, None]:
        del ctx.calls[ctx.split :]  # of the gradient of the loss by itself, which nothing takes
        return ctx.d, None, None


def _refuse(func: Any, args: tuple[Any, ...]) -> None:
    """Refuse operations whose effect is not in their arguments and results alone."""
    if torch.Tag.nondeterministic_seeded in func.tags and _draws(func, args):
        raise Untraceable("it draws random numbers of its own")
    if func is aten._local_scalar_dense.default or _has_open_shape(func, args):
        raise Untraceable("what it does depends on values of tensors")
    if func.namespace not in ("aten", "prims"):
        raise Untraceable(f"it uses {func}, which is none of PyTorch's own operations")


def _draws(func: Any, args: tuple[Any, ...]) -> bool:
    """Whether a call may draw: attention does not if its dropout is 0."""
    names = [argument.name for argument in func._schema.arguments]
    place = names.index("dropout_p") if "dropout_p" in names else None
    return place is None or (place < len(args) and args[place] != 0)


def _has_open_shape(func: Any, args: tuple[Any, ...]) -> bool:
    """Whether a result's shape depends on values: that of indexing does for masks only."""
    if func is aten.index.Tensor:
        return any(index.dtype in (torch.bool, torch.uint8) for index in leaves(args[1]))
    return torch.Tag.dynamic_output_shape in func.tags


def leaves(tree: Any) -> Iterator[Any]:
    """Tensors or slots within tuples, lists and dicts."""
    if isinstance(tree, (Tensor, Slot)):
        yield tree
    elif isinstance(tree, (tuple, list)):
        for item in tree:
            yield from leaves(item)
    elif isinstance(tree, dict):
        for item in tree.values():
            yield from leaves(item)


def swap(tree: Any, function: Callable[[Any], Any]) -> Any:
    """Replace tensors or slots within tuples, lists and dicts."""
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
    """Run one training step of a network and write it down.

    Args:
        network: in training mode; its buffers change as in a step.
        X: inputs of a step.
        context: in which the network computes.

    Raises:
        Untraceable: its steps cannot be written down.

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
        raise Untraceable("it replaces a buffer")
    return Tape(
        calls=recorder.calls,
        split=split,
        shapes=[tuple(t.shape) for t in recorder.tensors],
        floats=[t.is_floating_point() for t in recorder.tensors],
        inputs=slots,
        constants=recorder.constants,
        outputs=recorder.place(outputs).number,
        gradients={
            name: None if g is None else recorder.place(g).number
            for name, g in zip(trained, found, strict=True)
        },
    )
