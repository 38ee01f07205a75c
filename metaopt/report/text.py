"""A comparison as tables and words: for the terminal (rich) and as Markdown with CSV files."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaopt import plots, stats
from metaopt.analysis import Analysis
from metaopt.findings import counted
from metaopt.seeds import global_random_kept

if TYPE_CHECKING:
    from metaopt.comparison import Comparison

HOW_TO_READ = (
    "Values are medians over the repeats with 95 % bootstrap intervals. Search sees validation"
    " values only; `test` is the hidden test value of the configuration that validation chose."
    " `rank` is the mean rank over the repeats, 1 the best. `p` is of Wilcoxon's signed-rank test"
    " against the control over paired repeats, adjusted by Holm for all comparisons on all problems"
    " (over several problems: of their mean ranks); where the design can show nothing, there is no"
    " p. A12 is the probability of a better value than the control's, with its interval (0.5: no"
    " difference; Vargha and Delaney 2000)."
)

WIDE = 100  # columns of a terminal
SPARE = ("rank by test", "effect")


def table(analysis: Analysis) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of an analysis' table, leaving out empty columns."""
    columns = {
        "strategy": [s.label for s in analysis.standings],
        "rank": [f"{s.rank:.2f}" for s in analysis.standings],
        "validation": [_interval(s.value) for s in analysis.standings],
        "test": [_interval(s.test) for s in analysis.standings],
        "rank by test": [_number(s.test_rank, ".2f") for s in analysis.standings],
        f"p vs {analysis.control}": [_p(s.p) for s in analysis.standings],
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


def _p(p: float | None) -> str:
    if p is None:
        return ""
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def _interval(x: stats.Interval | None) -> str:
    if x is None:
        return ""
    if x.low == x.high == x.estimate:
        return f"{x.estimate:.3g}"
    return f"{x.estimate:.3g} [{x.low:.2g}, {x.high:.2g}]"


def _share(x: stats.Interval | None) -> str:
    return "" if x is None else f"{x.estimate:.2f} [{x.low:.2f}, {x.high:.2f}]"


def show(comparison: Comparison) -> None:
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
        # What a narrow terminal has no room for stands in the report.
        shown = [j for j, n in enumerate(header) if n not in SPARE or console.width >= WIDE]
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


def _heading(comparison: Comparison, analysis: Analysis) -> str:
    blocks = counted(analysis.blocks, analysis.over)
    return f"{analysis.title}: {blocks}, {comparison.n_trials} trials each"


def write(comparison: Comparison, folder: Path) -> Path:
    """Write report.md, values.csv, trials.csv and figures/ into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for name, figure in comparison.figures():
        plots.save(figure, folder / "figures" / name)
        names.append(name)
    _write_csv(folder / "values.csv", _run_rows(comparison))
    _write_csv(folder / "trials.csv", _trial_rows(comparison))
    path = folder / "report.md"
    path.write_text("\n".join(_markdown(comparison, names)) + "\n", encoding="utf-8")
    return path


def _markdown(comparison: Comparison, figures: Sequence[str]) -> Iterable[str]:
    c = comparison
    yield f"# Comparison of {', '.join(c.strategies)}"
    yield ""
    yield (
        f"Problems: {', '.join(p.name for p in c.problems)}; paired repeats: {c.repeats};"
        f" trials a run: {c.n_trials};"
        f" seed {c.seed}; control: {c.control}"
        f"{f'; pruner: {c.pruner!r}' if c.pruner else ''}."
    )
    for analysis in c.analyses:
        yield f"\n## {_heading(c, analysis)}\n"
        yield " ".join(analysis.sentences()) + "\n"
        header, rows = table(analysis)
        yield _row(header)
        yield _row(["---"] * len(header))
        yield from (_row(row) for row in rows)
        name = f"curves-{analysis.title}"
        if name in figures:
            yield f"\n![Best value so far on {analysis.title}](figures/{name}.svg)"
    yield "\n## Figures\n"
    yield "![Final values](figures/values.svg)\n"
    yield "![Mean ranks](figures/ranks.svg)"
    yield f"\n## How to read this\n\n{HOW_TO_READ}"
    yield "\nEvery run is a row of [values.csv](values.csv),"
    yield "every trial a row of [trials.csv](trials.csv)."


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _run_rows(comparison: Comparison) -> Iterable[dict[str, Any]]:
    for run in comparison.runs:
        best = run.best
        yield {
            "problem": run.problem,
            "strategy": run.strategy,
            "repeat": run.repeat,
            "seed": run.seed,
            "trials": len(run.trials),
            "failed": sum(t.status == "failed" for t in run.trials),
            "best": None if best is None else best.value,
            "test": None if best is None else best.metrics.get("test"),
            "best_trial": None if best is None else best.number,
            "seconds": sum(t.seconds or 0.0 for t in run.trials),
        }


def _trial_rows(comparison: Comparison) -> Iterable[dict[str, Any]]:
    for run in comparison.runs:
        for t in run.trials:
            yield {
                "problem": run.problem,
                "strategy": run.strategy,
                "repeat": run.repeat,
                "trial": t.number,
                "origin": t.origin,
                "status": t.status,
                "value": t.value,
                "test": t.metrics.get("test"),
                "seconds": t.seconds,
                "config": json.dumps(t.params),
            }


def _write_csv(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    listed = list(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(listed[0]))
        writer.writeheader()
        writer.writerows(listed)
