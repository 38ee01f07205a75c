"""Limit BLAS to one thread, so that results do not depend on the number of cores."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import ThreadpoolController

# Only the thread that set the limit may restore it, so other threads wait. The lock is reentrant:
# the same thread may nest its uses.
_turn = threading.RLock()
_controller: ThreadpoolController | None = None


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit BLAS to one thread inside the block, and restore the old limit afterwards."""
    global _controller
    with _turn:
        if _controller is None:
            # Created once, because it takes 2 ms, and after the import of SciPy, whose BLAS it
            # finds only if that is loaded.
            import scipy.linalg.lapack  # noqa: F401

            _controller = ThreadpoolController()
        with _controller.limit(limits=1, user_api="blas"):
            yield
