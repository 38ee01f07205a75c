"""Randomness of a training run that never shows outside it.

PyTorch initialises weights, and draws dropout masks, from one default generator per process.
`Noise` swaps a private state into it under a lock and puts the old state back; `keyed_dropout`
gives the dropout layers generators of their own, so that ordinary training needs no lock.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

import torch
from torch import Tensor, nn

from metaopt.seeds import derive

# Reentrant, because a user's `build` may itself build something under a `Noise`.
_LOCK = threading.RLock()

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

    def _generators(self) -> list[torch.Generator]:
        generators = [torch.default_generator]
        if self._device is not None and self._device.type == "cuda":
            torch.cuda.init()  # type: ignore[no-untyped-call]
            generators.append(torch.cuda.default_generators[self._device.index])
        return generators

    def __enter__(self) -> Noise:
        _LOCK.acquire()
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
            _LOCK.release()
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
            _LOCK.release()


class KeyedDropout(nn.Module):
    """Dropout whose masks come from a generator of its own.

    Args:
        p: probability that a value (or a whole channel) becomes 0.
        generator: on the device of the inputs.
        channels: drop whole channels of inputs (N, C, ...), as Dropout1d, 2d and 3d do.

    """

    def __init__(self, p: float, generator: torch.Generator, channels: bool = False) -> None:
        super().__init__()
        self.p = p
        self.channels = channels
        self._generator = generator

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        if self.p == 1:
            return x * 0
        shape = x.shape[:2] + (1,) * (x.ndim - 2) if self.channels else x.shape
        mask = torch.empty(shape, dtype=x.dtype, device=x.device)
        mask.bernoulli_(1 - self.p, generator=self._generator)
        return x * mask.mul_(1 / (1 - self.p))


@contextmanager
def keyed_dropout(network: nn.Module, seed: int, device: torch.device) -> Iterator[None]:
    """Replace the dropout layers of `network` by keyed ones for the length of a block.

    The masks depend on `seed`, the layer's place among the dropout layers, and how often it was
    called. Layers of subclasses and dropout inside functions (attention, LSTM) stay as they are.
    """
    kinds = (nn.Dropout, *FEATURE_DROPOUTS)
    keyed: dict[nn.Module, KeyedDropout] = {}
    replaced: list[tuple[nn.Module, str, nn.Module]] = []
    for path, module in list(network.named_modules(remove_duplicate=False)):
        if type(module) not in kinds or not path:
            continue
        assert isinstance(module, nn.modules.dropout._DropoutNd)
        if module not in keyed:
            generator = torch.Generator(device).manual_seed(derive(seed, "dropout", len(keyed)))
            keyed[module] = KeyedDropout(module.p, generator, type(module) in FEATURE_DROPOUTS)
            keyed[module].train(module.training)
        parent, _, name = path.rpartition(".")
        replaced.append((network.get_submodule(parent), name, module))
    for owner, name, module in replaced:
        setattr(owner, name, keyed[module])
    try:
        yield
    finally:
        for owner, name, module in replaced:
            setattr(owner, name, module.train(keyed[module].training))
