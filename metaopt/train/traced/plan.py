"""Whether a network can be taken down, and the programs for all that are like it.

The answer depends on the architecture, the sizes of steps and the device only, so that it is the
same for a network whatever trains beside it, and is remembered in the process.
"""

from __future__ import annotations

import copy
import hashlib
import threading
import weakref
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from metaopt.train.engine import Member
from metaopt.train.loop import half_precision
from metaopt.train.noise import FEATURE_DROPOUTS, Noise
from metaopt.train.progress import Precision
from metaopt.train.recipe import ConfigView
from metaopt.train.traced.layout import Layout
from metaopt.train.traced.program import Program, prove
from metaopt.train.traced.tape import INPUTS, PULL, Tape, Untraceable, record

DROPOUTS = (nn.Dropout, *FEATURE_DROPOUTS)
INTERNAL = set(vars(nn.Module())) - {"training"}
PROBE_ROWS = 6
MOST_CALLS = 4000  # longer tapes take long to take down, and are recurrent loops of long sequences
REMEMBERED = 64  # plans


class MaskedDropout(nn.Module):
    """Dropout whose masks are given, as buffers: one for each time that it is called in a step.

    Attributes:
        channels: whether whole channels of inputs (n, c, ...) are dropped.
        shapes: of the masks that it was asked for in this step.

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
        path: of the layer.
        number: of the layer among the network's dropout layers.
        shape: of one sample's mask.

    """

    path: str
    number: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """What networks of one signature share.

    Attributes:
        key: their signature, with the sizes of steps.
        masks: what each is for, by the name of its buffer, in the order of use.
        programs: of a step, by its size and whether all members have the same inputs.
        layout: of the trained parameters.
        numbers: that one member's largest step works on.

    """

    key: Hashable
    masks: Mapping[str, Use]
    programs: Mapping[tuple[int, bool], Program]
    layout: Layout
    numbers: int
    network: nn.Module  # kept alive, for signatures name some objects by their addresses


def signature(network: nn.Module) -> Hashable:
    """What networks must have in common to share a plan: all but weights and dropout's p."""
    tensors = [
        (name, tuple(t.shape), t.dtype, t.requires_grad)
        for named in (network.named_parameters(), network.named_buffers())
        for name, t in named
    ]
    return _described(network), tuple(tensors)


def _described(network: nn.Module) -> Hashable:
    """Classes and plain attributes of all modules."""
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
    """Say all about a plain attribute that may make a difference to what its module computes."""
    if isinstance(value, Tensor):
        # Real ones are parameters or buffers, or the network is refused; integers become constants.
        held = "" if value.is_floating_point() else _text(value.detach().cpu().numpy())
        return f"{value.dtype} {tuple(value.shape)} {held}"
    if isinstance(value, np.ndarray):  # of which `repr` leaves out the middle
        digest = hashlib.blake2b(np.ascontiguousarray(value).tobytes(), digest_size=16)
        return f"{value.dtype} {value.shape} {digest.hexdigest()}"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({', '.join(map(_text, value))})"
    if isinstance(value, dict):
        return ", ".join(f"{key!r}: {_text(item)}" for key, item in value.items())
    return "a reference" if isinstance(value, weakref.ref) else repr(value)


_plans: dict[Hashable, Plan | str] = {}
_lock = threading.Lock()


def find_plan(member: Member, sizes: Sequence[int]) -> Plan | str:
    """Return the plan for a member's network; a text says why there is none.

    Args:
        member: ready to be trained.
        sizes: of its steps.

    """
    X = member.data.train.X
    steps = tuple(sorted(set(sizes)))
    precision, shape = member.task.precision, tuple(X.shape[1:])
    key = (signature(member.network), steps, shape, X.dtype, precision, X.device)
    with _lock:
        if key not in _plans:
            while len(_plans) >= REMEMBERED:
                _plans.pop(next(iter(_plans)))
            _plans[key] = _make_plan(member, steps, key)
        return _plans[key]


