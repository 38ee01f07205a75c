"""What a trainer was asked for, beyond its data: when to stop, where and how to compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from metaopt.core.errors import TrainingError
from metaopt.train.engines.compiled import check_compiler
from metaopt.train.runtime.resources import find_device
from metaopt.train.scheduling.grouping import EngineChoice
from metaopt.train.settings.early_stopping import EarlyStopping
from metaopt.train.settings.history import Precision


@dataclass(frozen=True)
class Options:
    """The same for every run of a trainer; see `Trainer` for the meaning of each.

    Raises:
        TrainingError: a value is none of those that are possible.

    """

    stopping: EarlyStopping | None
    evaluation_rows: int
    device: str | torch.device | Sequence[str | torch.device]
    threads: int | Literal["auto"] | None
    dtype: torch.dtype
    precision: Precision
    compile: bool
    engine: EngineChoice

    def __post_init__(self) -> None:
        if not isinstance(self.stopping, EarlyStopping | None):
            raise TrainingError(f"stopping must be an EarlyStopping or None, got {self.stopping!r}")
        if type(self.evaluation_rows) is not int or self.evaluation_rows < 1:
            raise TrainingError(f"evaluation_rows must be at least 1, got {self.evaluation_rows!r}")
        threads = self.threads
        if threads not in ("auto", None) and (type(threads) is not int or threads < 1):
            raise TrainingError(f"threads must be 'auto', None or at least 1, got {threads!r}")
        if self.engine not in get_args(EngineChoice):
            known = ", ".join(map(repr, get_args(EngineChoice)))
            raise TrainingError(f"engine must be one of {known}, got {self.engine!r}")
        dtype = self.dtype
        if not dtype.is_floating_point:
            raise TrainingError(f"dtype must be a real type such as torch.float32, got {dtype}")
        if self.precision not in get_args(Precision):
            known = ", ".join(map(repr, get_args(Precision)))
            raise TrainingError(f"precision must be one of {known}, got {self.precision!r}")
        if self.precision == "fp16" and dtype != torch.float32:
            raise TrainingError(
                "precision='fp16' needs dtype=torch.float32, the type that PyTorch's autocast"
                f" computes in float16, got {dtype}"
            )
        if not isinstance(self.compile, bool):
            raise TrainingError(f"compile must be True or False, got {self.compile!r}")
        if self.compile and not torch.cuda.is_available():  # else when a trial has its device
            check_compiler(torch.device("cpu"))
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
        """Look up the devices that were named, in their order.

        Raises:
            TrainingError: a name is unknown, or this machine has no such device.

        """
        return tuple(map(find_device, self._named))
