"""One BLAS thread while our numerics run: results must not depend on how many cores there are."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import ThreadpoolController

# Only the thread that limited BLAS may lift the limit again, so threads take turns; inner uses
# of the same thread are free.
_turn = threading.RLock()
_controller: ThreadpoolController | None = None


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit BLAS to one thread in the block, and restore what was."""
    global _controller
    with _turn:
        if _controller is None:
            # Made once, for it is slow (2 ms), and after scipy, whose own BLAS must be loaded.
            import scipy.linalg.lapack  # noqa: F401

            _controller = ThreadpoolController()
        with _controller.limit(limits=1, user_api="blas"):
            yield
