"""Particle swarm: PySwarms' update rules and topologies, one particle at a time.

Notation: x, v (D,) position and velocity of a particle; b (D,) its best position so far; g (D,)
the best position of its neighbours; the update is v <- w v + c1 r1 (b - x) + c2 r2 (g - x),
x <- x + v (Kennedy and Eberhart 1995; linearly decreasing inertia w: Shi and Eberhart 1998;
asynchronous updates: Carlisle and Dozier 2001; star and ring topologies: Kennedy and Mendes 2002).

D columns: an ordered parameter has one, its coordinate in [0, 1]. A categorical one has one column
per choice, the weight with which that choice is drawn. In a best position, the weights are shifted
towards the drawn choice (Strasser, Goodman, Sheppard and Butcher 2016). So choices have no order.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np

from metaopt.core.errors import StrategyError
from metaopt.core.seeds import stream
from metaopt.core.types import Curve, FloatArray
from metaopt.space import Config, Space
from metaopt.strategy.base import Strategy
from metaopt.trials.records import Json, Status
from metaopt_strategies.rebind import PrivateNumpy, numpy_state, pyswarms_parts, rebind

HORIZON = 100  # assumed budget if none is given
TOPOLOGIES = ("star", "ring")
NEIGHBOURS = 3  # of a particle in the ring, including itself
TRIES = 8  # moves tried per ask before the base class looks for a new point
KEEP = 0.5  # share of the old weights that a best position keeps after a good choice
FLOOR = 0.02  # added to the weight of every choice, so that each can still be drawn
START = 0.25  # largest initial velocity in a column


@dataclass
class Particle:
    """A particle of the swarm.

    Attributes:
        x, v: position and velocity when it was told last, shape (D,).
        best: its best position, shape (D,).
        cost: the value at its best position.
        time: number of observations when it was told last.
    """

    x: FloatArray
    v: FloatArray
    best: FloatArray
    cost: float
    time: int


class ParticleSwarm(Strategy):
    """Asynchronous particle swarm with PySwarms' rules: a particle moves as soon as it is told.

    Position and velocity are stored in the note of a proposal; the tells determine the swarm.

    Args:
        particles: number of particles, at least 2. None (the default): a tenth of the budget (of
            100 trials without a budget), between 6 and 30.
        topology: "star" (the default: all particles know the best position of the swarm) or "ring"
            (each knows the best one of its nearest particles).
        c1: attraction to the particle's own best position, in [0, 10]; default 1.5.
        c2: attraction to the neighbours' best position, in [0, 10]; default 1.5.
        w_start: inertia at the start, in [0, 10]; default 0.5.
        w_end: inertia at the end of the budget (after 100 trials without a budget), in [0, 10];
            default 0.2. It changes linearly.
        clamp: maximal velocity, as a fraction of a parameter's range, in [0, 10]; default 0.5.

    Raises:
        StrategyError: an option is outside its range.

    Source: Kennedy and Eberhart (1995), Shi and Eberhart (1998), Carlisle and Dozier (2001).
    """

    name = "pso"
    rank_based = True

    def __init__(
        self,
        space: Space,
        seed: int = 0,
        budget: int | None = None,
        *,
        particles: int | None = None,
        topology: str = "star",
        c1: float = 1.5,
        c2: float = 1.5,
        w_start: float = 0.5,
        w_end: float = 0.2,
        clamp: float = 0.5,
    ) -> None:
        if particles is not None and (not isinstance(particles, int) or particles < 2):
            raise StrategyError(
                f"particles must be None or an integer of at least 2, got {particles!r}"
            )
        if topology not in TOPOLOGIES:
            raise StrategyError(f"topology must be 'star' or 'ring', got {topology!r}")
        numbers = {"c1": c1, "c2": c2, "w_start": w_start, "w_end": w_end, "clamp": clamp}
        for name, value in numbers.items():
            if not isinstance(value, (int, float)) or not 0 <= value <= 10:
                raise StrategyError(f"{name} must be a number in [0, 10], got {value!r}")
        super().__init__(space, seed, budget, particles=particles, topology=topology, **numbers)
        self._topology, self._c1, self._c2, self._clamp = topology, c1, c2, clamp
        self._inertia = (w_start, w_end)
        self._size = particles or int(np.clip((budget or HORIZON) // 10, 6, 30))
        self._columns = SwarmColumns(space)
        self._swarm: list[Particle] = []

    def _initial_points(self) -> int:
        return self._size

    def _ask(self, rng: np.random.Generator) -> tuple[Config, Json]:
        if not self._swarm:  # all trials are pending
            return self.space.sample(rng)[0], None
        flying = [note["k"] for _, note in self.pending() if note is not None]
        ready = [(flying.count(k), p.time, k) for k, p in enumerate(self._swarm)]
        k = min(ready)[2]
        config: Config = {}
        for _ in range(TRIES):
            x, v = self._fly(k, rng)
            config = self._columns.config(x, rng)
            if not self.space.is_forbidden(config) and self.is_new(config):
                break
        return config, {"k": k, "x": x.tolist(), "v": v.tolist()}

    def _fly(self, k: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Return the next position and velocity of particle k, by PySwarms' rules."""
        pyswarms = pyswarms_parts()
        # Ranks instead of costs: only their order is needed, and costs may be infinite.
        order = sorted(range(len(self._swarm)), key=lambda i: self._swarm[i].cost)
        ranks = np.empty(len(order))
        ranks[order] = np.arange(len(order))
        x, v, best = (np.array([getattr(p, a) for p in self._swarm]) for a in ("x", "v", "best"))
        swarm = pyswarms.Swarm(position=x, velocity=v, pbest_pos=best, pbest_cost=ranks, options={})
        neighbours = min(NEIGHBOURS, len(order))
        leaders, _ = copy.copy(pyswarms.topologies[self._topology]).compute_gbest(
            swarm, p=2, k=neighbours
        )
        leader = leaders if leaders.ndim == 1 else leaders[k]
        start, end = self._inertia
        progress = (len(self.observations) + len(self.pending())) / (self.budget or HORIZON)
        one = pyswarms.Swarm(
            position=x[k : k + 1],
            velocity=v[k : k + 1],
            pbest_pos=best[k : k + 1],
            best_pos=leader,
            options={
                "c1": self._c1,
                "c2": self._c2,
                "w": start + (end - start) * min(progress, 1.0),
            },
        )
        compute = rebind(pyswarms.compute_velocity, np=PrivateNumpy(numpy_state(rng)))
        bounds = (np.zeros(x.shape[1]), np.ones(x.shape[1]))
        one.velocity = compute(one, (-self._clamp, self._clamp), pyswarms.free, bounds)
        one.position = pyswarms.compute_position(one, bounds, pyswarms.reflect)
        return one.position[0], one.velocity[0]

    def _tell(self, config: Config, note: Json, value: float, status: Status, curve: Curve) -> None:
        time = len(self.observations)
        if note is not None:
            p = self._swarm[note["k"]]
            p.x, p.v, p.time = np.array(note["x"]), np.array(note["v"]), time
            if value < p.cost:
                p.best, p.cost = self._columns.towards(p.x, config), value
            return
        x, v = self._columns.start(config, stream(self.seed, "particle", time))
        best = self._columns.towards(x, config)
        if len(self._swarm) < self._size:
            self._swarm.append(Particle(x, v, best, value, time))
            return
        worst = max(self._swarm, key=lambda p: p.cost)
        if value < worst.cost:  # a point that no particle proposed replaces the worst memory
            worst.best, worst.cost = best, value


