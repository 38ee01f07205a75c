"""What a comparison was set up with, as a store keeps it, and the names of its studies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from metaopt.core.seeds import derive
from metaopt.problems.problem import Problem
from metaopt.trials.records import Json, number_from_json, number_to_json

NOTE = "comparison"  # kind of the note in which a store keeps the setup


def study_name(problem: str, strategy: str, repeat: int) -> str:
    """Return the name of the study of one run: ``problem/strategy/repeat``."""
    return f"{problem}/{strategy}/{repeat}"


@dataclass(frozen=True)
class ProblemNote:
    """What a store keeps of a problem; space and direction are in the headers of its studies.

    Attributes:
        name: unique in the comparison.
        optimum: the best possible value, None where it is not known.
        description: one line.
    """

    name: str
    optimum: float | None
    description: str


@dataclass(frozen=True)
class ComparisonSetup:
    """The arguments of a comparison that its studies do not hold themselves.

    Attributes:
        problems: in their order.
        strategies: labels, in their order.
        n_trials: of each run.
        repeats: as planned.
        seed: what all seeds derive from.
        control: the label that others are tested against.
    """

    problems: tuple[ProblemNote, ...]
    strategies: tuple[str, ...]
    n_trials: int
    repeats: int
    seed: int
    control: str

    @classmethod
    def of(
        cls, problems: Sequence[Problem], strategies: Sequence[str], n_trials: int, repeats: int,
        seed: int, control: str,
    ) -> ComparisonSetup:  # fmt: skip
        """Make the setup of a comparison of these problems and strategies."""
        notes = tuple(ProblemNote(p.name, p.optimum, p.description) for p in problems)
        return cls(notes, tuple(strategies), n_trials, repeats, seed, control)

    def runs(self) -> Iterator[tuple[int, str, str]]:
        """Yield (repeat, problem, strategy) of every run, in the order in which they are made.

        Repeats are outermost, so that an interrupted comparison has complete blocks.
        """
        for repeat in range(self.repeats):
            for problem in self.problems:
                for strategy in self.strategies:
                    yield repeat, problem.name, strategy

    def seed_of(self, repeat: int) -> int:
        """Return the seed that all strategies and problems share in a repeat."""
        return derive(self.seed, "repeat", repeat)

    def study_names(self) -> list[str]:
        """Return the names of all studies, in the order in which they are made."""
        return [study_name(p, s, r) for r, p, s in self.runs()]

    def to_json(self) -> dict[str, Json]:
        """Return the setup as JSON."""
        problems = [
            {
                "name": p.name,
                "optimum": None if p.optimum is None else number_to_json(p.optimum),
                "description": p.description,
            }
            for p in self.problems
        ]
        return {
            "problems": problems,
            "strategies": list(self.strategies),
            "n_trials": self.n_trials,
            "repeats": self.repeats,
            "seed": self.seed,
            "control": self.control,
        }

    @classmethod
    def from_json(cls, data: Json) -> ComparisonSetup:
        """Rebuild a setup from what `to_json` gave.

        Raises:
            KeyError, TypeError: the JSON is damaged.
        """
        problems = tuple(
            ProblemNote(p["name"], number_from_json(p["optimum"]), p["description"])
            for p in data["problems"]
        )
        return cls(
            problems, tuple(data["strategies"]), data["n_trials"], data["repeats"], data["seed"],
            data["control"],
        )  # fmt: skip
