"""What a report says, as values: sections of words, facts, tables, code and pictures.

A report is composed once and written as an HTML page and as Markdown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

Value = float | str | None

WIDE = 30  # characters of a cell that asks for room


@dataclass(frozen=True)
class Cell:
    """One cell: `text` for people, `value` for sorting and for programs; None where it is empty.

    `color` is a patch before the text, the colour of the row in the figures.
    """

    text: str
    value: Value = None
    color: str = ""

    @property
    def key(self) -> str:
        """What a page sorts by, as JavaScript reads it; empty cells come last."""
        if isinstance(self.value, int):
            return str(self.value)
        if isinstance(self.value, float):
            return repr(self.value).replace("inf", "Infinity").replace("nan", "")
        return "" if self.value is None else self.value


def cell(value: Any, form: str = "", color: str = "") -> Cell:
    """Make a cell of a value and a format for people; None makes an empty one."""
    if value is None:
        return Cell("")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Cell(str(value), str(value), color)
    return Cell(format(value, form), value, color)


@dataclass(frozen=True)
class Table:
    """A table; `data` are its exact numbers for CSV, where they are more than its cells show.

    Attributes:
        name: of the files, unique in the report.
        caption: what it shows.
        header: names of the columns.
        rows: cells, as many in each row as there are columns.
        only_file: whether it is too long for a page, which then names the file.
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
        """How a page sets each column: "number", "wide" for long text, or ""."""
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(self.header)
        wide = [any(len(c.text) > WIDE for c in column) for column in columns]
        return [
            "number" if number else "wide" if long else ""
            for number, long in zip(self.numeric, wide, strict=True)
        ]

    @property
    def numeric(self) -> list[bool]:
        """Which columns hold numbers only."""
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(self.header)
        return [
            any(c.value is not None for c in column)
            and all(not isinstance(c.value, str) for c in column)
            for column in columns
        ]

    @property
    def long(self) -> bool:
        """Whether it has so many rows that a page shows it in a box."""
        return len(self.rows) > 15


@dataclass(frozen=True)
class Words:
    """A paragraph; its role is "text", "finding", "limit" or "warning"."""

    text: str
    role: str = "text"
    kind: ClassVar[str] = "words"


@dataclass(frozen=True)
class Facts:
    """Names and what they are."""

    pairs: tuple[tuple[str, str], ...]
    kind: ClassVar[str] = "facts"


@dataclass(frozen=True)
class Code:
    """Text to copy as it stands."""

    text: str
    label: str
    language: str = ""
    folded: bool = False
    kind: ClassVar[str] = "code"


@dataclass(frozen=True)
class Picture:
    """A figure: `svg` is markup that matplotlib made, `draw()` gives the figure for files."""

    name: str
    title: str
    caption: str
    alt: str
    svg: str
    kind: ClassVar[str] = "picture"


Block = Table | Words | Facts | Code | Picture


@dataclass(frozen=True)
class Section:
    """A headed part of a report."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    subtitle: str
    sections: Sequence[Section]
    footer: str
    bibliography: str = ""
    files: Mapping[str, str] = field(default_factory=dict)  # further text files by name

    @property
    def tables(self) -> list[Table]:
        return [b for s in self.sections for b in s.blocks if isinstance(b, Table)]

    @property
    def pictures(self) -> list[Picture]:
        return [b for s in self.sections for b in s.blocks if isinstance(b, Picture)]
