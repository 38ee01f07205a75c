"""Proposals and results: immutable records with a lossless JSON round trip.

JSON has no NaN and no infinities: they are stored as the strings "nan", "inf" and "-inf".
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from metaopt.core.errors import StudyError
from metaopt.space.values import Config, native

Status = Literal["complete", "pruned", "failed"]
Origin = Literal["initial", "strategy", "enqueued", "added", "fallback"]
FailureKind = Literal[
    "exception", "not_finite", "timeout", "out_of_memory", "worker_died", "abandoned"
]
Json = Any  # None, bool, int, float, str, or lists and dicts of them

NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def number_to_json(value: float | None) -> float | str | None:
    """Return a number as JSON can store it: NaN and infinities as strings."""
    if value is None or math.isfinite(value):
        return value
    return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")


def number_from_json(value: float | str | None) -> float | None:
    """Return the number that `number_to_json` stored."""
    return NOT_FINITE[value] if isinstance(value, str) else value


def plain(value: Any, where: str = "data") -> Json:
    """Return `value` as JSON of native types (arrays as lists, NaN and infinities as strings).

    Args:
        value: numbers, strings, arrays, lists and mappings, nested.
        where: the name of the value in error messages.

    Raises:
        StudyError: it contains something that JSON cannot store.
    """
    value = native(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return number_to_json(value)
    if isinstance(value, Mapping):
        return {str(k): plain(v, f"{where}[{k!r}]") for k, v in value.items()}
    if type(value).__name__ == "ndarray":
        return plain(value.tolist(), where)
    if isinstance(value, (list, tuple)):
        return [plain(v, f"{where}[{i}]") for i, v in enumerate(value)]
    raise StudyError(f"{where} must be JSON (numbers, strings, lists, dicts), got {value!r}")


def same_json(a: Json, b: Json) -> bool:
    """Return whether two JSON values are equal, including their types (True is not 1)."""
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def as_number(value: Any, where: str) -> float:
    """Return a number, NumPy scalar or one-element tensor as a float.

    Args:
        value: the number; a bool is rejected.
        where: the name of the value in error messages.

    Raises:
        StudyError: it is not a number, or an integer too large for a float.
    """
    value = native(value)
    if hasattr(value, "item") and not isinstance(value, (int, float)):  # a tensor or array
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise StudyError(f"{where} must be a number, got {value!r} ({type(value).__name__})")
    try:
        return float(value)
    except OverflowError:
        raise StudyError(f"{where} must fit a float, got an integer beyond 1e308") from None


@dataclass(frozen=True)
class Proposal:
    """A configuration to evaluate.

    Attributes:
        number: of the trial, counted from 0.
        config: the values of the active parameters by name.
        seed: of the trial, in [0, 2^31).
        origin: where the configuration comes from: "initial" (the initial design), "strategy",
            "enqueued" (by the user), "added" (observed without a proposal) or "fallback" (a new
            configuration in place of one that the strategy proposed again).
    """

    number: int
    config: Config
    seed: int
    origin: Origin = "strategy"

    def to_json(self) -> dict[str, Json]:
        """Return the proposal as JSON."""
        return {
            "number": self.number,
            "config": dict(self.config),
            "seed": self.seed,
            "origin": self.origin,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Proposal:
        """Return the proposal that `to_json` stored.

        Args:
            data: the result of `to_json`.
        """
        return cls(data["number"], dict(data["config"]), data["seed"], data["origin"])


@dataclass(frozen=True)
class Failure:
    """Why a trial failed.

    Attributes:
        kind: "exception", "not_finite" (the value was NaN or infinite), "timeout",
            "out_of_memory", "worker_died" (the worker process ended) or "abandoned" (a batch
            or stream ended without a result for the trial).
        message: of the exception, or an explanation; may be empty.

    Raises:
        StudyError: `kind` is none of these.
    """

    kind: FailureKind
    message: str = ""

    def __post_init__(self) -> None:
        if self.kind not in get_args(FailureKind):
            kinds = ", ".join(get_args(FailureKind))
            raise StudyError(f"a failure's kind must be one of {kinds}, got {self.kind!r}")


@dataclass(frozen=True)
class Result:
    """The outcome of one trial, whether it completed, was pruned or failed.

    Attributes:
        value: of the objective, finite, in the sign of the user; None unless `status` is
            "complete".
        status: "complete", "pruned" or "failed".
        metrics: further numbers by name, such as ``"test"``.
        curve: intermediate reports as (step, value), in the order of the reports.
        seconds: wall-clock duration in seconds; None if it was not measured.
        error: the failure of a failed trial, otherwise None.
        data: other data that JSON can store, such as the scores of the folds.

    Raises:
        StudyError: the fields contradict each other, or a number is not a number.

    Example:
        >>> from metaopt import Result
        >>> Result(0.25, metrics={"test": 0.3}, data={"folds": [0.2, 0.3]}).value
        0.25
        >>> Result.failed("timeout", "no value after 60 s").status
        'failed'
    """

    value: float | None = None
    status: Status = "complete"
    metrics: Mapping[str, float] = field(default_factory=dict)
    curve: tuple[tuple[float, float], ...] = ()
    seconds: float | None = None
    error: Failure | None = None
    data: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.status not in get_args(Status):
            raise StudyError(
                f"status must be one of {', '.join(get_args(Status))}, got {self.status!r}"
            )
        put = object.__setattr__  # the only way to set a field of a frozen dataclass
        if self.value is not None:
            put(self, "value", as_number(self.value, "value"))
        if self.seconds is not None:
            put(self, "seconds", as_number(self.seconds, "seconds"))
        metrics = {str(k): as_number(v, f"metric {k!r}") for k, v in self.metrics.items()}
        put(self, "metrics", metrics)
        put(self, "curve", tuple((as_step(s), as_number(v, "a report")) for s, v in self.curve))
        put(self, "data", plain(self.data))
        if self.status == "complete" and self.value is None:
            raise StudyError("a complete result needs a value; use status='failed' if it has none")
        if self.status != "complete" and self.value is not None:
            raise StudyError(f"a {self.status} result has no value, got value={self.value!r}")
        if self.status == "failed" and self.error is None:
            put(self, "error", Failure("exception", ""))
        if self.status != "failed" and self.error is not None:
            raise StudyError(f"a {self.status} result has no error, got {self.error!r}")

    @classmethod
    def failed(cls, kind: FailureKind, message: str = "", **fields: Any) -> Result:
        """Return the result of a failed trial.

        Args:
            kind: of the failure; see `Failure`.
            message: what happened.
            fields: other fields of the result, such as `curve` and `seconds`.

        Raises:
            StudyError: `kind` is unknown.
        """
        return cls(None, "failed", error=Failure(kind, message), **fields)

    def negated(self) -> Result:
        """Return the result with the opposite sign of the value and the curve.

        So a maximised objective becomes a minimised one; metrics keep their sign.
        """
        return replace(
            self,
            value=None if self.value is None else -self.value,
            curve=tuple((step, -value) for step, value in self.curve),
        )

    def to_json(self) -> dict[str, Json]:
        """Return the result as JSON, without empty fields."""
        out: dict[str, Json] = {"status": self.status}
        if self.value is not None:
            out["value"] = number_to_json(self.value)
        if self.metrics:
            out["metrics"] = {k: number_to_json(v) for k, v in self.metrics.items()}
        if self.curve:
            out["curve"] = [[number_to_json(s), number_to_json(v)] for s, v in self.curve]
        if self.seconds is not None:
            out["seconds"] = number_to_json(self.seconds)
        if self.error is not None:
            out["error"] = {"kind": self.error.kind, "message": self.error.message}
        if self.data:
            out["data"] = dict(self.data)
        return out

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Result:
        """Return the result that `to_json` stored.

        Args:
            data: the result of `to_json`.
        """
        error = data.get("error")
        return cls(
            value=number_from_json(data.get("value")),
            status=data["status"],
            metrics={k: _present(v) for k, v in data.get("metrics", {}).items()},
            curve=tuple((_present(s), _present(v)) for s, v in data.get("curve", ())),
            seconds=number_from_json(data.get("seconds")),
            error=None if error is None else Failure(error["kind"], error["message"]),
            data=data.get("data", {}),
        )


def _present(value: float | str) -> float:
    number = number_from_json(value)
    assert number is not None
    return number


def as_step(step: Any) -> float:
    """Return a step as a native number; an int stays an int (epochs), others become floats."""
    step = native(step)
    return (
        step if isinstance(step, int) and not isinstance(step, bool) else as_number(step, "a step")
    )


def settle(outcome: float | Result) -> Result:
    """Return the outcome of an objective as a `Result`; NaN or an infinity is a failure.

    Args:
        outcome: what the objective returned, or what was passed to `tell`.

    Raises:
        StudyError: it is neither a number nor a `Result`.
    """
    if not isinstance(outcome, Result):
        try:
            outcome = Result(as_number(outcome, "value"))
        except (ValueError, TypeError, RuntimeError) as error:
            if isinstance(outcome, int) and not isinstance(outcome, bool):
                raise StudyError(f"an objective's {error}") from None  # too large
            raise StudyError(
                f"an objective returns a number or a Result, got {outcome!r}"
                f" ({type(outcome).__name__})"
            ) from None
    if outcome.value is None or math.isfinite(outcome.value):
        return outcome
    failure = Failure("not_finite", f"the objective was {outcome.value}")
    return replace(outcome, value=None, status="failed", error=failure)


@dataclass(frozen=True)
class TrialRecord:
    """A trial as a study stores it.

    The property `status` is that of the result if there is one; otherwise "running" or, before
    the start, "waiting".

    Attributes:
        proposal: number, configuration, seed and origin.
        result: None until the trial has ended.
        attempts: how often the trial was started.
        worker: name of the worker of the last attempt.
        asked, started, finished: time stamps in seconds since 1970 (Unix time); None if unknown.
    """

    proposal: Proposal
    result: Result | None = None
    attempts: int = 0
    worker: str | None = None
    asked: float | None = None
    started: float | None = None
    finished: float | None = None

    @property
    def number(self) -> int:
        return self.proposal.number

    @property
    def params(self) -> Config:
        return dict(self.proposal.config)

    config = params

    @property
    def seed(self) -> int:
        return self.proposal.seed

    @property
    def origin(self) -> Origin:
        return self.proposal.origin

    @property
    def status(self) -> str:
        if self.result is not None:
            return self.result.status
        return "running" if self.started is not None else "waiting"

    @property
    def value(self) -> float | None:
        return None if self.result is None else self.result.value

    @property
    def metrics(self) -> Mapping[str, float]:
        return {} if self.result is None else self.result.metrics

    @property
    def curve(self) -> tuple[tuple[float, float], ...]:
        return () if self.result is None else self.result.curve

    @property
    def seconds(self) -> float | None:
        return None if self.result is None else self.result.seconds


def completed(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the complete records, in their order."""
    return [r for r in records if r.status == "complete"]


def best_first(records: Iterable[TrialRecord], direction: str) -> list[TrialRecord]:
    """Return the complete records, the best first; equal ones keep their order."""
    sign = 1 if direction == "minimize" else -1
    return sorted(completed(records), key=lambda r: sign * (r.value or 0.0))


def best_of(records: Iterable[TrialRecord], direction: str) -> TrialRecord | None:
    """Return the complete record with the best value, the earliest among equals.

    Args:
        records: in the order of their numbers.
        direction: "minimize" or "maximize".

    Returns:
        The record, or None if no record is complete.
    """
    return next(iter(best_first(records, direction)), None)
