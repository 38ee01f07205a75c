"""The result of `Study.confirm` as a table, and on the terminal (rich)."""

from __future__ import annotations

from metaopt import stats
from metaopt.analysis import confirmation_conclusions
from metaopt.analysis.confirmation import ConfirmationData, ConfirmedConfig
from metaopt.analysis.confirmation_conclusions import with_interval
from metaopt.core.seeds import global_random_kept
from metaopt.core.text import brief, p_cell

WIDE = 100  # columns of a terminal


class Confirmation(ConfirmationData):
    """The best configurations of a study, evaluated again; see `Study.confirm`.

    Attributes:
        configs: the configurations, the one to use first, by the median of their fresh values.
        seeds: of the evaluations, the same for every configuration.
        direction: "minimize" or "maximize".
        level: confidence level that was asked for; tests are made at 1 minus it.
        asked: number of configurations that were asked for.
        reused: number of evaluations that were kept from an earlier call.
    """

    def print(self) -> None:
        """Print the table and the conclusion to the terminal."""
        show(self)

    def conclusion(self) -> str:
        """The findings in plain words, one to a line."""
        return "\n".join(confirmation_conclusions.sentences(self))


def table(c: ConfirmationData, *, narrow: bool = False) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows, one per configuration, leaving out empty columns.

    Args:
        c: the confirmation.
        narrow: whether to leave out the intervals of differences.
    """
    columns = {
        "trial": [str(o.trial) for o in c.configs],
        "search": [brief(o.search) for o in c.configs],
        "fresh": [with_interval(o.median) for o in c.configs],
        "test": [_optional(o.test) for o in c.configs],
        "optimism": [_optional(o.optimism, narrow) for o in c.configs],
        "difference": [_optional(o.difference, narrow) for o in c.configs],
        "p": [p_cell(o.p) for o in c.configs],
        "failed": [str(len(o.errors)) if o.errors else "" for o in c.configs],
        "configuration": [_params(o) for o in c.configs],
    }
    kept = {name: cells for name, cells in columns.items() if any(cells)}
    return list(kept), [list(row) for row in zip(*kept.values(), strict=True)]


def _optional(x: stats.Interval | None, short: bool = False) -> str:
    if x is None:
        return ""
    return with_interval(x).split(" [")[0] if short else with_interval(x)


def _params(o: ConfirmedConfig) -> str:
    return ", ".join(f"{k}={brief(v)}" for k, v in o.params.items())


def show(c: Confirmation) -> None:
    """Print the table and the conclusion."""
    with global_random_kept():
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

    console = Console()
    header, rows = table(c, narrow=console.width < WIDE)
    grid = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in header:
        grid.add_column(
            name, justify="left" if name == "configuration" else "right", overflow="fold"
        )
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    console.print(grid)
    console.print(Padding(Text(c.conclusion()), (0, 2, 1, 0)))
