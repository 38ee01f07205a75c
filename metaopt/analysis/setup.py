"""What a comparison was set up with, as a store keeps it, and the names of its studies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from metaopt.analysis.family import LEVEL
from metaopt.core.seeds import derive
from metaopt.problems.problem import Problem
from metaopt.trials.records import Json, number_from_json, number_to_json

NOTE = "comparison"  # kind of the note in which a store keeps the setup
EXPLORATORY, CONFIRMATORY = "exploratory", "confirmatory"
PURPOSES = (EXPLORATORY, CONFIRMATORY)
SETTINGS = ("strategy", "options", "budget")  # of a study's header, that describe a strategy


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
        margin: the largest difference in value that does not matter, by problem; None if none was
            stated.
        shared_seeds: whether all problems share the seed of a repeat, as in comparisons that were
            stored by earlier versions. Then problems are not independent of each other: the same
            points of the unit cube are tried on all of them.
        purpose: "exploratory", or "confirmatory" if the user stated so before the first run.
        level: of the family of all claims.
        added: whether repeats are added until all is decided; then `repeats` is the largest number.
    """

    problems: tuple[ProblemNote, ...]
    strategies: tuple[str, ...]
    n_trials: int
    repeats: int
    seed: int
    control: str
    margin: Mapping[str, float] | None = None
    shared_seeds: bool = False
    purpose: str = EXPLORATORY
    level: float = LEVEL
    added: bool = False

    @classmethod
    def of(
        cls, problems: Sequence[Problem], strategies: Sequence[str], n_trials: int, repeats: int,
        seed: int, control: str, margin: Mapping[str, float] | None = None,
    ) -> ComparisonSetup:  # fmt: skip
        """Make the setup of a comparison of these problems and strategies."""
        notes = tuple(ProblemNote(p.name, p.optimum, p.description) for p in problems)
        return cls(notes, tuple(strategies), n_trials, repeats, seed, control, margin)

    def runs(self) -> Iterator[tuple[int, str, str]]:
        """Yield (repeat, problem, strategy) of every run, in the order in which they are made.

        Repeats are outermost, so that an interrupted comparison has complete blocks.
        """
        for repeat in range(self.repeats):
            for problem in self.problems:
                for strategy in self.strategies:
                    yield repeat, problem.name, strategy

    def seed_of(self, problem: str, repeat: int) -> int:
        """Return the seed that all strategies share in a repeat of a problem.

        Args:
            problem: its name.
            repeat: counted from 0.
        """
        if self.shared_seeds:
            return derive(self.seed, "repeat", repeat)
        return derive(self.seed, "problem", problem, "repeat", repeat)

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
            "margin": None if self.margin is None else dict(self.margin),
            "shared_seeds": self.shared_seeds,
            "purpose": self.purpose,
            "level": self.level,
            "added": self.added,
        }

    @classmethod
    def from_json(cls, data: Json) -> ComparisonSetup:
        """Rebuild a setup from what `to_json` gave, also that of an earlier version.

        Raises:
            KeyError, TypeError: the JSON is damaged.
        """
        problems = tuple(
            ProblemNote(p["name"], number_from_json(p["optimum"]), p["description"])
            for p in data["problems"]
        )
        return cls(
            problems, tuple(data["strategies"]), data["n_trials"], data["repeats"], data["seed"],
            data["control"], data.get("margin"), data.get("shared_seeds", True),
            data.get("purpose", EXPLORATORY), data.get("level", LEVEL), data.get("added", False),
        )  # fmt: skip
