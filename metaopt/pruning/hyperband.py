"""Hyperband: successive halving in brackets that trade many short trials against few long ones.

Notation: R the maximum resource, r the minimum resource, eta the reduction factor; bracket s
starts n_s trials with R * eta^-s steps each, s = s_max, ..., 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from metaopt.core.errors import StudyError, whole
from metaopt.core.seeds import stream
from metaopt.core.types import Curve
from metaopt.pruning.base import Candidate, TrialPruner
from metaopt.pruning.successive_halving import reached_now, resource, stops_at


class HyperbandPruner(TrialPruner):
    """Hyperband (Li et al. 2018) over trials that any strategy proposes.

    Every trial belongs to a bracket and is compared with trials of that bracket only, by the rule
    of `SuccessiveHalvingPruner`, at the rungs R * eta^-s, ..., R / eta. Bracket s gets n_s =
    floor((s_max + 1) / (s + 1)) * eta^s of every sum(n_s) trials in a row, as in the paper's
    Table 1 and its authors' program (algorithm 1 has the ceiling of the product, some more for
    the middle brackets); which ones is a permutation drawn from the study's seed, so that the
    bracket is a function of the trial's number and that seed.

    Args:
        max_resource: R, steps that a full trial takes.
        min_resource: r; no rung stands below it.
        reduction_factor: eta, at least 2.
    """

    name = "hyperband"

    def __init__(
        self, max_resource: float, *, min_resource: float = 1, reduction_factor: int = 3
    ) -> None:
        self.max_resource = resource("max_resource", max_resource)
        self.min_resource = resource("min_resource", min_resource)
        self.reduction_factor = whole("reduction_factor", reduction_factor, StudyError, least=2)
        if self.max_resource < self.min_resource:
            raise StudyError(
                f"max_resource must not be below min_resource, got {max_resource!r} and"
                f" {min_resource!r}"
            )

    @property
    def brackets(self) -> dict[int, list[tuple[int, float]]]:
        """(n_i, r_i) of the rungs of each bracket s, the last one at R: the paper's Table 1."""
        eta, sizes = self.reduction_factor, self._sizes()
        return {
            s: [(n // eta**i, self._level(s - i)) for i in range(s + 1)]
            for s, n in reversed(list(enumerate(sizes)))
        }

    def bracket(self, number: int, seed: int) -> int:
        """Return the bracket s of a trial of a study with this seed."""
        sizes = self._sizes()
        block, place = divmod(number, sum(sizes))
        return _places(sizes, seed, block)[place]

    def judge(self, trial: Candidate, others: Mapping[int, Curve]) -> bool:
        s = self.bracket(trial.number, trial.seed)
        rungs = list(reached_now((self._level(k) for k in range(s, 0, -1)), trial))
        if not rungs:
            return False
        rivals = {n: c for n, c in others.items() if self.bracket(n, trial.seed) == s}
        return any(stops_at(rung, self.reduction_factor, trial, rivals) for rung in rungs)

    def _level(self, k: int) -> float:
        """R * eta^-k, exact where it is whole."""
        level: float = self.max_resource / self.reduction_factor**k
        return level

    def _sizes(self) -> tuple[int, ...]:
        return _sizes(self.max_resource, self.min_resource, self.reduction_factor)


@lru_cache(maxsize=16)
def _sizes(most: float, least: float, eta: int) -> tuple[int, ...]:
    """Return n_s for s = 0, ..., s_max."""
    s_max = 0
    while least * eta ** (s_max + 1) <= most:
        s_max += 1
    return tuple((s_max + 1) // (s + 1) * eta**s for s in range(s_max + 1))


@lru_cache(maxsize=64)
def _places(sizes: tuple[int, ...], seed: int, block: int) -> tuple[int, ...]:
    """Return the brackets of the trials of one block, in order."""
    brackets = [s for s, n in enumerate(sizes) for _ in range(n)]
    return tuple(stream(seed, "hyperband", block).permutation(brackets).tolist())
