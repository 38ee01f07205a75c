"""The content of a report as data: sections of paragraphs, facts, tables, code and figures.

A report is composed once as a `Document`, then written as an HTML page and as Markdown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

Value = float | str | None

WIDE = 30  # characters from which a cell needs a wide column


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: what people read; may be rounded.
        value: the exact value, for sorting and for CSV files; None for an empty cell.
        color: CSS colour of a patch before the text, that of the row in the figures; "" for none.
    """

    text: str
    value: Value = None
    color: str = ""

    @property
    def key(self) -> str:
        """The sort key, in the form that JavaScript reads; "" for empty cells, which come last."""
        if isinstance(self.value, int):
            return str(self.value)
        if isinstance(self.value, float):
            return repr(self.value).replace("inf", "Infinity").replace("nan", "")
        return "" if self.value is None else self.value


def cell(value: Any, form: str = "", color: str = "") -> Cell:
    """Make a cell; `form` is the format specification of a number; None makes an empty cell."""
    if value is None:
        return Cell("")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Cell(str(value), str(value), color)
    return Cell(format(value, form), value, color)


@dataclass(frozen=True)
class Table:
    """A table of a report.

    Attributes:
        name: name of its files without extension, unique in the report.
        caption: what it shows.
        header: names of the columns.
        rows: cells, as many in each row as there are columns.
        data: rows of the CSV file, if they hold more than the cells; all with the same keys.
        only_file: whether it is too long for the page, which then only links the CSV file.
    """

    name: str
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    data: tuple[Mapping[str, Any], ...] = ()
    only_file: bool = False
    kind: ClassVar[str] = "table"

    @property
    def looks(self) -> list[str]:
        """CSS class of each column: "number", "wide" for long text, or ""."""
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(self.header)
        wide = [any(len(c.text) > WIDE for c in column) for column in columns]
        return [
            "number" if number else "wide" if long else ""
            for number, long in zip(self.numeric, wide, strict=True)
        ]

    @property
    def numeric(self) -> list[bool]:
        """For each column, whether it holds only numbers."""
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(self.header)
        return [
            any(c.value is not None for c in column)
            and all(not isinstance(c.value, str) for c in column)
            for column in columns
        ]

    @property
    def long(self) -> bool:
        """Whether it has so many rows that the page shows it in a box that scrolls."""
        return len(self.rows) > 15


@dataclass(frozen=True)
class Words:
    """A paragraph with its role: "text", "finding", "limit" (a limitation) or "warning"."""

    text: str
    role: str = "text"
    kind: ClassVar[str] = "words"


@dataclass(frozen=True)
class Facts:
    """A key-value list."""

    pairs: tuple[tuple[str, str], ...]
    kind: ClassVar[str] = "facts"


@dataclass(frozen=True)
class Code:
    """Text to copy verbatim; `folded` shows it only after a click on its label."""

    text: str
    label: str
    language: str = ""
    folded: bool = False
    kind: ClassVar[str] = "code"


@dataclass(frozen=True)
class Picture:
    """A figure as SVG markup by matplotlib, with its texts as in `metaopt.plots.FigureSpec`."""

    name: str
    title: str
    caption: str
    alt: str
    svg: str
    kind: ClassVar[str] = "picture"


Block = Table | Words | Facts | Code | Picture


@dataclass(frozen=True)
class Section:
    """A part of a report with its own heading."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Document:
    """A whole report; `files` are additional text files: name in the folder -> content."""

    title: str
    subtitle: str
    sections: Sequence[Section]
    footer: str
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def tables(self) -> list[Table]:
        return [b for s in self.sections for b in s.blocks if isinstance(b, Table)]

    @property
    def pictures(self) -> list[Picture]:
        return [b for s in self.sections for b in s.blocks if isinstance(b, Picture)]