def _make_plan(member: Member, sizes: Sequence[int], key: Hashable) -> Plan | str:
    trained = {p.dtype for p in member.network.parameters() if p.requires_grad}
    if len(trained) != 1:
        return "its parameters are of several types, or none is trained"
    if any(_hooked(module) for module in member.network.modules()):
        return "it has hooks"
    X = member.data.train.X
    try:
        with Noise(0, X.device):  # of a network that draws numbers before it is found out
            skeleton, layout = _skeleton(member.network), Layout(member.network)
            masks = _masks(copy.deepcopy(skeleton), _some(member, PROBE_ROWS))
            _check(copy.deepcopy(skeleton).double(), _some(member, PROBE_ROWS), masks)
            programs: dict[tuple[int, bool], Program] = {}
            numbers = 0
            for n in sizes:
                one = _with_masks(skeleton, masks, n)
                tape = _take_down(one, _some(member, n), member.task.precision)
                numbers = max(numbers, sum(map(prod, tape.shapes)))
                proven = _prove(tape, one, layout, masks, member, n)
                programs |= {(n, shared): program for shared, program in proven.items()}
    except Exception as error:  # whatever a network of the caller's raises
        return str(error) if isinstance(error, Untraceable) else f"{type(error).__name__}: {error}"
    return Plan(key, masks, programs, layout, numbers, member.network)


def _hooked(module: nn.Module) -> bool:
    return any(bool(v) for k, v in vars(module).items() if k.endswith("_hooks"))


def _skeleton(network: nn.Module) -> nn.Module:
    """Copy a network with masked dropout."""
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


def _masks(skeleton: nn.Module, X: Tensor) -> dict[str, Use]:
    """Return for which samples the dropout layers of a skeleton want masks in a step."""
    with torch.no_grad():
        skeleton(X)
    masks = {}
    for number, (path, layer) in enumerate(_masked(skeleton).items()):
        for k, shape in enumerate(layer.shapes):
            if shape[:1] != (len(X),):
                raise Untraceable(f"the dropout {path!r} is not used on samples (n, ...)")
            masks[f"{path}.mask{k}"] = Use(path, number, shape[1:])
    return masks


def _with_masks(skeleton: nn.Module, masks: Mapping[str, Use], n: int) -> nn.Module:
    """Copy a skeleton, with masks for steps of n samples."""
    skeleton = copy.deepcopy(skeleton)
    like = next(p for p in skeleton.parameters() if p.requires_grad)
    for name, use in masks.items():
        layer = skeleton.get_submodule(use.path)
        layer.register_buffer(name.rpartition(".")[2], like.new_ones(n, *use.shape))
    return skeleton


def _some(member: Member, n: int) -> Tensor:
    """Return inputs as steps have them, made up where they are real numbers."""
    X = member.data.train.X
    if not X.is_floating_point():
        return X[:n].clone()
    generator = torch.Generator().manual_seed(0)
    made = torch.randn(n, *X.shape[1:], dtype=X.dtype, generator=generator)
    return made.to(X.device)


def _take_down(skeleton: nn.Module, X: Tensor, precision: Precision) -> Tape:
    """Record a step of a skeleton with masks; it must leave nothing but buffers changed."""
    skeleton = copy.deepcopy(skeleton)
    before, views = _described(skeleton), _configurations(skeleton)
    for view in views:
        view.asked.clear()
    tape = record(skeleton, X, partial(half_precision, precision, X.device))
    if _described(skeleton) != before:
        raise Untraceable("its Python objects change from step to step")
    if any(view.asked for view in views):
        raise Untraceable("it looks into its configuration in every step")
    if len(tape.calls) > MOST_CALLS:
        raise Untraceable(f"a step has {len(tape.calls)} operations")
    return tape


def _configurations(skeleton: nn.Module) -> list[ConfigView]:
    """What `build` was given and modules hold on to; members differ in it."""
    held = [value for module in skeleton.modules() for value in vars(module).values()]
    return [value for value in held if isinstance(value, ConfigView)]


# -- whether it is right ---------------------------------------------------------------------------


