"""Tables as text: CSV with exact numbers, LaTeX (booktabs) and Markdown with rounded numbers."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

from metaopt.report import escape
from metaopt.report.document import Table


def to_csv(table: Table) -> str:
    """Return a header and the exact numbers; text that looks like a formula is escaped."""
    header: list[str] = list(table.header)
    rows: Iterable[list[Any]] = [[c.value for c in row] for row in table.rows]
    if table.data:
        header = list(table.data[0])
        rows = [[row.get(name) for name in header] for row in table.data]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([escape.spreadsheet(name) for name in header])
    for row in rows:
        writer.writerow([escape.spreadsheet(v) if isinstance(v, str) else v for v in row])
    return out.getvalue()


def to_latex(table: Table) -> str:
    """Return a table for a paper; it needs the LaTeX package booktabs."""
    columns = "".join("r" if number else "l" for number in table.numeric)
    lines = [
        "% \\usepackage{booktabs}",
        "\\begin{table}",
        "  \\centering",
        f"  \\caption{{{escape.latex(table.caption)}}}",
        f"  \\begin{{tabular}}{{{columns}}}",
        "    \\toprule",
        f"    {_latex_row(table.header)}",
        "    \\midrule",
        *(f"    {_latex_row((c.text for c in row), table.numeric)}" for row in table.rows),
        "    \\bottomrule",
        "  \\end{tabular}",
        "\\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex_row(cells: Iterable[str], numeric: Sequence[bool] = ()) -> str:
    shown = [escape.latex(c) for c in cells]
    for j, number in enumerate(numeric):
        if number:
            shown[j] = re.sub(
                r"-(?=\d)", "$-$", shown[j]
            )  # LaTeX shows a minus sign instead of a hyphen
    return " & ".join(shown) + " \\\\"


def to_markdown(table: Table) -> str:
    """Return a Markdown table with its caption below."""
    lines = [
        markdown_row(table.header),
        "|" + "|".join(" ---: " if number else " --- " for number in table.numeric) + "|",
        *(markdown_row(c.text for c in row) for row in table.rows),
    ]
    return "\n".join(lines) + f"\n\n{escape.markdown(table.caption)}\n"


def markdown_row(cells: Iterable[str]) -> str:
    """Return one row of a Markdown table with escaped cells."""
    return "| " + " | ".join(escape.markdown(c) for c in cells) + " |"
