"""Show running studies: a live display on a terminal (rich), else one line per change."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from metaopt.cli.follow import Follower, Overview, View, age
from metaopt.core.seeds import global_random_kept
from metaopt.report.blocks import duration
from metaopt.trials.records import TrialRecord

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN_BLOCKS = "_.-=*#"  # for terminals whose encoding lacks BLOCKS
WIDTH = 48  # of the curve, in characters
NEWEST = 5
QUIET = 60.0  # seconds without any event, after which the display shows a message
ORDER = ("complete", "pruned", "failed", "running", "waiting")


def watch(
    storage: str | Path,
    study: str | None = None,
    interval: float = 1.0,
    total: int | None = None,
    out: TextIO | None = None,
) -> bool:
    """Show the progress of studies until they are complete or the user presses Ctrl-C.

    Args:
        storage: a path or a database URL.
        study: name of one study; None for all.
        interval: seconds between two updates.
        total: planned number of trials per study; None for the stored number, if there is one.
        out: stream to write to; default: stdout.

    Returns:
        Whether the studies are complete.

    Raises:
        StoreError: there is no such file, or it is not a study file.
        UnknownNameError: there is no study of this name.
    """
    out = out or sys.stdout
    follower = Follower(storage, study, total)
    try:
        return (_live if out.isatty() else _lines)(follower, interval, out)
    except KeyboardInterrupt:  # the usual way to stop the display; the studies keep running
        return False
    finally:
        follower.close()


def _lines(follower: Follower, interval: float, out: TextIO) -> bool:
    shown = ""
    while True:
        seen = follower.look()
        state = f"{_progress(seen)}; {_best(seen)}"
        if state != shown:  # do not print if only rate and remaining time changed
            print(f"{state}{_pace(seen)}", file=out, flush=True)
            shown = state
        if seen.complete:
            return True
        time.sleep(interval)


def _live(follower: Follower, interval: float, out: TextIO) -> bool:
    with global_random_kept():
        from rich.console import Console
        from rich.live import Live

    console = Console(file=out)
    blocks = blocks_for(out.encoding)
    seen = follower.look()
    with Live(display(seen, blocks), console=console, auto_refresh=False) as live:
        while not seen.complete:
            time.sleep(interval)
            seen = follower.look()
            live.update(display(seen, blocks), refresh=True)
    return True


def blocks_for(encoding: str | None) -> str:
    """Return the characters for sparklines that this encoding can represent."""
    try:
        BLOCKS.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return PLAIN_BLOCKS
    return BLOCKS


def display(seen: Overview, blocks: str = BLOCKS) -> RenderableType:
    """Return the display of a state, as an object of rich."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = []
    if len(seen.views) == 1:
        parts += _one(seen.views[0], blocks)
    elif seen.views:
        parts.append(_many(seen))
    parts.append(Text(f"{_progress(seen)}{_pace(seen)}", style="bold"))
    quiet = age(seen.last)
    if not seen.complete and quiet is not None and quiet > QUIET + 2 / (seen.rate or 1.0):
        parts.append(
            Text(f"no event for {duration(quiet)}: a long trial, or no process runs the study")
        )
    if not seen.complete:
        parts.append(Text("Ctrl-C stops this display only", style="dim"))
    return Group(*parts)


def _one(view: View, blocks: str) -> list[RenderableType]:
    from rich.text import Text

    parts: list[RenderableType] = [
        Text(f"{view.name}: {view.strategy}, {view.direction}", style="bold")
    ]
    best = view.best
    if best is None:
        parts.append(Text("no trial is complete yet"))
    else:
        parts.append(Text(f"best {best.value:.6g} in trial {best.number}: {_config(best)}"))
    curve = view.curve
    if len(curve) > 1:
        line = Text(sparkline(curve, WIDTH, blocks), style="cyan")
        parts.append(line.append(f"  best so far, {curve[0]:.4g} to {curve[-1]:.4g}", style="dim"))
    parts.append(_newest(view))
    return parts


