"""A comparison as tables and words, and on the terminal (rich)."""

from __future__ import annotations

from collections.abc import Sequence

from metaopt import stats
from metaopt.analysis.comparison import ComparisonData
from metaopt.analysis.conclusions import blocks_text
from metaopt.analysis.standings import AnalysisData
from metaopt.core.seeds import global_random_kept
from metaopt.core.text import p_cell

WIDE = 100  # columns of a terminal
SPARE = ("rank by test", "effect")


def how_to_read(analyses: Sequence[AnalysisData]) -> str:
    """Explain the columns of the tables; the words for the test come from the plan.

    Args:
        analyses: of the comparison.
    """
    titles = [a.plan.pairs.title for a in analyses if a.plan is not None and a.plan.pairs]
    tests = " or ".join(dict.fromkeys(titles))
    p = (
        f" p is of {tests} against the control over paired repeats, adjusted by Holm for all"
        f" comparisons on all problems (over several problems: of their mean ranks); where the"
        f" design can show nothing, there is no p."
        if titles
        else " The design can show nothing, so there is no p."
    )
    return (
        "Values are medians over the repeats with 95 % bootstrap intervals. The search sees"
        " validation values only; test is the hidden test value of the configuration that"
        f" validation chose. rank is the mean rank over the repeats, 1 is best.{p} A12 is the"
        " probability of a better value than the control's, with its interval (0.5: no difference;"
        " Vargha and Delaney 2000)."
    )


def table(analysis: AnalysisData) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of an analysis' table, leaving out empty columns."""
    columns = {
        "strategy": [s.label for s in analysis.standings],
        "rank": [f"{s.rank:.2f}" for s in analysis.standings],
        "validation": [_interval(s.value) for s in analysis.standings],
        "test": [_interval(s.test) for s in analysis.standings],
        "rank by test": [_number(s.test_rank, ".2f") for s in analysis.standings],
        f"p vs {analysis.control}": [p_cell(s.p) for s in analysis.standings],
        "A12": [_share(s.a12) for s in analysis.standings],
        "effect": [
            "" if s.a12 is None else stats.magnitude(s.a12.estimate) for s in analysis.standings
        ],
        "runs without value": [str(s.without) if s.without else "" for s in analysis.standings],
    }
    kept = {name: cells for name, cells in columns.items() if any(cells)}
    return list(kept), [list(row) for row in zip(*kept.values(), strict=True)]


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _interval(x: stats.Interval | None) -> str:
    if x is None:
        return ""
    if x.low == x.high == x.estimate:
        return f"{x.estimate:.3g}"
    return f"{x.estimate:.3g} [{x.low:.2g}, {x.high:.2g}]"


def _share(x: stats.Interval | None) -> str:
    return "" if x is None else f"{x.estimate:.2f} [{x.low:.2f}, {x.high:.2f}]"


def show(comparison: ComparisonData) -> None:
    """Print the tables and the findings."""
    with global_random_kept():
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

    console = Console()
    for analysis in comparison.analyses:
        header, rows = table(analysis)
        # Columns that do not fit into a narrow terminal are shown in the report only.
        narrow = console.width < WIDE
        shown = [j for j, n in enumerate(header) if not (narrow and n in SPARE)]
        if narrow and "A12" in header:
            rows = [
                [c.split(" [")[0] if header[j] == "A12" else c for j, c in enumerate(row)]
                for row in rows
            ]
        grid = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for name in (header[j] for j in shown):
            left = name in ("strategy", "effect")
            grid.add_column(name, justify="left" if left else "right", overflow="fold")
        for row in rows:
            grid.add_row(*(Text(row[j]) for j in shown))
        console.print()
        console.print(Text(_heading(comparison, analysis), style="bold"))
        console.print(grid)
        console.print(Padding(Text(" ".join(analysis.sentences())), (0, 2, 0, 0)))
    console.print()


def _heading(comparison: ComparisonData, analysis: AnalysisData) -> str:
    return f"{analysis.title}: {blocks_text(analysis)}, {comparison.n_trials} trials each"
