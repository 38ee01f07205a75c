"""Genetic search: a steady-state algorithm with DEAP's operators, without generations.

Notation: U (n, d) coordinates in [0, 1] as returned by `Space.encode`; a gene is one coordinate;
mu the size of the population, which is the best mu points told so far.

Tournament selection (Goldberg and Deb 1991); simulated binary crossover (Deb and Agrawal 1995);
polynomial mutation (Deb and Goyal 1996); children enter the population one at a time, as in GENITOR
(Whitley 1989), so that no ask waits for a generation to be complete.
"""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np

from metaopt.core.errors import StrategyError
from metaopt.core.types import FloatArray
from metaopt.space import Config, Space
from metaopt.strategy.base import Strategy
from metaopt.trials.records import Json
from metaopt_strategies.rebind import python_random, rebind

HORIZON = 100  # assumed budget if none is given
COARSE = 12  # ordered parameters with at most so many values are mutated in steps
TRIES = 16  # children per ask before the base class looks for a new point
FAR = 0.25  # probability that a step of an ordered parameter is two values long


class Individual(list[float]):
    """Genes with a fitness, as DEAP's selection expects them.

    The fitness is minus the rank, so that only the order of the told values matters.

    Args:
        genes: coordinates, shape (d,).
        active: which parameters are active, shape (d,).
        rank: 0 for the best point.
    """

    def __init__(self, genes: list[float], active: list[bool], rank: int) -> None:
        super().__init__(genes)
        self.active = active
        self.fitness = -rank


