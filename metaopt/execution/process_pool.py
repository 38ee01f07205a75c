"""Run independent tasks in worker processes, and count their steps for a progress bar.

Workers are started with "spawn", so that no state of the caller can influence a result, and use
one BLAS thread each. Tasks are sent with cloudpickle, so lambdas and classes of `__main__` work.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from metaopt.core.errors import StudyError

Tick = Callable[[], None]
Task = Callable[[Tick], Any]

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
POLL_SECONDS = 0.1

_ticks: Any = None  # in a worker: the queue to the parent process


def run_all(tasks: Sequence[Task], workers: int, tick: Tick) -> list[Any]:
    """Run tasks in worker processes and return their results, in the order of the tasks.

    Args:
        tasks: functions of one argument, a function that the task calls after each step.
        workers: number of processes.
        tick: called here, in the parent process, for each step of any task.

    Raises:
        StudyError: a worker process died.
        KeyboardInterrupt: Ctrl-C; the workers are killed, and what they have stored is kept.
        Exception: the first error of a task; the other workers are killed.
    """
    import multiprocessing
    from concurrent.futures.process import BrokenProcessPool

    import cloudpickle
    from pebble import ProcessExpired, ProcessPool

    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    with _environment(THREADS):
        pool = ProcessPool(workers, context=context, initializer=_start, initargs=(queue,))
        try:
            futures = [pool.schedule(_call, args=[cloudpickle.dumps(task)]) for task in tasks]
            for future in futures:
                while not future.done():
                    _drain(queue, tick)
                    time.sleep(POLL_SECONDS)
                future.result()
            _drain(queue, tick)
            return [future.result() for future in futures]
        except (BrokenProcessPool, ProcessExpired) as error:
            raise StudyError(
                f"a worker process died ({error}). If it died at once: a script that starts"
                f' workers needs `if __name__ == "__main__":` around its code. If it was killed,'
                f" for example because memory ran out: with storage=, the same call resumes"
            ) from None
        finally:
            pool.stop()  # type: ignore[no-untyped-call]
            pool.join()


def _drain(queue: Any, tick: Tick) -> None:
    while not queue.empty():
        queue.get()
        tick()


def _start(queue: Any) -> None:
    global _ticks
    _ticks = queue
    # Ctrl-C reaches the whole process group; the parent alone stops the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _call(task: bytes) -> Any:
    import cloudpickle
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return cloudpickle.loads(task)(lambda: _ticks.put(None))


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables for child processes, where libraries read them when loaded."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
