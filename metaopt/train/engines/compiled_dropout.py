"""Dropout with seeded masks for torch.compile: a custom operator draws the random bits.

The operator is declared to overwrite its first argument, a small tensor that identifies the random
stream. The compiler therefore never merges, removes or reorders two draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import count
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from metaopt.train.runtime.rng import GENERATORS, Bits, KeyedDropout, threshold

_NUMBERS = count()
_STREAMS: WeakValueDictionary[int, Bits] = WeakValueDictionary()


def _draw(stream: Tensor, shape: Sequence[int], device: torch.device) -> Tensor:
    drawn = torch.empty(shape, dtype=torch.int32, device=device)
    _STREAMS[int(stream[0])].fill(drawn.view(-1))
    stream[1] += 1
    return drawn


def _draw_nothing(stream: Tensor, shape: Sequence[int], device: torch.device) -> Tensor:
    return torch.empty(shape, dtype=torch.int32, device=device)


@cache
def _operator() -> Callable[[Tensor, Sequence[int], torch.device], Tensor]:
    # Created at first use, because it imports the compiler.
    schema = "(Tensor(a!) stream, SymInt[] shape, Device device) -> Tensor"
    operator = torch.library.custom_op(
        "metaopt::draw", _draw, mutates_args={"stream"}, schema=schema
    )
    operator.register_fake(_draw_nothing)
    return torch.ops.metaopt.draw


class CompiledDropout(KeyedDropout):
    """Draws the same masks as `KeyedDropout`; `p` is an input of the compiled code, no constant."""

    def __init__(self, p: float, bits: Bits, channels: bool = False) -> None:
        super().__init__(p, bits, channels)
        # `cache` may run two threads at once, but an operator is registered once per process.
        with GENERATORS:
            self._draw = _operator()
        number = next(_NUMBERS)
        _STREAMS[number] = bits
        self._stream = torch.tensor([number, 0])
        self._what = "nothing" if p == 0 else "all" if p == 1 else "some"
        self._limit = torch.tensor(threshold(p), dtype=torch.int32)
        self._scale = torch.tensor(0.0 if p == 1 else 1 / (1 - p), dtype=torch.float64)

    def extra_repr(self) -> str:
        return f"{self._what}, channels={self.channels}"

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self._what == "nothing":
            return x
        if self._what == "all":
            return x * 0
        shape = x.shape[:2] + (1,) * (x.ndim - 2) if self.channels else x.shape
        drawn = self._draw(self._stream, shape, x.device)
        return x * ((drawn >= self._limit).to(x.dtype) * self._scale.to(x.dtype))
