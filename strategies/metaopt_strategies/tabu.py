"""Tabu search: a walk over neighbouring configurations that must not return at once.

Notation: x the current configuration of the walk; t its step; the list holds the told neighbours of
x; an attribute is (parameter, coordinate u, radius r): values within r of u are tabu.

Tabu search with aspiration, frequency memory, intensification and diversification (Glover 1989,
1990); tenure learned from repetitions (Battiti and Tecchiolli 1994), where for numbers a repetition
is a return to the same box of the space (Battiti and Tecchiolli 1996); tabu balls around the values
that the walk left (Siarry and Berthiau 1997).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from metaopt.core.errors import StrategyError
from metaopt.core.types import Curve
from metaopt.space import Space
from metaopt.space.values import Config, typed
from metaopt.strategy.base import Strategy
from metaopt.trials.records import Json, Status

BOXES = 10  # the range of a parameter with many values is divided into so many boxes
SAMPLES = 64  # random points from which one far from all known points is chosen
FINEST, WIDEST = 0.01, 0.5  # limits of the neighbourhood scale
SHRINK, GROW = 0.8, 1.2  # factors on the scale, without and with an improvement
CYCLE = 4  # every CYCLE-th jump goes to a distant region, the others to the best point


@dataclass
class Tenure:
    """The tabu tenure: for how many steps an attribute stays tabu.

    Rules and constants of Battiti and Tecchiolli (1994).

    Attributes:
        size: the tenure, in steps.
        average: moving average of the lengths of cycles, in steps.
        quiet: steps since the size last changed.
        chaotic: number of visits to configurations that were repeated too often.
        seen: for each visited configuration, the step of its last visit and its repetitions.
    """

    size: float = 1.0
    average: float = 0.0
    quiet: int = 0
    chaotic: int = 0
    seen: dict[str, tuple[int, int]] = field(default_factory=dict)

    INCREASE, DECREASE = 1.1, 0.9
    REPETITIONS, CHAOS, LONGEST = 3, 3, 50

    def visit(self, key: str, t: int) -> bool:
        """Record a visit to `key` at step t; return whether the walk must escape from a cycle."""
        self.quiet += 1
        if key in self.seen:
            last, again = self.seen[key]
            self.seen[key] = (t, again + 1)
            if again + 1 > self.REPETITIONS:
                self.chaotic += 1
                if self.chaotic > self.CHAOS:
                    self.chaotic = 0
                    self.seen.clear()
                    return True
            if t - last < self.LONGEST:
                self.average = 0.1 * (t - last) + 0.9 * self.average
                self.size = self.size * self.INCREASE
                self.quiet = 0
        else:
            self.seen[key] = (t, 0)
        if self.quiet > self.average:
            self.size = max(self.size * self.DECREASE, 1.0)
            self.quiet = 0
        return False


class Attribute(NamedTuple):
    """Values of a parameter that the walk left, and that are tabu.

    Attributes:
        name: the parameter.
        u, radius: coordinates within `radius` of `u` are tabu.
        until: the last step at which they are.
    """

    name: str
    u: float
    radius: float
    until: float


class Visited(NamedTuple):
    """A told configuration.

    Attributes:
        value: the value that ranks it; infinity if it failed.
        number: index of the observation; of equal values the earlier is better.
        config: the configuration.
    """

    value: float
    number: int
    config: Config


class Tabu(Strategy):
    """Tabu search with a reactive tenure, on the neighbourhoods of the space.

    The walk moves to the first neighbour that is better than all points since its last jump.
    Otherwise, when enough neighbours are told, it moves to the best of them that is not tabu. Asks
    never wait for outcomes. The sequence of tells determines the state.

    Args:
        candidates: number of neighbours to evaluate before a move without improvement, at least 1.
            None (the default): the number of parameters, between 3 and 8.
        patience: number of moves without improvement before the walk jumps, at least 1; default 2.
            It jumps back to the best point, with smaller steps, and every fourth time to a region
            far from all known points.
        scale: standard deviation of the first steps, as a fraction of a parameter's range, in
            (0, 1]; default 0.2.
        initial: number of points of the initial design, at least 1; the walk starts at the best of
            them. None (the default): a tenth of the budget (of 100 trials without a budget),
            between 4 and 20.

    Raises:
        StrategyError: an option is outside its range.

    Source: Glover (1989, 1990), Battiti and Tecchiolli (1994, 1996), Siarry and Berthiau (1997).
    """

    name = "tabu"
    rank_based = True

    def __init__(
        self,
        space: Space,
        seed: int = 0,
        budget: int | None = None,
        *,
        candidates: int | None = None,
        patience: int = 2,
        scale: float = 0.2,
        initial: int | None = None,
    ) -> None:
        counts = {"candidates": candidates, "patience": patience, "initial": initial}
        for name, count in counts.items():
            if count is not None and (not isinstance(count, int) or count < 1):
                raise StrategyError(f"{name} must be an integer of at least 1, got {count!r}")
        if not isinstance(scale, (int, float)) or not 0 < scale <= 1:
            raise StrategyError(f"scale must be a number in (0, 1], got {scale!r}")
        super().__init__(
            space,
            seed,
            budget,
            candidates=candidates,
            patience=patience,
            scale=scale,
            initial=initial,
        )
        free = sum(p.count != 1 for p in space.parameters.values())
        self._length = candidates or int(np.clip(free, 3, 8))
        self._patience, self._first_scale = patience, scale
        self._initial = initial or int(np.clip((budget or 100) // 10, 4, 20))
        self._here: Visited | None = None
        self._top: Visited | None = None
        self._step = 0
        self._list: list[Visited] = []
        self._tabu: list[Attribute] = []
        self._tenure = Tenure()
        self._scale = scale
        self._walked = math.inf  # the best value since the last jump
        self._stale = 0  # complete lists since `_walked` last improved
        self._jumps = 0  # jumps since the best point last improved
        self._far = False  # whether the next step goes to an unknown region

    def _initial_points(self) -> int:
        return self._initial

    # -- asking ----------------------------------------------------------------------------------

    def _ask(self, rng: np.random.Generator) -> tuple[Config, Json]:
        if self._here is None:  # all trials are pending
            return self.space.sample(rng)[0], None
        asked = [
            (config, note)
            for config, note in self.pending()
            if note is not None and note["step"] == self._step
        ]
        if self._far and not any(note["far"] for _, note in asked):
            return self._distant(rng), {"step": self._step, "far": True}
        near = [told.config for told in self._list] + [c for c, note in asked if not note["far"]]
        return self._neighbour(near, rng), {"step": self._step, "far": False}

    def _neighbour(self, near: list[Config], rng: np.random.Generator) -> Config:
        """Return a new neighbour, if possible one that is not tabu.

        It prefers to change the parameter that was changed least often in the current list.
        """
        assert self._here is not None
        here = self._here.config
        last: Config | None = None
        tried = [self._changed(here, config)[0] for config in near]
        for scale in (self._scale, WIDEST):
            found = self.space.neighbours(here, rng, scale)
            order: list[int] = rng.permutation(len(found)).tolist()
            counts = [tried.count(self._changed(here, config)[0]) for config in found]
            for i in sorted(order, key=lambda i: counts[i]):
                if self.is_new(found[i]):
                    if not self._is_tabu(found[i]):
                        return found[i]
                    last = last or found[i]
        return last or self._beyond(here, rng)

    def _beyond(self, here: Config, rng: np.random.Generator) -> Config:
        """Return a point two changes away, or any point; used when all neighbours are known."""
        found = self.space.neighbours(here, rng, self._scale)
        for i in rng.permutation(len(found)).tolist()[:BOXES]:
            new = [c for c in self.space.neighbours(found[i], rng, self._scale) if self.is_new(c)]
            if new:
                return new[int(rng.integers(len(new)))]
        return self.space.sample(rng)[0]

    def _distant(self, rng: np.random.Generator) -> Config:
        """Return a point far from all told points, with values that were rarely tried."""
        some = self.space.sample(rng, SAMPLES)
        some = [c for c in some if self.is_new(c)] or some
        U, _ = self.space.encode(some)
        V, _ = self.space.encode([o.config for o in self.observations])
        gap = np.abs(U[:, None, :] - V[None, :, :])
        kinds = [p.kind for p in self.space.parameters.values()]
        choices = [j for j, kind in enumerate(kinds) if kind == "categorical"]
        gap[:, :, choices] = gap[:, :, choices] > 0
        often = np.mean(gap < 0.5 / BOXES, axis=(1, 2))  # the frequency memory
        return some[int(np.argmax(gap.mean(axis=2).min(axis=1) - often))]

    # -- learning --------------------------------------------------------------------------------

    def _tell(self, config: Config, note: Json, value: float, status: Status, curve: Curve) -> None:
        # A local search must never move to a failed point (see metaopt.trials.failures).
        value = math.inf if status == "failed" else value
        told = Visited(value, len(self.observations) - 1, config)
        own = note is not None and note["step"] == self._step
        if self._top is None or told.value < self._top.value:
            self._top, self._jumps, self._far = told, 0, False  # aspiration: even if it is tabu
            if own:
                self._scale = min(self._scale * GROW, WIDEST)
            self._go(told, jump=not own or note["far"])
        elif own and note["far"]:
            if status != "failed":
                self._far = False
                self._go(told, jump=True)
        elif own and not self._far:
            self._list.append(told)
            if told.value < self._walked and not self._is_tabu(config):
                self._scale = min(self._scale * GROW, WIDEST)
                self._go(told)
            elif len(self._list) >= self._length:
                self._move()

    def _move(self) -> None:
        """Move to the best configuration of a complete list that is not tabu; jump if due."""
        assert self._here is not None and self._top is not None
        self._stale += 1
        known = [t for t in self._list + self._known() if t.value < math.inf]
        allowed = [t for t in known if not self._is_tabu(t.config)]
        if allowed:
            best = min(allowed, key=lambda t: (t.value, t.number))
            if best.value >= self._here.value:
                self._scale = max(self._scale * SHRINK, FINEST)
            self._go(best)
        else:  # all neighbours are tabu, so the tenure is too long
            self._tenure.size = max(self._tenure.size * self._tenure.DECREASE, 1.0)
            self._step, self._list = self._step + 1, []
        if self._stale >= self._patience:
            self._stale, self._jumps = 0, self._jumps + 1
            if self._jumps % CYCLE:
                self._scale = max(self._scale / 2, FINEST)
                self._go(self._top, jump=True)
            else:
                self._scale, self._far = self._first_scale, True

    def _go(self, told: Visited, jump: bool = False) -> None:
        """Move to a told configuration; unless it is a jump, the values left become tabu."""
        if self._here is not None and not jump:
            here = self._here.config
            (u, v), _ = self.space.encode([here, told.config])
            for name in self._changed(here, told.config):
                j = self.space.names.index(name)
                if name in here:
                    choice = self.space.parameters[name].kind == "categorical"
                    radius = 1e-9 if choice else abs(u[j] - v[j]) / 2
                    until = self._step + math.ceil(self._tenure.size)
                    self._tabu.append(Attribute(name, float(u[j]), float(radius), until))
        if jump or told.value < self._walked:
            self._walked, self._stale = told.value, 0
        self._here, self._list, self._step = told, [], self._step + 1
        self._tabu = [a for a in self._tabu if a.until >= self._step]
        if not jump and self._tenure.visit(self._box(told.config), self._step):
            self._far = True

    def _known(self) -> list[Visited]:
        """Return told configurations one change away; a step to them costs no evaluation."""
        assert self._here is not None
        here = self._here.config
        return [
            Visited(o.value, i, o.config)
            for i, o in enumerate(self.observations)
            if o.value is not None
            # Parameters that become active or inactive because a parent changed do not count.
            and sum(n in here and n in o.config for n in self._changed(here, o.config)) == 1
        ]

    def _changed(self, one: Config, other: Config) -> list[str]:
        """Return the names of parameters whose values differ, parents before children."""
        return [
            n
            for n in self.space.order
            if (n in one) != (n in other) or typed(one.get(n)) != typed(other.get(n))
        ]

    def _is_tabu(self, config: Config) -> bool:
        assert self._here is not None
        names = self._changed(self._here.config, config)
        live = [a for a in self._tabu if a.name in names and a.name in config]
        if not live:
            return False
        (u,), _ = self.space.encode([config])
        return any(abs(u[self.space.names.index(a.name)] - a.u) <= a.radius for a in live)

    def _box(self, config: Config) -> str:
        (u,), (active,) = self.space.encode([config])
        counts = [p.count for p in self.space.parameters.values()]
        boxes = np.array([n if n is not None and n <= 2 * BOXES else BOXES for n in counts])
        index = np.minimum(u * boxes, boxes - 1).astype(int)
        return ",".join(str(k) for k in np.where(active, index, -1).tolist())
