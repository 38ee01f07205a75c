"""The `Trial` that an objective receives, and its channel to the monitor of the study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from metaopt.core.errors import StudyError, did_you_mean
from metaopt.space import Config, Scalar
from metaopt.trials.records import Proposal, as_number, as_step


class TrialPruned(Exception):
    """Raised by an objective that stopped because `Trial.should_stop()` returned True."""


class Channel(Protocol):
    """The connection from a trial to the monitor, made by the executor that runs the trial."""

    def reported(self, number: int, value: float, step: float) -> None: ...

    def should_stop(self, number: int) -> bool: ...


class Trial(Mapping[str, Scalar]):
    """One trial; a read-only mapping of its active parameters: ``trial["lr"]``.

    A study makes the trials; use `fixed_trial` to call an objective without a study.

    Args:
        proposal: the configuration to evaluate, with number and seed.
        data_seed: the study's seed for folds and sample order, the same for all of its trials,
            so that configurations are compared on the same data.
        channel: connection to the monitor; None outside a study, where `should_stop` is False.

    Attributes:
        params: the configuration, as a new dict.
        number: counted from 0 within the study.
        seed: of this trial; a function of the study's seed and the number.

    Example:
        >>> from metaopt import Trial, TrialPruned, fixed_trial
        >>> def objective(trial: Trial) -> float:
        ...     loss = 1.0
        ...     for epoch in range(1, 11):
        ...         loss *= 1 - trial["lr"]
        ...         trial.report(loss, step=epoch)
        ...         if trial.should_stop():
        ...             raise TrialPruned
        ...     return loss
        >>> objective(fixed_trial({"lr": 0.5}))
        0.0009765625
    """

    def __init__(self, proposal: Proposal, data_seed: int, channel: Channel | None = None) -> None:
        self._proposal = proposal
        self.data_seed = data_seed
        self._channel = channel
        self._curve: list[tuple[float, float]] = []
        self._told_to_stop = False

    @property
    def params(self) -> Config:
        return dict(self._proposal.config)

    @property
    def number(self) -> int:
        return self._proposal.number

    @property
    def seed(self) -> int:
        return self._proposal.seed

    @property
    def curve(self) -> tuple[tuple[float, float], ...]:
        """The reports so far, as (step, value)."""
        return tuple(self._curve)

    @property
    def told_to_stop(self) -> bool:
        """Whether `should_stop` has returned True."""
        return self._told_to_stop

    def __getitem__(self, name: str) -> Scalar:
        config = self._proposal.config
        if name not in config:
            active = f"{did_you_mean(name, config)} (active: {', '.join(config)})"
            raise KeyError(f"{name!r} is not an active parameter of trial {self.number}{active}")
        return config[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._proposal.config)

    def __len__(self) -> int:
        return len(self._proposal.config)

    def __repr__(self) -> str:
        return f"Trial(number={self.number}, params={self.params})"

    def report(self, value: float, step: float) -> None:
        """Report an intermediate value.

        Args:
            value: in the objective's own sign; may be NaN.
            step: epoch, batch, seconds or similar; larger than in the report before.

        Raises:
            StudyError: `value` or `step` is not a number, or `step` does not increase.
        """
        value, step = as_number(value, "a reported value"), as_step(step)
        if self._curve and step <= self._curve[-1][0]:
            raise StudyError(
                f"trial {self.number}: steps must grow, got {step} after {self._curve[-1][0]}"
            )
        self._curve.append((step, value))
        if self._channel is not None:
            self._channel.reported(self.number, value, step)

    def should_stop(self) -> bool:
        """Whether to end this trial now; if so, return any number or raise `TrialPruned`."""
        if self._channel is not None and self._channel.should_stop(self.number):
            self._told_to_stop = True
        return self._told_to_stop

    should_prune = should_stop  # Optuna's name


def fixed_trial(config: Config, seed: int = 0, data_seed: int | None = None) -> Trial:
    """Make a trial without a study, to call an objective with one configuration.

    Args:
        config: the parameters by name; not checked against a space.
        seed: of the trial.
        data_seed: for folds and sample order; default: `seed`.

    Returns:
        A trial that is never told to stop.
    """
    return Trial(Proposal(0, dict(config), seed), seed if data_seed is None else data_seed)