def _newest(view: View) -> RenderableType:
    grid = _grid("trial", "status", "value", "seconds", "configuration")
    now = time.time()
    for t in view.trials[-NEWEST:]:
        spent = t.seconds
        if t.result is None and t.started is not None:
            spent = max(0.0, now - t.started)
        value = "" if t.value is None else f"{t.value:.6g}"
        _row(
            grid,
            str(t.number),
            t.status,
            value,
            "" if spent is None else f"{spent:.3g}",
            _config(t),
        )
    return grid


def _many(seen: Overview) -> RenderableType:
    """One row per problem and strategy of a comparison, or per study."""
    groups: dict[str, list[View]] = {}
    for v in seen.views:
        groups.setdefault(v.name.rpartition("/")[0] or v.name, []).append(v)
    grid = _grid("studies", "complete", "trials", "failed", "best", "")
    for name, views in groups.items():
        totals = [v.total for v in views]
        of = f" of {sum(t for t in totals if t)}" if all(totals) else ""
        best = [v.best.value for v in views if v.best is not None and v.best.value is not None]
        better = min if views[0].direction == "minimize" else max
        running = any(not v.complete and v.counts["running"] for v in views)
        _row(
            grid,
            name,
            f"{sum(v.complete for v in views)} of {len(views)}",
            f"{sum(v.done for v in views)}{of}",
            str(sum(v.counts["failed"] for v in views) or ""),
            f"{better(best):.6g}" if best else "",
            "running" if running else "",
        )
    return grid


def _grid(*names: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    grid = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in names:
        right = name in ("trial", "value", "seconds", "complete", "trials", "failed", "best")
        grid.add_column(name, justify="right" if right else "left", overflow="fold")
    return grid


def _row(grid: Table, *cells: str) -> None:
    from rich.text import Text

    grid.add_row(*(Text(cell) for cell in cells))  # Text: brackets in names are not markup


def _progress(seen: Overview) -> str:
    """Return the progress as text that changes only with new events."""
    if not seen.views:
        return "no study has begun"
    counts = {s: sum(v.counts[s] for v in seen.views) for s in ORDER}
    parts = ", ".join(f"{n} {s}" for s, n in counts.items() if n)
    left = seen.left
    of = "" if left is None else f" of {seen.done + left}"
    what = f"{seen.done}{of} trials" + (f" ({parts})" if parts else "")
    if seen.expected > 1:
        done = sum(v.complete for v in seen.views)
        what = f"{done} of {seen.expected} studies, {what}"
    return what


def _best(seen: Overview) -> str:
    if len(seen.views) != 1:
        return f"{len(seen.views)} begun"
    best = seen.views[0].best
    return "no best yet" if best is None else f"best {best.value:.6g} in trial {best.number}"


def _pace(seen: Overview) -> str:
    if seen.complete:
        return "; complete"
    rate, left, quiet = seen.rate, seen.seconds_left, age(seen.last)
    if rate is None or (quiet is not None and quiet > QUIET + 2 / rate):
        return ""  # the rate is out of date
    pace = f"{rate:.3g} trials/s" if rate >= 1 else f"{60 * rate:.3g} trials/min"
    return f"; {pace}" + ("" if left is None else f", about {duration(left)} left")


def _config(t: TrialRecord) -> str:
    return ", ".join(
        f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in t.params.items()
    )


def sparkline(values: Sequence[float], width: int, blocks: str = BLOCKS) -> str:
    """Return values as one line of block characters, from low to high.

    The values are split into at most `width` equal parts, and the last value of each is drawn. The
    scale is logarithmic if all values are positive and span a factor of 10 or more. Equal values
    give a low line.

    Args:
        values: at least one.
        width: maximum number of characters.
        blocks: characters from the lowest to the highest value.
    """
    n = len(values)
    columns = min(n, width)
    shown = [values[(i + 1) * n // columns - 1] for i in range(columns)]
    if min(shown) > 0 and max(shown) >= 10 * min(shown):
        shown = [math.log(v) for v in shown]
    low, high = min(shown), max(shown)
    step = (high - low) / (len(blocks) - 1) if high > low else 1.0
    return "".join(blocks[round((v - low) / step)] for v in shown)
