"""Files from which a training that was cut off goes on: one a network, replaced as a whole.

The file is a zip of arrays (numpy's .npz): ``state/<name>`` for what the engine holds of the
network, ``losses`` and ``values`` of the epochs so far, and ``header``, a JSON text. Nothing in
it is pickled. Its name is a fingerprint of all that the training depends on, so that a file is
either of this very training or is not looked at.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metaopt.core.errors import TrainingError

logger = logging.getLogger("metaopt.train")

FORMAT = "metaopt checkpoint 1"
State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """A network at the end of an epoch, all of which so far stayed finite.

    Attributes:
        losses: mean training loss of epochs 1, 2, ...
        values: validation metric of these epochs.
        cost: what they took, as `Cost.read` gives it.
        engine: the name of the one that trained.
        state: of the engine and of the network's own noise, by name.

    """

    losses: tuple[float, ...]
    values: tuple[float, ...]
    cost: Mapping[str, float]
    engine: str
    state: State

    @property
    def epoch(self) -> int:
        """The last epoch that is in it."""
        return len(self.values)


@dataclass(frozen=True)
class Keeper:
    """The file of one training.

    Attributes:
        path: of the file.
        every: epochs from one checkpoint to the next.

    """

    path: Path
    every: int

    def write(self, checkpoint: Checkpoint) -> None:
        """Replace the file, complete or not at all; a failure is logged, for training goes on."""
        header = {"format": FORMAT, "cost": checkpoint.cost, "engine": checkpoint.engine}
        state = {f"state/{name}": _array(tensor) for name, tensor in checkpoint.state.items()}
        arrays: dict[str, Any] = dict(state)
        arrays |= {"losses": np.array(checkpoint.losses), "values": np.array(checkpoint.values)}
        arrays["header"] = np.array(json.dumps(header))
        # Two processes may train the same; whoever is last leaves the same file.
        part = self.path.with_suffix(f".{os.getpid()}.{threading.get_ident()}.part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                np.savez(file, **arrays)
            part.replace(self.path)
        except OSError as error:
            logger.warning("the checkpoint %s could not be written: %s", self.path, error)
            with suppress(OSError):
                part.unlink()

    def read(self) -> Checkpoint | None:
        """Return what was written last; None if there is nothing, or nothing that can be used."""
        if not self.path.is_file():
            return None
        try:
            # Opened here, because numpy leaves a broken zip file open.
            with self.path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            return _parse(arrays)
        except (OSError, ValueError, KeyError, TypeError, EOFError, AttributeError) as error:
            reason: Exception = error
        except zipfile.BadZipFile as error:
            reason = error
        logger.warning(
            "the checkpoint %s is broken, so its training begins again: %s", self.path, reason
        )
        return None

    def remove(self) -> None:
        """Delete the file, if there is one, and what a killed process left of others."""
        try:
            for path in (self.path, *self.path.parent.glob(f"{self.path.stem}.*.part")):
                path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("the checkpoint %s could not be removed: %s", self.path, error)


def _parse(arrays: Mapping[str, Any]) -> Checkpoint:
    header = json.loads(str(arrays["header"]))
    if header["format"] != FORMAT:
        raise ValueError(f"it has the format {header['format']!r}")
    losses, values = (tuple(arrays[name].tolist()) for name in ("losses", "values"))
    if not values or len(losses) != len(values) or not np.isfinite([*losses, *values]).all():
        raise ValueError("it has no curve")
    state = {k[6:]: torch.from_numpy(a) for k, a in arrays.items() if k.startswith("state/")}
    cost = {str(name): float(value) for name, value in header["cost"].items()}
    return Checkpoint(losses, values, cost, str(header["engine"]), state)


def _array(tensor: Tensor) -> np.ndarray[Any, np.dtype[Any]]:
    wider = torch.float32 if tensor.dtype == torch.bfloat16 else tensor.dtype  # numpy lacks it
    return np.asarray(tensor.detach().to("cpu", wider).numpy())


def numbered(name: str, tensors: Iterable[Tensor]) -> dict[str, Tensor]:
    """Return tensors as entries of a state."""
    return {f"{name}/{k}": tensor for k, tensor in enumerate(tensors)}


def listed(name: str, state: State) -> list[Tensor]:
    """Return the tensors that `numbered` named so."""
    found: list[Tensor] = []
    while f"{name}/{len(found)}" in state:
        found.append(state[f"{name}/{len(found)}"])
    return found


def copy_all(name: str, state: State, targets: Iterable[Tensor]) -> None:
    """Overwrite tensors with those that `numbered` named so.

    Raises:
        ValueError: their number or shapes differ.

    """
    for target, tensor in zip(targets, listed(name, state), strict=True):
        if target.shape != tensor.shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, not {tuple(target.shape)}")
        target.copy_(tensor)


def read_place(folder: str | os.PathLike[str] | None, every: object) -> Path | None:
    """Check where and how often checkpoints are written.

    Raises:
        TrainingError: the folder is a file, or `every` is no integer from 1.

    """
    if not isinstance(every, int) or isinstance(every, bool) or every < 1:
        raise TrainingError(f"checkpoint_every must be an integer from 1, got {every!r}")
    if folder is None:
        return None
    if not isinstance(folder, (str, os.PathLike)):
        raise TrainingError(f"checkpoints must be a folder or None, got {folder!r}")
    place = Path(folder).absolute()  # a worker process may have another directory
    if place.exists() and not place.is_dir():
        raise TrainingError(f"checkpoints must be a folder, but {folder} is a file")
    return place
