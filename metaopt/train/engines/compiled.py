"""Networks run through torch.compile: the engine "single" with faster passes, after a compilation.

A network is compiled as one program or not at all, once for each architecture, size of batch and
mode: what is compiled is a function of the network, with its parameters among the inputs, so that
the next network of the same architecture runs the same code. Sizes are constants of a program,
never symbols, so that which networks came before decides about no number.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from metaopt.core.errors import TrainingError
from metaopt.train.engines.base import Member
from metaopt.train.engines.compiled_dropout import CompiledDropout
from metaopt.train.engines.single import Single, outputs_of
from metaopt.train.runtime.rng import GENERATORS

REASON = 1000  # characters kept of what PyTorch says
KEPT_PROGRAMS = 64  # a program holds the classes of its network's modules

Program = Callable[[nn.Module, Tensor], Any]


class Compiled(Single):
    """Trains one member's network in place, through torch.compile."""

    name = "compiled"
    dropout = CompiledDropout

    def __init__(self, members: Sequence[Member]) -> None:
        check_compiler(members[0].device)
        super().__init__(members)
        self._design = design_of(self._network)
        self._seen: dict[Hashable, Program] = {}

    def _step(self, X: Tensor, y: Tensor, lr: float, check: bool = False) -> Tensor:
        known = self._key(X) in self._seen
        # The backward pass is compiled when it is needed first.
        with nullcontext() if known else GENERATORS, explained():
            return super()._step(X, y, lr, check)

    def outputs(self) -> list[Tensor]:
        return [outputs_of(self._member, self.feed.validation().X, self._apply)]

    def _key(self, X: Tensor) -> Hashable:
        """Return all that a program is made for, but for what the network does not show."""
        state = self._network.training, torch.is_grad_enabled(), torch.get_num_threads()
        return self._design, self._member.task.precision, X.shape, X.dtype, X.device, *state

    def _apply(self, X: Tensor) -> Any:
        key = self._key(X)
        program = self._seen.get(key)
        if program is not None:
            with explained():
                return program(self._network, X)
        # PyTorch puts the default generators back after it has compiled, whoever drew meanwhile.
        with GENERATORS, explained():
            outputs, self._seen[key] = first_call(key, self._network, X)
        return outputs


def first_call(key: Hashable, network: nn.Module, X: Tensor) -> tuple[Any, Program]:
    """Apply a network for the first time, compiled if no other of its kind was."""
    from torch._dynamo.exc import FailOnRecompileLimitHit

    program = PROGRAMS.get(key)
    try:
        return program(network, X), program
    except FailOnRecompileLimitHit:
        # Too many networks that look the same to `design_of` but not to PyTorch: start anew.
        program = PROGRAMS.get(key, renew=True)
        return program(network, X), program


@contextmanager
def explained() -> Iterator[None]:
    """Say of what PyTorch raises when it compiles what it means to the caller.

    Raises:
        TrainingError: instead of PyTorch's own error, which is its cause.

    """
    from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException

    try:
        yield
    except FailOnRecompileLimitHit as error:
        raise TrainingError(
            "compile=True: this network changes from call to call (it sets an attribute in"
            " forward, such as a counter), and PyTorch gave up compiling it anew; keep such state"
            " in a buffer, or use compile=False"
        ) from error
    except TorchDynamoException as error:
        reason = f"{type(error).__name__}: {error}"
        raise TrainingError(
            "compile=True: PyTorch cannot compile this network as one program; change what it"
            f" names, or use compile=False. {reason[:REASON]}"
        ) from error


class Programs:
    """Compiled functions by what they were compiled for; the longest unused make room."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, Program] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, renew: bool = False) -> Program:
        """Return the program of a key, a new one if there is none or it is used up."""
        with self._lock:
            if renew or key not in self._kept:
                self._kept[key] = new_program()
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT_PROGRAMS:
                self._kept.popitem(last=False)
            return self._kept[key]


PROGRAMS = Programs()


def _call(network: nn.Module, X: Tensor) -> Any:
    return network(X)


def new_program() -> Program:
    """Return a function that is compiled when it is called."""
    # PyTorch keeps compiled code, and counts how often it compiled, by code object: one for all
    # networks would be given up after eight of them.
    code = _call.__code__.replace(co_name="apply_network")
    function: Program = FunctionType(code, _call.__globals__)
    return torch.compile(
        function,
        fullgraph=True,  # else PyTorch would leave parts uncompiled, depending on what came before
        dynamic=False,
        options={"fallback_random": True},  # what a network draws is what it draws uncompiled
    )


def design_of(network: nn.Module) -> Hashable:
    """Return what networks of one architecture share."""
    modules = tuple((name, type(m), m.extra_repr()) for name, m in network.named_modules())
    parameters = tuple((k, p.shape, p.requires_grad) for k, p in network.named_parameters())
    return modules, parameters, tuple((k, b.shape, b.dtype) for k, b in network.named_buffers())


def check_compiler(device: torch.device) -> None:
    """Check that what torch.compile needs for a device is there.

    Raises:
        TrainingError: it is not; the message says what to install.

    """
    if device.type == "cuda":
        if find_spec("triton") is None:
            raise TrainingError(
                "compile=True on a GPU needs Triton, which is not installed; run"
                " 'pip install triton', or use compile=False"
            )
        return
    usual = {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
    compiler = os.environ.get("CXX", usual)
    if shutil.which(compiler) is None:
        raise TrainingError(
            f"compile=True on the CPU needs a C++ compiler, but {compiler!r} is not on the PATH;"
            " install it, name another one in the environment variable CXX, or use compile=False"
        )
