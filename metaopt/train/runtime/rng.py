"""Randomness of a training run that never shows outside it.

PyTorch initialises weights, and draws dropout masks, from one default generator per process.
`Noise` swaps a private state into it under a lock and puts the old state back; `keyed_dropout`
gives the dropout layers streams of their own, so that ordinary training needs no lock.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from metaopt.core.seeds import derive

# Held by whoever swaps or restores the default generators, PyTorch's compiler included.
# Reentrant, because a user's `build` may itself build something under a `Noise`.
GENERATORS = threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    # A forked process begins with a free lock: the thread that may hold it is missing there.
    os.register_at_fork(after_in_child=GENERATORS._at_fork_reinit)  # type: ignore[attr-defined]

FEATURE_DROPOUTS = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


class Noise:
    """A private state of torch's default generators: ``with noise: ...``.

    Inside the block the default generators of the CPU and of `device`, if that is a GPU (given
    with its index), continue where this object's last block ended; the first block starts from
    `seed`. Other threads' blocks wait, and afterwards the generators are as they were.

    Attributes:
        used: whether any block so far drew a number.

    """

    def __init__(self, seed: int, device: torch.device | None = None) -> None:
        self._seed = seed
        self._device = device
        self._states: list[Tensor] | None = None
        self._outer: list[Tensor] = []
        self.used = False

    def states(self) -> list[Tensor]:
        """Return where the generators stand, if any block drew a number; else []."""
        return list(self._states or []) if self.used else []

    def load(self, states: list[Tensor]) -> None:
        """Go on from what `states` returned."""
        self._states, self.used = (list(states), True) if states else (None, False)

    def _generators(self) -> list[torch.Generator]:
        generators = [torch.default_generator]
        if self._device is not None and self._device.type == "cuda":
            torch.cuda.init()  # type: ignore[no-untyped-call]
            generators.append(torch.cuda.default_generators[self._device.index])
        return generators

    def __enter__(self) -> Noise:
        GENERATORS.acquire()
        try:
            generators = self._generators()
            self._outer = [g.get_state() for g in generators]
            for i, generator in enumerate(generators):
                if self._states is None:
                    generator.manual_seed(self._seed)
                else:
                    generator.set_state(self._states[i])
            self._before = [g.get_state() for g in generators]
        except BaseException:
            GENERATORS.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            generators = self._generators()
            self._states = [g.get_state() for g in generators]
            pairs = zip(self._before, self._states, strict=True)
            self.used = self.used or not all(torch.equal(a, b) for a, b in pairs)
            for generator, state in zip(generators, self._outer, strict=True):
                generator.set_state(state)
        finally:
            GENERATORS.release()


class Bits:
    """Random integers of 32 bits for the masks of one dropout layer of one network.

    On the CPU they come from numpy's SFC64, ten times faster than `Tensor.bernoulli_`; every call
    takes whole words of 64 bits, so that the stream depends on the calls' sizes only.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._device = device
        if device.type == "cpu":
            self._words = np.random.SFC64(seed)
        else:
            self._generator = torch.Generator(device).manual_seed(seed)

    def state(self) -> Tensor:
        """Return where the stream stands, as a tensor on the CPU."""
        if self._device.type != "cpu":
            return self._generator.get_state()
        words: Any = self._words.state["state"]["state"]
        return torch.from_numpy(words.view(np.int64).copy())

    def load(self, state: Tensor) -> None:
        """Go on from what `state` returned."""
        if self._device.type != "cpu":
            self._generator.set_state(state)
            return
        now: Any = self._words.state
        now["state"]["state"] = state.numpy().view(np.uint64).copy()
        self._words.state = now

    def fill(self, out: Tensor) -> None:
        """Overwrite a contiguous vector (n,) of int32, uniformly over its range."""
        if self._device.type != "cpu":
            out.random_(-(2**31), 2**31, generator=self._generator)
        else:
            self.write(out.numpy())

    def write(self, out: NDArray[np.int32]) -> None:
        """Do the same with an array of numpy's, of any shape and strides; only for the CPU."""
        n = out.size
        out[...] = self._words.random_raw((n + 1) // 2).view(np.int32)[:n].reshape(out.shape)

    def write_tensor(self, out: Tensor) -> None:
        """Do the same with a tensor of any shape and strides."""
        if out.is_contiguous():
            self.fill(out.view(-1))
            return
        drawn = torch.empty(out.shape, dtype=torch.int32, device=out.device)
        self.fill(drawn.view(-1))
        out.copy_(drawn)


def dropout_bits(seed: int, layer: int, device: torch.device) -> Bits:
    """Return the stream of a network's dropout layer, counted from 0; one for all engines."""
    return Bits(derive(seed, "dropout", layer), device)


def threshold(p: float) -> int:
    """Integers of 32 bits below it have the share `p`, to within 2^-32."""
    return min(round(p * 2**32), 2**32 - 1) - 2**31


class KeyedDropout(nn.Module):
    """Dropout whose masks come from a stream of its own.

    Args:
        p: probability that a value (or a whole channel) becomes 0.
        bits: on the device of the inputs.
        channels: drop whole channels of inputs (N, C, ...), as Dropout1d, 2d and 3d do.

    """

    def __init__(self, p: float, bits: Bits, channels: bool = False) -> None:
        super().__init__()
        self.p = p
        self.channels = channels
        self._bits = bits

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        if self.p == 1:
            return x * 0
        shape = x.shape[:2] + (1,) * (x.ndim - 2) if self.channels else x.shape
        drawn = torch.empty(shape, dtype=torch.int32, device=x.device)
        self._bits.fill(drawn.view(-1))
        return x * (drawn >= threshold(self.p)).to(x.dtype).mul_(1 / (1 - self.p))


@contextmanager
def keyed_dropout(
    network: nn.Module, seed: int, device: torch.device, kind: type[KeyedDropout] = KeyedDropout
) -> Iterator[list[Bits]]:
    """Replace the dropout layers of `network` by keyed ones for a block; give their streams.

    The masks depend on `seed`, the layer's place among the dropout layers, and how often it was
    called. Layers of subclasses and dropout inside functions (attention, LSTM) stay as they are.
    """
    kinds = (nn.Dropout, *FEATURE_DROPOUTS)
    keyed: dict[nn.Module, KeyedDropout] = {}
    streams: list[Bits] = []
    replaced: list[tuple[nn.Module, str, nn.Module]] = []
    for path, module in list(network.named_modules(remove_duplicate=False)):
        if type(module) not in kinds or not path:
            continue
        assert isinstance(module, nn.modules.dropout._DropoutNd)
        if module not in keyed:
            streams.append(dropout_bits(seed, len(keyed), device))
            keyed[module] = kind(module.p, streams[-1], type(module) in FEATURE_DROPOUTS)
            keyed[module].train(module.training)
        parent, _, name = path.rpartition(".")
        replaced.append((network.get_submodule(parent), name, module))
    for owner, name, module in replaced:
        setattr(owner, name, keyed[module])
    try:
        yield streams
    finally:
        for owner, name, module in replaced:
            setattr(owner, name, module.train(keyed[module].training))
