"""Contestants behind one interface: strategies of metaopt, and other optimizers if installed."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from metaopt import Space, make_strategy
from metaopt.space import Config
from metaopt.trials.records import Result

FAILED = Result.failed("exception", "in the failing region")


class Contestant(Protocol):
    def ask(self, n: int = 1) -> list[Config]: ...
    def tell(self, value: float | None) -> None: ...  # for the oldest ask; None: it failed
    def recommend(self) -> Config: ...


class Ours:
    """A strategy of metaopt."""

    def __init__(self, name: str, space: Space, budget: int | None, seed: int) -> None:
        self.strategy = make_strategy(name, space, seed=seed, budget=budget)
        self.open: list[Any] = []

    def ask(self, n: int = 1) -> list[Config]:
        asked = self.strategy.ask(n)
        self.open += asked
        return [dict(p.config) for p in asked]

    def tell(self, value: float | None) -> None:
        self.strategy.tell(self.open.pop(0), FAILED if value is None else value)

    def observe(self, configs: Sequence[Config], values: Sequence[float]) -> None:
        for config, value in zip(configs, values, strict=True):
            self.strategy.observe(config, value)

    def recommend(self) -> Config:
        choose = getattr(self.strategy, "recommend", None)
        best = self.strategy.best
        assert best is not None
        return dict(choose() if choose is not None else best.config)


class Optuna:
    """A sampler of Optuna, used with define-by-run spaces, as is usual with Optuna."""

    def __init__(self, sampler: str, space: Space, budget: int | None, seed: int) -> None:
        import optuna

        self.optuna, self.space = optuna, space
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.filterwarnings("ignore", module="optuna")
        # GPSampler keeps its default, which allows for noisy values; `bayes` allows for them, too.
        made = getattr(optuna.samplers, sampler)(seed=seed)
        self.study = optuna.create_study(sampler=made)
        self.open: list[Any] = []

    def ask(self, n: int = 1) -> list[Config]:
        return [self._ask() for _ in range(n)]

    def _ask(self) -> Config:
        trial, config = self.study.ask(), {}
        self.open.append(trial)
        for name in self.space.order:
            if self.space.is_active(name, config):
                config[name] = self._suggest(trial, name, self.space[name])
        return config

    @staticmethod
    def _suggest(trial: Any, name: str, p: Any) -> Any:
        if p.kind == "float":
            return trial.suggest_float(name, p.low, p.high, step=p.step, log=p.log)
        if p.kind == "int":
            return trial.suggest_int(name, p.low, p.high, step=p.step or 1, log=p.log)
        values = p.take(np.arange(p.count))
        if p.kind == "ordinal":  # by index: Optuna has no ordered lists
            return values[trial.suggest_int(name, 0, len(values) - 1)]
        return trial.suggest_categorical(name, values)

    def tell(self, value: float | None) -> None:
        trial = self.open.pop(0)
        if value is None:
            self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)
        else:
            self.study.tell(trial, value)

    def observe(self, configs: Sequence[Config], values: Sequence[float]) -> None:
        """Add points; all parameters of the space must be floats on a linear scale."""
        make = self.optuna.distributions.FloatDistribution
        ranges = {name: make(p.low, p.high) for name, p in self.space.parameters.items()}
        for config, value in zip(configs, values, strict=True):
            made = self.optuna.trial.create_trial(params=config, distributions=ranges, value=value)
            self.study.add_trial(made)

    def recommend(self) -> Config:
        return dict(self.study.best_params)


class Cmaes:
    """The package cmaes on the unit cube, as in its README: from the centre, sigma = 1/6."""

    def __init__(self, space: Space, budget: int | None, seed: int) -> None:
        from cmaes import CMA

        d = len(space)
        box = np.array([[0.0, 1.0]] * d)
        self.made = CMA(mean=np.full(d, 0.5), sigma=1 / 6, bounds=box, seed=seed + 1)
        self.space = space
        self.open: list[Any] = []
        self.done: list[tuple[Any, float]] = []
        self.best: tuple[float, Any] = (float("inf"), None)

    def ask(self, n: int = 1) -> list[Config]:
        points = [self.made.ask() for _ in range(n)]
        self.open += points
        return self.space.decode(np.array(points))

    def tell(self, value: float | None) -> None:
        told = (1e300 if value is None else value, self.open.pop(0))
        self.best = min(self.best, told, key=lambda pair: pair[0])
        self.done.append(told[::-1])
        if len(self.done) == self.made.population_size:
            self.made.tell(self.done)
            self.done = []

    def recommend(self) -> Config:
        return self.space.decode(self.best[1][None, :])[0]


PEERS = {
    "optuna-gp": ("optuna", "GPSampler"),
    "optuna-tpe": ("optuna", "TPESampler"),
    "cmaes": ("cmaes", ""),
}


def missing(name: str) -> str | None:
    """Return the package that a contestant needs and that is not installed, or None."""
    package = PEERS[name][0] if name in PEERS else None
    return package if package and importlib.util.find_spec(package) is None else None


def make(name: str, space: Space, budget: int | None, seed: int) -> Any:
    """Return a new contestant by its name."""
    if name == "cmaes":
        return Cmaes(space, budget, seed)
    if name in PEERS:
        return Optuna(PEERS[name][1], space, budget, seed)
    return Ours(name, space, budget, seed)