class Genetic(Strategy):
    """Genetic algorithm: tournament selection, crossover and mutation with DEAP's operators.

    Proposals depend on the told history only; no other state is stored.

    Args:
        population: number of best points that may become parents, at least 2. None (the default):
            a tenth of the budget (of 100 trials without a budget), between 8 and 50.
        crossover: probability that a child has two parents, in [0, 1]; default 0.9.
        mutation: probability that a gene mutates, in [0, 1]. None (the default): 1 / number of
            parameters, so one gene per child on average.
        eta_c: distribution index of the crossover, in [0, 1000); with larger values, children are
            more similar to their parents. Default 10.
        eta_m: distribution index of the mutation of numbers, in [0, 1000); with larger values,
            mutations are smaller. Default 10.
        tournament: number of individuals that compete to become a parent, at least 2. None (the
            default): 2 in the first half of the budget, then 3.

    Raises:
        StrategyError: an option is outside its range.

    Example:
        >>> from metaopt import Categorical, Float, Space
        >>> from metaopt_strategies.genetic import Genetic
        >>> space = Space(lr=Float(1e-4, 1, log=True), kind=Categorical(["a", "b"]))
        >>> strategy = Genetic(space, seed=0, budget=50, population=10)
        >>> for _ in range(50):
        ...     (proposal,) = strategy.ask()
        ...     loss = abs(proposal.config["lr"] - 0.01) + (proposal.config["kind"] == "b")
        ...     strategy.tell(proposal, loss)
        >>> strategy.best.config["kind"]
        'a'

    Source: Whitley (1989), with the operators of Deb and Agrawal (1995) and Deb and Goyal (1996).
    """

    name = "genetic"
    rank_based = True

    def __init__(
        self,
        space: Space,
        seed: int = 0,
        budget: int | None = None,
        *,
        population: int | None = None,
        crossover: float = 0.9,
        mutation: float | None = None,
        eta_c: float = 10.0,
        eta_m: float = 10.0,
        tournament: int | None = None,
    ) -> None:
        for name, count in (("population", population), ("tournament", tournament)):
            if count is not None and (not isinstance(count, int) or count < 2):
                raise StrategyError(
                    f"{name} must be None or an integer of at least 2, got {count!r}"
                )
        for name, p in (("crossover", crossover), ("mutation", mutation)):
            if p is not None and (not isinstance(p, (int, float)) or not 0 <= p <= 1):
                raise StrategyError(f"{name} must be a probability in [0, 1], got {p!r}")
        for name, eta in (("eta_c", eta_c), ("eta_m", eta_m)):
            if not isinstance(eta, (int, float)) or not 0 <= eta < 1000:
                raise StrategyError(f"{name} must be a number in [0, 1000), got {eta!r}")
        super().__init__(
            space,
            seed,
            budget,
            population=population,
            crossover=crossover,
            mutation=mutation,
            eta_c=eta_c,
            eta_m=eta_m,
            tournament=tournament,
        )
        self._population = population or int(np.clip((budget or HORIZON) // 10, 8, 50))
        self._crossover, self._mutation = crossover, mutation
        self._eta_c, self._eta_m, self._tournament = eta_c, eta_m, tournament
        parameters = list(enumerate(space.parameters.values()))
        free = [(j, p) for j, p in parameters if p.count != 1]
        self._choices = [j for j, p in free if p.kind == "categorical"]
        self._ordered = [j for j, p in free if p.kind != "categorical"]
        self._coarse = [j for j in self._ordered if (self._values(j) or COARSE + 1) <= COARSE]

    def _values(self, j: int) -> int | None:
        return self.space.parameters[self.space.names[j]].count

    def _initial_points(self) -> int:
        return self._population

    def _ask(self, rng: np.random.Generator) -> tuple[Config, Json]:
        population = self._individuals()
        if not population:  # all trials are pending
            return self.space.sample(rng)[0], None
        own = python_random(rng)
        config: Config = {}
        for _ in range(TRIES):
            genes = self._breed(population, own)
            config = self.space.decode(np.array([genes]))[0]
            if not self.space.is_forbidden(config) and self.is_new(config):
                break
        return config, None

    def _individuals(self) -> list[Individual]:
        """Return the best mu points told, best first; of equal ones the earlier first."""
        told = zip(self.imputed(), self.observations, strict=True)
        ranked = sorted(told, key=lambda t: (t[0], t[1].status != "complete", t[1].number))
        best = [o.config for _, o in ranked[: self._population]]
        U, A = self.space.encode(best)
        rows = zip(U.tolist(), A.tolist(), strict=True)
        return [Individual(u, a, rank) for rank, (u, a) in enumerate(rows)]

    def _breed(self, population: list[Individual], own: Random) -> list[float]:
        """Return the genes of a child."""
        from deap import tools  # heavy, and needed only here

        draw = rebind(tools.selection.selRandom, random=own)
        select = rebind(tools.selTournament, selRandom=draw)
        size = self._tournament or (2 if self._progress() < 0.5 else 3)
        mother, father = select(population, 2, size)
        if own.random() >= self._crossover:
            father = mother
        one = self._complete_genes(mother, father, own)
        two = self._complete_genes(father, mother, own)
        cross = rebind(tools.cxSimulatedBinaryBounded, random=own)
        self._apply(cross, self._ordered, one, two, self._eta_c, 0.0, 1.0)
        self._apply(rebind(tools.cxUniform, random=own), self._choices, one, two, 0.5)
        self._mutate(one, own, tools)
        return one

    def _progress(self) -> float:
        return len(self.observations) / (self.budget or HORIZON)

    @staticmethod
    def _complete_genes(parent: Individual, other: Individual, own: Random) -> list[float]:
        """Return the parent's genes; inactive ones are taken from the other parent or drawn."""
        pairs = zip(parent, other, parent.active, other.active, strict=True)
        return [x if on else (y if also else own.random()) for x, y, on, also in pairs]

    @staticmethod
    def _apply(
        operator: Any, columns: list[int], one: list[float], two: list[float], *args: float
    ) -> None:
        """Apply an operator of DEAP to the genes in `columns` of two parents, in place."""
        a, b = [one[j] for j in columns], [two[j] for j in columns]
        operator(a, b, *args)
        for j, x, y in zip(columns, a, b, strict=True):
            one[j], two[j] = x, y

    def _mutate(self, genes: list[float], own: Random, tools: Any) -> None:
        n = len(self._ordered) + len(self._choices)
        p = self._mutation if self._mutation is not None else 1.0 / max(n, 1)
        fine = [j for j in self._ordered if j not in self._coarse]
        numbers = [genes[j] for j in fine]
        rebind(tools.mutPolynomialBounded, random=own)(numbers, self._eta_m, 0.0, 1.0, p)
        for j, x in zip(fine, numbers, strict=True):
            genes[j] = x
        for j in self._coarse + self._choices:
            if own.random() < p:
                genes[j] = self._moved(j, genes[j], own)

    def _moved(self, j: int, gene: float, own: Random) -> float:
        """Return another choice of a categorical, or a nearby value of an ordered parameter."""
        cells = self.space.parameters[self.space.names[j]].cells
        assert cells is not None
        k, n = int(cells.index(np.array([gene]))[0]), cells.count
        if j in self._choices:
            k = (k + 1 + own.randrange(n - 1)) % n
        else:
            step = own.choice((-1, 1)) * (2 if own.random() < FAR else 1)
            k = k + step if 0 <= k + step < n else (k - step if 0 <= k - step < n else k)
        unit: FloatArray = cells.unit(np.array([k]))
        return float(unit[0])
