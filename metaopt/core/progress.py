"""Progress display: a bar on a terminal (rich), otherwise a printed line every few seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from metaopt.core.seeds import global_random_kept

Update = Callable[[int, str], None]

LINE_SECONDS = 10.0  # between two printed lines


@contextmanager
def progress_bar(title: str, total: int | None, done: int, show: bool) -> Iterator[Update]:
    """Yield a function `update(done, text)` that shows the progress on stderr.

    Args:
        title: shown in front.
        total: number of steps; None if unknown.
        done: steps that are complete at the start.
        show: whether to show anything.
    """
    if not show:
        yield lambda done, text: None
        return
    if not sys.stderr.isatty():
        yield _lines(title, total, done)
        return
    with global_random_kept():
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total, completed=done, text="")
        yield lambda done, text: bar.update(task, completed=done, text=text)


def _lines(title: str, total: int | None, done: int) -> Update:
    """Return an `update` that prints a line at most every few seconds, and the last line."""
    start = shown = time.monotonic()

    def update(now_done: int, text: str) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown < LINE_SECONDS and now_done != total:
            return
        shown = now
        of = "" if total is None else f" of {total}"
        line = f"{title}: {now_done}{of}, {now - start:.0f} s"
        if total is not None and now_done > done:
            left = (now - start) / (now_done - done) * (total - now_done)
            line += f", about {left:.0f} s left"
        print(f"{line}  {text}".rstrip(), file=sys.stderr, flush=True)

    return update


@contextmanager
def counter(title: str, total: int, done: int, show: bool) -> Iterator[Callable[[], None]]:
    """Yield a function that counts one step per call; arguments as for `progress_bar`."""
    count = done
    with progress_bar(title, total, done, show) as update:

        def tick() -> None:
            nonlocal count
            count += 1
            update(count, "")

        yield tick
