"""A problem: an objective with the space it is searched in, to compare strategies on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

from metaopt.core.errors import MetaoptError
from metaopt.core.types import Direction
from metaopt.space import Space
from metaopt.trials.objective import Objective, runs_in_lockstep
from metaopt.trials.records import Result
from metaopt.trials.trial import Trial


class LazyObjective:
    """An objective that `make` builds when it is first called, in the process that calls it.

    So a problem can be listed, and sent to workers, without its data and heavy packages.

    Args:
        make: a function without arguments that returns the objective; it must pickle, and give
            an equal objective each time.

    """

    def __init__(self, make: Callable[[], Objective]) -> None:
        self._make = make
        self._made: Objective | None = None

    @property
    def made(self) -> Objective:
        """The objective itself, built now if it was not."""
        if self._made is None:
            self._made = self._make()
        return self._made

    def __call__(self, trial: Trial) -> float | Result:
        return self.made(trial)

    @property
    def many(self) -> Any:
        """The objective's own `many`, which takes whole batches; no attribute if it has none."""
        return self.made.many  # type: ignore[attr-defined]

    @property
    def stream(self) -> Any:
        """The objective's own `stream`, for refilled slots; no attribute if it has none."""
        return self.made.stream  # type: ignore[attr-defined]

    @property
    def lockstep(self) -> bool:
        """Whether that trains its trials in lockstep."""
        return runs_in_lockstep(self.made)

    def __getstate__(self) -> dict[str, Any]:
        return {"_make": self._make, "_made": None}  # data stays where it was loaded

    def __repr__(self) -> str:
        return f"LazyObjective({self._make!r})"


@dataclass(frozen=True)
class Problem:
    """What a strategy is tried on.

    Attributes:
        name: short and unique.
        space: the configurations.
        objective: takes a `Trial`; returns a number or a `Result`. It must pickle.
        direction: "minimize" or "maximize".
        optimum: the best possible value without noise; None where it is not known.
        description: one line.

    Raises:
        MetaoptError: a field is not what it must be.

    """

    name: str
    space: Space
    objective: Objective
    direction: Direction = "minimize"
    optimum: float | None = None
    description: str = ""

    @property
    def sign(self) -> int:
        """1 where lower is better, else -1."""
        return 1 if self.direction == "minimize" else -1

    def __post_init__(self) -> None:
        where = f"problem {self.name!r}"
        if not isinstance(self.space, Space):
            raise MetaoptError(f"{where}: space must be a Space, got {self.space!r}")
        if not callable(self.objective):
            raise MetaoptError(f"{where}: objective must be callable, got {self.objective!r}")
        if self.direction not in get_args(Direction):
            known = " or ".join(map(repr, get_args(Direction)))
            raise MetaoptError(f"{where}: direction must be {known}, got {self.direction!r}")
