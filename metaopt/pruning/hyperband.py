"""Hyperband: successive halving in brackets, from many short trials to few long ones.

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
    """Hyperband (Li et al. 2018) for the trials of any strategy.

    Every trial belongs to a bracket and is compared with trials of that bracket only, by the rule
    of `SuccessiveHalvingPruner`, at the rungs R * eta^-s, ..., R / eta. Of every sum(n_s)
    consecutive trials, bracket s gets n_s = floor((s_max + 1) / (s + 1)) * eta^s, as in Table 1 of
    the paper and the code of its authors (algorithm 1 has the ceiling of the product, which gives
    slightly larger middle brackets). A random permutation, drawn from the study's seed, assigns
    the trials to the brackets, so the bracket depends on the trial's number and that seed only.

    Args:
        max_resource: R, the steps of a full trial.
        min_resource: r, the lowest step at which a trial may stop.
        reduction_factor: eta, at least 2.

    Raises:
        StudyError: a setting is out of range, or `max_resource` is below `min_resource`.

    Source: Li, Jamieson, DeSalvo, Rostamizadeh and Talwalkar (2018), JMLR 18, Table 1.
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
        """Table 1 of the paper: (n_i, r_i) of the rungs of each bracket s, the last one at R."""
        eta, sizes = self.reduction_factor, self._sizes()
        return {
            s: [(n // eta**i, self._level(s - i)) for i in range(s + 1)]
            for s, n in reversed(list(enumerate(sizes)))
        }

    def bracket(self, number: int, seed: int) -> int:
        """Return the bracket s of a trial.

        Args:
            number: of the trial, from 0.
            seed: of the study.
        """
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
        """Return R * eta^-k, exact if it is an integer."""
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
    """Return the brackets of the trials of one block, in the order of their numbers."""
    brackets = [s for s, n in enumerate(sizes) for _ in range(n)]
    return tuple(stream(seed, "hyperband", block).permutation(brackets).tolist())
