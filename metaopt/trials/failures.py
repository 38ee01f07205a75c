"""Failed trials: from an exception to a result, and what stands for a value that is missing.

A failed or pruned trial has no value, and a run whose trials all failed has no best one. Leaving
them out would make a strategy that fails often look good, so they get a value here. Lower is
better in all functions.

| where | function | why this one |
|---|---|---|
| what a strategy is told | `for_strategy` | order statistics keep rank-based strategies invariant |
| tests and ranks of a comparison | `worse_than_all` | finite, since tests take differences |
| probability of improvement | `loses_to_all` | only the order counts |
| figures on a common scale | `as_worst_known` | an invented value would stretch the axis |

One exception: the tabu search counts a failed trial as infinitely bad, since a local search must
never move to a point that cannot be evaluated.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Sequence
from typing import Any

import numpy as np

from metaopt.core.types import Curve, FloatArray
from metaopt.trials.records import FailureKind, Json, Result

TRACEBACK = 4000  # characters: a longer traceback is stored without its beginning


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception reports that memory ran out, on a GPU or on the CPU."""
    # PyTorch's error is recognised by its name: this module does not import torch.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    # PyTorch's CPU allocator has no exception type of its own.
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def failure(error: Exception, *, where: str = "", **fields: Any) -> Result:
    """Return the result of a trial that raised an exception, with the end of the traceback.

    Args:
        error: the exception.
        where: prefix of the message, such as ``"fold 2 of 5: "``.
        fields: other fields of the `Result`, such as `curve`, `metrics` and `seconds`.
    """
    kind: FailureKind = "out_of_memory" if is_out_of_memory(error) else "exception"
    message = f"{where}{type(error).__name__}: {error}".strip()
    text = "".join(traceback.format_exception(error))[-TRACEBACK:]
    data: dict[str, Json] = {"traceback": text}
    return Result.failed(kind, message, data=data, **fields)


def for_strategy(status: str, curve: Curve, complete: Sequence[float]) -> float:
    """Return the value that a strategy is told for a trial without one.

    Args:
        status: "pruned" or "failed".
        curve: the reports of the trial, to be minimised.
        complete: values of all complete trials so far, ascending.

    Returns:
        For a pruned trial the larger of its last report and the median of the complete ones; for
        any other the worst complete value; infinity while no trial is complete.
    """
    if not complete:
        return math.inf
    worst, median = complete[-1], complete[len(complete) // 2]
    last = curve[-1][1] if curve else math.inf
    return max(last, median) if status == "pruned" and math.isfinite(last) else worst


def worse_than_all(costs: FloatArray) -> FloatArray:
    """Replace NaN and infinities by one finite cost that is higher than all others.

    Args:
        costs: of runs, any shape.

    Returns:
        The same shape; all zero where no cost is finite.
    """
    known = costs[np.isfinite(costs)]
    if not len(known):
        return np.zeros_like(costs)
    with np.errstate(over="ignore"):
        beyond = known.max() + max(1.0, float(np.ptp(known)))
    return np.where(np.isfinite(costs), costs, min(beyond, np.finfo(np.float64).max))


def loses_to_all(costs: FloatArray) -> FloatArray:
    """Replace NaN and infinities by +infinity.

    Args:
        costs: of runs, any shape.
    """
    return np.where(np.isfinite(costs), costs, np.inf)


def as_worst_known(costs: FloatArray) -> FloatArray:
    """Replace NaN and infinities by the highest finite cost.

    Args:
        costs: of runs, any shape; at least one is finite.
    """
    return np.where(np.isfinite(costs), costs, costs[np.isfinite(costs)].max())
