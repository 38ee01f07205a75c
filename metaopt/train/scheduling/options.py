"""Where and how a trainer computes: device, threads, dtype, engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from metaopt.core.errors import TrainingError
from metaopt.train.engines.compiled import check_compiler
from metaopt.train.runtime.resources import find_device
from metaopt.train.scheduling.grouping import EngineChoice
from metaopt.train.settings.history import Rules


@dataclass(frozen=True)
class Options:
    """Where and how a trainer computes; see `Trainer` for the meaning of each.

    Attributes:
        rules: of the training, to be checked against the other options.
        device: a device, "auto", or a list of devices.
        threads: within PyTorch's operations on the CPU.
        dtype: of inputs, real targets and networks.
        engine: which engines may be used.

    Raises:
        TrainingError: a value is not allowed, or does not fit the rules.
    """

    rules: Rules
    device: str | torch.device | Sequence[str | torch.device]
    threads: int | Literal["auto"] | None
    dtype: torch.dtype
    engine: EngineChoice

    def __post_init__(self) -> None:
        threads = self.threads
        if threads not in ("auto", None) and (type(threads) is not int or threads < 1):
            raise TrainingError(f"threads must be 'auto', None or at least 1, got {threads!r}")
        if self.engine not in get_args(EngineChoice):
            known = ", ".join(map(repr, get_args(EngineChoice)))
            raise TrainingError(f"engine must be one of {known}, got {self.engine!r}")
        dtype = self.dtype
        if not dtype.is_floating_point:
            raise TrainingError(f"dtype must be a real type such as torch.float32, got {dtype}")
        if self.rules.precision == "fp16" and dtype != torch.float32:
            raise TrainingError(
                "precision='fp16' needs dtype=torch.float32, the type that PyTorch's autocast"
                f" computes in float16, got {dtype}"
            )
        if self.rules.compile and not torch.cuda.is_available():
            check_compiler(torch.device("cpu"))  # on a GPU: when a trial has its device
        named = self._named
        if not isinstance(named, (list, tuple)) or not named or (named[1:] and "auto" in named):
            raise TrainingError(
                "device must be 'auto', a device, or a list of devices such as"
                f" ['cuda:0', 'cuda:1'], got {self.device!r}"
            )

    @property
    def _named(self) -> Sequence[str | torch.device]:
        one = self.device
        return [one] if isinstance(one, (str, torch.device)) else one

    def devices(self) -> tuple[torch.device, ...]:
        """Return the devices, in the order in which they were given.

        Raises:
            TrainingError: a name is unknown, or this machine has no such device.

        """
        return tuple(map(find_device, self._named))
