"""Checkpoints from which an interrupted training resumes: one file per network.

The file is a zip of arrays (numpy's .npz): ``state/<name>`` for the state of the engine and the
network, ``losses`` and ``values`` of the epochs so far, and ``header``, a JSON text. Nothing in
it is pickled. Its name is a hash of everything that determines the training, so that files of other
trainings are never read. It is replaced atomically.
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
    """The state of training at the end of an epoch; all losses and values so far are finite.

    Attributes:
        losses: mean training loss of epochs 1, 2, ...
        values: validation metric of these epochs.
        cost: of these epochs, as `Cost.read` returns it.
        engine: name of the engine that trained.
        state: of the engine and of the network's random generators, by name.

    """

    losses: tuple[float, ...]
    values: tuple[float, ...]
    cost: Mapping[str, float]
    engine: str
    state: State

    @property
    def epoch(self) -> int:
        """The last epoch that it covers."""
        return len(self.values)


@dataclass(frozen=True)
class Keeper:
    """Writes and reads the checkpoint file of one network.

    Attributes:
        path: of the file.
        every: epochs between checkpoints.

    """

    path: Path
    every: int

    def write(self, checkpoint: Checkpoint) -> None:
        """Replace the file atomically; a failure is only logged, and training continues."""
        header = {"format": FORMAT, "cost": checkpoint.cost, "engine": checkpoint.engine}
        state = {f"state/{name}": as_array(tensor) for name, tensor in checkpoint.state.items()}
        arrays: dict[str, Any] = dict(state)
        arrays |= {"losses": np.array(checkpoint.losses), "values": np.array(checkpoint.values)}
        arrays["header"] = np.array(json.dumps(header))
        # Two processes may train the same network; both write the same content.
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
        """Return the last checkpoint; None if there is none or it is unreadable."""
        if not self.path.is_file():
            return None
        try:
            # Opened here, because NumPy does not close a broken zip file.
            with self.path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            return _parse(arrays)
        except (OSError, ValueError, KeyError, TypeError, EOFError, AttributeError) as error:
            reason: Exception = error
        except zipfile.BadZipFile as error:
            reason = error
        logger.warning(
            "the checkpoint %s is unreadable, so training starts from epoch 1: %s",
            self.path,
            reason,
        )
        return None

    def remove(self) -> None:
        """Delete the file, if there is one, and incomplete files of killed processes."""
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
        raise ValueError("it has no valid losses and values")
    state = {k[6:]: torch.from_numpy(a) for k, a in arrays.items() if k.startswith("state/")}
    cost = {str(name): float(value) for name, value in header["cost"].items()}
    return Checkpoint(losses, values, cost, str(header["engine"]), state)


def as_array(tensor: Tensor) -> np.ndarray[Any, np.dtype[Any]]:
    """Return a tensor as a NumPy array on the CPU."""
    # NumPy has no bfloat16.
    wider = torch.float32 if tensor.dtype == torch.bfloat16 else tensor.dtype
    return np.asarray(tensor.detach().to("cpu", wider).numpy())


def numbered(name: str, tensors: Iterable[Tensor]) -> dict[str, Tensor]:
    """Return tensors as entries ``name/0``, ``name/1``, ... of a state."""
    return {f"{name}/{k}": tensor for k, tensor in enumerate(tensors)}


def listed(name: str, state: State) -> list[Tensor]:
    """Return the tensors that `numbered` stored under this name."""
    found: list[Tensor] = []
    while f"{name}/{len(found)}" in state:
        found.append(state[f"{name}/{len(found)}"])
    return found


def copy_all(name: str, state: State, targets: Iterable[Tensor]) -> None:
    """Overwrite tensors with those that `numbered` stored under this name.

    Raises:
        ValueError: their number or shapes differ.

    """
    for target, tensor in zip(targets, listed(name, state), strict=True):
        if target.shape != tensor.shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, not {tuple(target.shape)}")
        target.copy_(tensor)


def read_place(folder: str | os.PathLike[str] | None, every: object) -> Path | None:
    """Check the folder and the frequency of checkpoints; return the absolute folder or None.

    Raises:
        TrainingError: the folder is a file, or `every` is not an integer of at least 1.

    """
    if not isinstance(every, int) or isinstance(every, bool) or every < 1:
        raise TrainingError(f"checkpoint_every must be an integer from 1, got {every!r}")
    if folder is None:
        return None
    if not isinstance(folder, (str, os.PathLike)):
        raise TrainingError(f"checkpoints must be a folder or None, got {folder!r}")
    place = Path(folder).absolute()  # a worker process may have another working directory
    if place.exists() and not place.is_dir():
        raise TrainingError(f"checkpoints must be a folder, but {folder} is a file")
    return place
