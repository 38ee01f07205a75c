"""Random numbers of a training run, isolated from the rest of the process.

PyTorch draws initial weights and dropout masks from one default generator per process. `Noise`
gives it a private state under a lock and restores the old state afterwards. `keyed_dropout` gives
each dropout layer a random stream of its own, so that most training needs no lock.
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

# Must be held to replace or restore the default generators; PyTorch's compiler does so, too.
# Reentrant, because a user's `build` may itself use a `Noise`.
GENERATORS = threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    # A forked process needs a free lock: the thread that holds it may not exist there.
    os.register_at_fork(after_in_child=GENERATORS._at_fork_reinit)  # type: ignore[attr-defined]

FEATURE_DROPOUTS = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


class Noise:
    """A private state of PyTorch's default generators: ``with noise: ...``.

    Inside the block the default generators of the CPU and of `device`, if that is a GPU, continue
    where the last block of this object ended; the first block starts from `seed`. Afterwards the
    old states are restored. Blocks of other threads wait.

    Args:
        seed: of the first block.
        device: a GPU, with its index, whose generator is replaced, too.

    Attributes:
        used: whether a random number was drawn in any block so far.

    """

    def __init__(self, seed: int, device: torch.device | None = None) -> None:
        self._seed = seed
        self._device = device
        self._states: list[Tensor] | None = None
        self._outer: list[Tensor] = []
        self.used = False

    def states(self) -> list[Tensor]:
        """Return the states of the generators if a random number was drawn; else []."""
        return list(self._states or []) if self.used else []

    def load(self, states: list[Tensor]) -> None:
        """Continue from the states that `states` returned."""
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
    """Random 32-bit integers for the masks of one dropout layer of one network.

    On the CPU they come from NumPy's SFC64, which is ten times faster than `Tensor.bernoulli_`.
    Every call uses whole 64-bit words, so that the stream only depends on the sizes of the calls.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._device = device
        if device.type == "cpu":
            self._words = np.random.SFC64(seed)
        else:
            self._generator = torch.Generator(device).manual_seed(seed)

    def state(self) -> Tensor:
        """Return the state of the stream, as a tensor on the CPU."""
        if self._device.type != "cpu":
            return self._generator.get_state()
        words: Any = self._words.state["state"]["state"]
        return torch.from_numpy(words.view(np.int64).copy())

    def load(self, state: Tensor) -> None:
        """Continue from the state that `state` returned."""
        if self._device.type != "cpu":
            self._generator.set_state(state)
            return
        now: Any = self._words.state
        now["state"]["state"] = state.numpy().view(np.uint64).copy()
        self._words.state = now

    def fill(self, out: Tensor) -> None:
        """Overwrite a contiguous vector (n,) of int32 with values uniform over all integers."""
        if self._device.type != "cpu":
            out.random_(-(2**31), 2**31, generator=self._generator)
        else:
            self.write(out.numpy())

    def write(self, out: NDArray[np.int32]) -> None:
        """Do the same with a NumPy array of any shape and strides; only on the CPU."""
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
    """Return the stream of a dropout layer, counted from 0; it is the same for all engines."""
    return Bits(derive(seed, "dropout", layer), device)


def threshold(p: float) -> int:
    """Return the threshold t with P(int32 < t) = p, up to 2^-32."""
    return min(round(p * 2**32), 2**32 - 1) - 2**31


class KeyedDropout(nn.Module):
    """Dropout with a random stream of its own.

    Args:
        p: probability that a value (or a whole channel) is set to 0.
        bits: the stream, on the device of the inputs.
        channels: whether whole channels of inputs (N, C, ...) are dropped, as in Dropout1d, 2d, 3d.

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
    """Replace the dropout layers of `network` by keyed ones in a block; yield their streams.

    The masks depend on `seed`, the position of the layer among the dropout layers, and the number
    of its calls. Subclasses of dropout layers and dropout inside other layers (attention, LSTM)
    are not replaced.
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
