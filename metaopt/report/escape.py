"""Escape the users' text (such as names) in LaTeX, Markdown, spreadsheets and file names.

HTML is escaped by the template engine.
"""

from __future__ import annotations

import re
import unicodedata

LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''",
    "[": "{[}", "]": "{]}",  # after \\ a bracket would start an argument
    **{c: f"\\{c}" for c in "{}$&#_%"},
}  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")  # first characters of a formula
DEVICES = {"con", "prn", "aux", "nul", *(f"{d}{i}" for d in ("com", "lpt") for i in range(10))}
LONGEST_NAME = 60  # characters of a file name, so that the full path is not too long


def one_line(text: str) -> str:
    """Return the text without line breaks, control characters and changes of text direction."""
    kept = (" " if c.isspace() else c for c in text if c.isspace() or _printed(c))
    return "".join(kept)


def _printed(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn")


def latex(text: str) -> str:
    """Escape text for LaTeX, in one line, so that no command in it is executed."""
    return "".join(LATEX.get(c, c) for c in one_line(text))


def markdown(text: str) -> str:
    """Escape text for Markdown, in one line: no markup, links, HTML or cell borders."""
    return re.sub(r"([\\`*_{}\[\]<>#|~!&])", r"\\\1", one_line(text))


def spreadsheet(text: str) -> str:
    """Escape text for a spreadsheet: an apostrophe before it prevents use as a formula."""
    kept = re.sub("\r\n?", "\n", text)  # a carriage return alone would end the row
    return f"'{kept}" if text.startswith(FORMULA) else kept


class FileNames:
    """Make file names that are safe on all systems, and different for each call."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def __call__(self, name: str) -> str:
        """Return an unused file name for `name`, without extension."""
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        stem = re.sub(r"[^A-Za-z0-9_]+", "-", plain).strip("-")[:LONGEST_NAME] or "unnamed"
        if stem.casefold() in DEVICES:
            stem = f"{stem}-1"
        chosen, i = stem, 2
        while chosen.casefold() in self._given:  # some file systems ignore case
            chosen, i = f"{stem}-{i}", i + 1
        self._given.add(chosen.casefold())
        return chosen
