"""Tabu search: a walk over neighbouring configurations that may not turn back at once.

Notation: x the configuration where the walk stands; t its step; a list holds the told neighbours
of x; an attribute is (parameter, coordinate u, radius r): values within r of u are tabu.

Tabu search with aspiration, frequency memory, intensification and diversification (Glover 1989,
1990); tenure learnt from repetitions (Battiti and Tecchiolli 1994), which for numbers means
repeated boxes of the space (Battiti and Tecchiolli 1996); tabu balls around left values (Siarry
and Berthiau 1997).
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

BOXES = 10  # of a fine parameter's range: what counts as one value for memory
SAMPLES = 64  # among which a point far from all known ones is chosen
FINEST, WIDEST = 0.01, 0.5  # neighbourhood scales
SHRINK, GROW = 0.8, 1.2  # of the scale, after a list without and a step with an improvement
CYCLE = 4  # jumps: one in so many leads far away, the others back to the best point


@dataclass
class Tenure:
    """How many steps an attribute stays tabu, by the rules of Battiti and Tecchiolli (1994).

    The constants are theirs.
    """

    size: float = 1.0
    average: float = 0.0  # moving average of the length of cycles
    quiet: int = 0  # steps since the size changed last
    chaotic: int = 0  # how many configurations came back too often
    seen: dict[str, tuple[int, int]] = field(default_factory=dict)  # last time, how often again

    INCREASE, DECREASE = 1.1, 0.9
    REPETITIONS, CHAOS, LONGEST = 3, 3, 50

    def visit(self, key: str, t: int) -> bool:
        """Record a step to `key` at time t; True if the walk goes in circles and must escape."""
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
    """Values of a parameter that the walk left, tabu until a step."""

    name: str
    u: float
    radius: float
    until: float


class Told(NamedTuple):
    value: float
    number: int  # of the tell; the earlier of equals comes first
    config: Config


class Tabu(Strategy):
    """Tabu search with a reactive tenure, on the space's own neighbourhoods.

    The walk takes the first neighbour that beats all since its last jump, else the best of a
    complete list that is not tabu. Everything follows from the sequence of tells, and asks never
    wait for a list to be complete.

    Args:
        candidates: told neighbours that complete a list; default: one a parameter, 3 to 8.
        patience: lists without improvement before the walk jumps: back to the best point, on a
            finer scale, and every fourth time to a region far from all known points.
        scale: standard deviation of the first moves, in units of a parameter's range.
        initial: points of the initial design, the best of which begins the walk; default: a
            tenth of the budget, 4 to 20.
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
        self._here: Told | None = None
        self._top: Told | None = None
        self._step = 0
        self._list: list[Told] = []
        self._tabu: list[Attribute] = []
        self._tenure = Tenure()
        self._scale = scale
        self._walked = math.inf  # the best value since the last jump
        self._stale = 0  # complete lists since that improved
        self._jumps = 0  # since the best of all improved
        self._far = False  # whether the next step is to an unknown region

    def _initial_points(self) -> int:
        return self._initial

    # -- asking ----------------------------------------------------------------------------------

    def _ask(self, rng: np.random.Generator) -> tuple[Config, Json]:
        if self._here is None:  # all that was asked is still pending
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
        """Return a new neighbour, changing what was changed least in this list; not a tabu one
        while there are others.
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
        """All neighbours are known: two changes, or any point."""
        found = self.space.neighbours(here, rng, self._scale)
        for i in rng.permutation(len(found)).tolist()[:BOXES]:
            new = [c for c in self.space.neighbours(found[i], rng, self._scale) if self.is_new(c)]
            if new:
                return new[int(rng.integers(len(new)))]
        return self.space.sample(rng)[0]

    def _distant(self, rng: np.random.Generator) -> Config:
        """Return a point far from all told ones, of values that were rarely tried."""
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
        told = Told(math.inf if status == "failed" else value, len(self.observations) - 1, config)
        own = note is not None and note["step"] == self._step
        if self._top is None or told.value < self._top.value:
            self._top, self._jumps, self._far = told, 0, False  # aspiration: tabu or not
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
        """Step to the best configuration of a complete list that is not tabu."""
        assert self._here is not None and self._top is not None
        self._stale += 1
        known = [t for t in self._list + self._known() if t.value < math.inf]
        allowed = [t for t in known if not self._is_tabu(t.config)]
        if allowed:
            best = min(allowed, key=lambda t: (t.value, t.number))
            if best.value >= self._here.value:
                self._scale = max(self._scale * SHRINK, FINEST)
            self._go(best)
        else:  # the list of tabus is too long
            self._tenure.size = max(self._tenure.size * self._tenure.DECREASE, 1.0)
            self._step, self._list = self._step + 1, []
        if self._stale >= self._patience:
            self._stale, self._jumps = 0, self._jumps + 1
            if self._jumps % CYCLE:
                self._scale = max(self._scale / 2, FINEST)
                self._go(self._top, jump=True)
            else:
                self._scale, self._far = self._first_scale, True

    def _go(self, told: Told, jump: bool = False) -> None:
        """Stand at a told configuration; what the step changed may not change back at once."""
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

    def _known(self) -> list[Told]:
        """Told configurations one change away from here: a step to them costs no evaluation."""
        assert self._here is not None
        here = self._here.config
        return [
            Told(o.value, i, o.config)
            for i, o in enumerate(self.observations)
            if o.value is not None
            # What a change of a parent switches on or off does not count.
            and sum(n in here and n in o.config for n in self._changed(here, o.config)) == 1
        ]

    def _changed(self, one: Config, other: Config) -> list[str]:
        """Names whose values differ, parents before their children."""
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
