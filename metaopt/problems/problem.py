"""A problem: an objective and its search space, to compare strategies on."""

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
    """An objective that is built at its first call, in the process that calls it.

    So a problem can be listed, and sent to worker processes, without loading its data and packages.

    Args:
        make: a function without arguments that returns the objective; it must support pickle and
            return an equal objective each time.

    """

    def __init__(self, make: Callable[[], Objective]) -> None:
        self._make = make
        self._made: Objective | None = None

    @property
    def made(self) -> Objective:
        """The objective, built at the first access."""
        if self._made is None:
            self._made = self._make()
        return self._made

    def __call__(self, trial: Trial) -> float | Result:
        return self.made(trial)

    @property
    def many(self) -> Any:
        """The objective's `many`, which evaluates batches; AttributeError if it has none."""
        return self.made.many  # type: ignore[attr-defined]

    @property
    def stream(self) -> Any:
        """The objective's `stream`, for refilled slots; AttributeError if it has none."""
        return self.made.stream  # type: ignore[attr-defined]

    @property
    def lockstep(self) -> bool:
        """Whether the objective's `many` evaluates its trials in lockstep."""
        return runs_in_lockstep(self.made)

    def __getstate__(self) -> dict[str, Any]:
        return {"_make": self._make, "_made": None}  # loaded data is not pickled

    def __repr__(self) -> str:
        return f"LazyObjective({self._make!r})"


@dataclass(frozen=True)
class Problem:
    """An objective and its search space, for comparisons of strategies.

    Attributes:
        name: short and unique.
        space: the search space.
        objective: a function of a `Trial` that returns a number or a `Result`; it must support
            pickle.
        direction: "minimize" or "maximize".
        optimum: the best possible value without noise; None if it is unknown.
        description: one line.

    Raises:
        MetaoptError: a field is not valid.

    """

    name: str
    space: Space
    objective: Objective
    direction: Direction = "minimize"
    optimum: float | None = None
    description: str = ""

    @property
    def sign(self) -> int:
        """1 if lower is better, -1 if higher is better."""
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
