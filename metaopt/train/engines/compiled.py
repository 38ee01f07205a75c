"""The engine "single" with torch.compile: faster forward and backward passes after a compilation.

The whole network is compiled as one graph, once for each architecture, batch size and mode. The
compiled function takes the network as an argument, with its parameters among the inputs, so that
the next network of the same architecture reuses the code. Sizes are compiled as constants, never
as symbols, so that results do not depend on which networks were compiled before.
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

REASON = 1000  # characters kept of PyTorch's error message
KEPT_PROGRAMS = 64  # a program keeps the classes of its network's modules in memory

Program = Callable[[nn.Module, Tensor], Any]


class Compiled(Single):
    """Trains the network of one member in place, through torch.compile."""

    name = "compiled"
    dropout = CompiledDropout

    def __init__(self, members: Sequence[Member]) -> None:
        check_compiler(members[0].device)
        super().__init__(members)
        self._design = design_of(self._network)
        self._seen: dict[Hashable, Program] = {}

    def _step(self, X: Tensor, y: Tensor, lr: float, check: bool = False) -> Tensor:
        known = self._key(X) in self._seen
        # The backward pass is compiled in the first step, and compiling changes the generators.
        with nullcontext() if known else GENERATORS, explained():
            return super()._step(X, y, lr, check)

    def outputs(self) -> list[Tensor]:
        return [outputs_of(self._member, self.feed.validation().X, self._apply)]

    def _key(self, X: Tensor) -> Hashable:
        """Return the key of a compiled program, from all that can be known before compiling."""
        state = self._network.training, torch.is_grad_enabled(), torch.get_num_threads()
        return self._design, self._member.task.precision, X.shape, X.dtype, X.device, *state

    def _apply(self, X: Tensor) -> Any:
        key = self._key(X)
        program = self._seen.get(key)
        if program is not None:
            with explained():
                return program(self._network, X)
        # PyTorch resets the default generators after compiling, even if other threads used them.
        with GENERATORS, explained():
            outputs, self._seen[key] = first_call(key, self._network, X)
        return outputs


def first_call(key: Hashable, network: nn.Module, X: Tensor) -> tuple[Any, Program]:
    """Apply a network for the first time; compile unless a program for the key exists.

    Returns:
        The outputs of the network and the compiled program.

    """
    from torch._dynamo.exc import FailOnRecompileLimitHit

    program = PROGRAMS.get(key)
    try:
        return program(network, X), program
    except FailOnRecompileLimitHit:
        # Too many networks that `design_of` takes for the same, but PyTorch does not: start again.
        program = PROGRAMS.get(key, renew=True)
        return program(network, X), program


@contextmanager
def explained() -> Iterator[None]:
    """Turn compilation errors of PyTorch into errors that say what the user can do.

    Raises:
        TrainingError: instead of PyTorch's error, which is its cause.

    """
    from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException

    try:
        yield
    except FailOnRecompileLimitHit as error:
        raise TrainingError(
            "compile=True: this network changes from call to call (it sets an attribute in"
            " forward, such as a counter), and PyTorch gave up recompiling it; keep such state"
            " in a buffer, or use compile=False"
        ) from error
    except TorchDynamoException as error:
        reason = f"{type(error).__name__}: {error}"
        raise TrainingError(
            "compile=True: PyTorch cannot compile this network as one program; change the code"
            f" that the following error names, or use compile=False. {reason[:REASON]}"
        ) from error


class Programs:
    """Cache of compiled functions by key; the least recently used ones are dropped."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, Program] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, renew: bool = False) -> Program:
        """Return the program of a key; a new one if there is none, or if `renew`."""
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
    """Return a function that is compiled at its first call."""
    # PyTorch stores compiled code, and counts recompilations, per code object. With one code
    # object for all networks it would give up after eight of them.
    code = _call.__code__.replace(co_name="apply_network")
    function: Program = FunctionType(code, _call.__globals__)
    return torch.compile(
        function,
        fullgraph=True,  # else PyTorch may leave parts uncompiled, depending on earlier networks
        dynamic=False,
        options={"fallback_random": True},  # the same random numbers as without compiling
    )


def design_of(network: nn.Module) -> Hashable:
    """Return a key that is equal for all networks of one architecture."""
    modules = tuple((name, type(m), m.extra_repr()) for name, m in network.named_modules())
    parameters = tuple((k, p.shape, p.requires_grad) for k, p in network.named_parameters())
    return modules, parameters, tuple((k, b.shape, b.dtype) for k, b in network.named_buffers())


def check_compiler(device: torch.device) -> None:
    """Check that this machine has the compiler that torch.compile needs for a device.

    Raises:
        TrainingError: the compiler is missing; the message says what to install.

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
