"""Convert an exception to a failed result; the same rule for all executors and trainers."""

from __future__ import annotations

import traceback
from typing import Any

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
