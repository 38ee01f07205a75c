"""A trained network with all that prediction needs; files hold no pickle and no code.

The file is a zip of arrays (numpy's .npz): ``state/<name>`` for each parameter and buffer,
``scale/<name>`` for the scalers, ``classes``, and ``header``, a JSON text.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from metaopt.core.errors import TrainingError
from metaopt.space import Config
from metaopt.train.data.arrays import read_inputs
from metaopt.train.data.scaling import Scaler
from metaopt.train.engines.single import evaluate
from metaopt.train.runtime.checkpoint import as_array
from metaopt.train.runtime.rng import Noise
from metaopt.train.settings.hyperparameters import ConfigView
from metaopt.train.settings.networks import Build, ReadyMade
from metaopt.trials.records import plain

FORMAT = "metaopt network 1"
KEYS = {"config", "value", "metrics", "curve", "shape", "dtype", "build"}
DTYPES = {str(t)[6:]: t for t in (torch.float64, torch.float32, torch.float16, torch.bfloat16)}


@dataclass(frozen=True)
class Fitted:
    """A trained network, with the scaling of inputs and targets that belongs to it.

    Attributes:
        network: in evaluation mode, with its final weights.
        config: the configuration, including the defaults of the trainer.
        value: the validation metric at these weights.
        metrics: as in the result of a trial with this configuration.
        curve: (epoch, validation metric) of every epoch.
        classes: labels in the order of the outputs; None for regression.
        x_scaler: standardizes the inputs; None if the trainer did not.
        y_scaler: converts outputs to the units of y; None if the trainer did not standardize y.
        build: the function that built the network.
        shape: of one input.
        dtype: of inputs and weights.
        evaluation_rows: the largest number of samples that are evaluated at a time.

    """

    network: nn.Module
    config: Config
    value: float
    metrics: Mapping[str, float]
    curve: tuple[tuple[float, float], ...]
    classes: NDArray[Any] | None = None
    x_scaler: Scaler | None = field(default=None, repr=False)
    y_scaler: Scaler | None = field(default=None, repr=False)
    build: Build | None = field(default=None, repr=False)
    shape: tuple[int, ...] = ()
    dtype: torch.dtype = torch.float32
    evaluation_rows: int = 8192

    def outputs(self, X: Any) -> NDArray[Any]:
        """Return the outputs of the network: scores (logits), or values in the units of y.

        Args:
            X: inputs as they were given to the trainer, not standardized, shape (n, ...).

        Raises:
            TrainingError: the inputs have another shape than in training, or are not finite
                numbers.

        """
        inputs = read_inputs(X, self.dtype, "X")
        if tuple(inputs.shape[1:]) != self.shape:
            raise TrainingError(
                f"X must have samples of shape {self.shape} as in training,"
                f" got {tuple(inputs.shape[1:])}"
            )
        if self.x_scaler is not None:
            inputs = self.x_scaler.apply(inputs)
        device = next(self.network.parameters()).device
        # Random numbers that a network draws must not depend on the default generator.
        outputs = evaluate(self.network, inputs.to(device), self.evaluation_rows, Noise(0, device))
        if self.y_scaler is not None:
            outputs = self.y_scaler.undo(outputs)
        return as_array(outputs)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return labels, shape (n,), for classification, or values in the units of y.

        Args:
            X: inputs as they were given to the trainer, not standardized, shape (n, ...).

        Raises:
            TrainingError: as in `outputs`.

        """
        outputs = self.outputs(X)
        return outputs if self.classes is None else self.classes[outputs.argmax(1)]

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return the predicted probabilities of the c classes, shape (n, c).

        Args:
            X: inputs as they were given to the trainer, not standardized, shape (n, ...).

        Returns:
            Probabilities; the columns are in the order of `classes`, each row sums to 1.

        Raises:
            TrainingError: the network is not a classifier, or as in `outputs`.

        """
        if self.classes is None:
            raise TrainingError("predict_proba needs a classifier; use predict")
        return np.asarray(torch.from_numpy(self.outputs(X)).softmax(1).numpy())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a file, without pickle; `metaopt.train.load` reads it.

        The file is replaced atomically: a crash leaves the old file or the new one.

        Args:
            path: of the file, with any extension.

        Raises:
            TrainingError: the state of the network holds something other than tensors.
            OSError: the file cannot be written.

        """
        arrays: dict[str, Any] = {}
        for name, tensor in self.network.state_dict().items():
            if not isinstance(tensor, Tensor):
                raise TrainingError(f"the state {name!r} must be a tensor, got {tensor!r}")
            arrays[f"state/{name}"] = as_array(tensor)
        for axis, scaler in (("x", self.x_scaler), ("y", self.y_scaler)):
            if scaler is not None:
                arrays[f"scale/{axis}/mean"] = as_array(scaler.mean)
                arrays[f"scale/{axis}/std"] = as_array(scaler.std)
        if self.classes is not None:
            arrays["classes"] = self.classes
        arrays["header"] = np.array(json.dumps(self._header()))
        target = Path(path)
        part = target.with_name(f"{target.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                np.savez(file, **arrays)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def _header(self) -> dict[str, Any]:
        ready = self.build.to_json() if isinstance(self.build, ReadyMade) else None
        return {
            "format": FORMAT,
            "config": plain(self.config),
            "value": self.value,
            "metrics": plain(self.metrics),
            "curve": plain(list(self.curve)),
            "shape": list(self.shape),
            "dtype": str(self.dtype)[6:],
            "build": ready,
        }


def load(path: str | os.PathLike[str], build: Build | None = None) -> Fitted:
    """Read a network that `Fitted.save` wrote.

    Args:
        path: of the file. Nothing in it is executed or unpickled.
        build: the function that built the network; not needed for "mlp" and "cnn".

    Returns:
        The network, on the CPU.

    Raises:
        TrainingError: the file does not hold such a network, or does not fit the network that
            `build` returns.

    """
    header, arrays = _read(Path(path))
    ready, config = header["build"], header["config"]
    if build is None:
        if ready is None:
            raise TrainingError(f"{path} needs the function that built it: load(path, build)")
        build = ReadyMade(ready["kind"], tuple(ready["shape"]), ready["outputs"])
    dtype = DTYPES[header["dtype"]]
    state = {k[6:]: torch.from_numpy(a) for k, a in arrays.items() if k.startswith("state/")}
    with Noise(0):
        network = build(ConfigView(config))
    try:
        # The dtype first, or values would be rounded. Twice, because lazy layers only exist after
        # they have loaded a state.
        network.to(dtype).load_state_dict(state)
        network.to(dtype).load_state_dict(state)
    except RuntimeError as error:
        raise TrainingError(
            f"{path} does not fit the network that build returns: {error}"
        ) from None
    return Fitted(
        network=network.eval(),
        config=config,
        value=header["value"],
        metrics={name: float(value) for name, value in header["metrics"].items()},
        curve=tuple((step, value) for step, value in header["curve"]),
        classes=arrays.get("classes"),
        x_scaler=_scaler(arrays, "x", dtype),
        y_scaler=_scaler(arrays, "y", dtype),
        build=build,
        shape=tuple(header["shape"]),
        dtype=dtype,
    )


def _scaler(arrays: Mapping[str, NDArray[Any]], axis: str, dtype: torch.dtype) -> Scaler | None:
    if f"scale/{axis}/mean" not in arrays:
        return None
    mean, std = arrays[f"scale/{axis}/mean"], arrays[f"scale/{axis}/std"]
    return Scaler(torch.from_numpy(mean).to(dtype), torch.from_numpy(std).to(dtype))


def _read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    if not path.is_file():
        raise TrainingError(f"{path} is not a file")
    try:
        # Opened here, because NumPy does not close a broken zip file.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(str(arrays.pop("header")))
    except (ValueError, KeyError, TypeError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise TrainingError(f"{path} is not a network saved by metaopt: {error}") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT or not {*header} >= KEYS:
        raise TrainingError(
            f"{path} is not a network saved by metaopt, or was saved by a newer version"
        )
    return header, arrays