class SwarmColumns:
    """Conversion between configurations and positions, and the meaning of their columns."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.ordered: list[tuple[int, int]] = []  # column of U, column of x
        self.choices: list[tuple[int, str, slice]] = []
        width = 0
        for j, (name, p) in enumerate(space.parameters.items()):
            if p.kind == "categorical" and p.count is not None:
                self.choices.append((j, name, slice(width, width + p.count)))
                width += p.count
            else:
                self.ordered.append((j, width))
                width += 1
        self.width = width

    def config(self, x: FloatArray, rng: np.random.Generator) -> Config:
        """Return the configuration at a position; choices are drawn by their weights."""
        u = np.full((1, len(self.space)), 0.5)
        for j, i in self.ordered:
            u[0, j] = x[i]
        for j, name, where in self.choices:
            p = _shares(x[where] + FLOOR)
            k = np.minimum(np.searchsorted(np.cumsum(p), rng.random(), side="right"), len(p) - 1)
            cells = self.space.parameters[name].cells
            assert cells is not None
            u[0, j] = cells.unit(np.array([k]))[0]
        return self.space.decode(u)[0]

    def start(self, config: Config, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Return position and velocity of a particle that starts at a configuration."""
        x, v = rng.random(self.width), rng.uniform(-START, START, self.width)
        U, A = self.space.encode([config])
        for j, i in self.ordered:
            if A[0, j]:  # an inactive parameter keeps its random position
                x[i] = U[0, j]
        for _, _, where in self.choices:
            x[where] = 1.0 / (where.stop - where.start)
        return x, v

    def towards(self, x: FloatArray, config: Config) -> FloatArray:
        """Return a position whose weights are shifted towards the choices of a configuration."""
        out = x.copy()
        for _, name, where in self.choices:
            if name in config:
                out[where] = KEEP * _shares(x[where] + FLOOR)
                out[where.start + self.space.parameters[name].index(config[name])] += 1 - KEEP
        return out


def _shares(weights: FloatArray) -> FloatArray:
    shares: FloatArray = weights / weights.sum()
    return shares
