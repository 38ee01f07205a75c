"""The hyper-parameters that the training itself reads from a configuration.

`Recipe` lists them with their defaults, as does ``help(metaopt.Trainer)``.

Penalties and decay act on weights (parameters of two or more dimensions), not on biases and
normalisation scales. Names that the chosen optimizer or schedule does not use are ignored.

To add a schedule, see `metaopt.train.settings.schedules`. To add an optimizer, add its name to
`OPTIMIZERS`, its rule to `metaopt.train.engines.optimizers` and, for batched training, to
`metaopt.train.population.optimizers`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from metaopt.core.errors import TrainingError, did_you_mean
from metaopt.space import Scalar
from metaopt.space.values import is_number, native
from metaopt.train.settings.schedules import SCHEDULES

OPTIMIZERS = ("gd", "sgd", "adam", "adamw", "rmsprop")
# Names of other libraries, and metaopt's.
ALIASES = {
    "learning_rate": "lr",
    "eta": "lr",
    "optim": "optimizer",
    "scheduler": "schedule",
    "lr_scheduler": "schedule",
    "gamma": "decay",
    "betas": "beta1",
    "wd": "weight_decay",
    "batch": "batch_size",
    "n_epochs": "epochs",
    "num_epochs": "epochs",
    "max_epochs": "epochs",
}

# name -> (what it must be, whether a finite number is that)
RANGES: dict[str, tuple[str, Callable[[float], bool]]] = {
    "lr": ("above 0", lambda x: x > 0),
    "momentum": ("at least 0 and below 1", lambda x: 0 <= x < 1),
    "beta1": ("at least 0 and below 1", lambda x: 0 <= x < 1),
    "beta2": ("at least 0 and below 1", lambda x: 0 <= x < 1),
    "alpha": ("at least 0 and below 1", lambda x: 0 <= x < 1),
    "eps": ("above 0", lambda x: x > 0),
    "decay": ("above 0 and at most 1", lambda x: 0 < x <= 1),
    "l1": ("at least 0", lambda x: x >= 0),
    "l2": ("at least 0", lambda x: x >= 0),
    "weight_decay": ("at least 0", lambda x: x >= 0),
}
COUNTS = ("restart_every", "batch_size", "epochs")


@dataclass(frozen=True)
class Recipe:
    """How one network is trained.

    Attributes:
        epochs: the largest number of epochs, and the horizon of the cosine schedule.
        optimizer: "gd" (full batch), "sgd", "adam", "adamw" or "rmsprop".
        lr: learning rate of the first epoch.
        momentum: of sgd and rmsprop.
        beta1, beta2: of adam and adamw.
        alpha: smoothing constant of rmsprop.
        eps: added to the root in adam, adamw and rmsprop.
        schedule: "constant", "exponential", "exponential_restarts" or "cosine".
        decay: factor per epoch of the two exponential schedules.
        restart_every: epochs after which exponential_restarts returns to `lr`.
        batch_size: samples per step, at most the training part; gd takes all.
        l1: factor of the sum of absolute weights, added to the loss.
        l2: factor of half the sum of squared weights, added to the loss.
        weight_decay: decoupled decay, of adamw only.

    Raises:
        TrainingError: a value is out of its range; the message names it.
    """

    epochs: int
    optimizer: str = "adam"
    lr: float = 1e-3
    momentum: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    alpha: float = 0.99
    eps: float = 1e-8
    schedule: str = "constant"
    decay: float = 0.95
    restart_every: int = 10
    batch_size: int = 32
    l1: float = 0.0
    l2: float = 0.0
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        for name in (f.name for f in fields(self)):
            value = native(getattr(self, name))
            object.__setattr__(self, name, value)  # numpy scalars become native
            _check(name, value)

    @classmethod
    def read(cls, config: Mapping[str, Scalar], epochs: int) -> Recipe:
        """Return the recipe in a configuration; names that are not the recipe's are left out.

        Args:
            config: hyper-parameters by name.
            epochs: for configurations that do not name their own.
        """
        given: dict[str, Any] = {n: config[n] for n in NAMES if n in config}
        return cls(**{"epochs": epochs, **given})

    def lr_at(self, epoch: int) -> float:
        """Return the learning rate of an epoch.

        Args:
            epoch: counted from 1.
        """
        return SCHEDULES[self.schedule](self, epoch - 1)


CHOICES = {"optimizer": OPTIMIZERS, "schedule": tuple(SCHEDULES)}
NAMES = tuple(f.name for f in fields(Recipe))


def _check(name: str, value: Any) -> None:
    if name in CHOICES:
        if value not in CHOICES[name]:
            known = ", ".join(CHOICES[name])
            hint = did_you_mean(str(value), CHOICES[name])
            raise TrainingError(f"parameter {name!r} must be one of {known}, got {value!r}{hint}")
    elif name in COUNTS:
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise TrainingError(f"parameter {name!r} must be an integer from 1, got {value!r}")
    else:
        expected, holds = RANGES[name]
        if not (is_number(value) and math.isfinite(value) and holds(value)):
            raise TrainingError(f"parameter {name!r} must be {expected}, got {value!r}")


class ConfigView(Mapping[str, Scalar]):
    """A configuration that records which names were read; `build(config)` receives one.

    Iterating over all names (``**config``, ``dict(config)``) counts as reading each.
    """

    def __init__(self, values: Mapping[str, Scalar]) -> None:
        self._values = dict(values)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> Scalar:
        self.asked.add(name)
        if name not in self._values:
            hint = did_you_mean(name, self._values)
            raise KeyError(f"the configuration has no parameter {name!r}{hint}")
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        self.asked.add(str(name))
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        self.asked.update(self._values)
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"ConfigView({self._values})"

    def check_all_read(self) -> None:
        """Refuse names that neither the recipe nor `build` has read.

        Raises:
            TrainingError: there is one; the nearest name that was read is suggested.
        """
        known = {*NAMES, *self.asked}
        for name in self._values:
            if name not in known:
                hint = did_you_mean(ALIASES.get(name, name), known)
                raise TrainingError(
                    f"parameter {name!r} is read neither by the training recipe nor by"
                    f" build(config){hint or ';'} rename it, read it in build, or give it a"
                    " condition (when=...) in the space. help(metaopt.Trainer) lists what the"
                    " recipe reads"
                )
