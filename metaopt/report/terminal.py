"""A comparison as tables and words, and on the terminal (rich)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from metaopt import stats
from metaopt.analysis.comparison import ComparisonData
from metaopt.analysis.standings import AnalysisData, Contrast, Standing
from metaopt.core.seeds import global_random_kept
from metaopt.core.text import counted, estimate, p_cell, percent

WIDE = 140  # columns of a terminal in which a table with hidden test values has room
SPARE = ("rank by test", "r")  # left out in a narrow terminal


def how_to_read(analyses: Sequence[AnalysisData]) -> str:
    """Explain the columns of the tables; the words for the test come from the plan.

    Args:
        analyses: of the comparison.
    """
    standings = [s for a in analyses for s in a.standings]
    parts = [
        "rank is the mean rank over repeats by validation value; 1 is best.",
        _medians(standings),
        _tests_values(standings),
        _contrasts(analyses, standings),
        _p_values(analyses),
    ]
    return " ".join(part for part in parts if part)


def _medians(standings: Sequence[Standing]) -> str:
    levels = {x.level for s in standings for x in (s.value, s.test) if x is not None and x.level}
    if not levels:
        return ""
    return (
        f"validation is the median over repeats of the best validation value; the interval, from"
        f" order statistics, covers the true median with at least {percent(min(levels))}."
    )


def _tests_values(standings: Sequence[Standing]) -> str:
    if not any(s.test is not None for s in standings):
        return ""
    return (
        "The search sees validation values only; test is the hidden test value of the configuration"
        " that validation chose."
    )


def _contrasts(analyses: Sequence[AnalysisData], standings: Sequence[Standing]) -> str:
    found = [s.contrast for s in standings if s.contrast is not None]
    if not found:
        return ""
    control = analyses[0].control
    text = (
        f"better is the share of paired repeats in which the strategy ends better than {control}"
        f" (ties count half)"
    )
    if any(c.difference is not None for c in found):
        text += (
            f"; difference is the typical difference to {control} in the same repeat"
            f" (Hodges-Lehmann)"
        )
    if any(c.rank_biserial is not None for c in found):
        text += "; r is the matched-pairs rank-biserial correlation, from -1 to 1 (all better)"
    levels = [x for c in found if c.difference is not None and (x := c.difference.level)]
    reached = f" (they reach at least {percent(min(levels))})" if levels else ""
    if analyses[0].most is not None:
        return f"{text}. Intervals of differences hold after any look{reached}."
    if any(c.verdict is not None for c in found):
        return (
            f"{text}. Where there is a p, their intervals have the adjusted level of its test, so"
            f" that both fit together{reached}; elsewhere they are not adjusted."
        )
    return f"{text}. Their intervals are not adjusted for their number{reached}."


def _p_values(analyses: Sequence[AnalysisData]) -> str:
    tested = [a for a in analyses if any(s.p is not None for s in a.standings)]
    if not tested:
        return "The design can show nothing, so there is no p."
    titles = list(dict.fromkeys(a.plan.pairs.title for a in tested if a.plan and a.plan.pairs))
    tests = " and on single problems ".join(reversed(titles))
    hypotheses = counted(tested[0].family, "hypothesis", "hypotheses")
    text = f"p is of {tests}, two-sided"
    if tested[0].family > 1:
        text += f", adjusted for the {hypotheses} of this comparison, which are one family"
    found = [s.contrast for a in tested for s in a.standings if s.contrast is not None]
    if any(c.test is not None for c in found):
        text += "; p (test) is the same of the hidden test values"
    if any(c.equivalent is not None for c in found):
        text += "; p (equivalent) is of the tests that the difference lies within the stated margin"
    return f"{text}."


def table(analysis: AnalysisData) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of an analysis' table, leaving out empty columns.

    Args:
        analysis: of one problem, or over several.
    """
    columns = {
        "strategy": [s.label for s in analysis.standings],
        "rank": [f"{s.rank:.2f}" for s in analysis.standings],
        "validation": [_interval(s.value) for s in analysis.standings],
        "test": [_interval(s.test) for s in analysis.standings],
        "rank by test": [_number(s.test_rank, ".2f") for s in analysis.standings],
        f"better than {analysis.control}": [_of(s, _wins) for s in analysis.standings],
        "difference": [_of(s, lambda c: _interval(c.difference)) for s in analysis.standings],
        "r": [_of(s, lambda c: _number(c.rank_biserial, ".2f")) for s in analysis.standings],
        "p": [p_cell(s.p) for s in analysis.standings],
        "p (test)": [
            _of(s, lambda c: "" if c.test is None else p_cell(c.test.p)) for s in analysis.standings
        ],
        "p (equivalent)": [_of(s, lambda c: p_cell(c.equivalent)) for s in analysis.standings],
        "runs without value": [str(s.without) if s.without else "" for s in analysis.standings],
    }
    kept = {name: cells for name, cells in columns.items() if any(cells)}
    return list(kept), [list(row) for row in zip(*kept.values(), strict=True)]


def _of(s: Standing, text: Callable[[Contrast], str]) -> str:
    return "" if s.contrast is None else text(s.contrast)


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _interval(x: stats.Interval | None) -> str:
    if x is None:
        return ""
    return f"{x.estimate:.3g}" if not x.level else estimate(x.estimate, x.low, x.high)


def _wins(c: Contrast) -> str:
    x = c.wins
    if not x.level:
        return f"{x.estimate:.0%}"
    return f"{x.estimate:.0%} [{x.low:.0%}, {x.high:.0%}]"


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
        if narrow:  # of all intervals only that of the difference
            rows = [
                [
                    c if n == "difference" else c.split(" [")[0]
                    for n, c in zip(header, r, strict=True)
                ]
                for r in rows
            ]
        grid = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for name in (header[j] for j in shown):
            left = name == "strategy"
            grid.add_column(name, justify="left" if left else "right", overflow="fold")
        for row in rows:
            grid.add_row(*(Text(row[j]) for j in shown))
        console.print()
        console.print(Text(_heading(comparison, analysis), style="bold"))
        console.print(grid)
        console.print(Padding(Text(" ".join(analysis.sentences())), (0, 2, 0, 0)))
    console.print()


def _heading(comparison: ComparisonData, analysis: AnalysisData) -> str:
    return f"{analysis.title}: {analysis.blocks}, {comparison.n_trials} trials per run"