def _check(skeleton: nn.Module, X: Tensor, masks: Mapping[str, Use]) -> None:
    """Compare programs for two members, in double precision, with what PyTorch computes."""
    X = X.double() if X.is_floating_point() else X
    skeleton = _with_masks(skeleton, masks, len(X))
    named = [*skeleton.named_parameters(), *skeleton.named_buffers()]
    states = [{name: t.detach().clone() for name, t in named} for _ in range(2)]
    for name, _ in skeleton.named_parameters():
        states[1][name].mul_(0.5)
    tape = _take_down(skeleton, X, precision="full")
    expected = [_plain_step(skeleton, state, X) for state in states]
    # In the second one no rule is at work, but for views, which are never called one by one.
    for alone in ((), [k for k, call in enumerate(tape.calls) if not call.is_view]):
        values = {name: torch.stack([state[name] for state in states]) for name, _ in named}
        program = Program(tape, True, alone)
        outputs, room = program.forward({**values, INPUTS: X})
        found = program.backward(room, 2 * outputs)
        for row, (result, gradients, buffers) in enumerate(expected):
            if any((found[name] is None) != (g is None) for name, g in gradients.items()):
                raise Untraceable("a gradient is lost when it is taken down")
            mine = {name: g[row] for name, g in found.items() if g is not None}
            pairs = [(outputs[row], result)]
            pairs += [(values[name][row], buffer) for name, buffer in buffers.items()]
            pairs += [(mine[name], g) for name, g in gradients.items() if g is not None]
            if not all(torch.allclose(a, b, rtol=1e-8, atol=1e-10) for a, b in pairs):
                raise Untraceable("it computes something else when it is taken down")


def _plain_step(
    skeleton: nn.Module, state: Mapping[str, Tensor], X: Tensor
) -> tuple[Tensor, dict[str, Tensor | None], dict[str, Tensor]]:
    """Outputs, gradients of their squares' sum, and buffers after a step by autograd."""
    network = copy.deepcopy(skeleton)
    with torch.no_grad():
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            tensor.copy_(state[name])
    with torch.enable_grad():
        outputs = network(X)
        outputs.square().sum().backward()
    gradients = {k: p.grad for k, p in network.named_parameters() if p.requires_grad}
    return outputs.detach(), gradients, dict(network.named_buffers())


def _prove(
    tape: Tape,
    skeleton: nn.Module,
    layout: Layout,
    masks: Mapping[str, Use],
    member: Member,
    n: int,
) -> dict[bool, Program]:
    """Make the programs; on the CPU such that company changes nothing."""
    if member.device.type != "cpu":
        return {shared: Program(tape, shared) for shared in (True, False)}
    generator = torch.Generator().manual_seed(1)

    def uniform(shape: Sequence[int]) -> Tensor:
        return torch.rand(*shape, dtype=torch.float64, generator=generator)

    def made_up(t: Tensor) -> Tensor:
        if not t.is_floating_point():
            return t.detach().clone()[None]
        numbers = uniform(t.shape)
        if t.ndim > 1:
            numbers = (numbers - 0.5) * (12 / t[0].numel()) ** 0.5
        return (numbers if t.ndim > 1 else numbers + 0.5).to(t.dtype)[None]

    def sample() -> dict[str, Tensor]:
        values: dict[str, Any] = dict(skeleton.named_buffers()) | dict(skeleton.named_parameters())
        values = {k: made_up(t) for k, t in values.items()}
        dtype = next(p.dtype for p in skeleton.parameters() if p.requires_grad)
        for name in masks:
            values[name] = (uniform(values[name].shape) > 0.3).to(dtype) * 1.5
        values[PULL] = (uniform(tape.shapes[tape.outputs]) - 0.5).to(dtype)[None]
        X = _some(member, n)
        if X.is_floating_point():
            X = (uniform(X.shape) * 2 - 1).to(X.dtype)
        return {**values, INPUTS: X[None]}

    with torch.no_grad():
        return prove(tape, layout, [sample() for _ in range(3)])
