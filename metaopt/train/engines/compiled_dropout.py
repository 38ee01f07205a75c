"""Keyed dropout that torch.compile can trace: the stream of bits stands in an operator of our own.

To the compiler the operator overwrites its first argument, a small tensor that names the stream,
so that two draws are never merged, dropped or put in another order.
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
    # Made when it is needed, because it loads the compiler.
    schema = "(Tensor(a!) stream, SymInt[] shape, Device device) -> Tensor"
    operator = torch.library.custom_op(
        "metaopt::draw", _draw, mutates_args={"stream"}, schema=schema
    )
    operator.register_fake(_draw_nothing)
    return torch.ops.metaopt.draw


class CompiledDropout(KeyedDropout):
    """The same masks as those of `KeyedDropout`; `p` is an input of what is compiled."""

    def __init__(self, p: float, bits: Bits, channels: bool = False) -> None:
        super().__init__(p, bits, channels)
        with GENERATORS:  # `cache` lets two threads in, and an operator is made once a process
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
