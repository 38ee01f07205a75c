"""Names that users chose, made harmless in every language that a report is written in.

HTML is escaped by the template engine. Here are LaTeX, Markdown, spreadsheets and file names.
"""

from __future__ import annotations

import re
import unicodedata

LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''",
    "[": "{[}", "]": "{]}",  # after \\ a bracket would begin an argument
    **{c: f"\\{c}" for c in "{}$&#_%"},
}  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")  # with these a spreadsheet begins to compute
DEVICES = {"con", "prn", "aux", "nul", *(f"{d}{i}" for d in ("com", "lpt") for i in range(10))}
LONGEST_NAME = 60  # characters of a file name, so that folders and endings still fit


def one_line(text: str) -> str:
    """Return the text without line breaks, control characters and turns of direction."""
    kept = (" " if c.isspace() else c for c in text if c.isspace() or _printed(c))
    return "".join(kept)


def _printed(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn")


def latex(text: str) -> str:
    """Return the text as LaTeX shows it, in one line; no command in it is carried out."""
    return "".join(LATEX.get(c, c) for c in one_line(text))


def markdown(text: str) -> str:
    """Return the text as Markdown shows it, in one line: no markup, link, HTML or cell border."""
    return re.sub(r"([\\`*_{}\[\]<>#|~!&])", r"\\\1", one_line(text))


def spreadsheet(text: str) -> str:
    """Return a cell of text that no spreadsheet takes for a formula: an apostrophe leads it."""
    kept = re.sub("\r\n?", "\n", text)  # a bare return would end the row
    return f"'{kept}" if text.startswith(FORMULA) else kept


class FileNames:
    """File names for anything: safe on every system, and different where the names are."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def __call__(self, name: str) -> str:
        """Return the next file name for `name`, without an ending."""
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        stem = re.sub(r"[^A-Za-z0-9_]+", "-", plain).strip("-")[:LONGEST_NAME] or "unnamed"
        if stem.casefold() in DEVICES:
            stem = f"{stem}-1"
        chosen, i = stem, 2
        while chosen.casefold() in self._given:  # some file systems do not tell case apart
            chosen, i = f"{stem}-{i}", i + 1
        self._given.add(chosen.casefold())
        return chosen
