"""The base class of strategies.

The public methods (`ask`, `tell`, ...) are final; subclasses implement `_ask` and `_tell` and, if
`_ask` changes the state of the strategy, `_state` and `_restore`. A strategy is a function of its
log: the list of asks, tells, observations and enqueued configurations, as JSON. `state_dict` is a
header and the log; `load_state_dict` replays the log.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, final

import numpy as np

from metaopt.core.errors import SpaceError, StrategyError, whole
from metaopt.core.seeds import derive, stream
from metaopt.core.types import Curve
from metaopt.space import Config, Space
from metaopt.strategy.fallback import find_new
from metaopt.strategy.initial_design import InitialDesign
from metaopt.strategy.observations import Observation, Observations
from metaopt.trials.records import Json, Origin, Proposal, Result, Status, plain, same_json, settle

RETRIES = 3  # calls of `_ask` until it returns a new configuration
FORMAT = 1  # version of the format of `state_dict`


class Strategy(ABC):
    """Base class of search strategies, used through `ask` and `tell`; a strategy minimises.

    A subclass implements `_ask`, and if needed `_tell`, `_state`, `_restore` and
    `_initial_points`. The public methods are final: they avoid duplicates, keep the log and make
    resumed runs equal to uninterrupted ones. Check a new strategy with
    `metaopt.testing.check_strategy`.

    Args:
        space: the search space.
        seed: a non-negative integer; the same seed gives the same proposals.
        budget: number of planned trials, if known; a strategy may adapt its schedule to it.
        options: settings of the strategy that JSON can store; a subclass names them in its
            `__init__` and passes them on.

    Attributes:
        name: class attribute, the name under which the strategy is registered.
        rank_based: class attribute, whether proposals depend on the order of the told values only,
            so that a monotone transform of the objective does not change them.
        fallbacks: how often a new configuration replaced one that `_ask` proposed again.

    Raises:
        StrategyError: an argument is not valid.

    Example:
        >>> from metaopt import Float, Space, Strategy
        >>> class HillClimb(Strategy):
        ...     name = "hill-climb"
        ...
        ...     def _initial_points(self):
        ...         return 5
        ...
        ...     def _ask(self, rng):
        ...         if self.best is None:
        ...             return self.space.sample(rng)[0], None
        ...         near = self.space.neighbours(self.best.config, rng)
        ...         return near[rng.integers(len(near))], None
        >>> strategy = HillClimb(Space(x=Float(-5, 5)), seed=1)
        >>> for _ in range(50):
        ...     for proposal in strategy.ask():
        ...         strategy.tell(proposal, proposal.config["x"] ** 2)
        >>> strategy.best.value < 0.1
        True
    """

    name: ClassVar[str] = ""
    rank_based: ClassVar[bool] = False

    def __init__(
        self, space: Space, seed: int = 0, budget: int | None = None, **options: Any
    ) -> None:
        if not isinstance(space, Space):
            raise StrategyError(f"space must be a metaopt.Space, got {type(space).__name__}")
        if options and type(self).__init__ is Strategy.__init__:
            raise StrategyError(
                f"{type(self).__name__} has no options, got {', '.join(sorted(options))}"
            )
        self.space = space
        self.seed = whole("seed", seed, StrategyError, least=0)
        self.budget = None if budget is None else whole("budget", budget, StrategyError)
        self.options: dict[str, Json] = plain(options, "options")
        self.fallbacks = 0
        self.__log: list[dict[str, Json]] = []
        self.__count = 0
        self.__pending: dict[int, tuple[Proposal, Json]] = {}
        self.__queue: list[Config] = []
        self.__seen: set[str] = set()
        self.__observations = Observations()
        self.__design = InitialDesign(space, self.seed)
        self.__drawn = 0  # points taken from the initial design
        self.__given = 0  # points that the strategy did not choose: initial, enqueued, added

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        final_names = ("ask", "tell", "observe", "enqueue", "state_dict", "load_state_dict")
        taken = [n for n in final_names if getattr(cls, n) is not getattr(Strategy, n)]
        if taken:
            raise StrategyError(
                f"{cls.__name__} overrides {', '.join(taken)}, which are final;"
                f" implement _ask, _tell and _state instead"
            )

    # -- implemented by subclasses ---------------------------------------------------------------

    @abstractmethod
    def _ask(self, rng: np.random.Generator) -> tuple[Config, Json]:
        """Choose one configuration, with a private note (JSON or None) for the later `_tell`.

        Called again, with the same generator in its new state, if the configuration is not new.
        The choice may depend on the observations, on `pending()` and on the state that `_state`
        returns, and on nothing else.
        """

    def _tell(self, config: Config, note: Json, value: float, status: Status, curve: Curve) -> None:
        """Learn the outcome of a configuration; `note` is None if `_ask` did not choose it.

        `value` ranks the configuration. It is the objective of a complete trial. For a failed
        trial it is the worst complete value so far; for a pruned trial the larger of its last
        report and the median of the complete values (+inf while no trial is complete). The state
        that this method changes must be a function of the sequence of tells.
        """

    def _state(self) -> Json:
        """Return the state that the tells do not determine, as JSON; stored with every ask."""
        return None

    def _restore(self, state: Json) -> None:
        """Restore the state that `_state` returned."""

    def _initial_points(self) -> int:
        """Return how many points of the initial design are proposed before the first `_ask`."""
        return 0

    # -- what subclasses may read ----------------------------------------------------------------

    @property
    def observations(self) -> Sequence[Observation]:
        """All told outcomes, in the order of the tells."""
        return self.__observations.told

    def imputed(self) -> list[float]:
        """Return a finite value for each observation.

        The rules are those of `_tell`, with the worst value and the median of all complete trials
        so far; all values that are still infinite become 0.
        """
        return self.__observations.imputed()

    def pending(self) -> list[tuple[Config, Json]]:
        """Return the configurations that were asked but not told, with their notes, by number."""
        return [(dict(p.config), note) for p, note in self.__pending.values()]

    def is_new(self, config: Config) -> bool:
        """Return whether a configuration was neither asked nor observed before.

        Args:
            config: a valid configuration.

        Raises:
            SpaceError: the configuration is not valid.
        """
        return self.space.key(config) not in self.__seen

    @property
    def best(self) -> Observation | None:
        """The best complete observation, the earliest of equal ones; None if there is none."""
        return self.__observations.best

    # -- the public contract ---------------------------------------------------------------------

    @final
    def ask(self, n: int = 1) -> list[Proposal]:
        """Propose new configurations.

        Args:
            n: how many, at least 1.

        Returns:
            n proposals; fewer, and finally an empty list, only if the space is exhausted.

        Raises:
            StrategyError: `n` is not a positive integer, or the subclass proposed a configuration
                that is not in the space.
        """
        n = whole("n", n, StrategyError)
        rng = stream(self.seed, "ask", self.__count)
        asked: list[tuple[Proposal, Json]] = []
        try:
            for _ in range(n):
                chosen = self.__choose(rng)
                if chosen is None:
                    break
                asked.append(self.__register(*chosen))
        finally:  # after an error, the log must contain the proposals that were registered
            if asked:
                self.__log.append({"ask": self.__ask_entry(asked)})
        return [Proposal(p.number, dict(p.config), p.seed, p.origin) for p, _ in asked]

    @final
    def tell(self, proposal: Proposal | int, outcome: float | Result) -> None:
        """Learn the outcome of a proposal, in any order of the proposals.

        Args:
            proposal: what `ask` returned, or its number.
            outcome: the value to minimise, or a `Result`; NaN and infinities count as failed.

        Raises:
            StrategyError: the proposal is unknown or was already told.
            StudyError: the outcome is neither a number nor a `Result`.
        """
        number = proposal.number if isinstance(proposal, Proposal) else proposal
        result = settle(outcome)
        if number not in self.__pending:
            known = isinstance(number, (int, np.integer)) and 0 <= number < self.__count
            raise StrategyError(
                f"proposal {number} was already told"
                if known
                else f"proposal {number!r} was never asked; tell what ask() returned"
                f" (other points: observe(config, result))"
            )
        asked, note = self.__pending.pop(number)
        self.__log.append({"tell": {"number": int(number), "result": result.to_json()}})
        self.__learn(asked, note, result)

    @final
    def observe(self, config: Mapping[str, Any], outcome: float | Result) -> Proposal:
        """Learn the outcome of a configuration that this strategy did not propose.

        Args:
            config: a valid configuration.
            outcome: the value to minimise, or a `Result`; NaN and infinities count as failed.

        Returns:
            The configuration as a proposal with a number of its own and the origin "added".

        Raises:
            SpaceError: the configuration is not valid.
            StudyError: the outcome is neither a number nor a `Result`.
        """
        result = settle(outcome)
        added, _ = self.__register(self.space.validate(config), None, "added")
        self.__pending.pop(added.number)
        self.__log.append({"observe": {"config": dict(added.config), "result": result.to_json()}})
        self.__learn(added, None, result)
        return added

    @final
    def enqueue(self, config: Mapping[str, Any]) -> bool:
        """Request a configuration: it is proposed before the strategy's own.

        Args:
            config: a valid configuration.

        Returns:
            Whether it was accepted; False if it was already asked, observed or enqueued.

        Raises:
            SpaceError: the configuration is not valid.
        """
        config = self.space.validate(config)
        key = self.space.key(config)  # distinguishes True from 1, which == does not
        if key in self.__seen or key in map(self.space.key, self.__queue):
            return False
        self.__log.append({"enqueue": dict(config)})
        self.__queue.append(config)
        return True

    @property
    def log(self) -> Sequence[dict[str, Json]]:
        """All asks, tells, observations and enqueued configurations as JSON; do not change it."""
        return self.__log

    @final
    def header(self) -> dict[str, Json]:
        """Return the arguments of this strategy as JSON: name, seed, budget, options, space."""
        return {
            "format": FORMAT,
            "strategy": self.name or type(self).__name__,
            "seed": self.seed,
            "budget": self.budget,
            "options": self.options,
            "space": self.space.to_json(),
        }

    @final
    def state_dict(self) -> dict[str, Json]:
        """Return the complete state of this strategy as JSON: its header and its log."""
        return {"header": self.header(), "log": list(self.__log)}

    @final
    def load_state_dict(self, state: Mapping[str, Json]) -> None:
        """Restore the state of a strategy of the same class, space, seed, budget and options.

        Args:
            state: the result of `state_dict`.

        Raises:
            StrategyError: this strategy was already used, or the state belongs to another one.
        """
        if self.__log:
            raise StrategyError("load_state_dict needs a fresh strategy; this one was used")
        if not isinstance(state, Mapping) or not {"header", "log"} <= set(state):
            raise StrategyError(f"expected what state_dict() returned, got {str(state)[:80]!r}")
        header = self.header()
        for name, value in header.items():
            if not same_json(state["header"].get(name), value):
                raise StrategyError(
                    f"the state belongs to another strategy: {name} is"
                    f" {state['header'].get(name)!r} there and {value!r} here"
                )
        replay: dict[str, Callable[[Any], object]] = {
            "ask": self.__replay_ask,
            "tell": lambda b: self.tell(b["number"], Result.from_json(b["result"])),
            "observe": lambda b: self.observe(b["config"], Result.from_json(b["result"])),
            "enqueue": self.enqueue,
        }
        for entry in state["log"]:
            ((kind, body),) = entry.items()
            replay[kind](body)

    # -- private; names with two underscores cannot collide with names of a subclass -------------

    def __ask_entry(self, asked: list[tuple[Proposal, Json]]) -> dict[str, Json]:
        return {
            "proposals": [p.to_json() for p, _ in asked],
            "notes": [note for _, note in asked],
            "base": [self.__drawn, self.fallbacks],
            "own": plain(self._state(), "_state()"),
        }

    def __choose(self, rng: np.random.Generator) -> tuple[Config, Json, Origin] | None:
        while self.__queue:
            config = self.__queue.pop(0)
            if self.is_new(config):
                return config, None, "enqueued"
        config_ = self.__from_design()
        if config_ is not None:
            return config_, None, "initial"
        config = {}
        for _ in range(RETRIES):
            config, note = self._ask(rng)
            if self.space.is_forbidden(config):
                continue
            config = self.__checked(config)
            if self.is_new(config):
                return config, plain(note, "a note"), "strategy"
        other = find_new(self.space, config, rng, self.is_new)
        if other is None:
            return None
        self.fallbacks += 1
        return other, None, "fallback"

    def __from_design(self) -> Config | None:
        """Return the next new point of the initial design; None once the design is complete."""
        tries = 0
        while self.__given < self._initial_points() and tries < 64:
            config = self.__design.config(self.__drawn)
            self.__drawn += 1
            tries += 1
            if not self.space.is_forbidden(config) and self.is_new(config):
                return config
        return None

    def __checked(self, config: Config) -> Config:
        try:
            return self.space.validate(config)
        except SpaceError as error:
            raise StrategyError(
                f"the strategy {self.name or type(self).__name__} proposed {config!r},"
                f" which is not in the space: {error}"
            ) from error

    def __register(self, config: Config, note: Json, origin: Origin) -> tuple[Proposal, Json]:
        number = self.__count
        seed = derive(self.seed, "trial", number)
        return self.__expect(Proposal(number, config, seed, origin), note)

    def __expect(self, proposal: Proposal, note: Json) -> tuple[Proposal, Json]:
        self.__count = proposal.number + 1
        self.__given += proposal.origin in ("initial", "enqueued", "added")
        self.__seen.add(self.space.key(proposal.config))
        self.__pending[proposal.number] = (proposal, note)
        return proposal, note

    def __learn(self, proposal: Proposal, note: Json, result: Result) -> None:
        value = self.__observations.add(
            Observation(
                proposal.number, proposal.config, note, result.value, result.status, result.curve
            )
        )
        self._tell(dict(proposal.config), note, value, result.status, result.curve)

    def __replay_ask(self, body: Mapping[str, Json]) -> None:
        asked = [Proposal.from_json(p) for p in body["proposals"]]
        for proposal, note in zip(asked, body["notes"], strict=True):
            if proposal.origin == "enqueued":
                self.__queue.pop(self.__queued(proposal.config))
            self.__expect(proposal, note)
        self.__drawn, self.fallbacks = body["base"]
        self.__log.append({"ask": dict(body)})
        if body["own"] is not None:
            self._restore(body["own"])

    def __queued(self, config: Config) -> int:
        return [self.space.key(c) for c in self.__queue].index(self.space.key(config))
