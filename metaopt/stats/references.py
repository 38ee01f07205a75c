"""The sources of the statistics, once: `references.bib`, read as citations of three lengths."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

ACCENTS = {r"{\v{s}}": "s", r"{\i}": "i", r"{\'a}": "a", r"{\'e}": "e"}


@dataclass(frozen=True)
class Reference:
    """A publication.

    Attributes:
        key: its name in `references.bib`, such as "wilcoxon1945".
        bibtex: its entry.
    """

    key: str
    bibtex: str

    def field(self, name: str) -> str:
        """Return a field of the entry in plain text, "" if it has none.

        Args:
            name: of the field, such as "year".
        """
        found = re.search(rf"\b{name} = \{{(.*)\}}(,|\n)", _one_field_per_line(self.bibtex))
        text = found[1] if found else ""
        for accent, letter in ACCENTS.items():
            text = text.replace(accent, letter)
        return re.sub(r"[{}]", "", text).replace("--", "-")

    @property
    def surnames(self) -> list[str]:
        """Surnames of the authors."""
        return [author.split(",")[0] for author in self.field("author").split(" and ")]

    @property
    def short(self) -> str:
        """As in a text: "Wilcoxon 1945", "Iman and Davenport 1980", "Benavoli et al. 2016"."""
        names = self.surnames
        who = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
        return f"{who} {self.field('year')}"

    @property
    def full(self) -> str:
        """As in a list: "Wilcoxon (1945), Biometrics Bulletin 1(6), 80-83"."""
        *first, last = self.surnames
        who = f"{', '.join(first)} and {last}" if first else last
        venue = self.field("journal") or f"{self.field('booktitle')}, {self.field('series')}"
        number = self.field("number")
        issue = self.field("volume") + (f"({number})" if number else "")
        return f"{who} ({self.field('year')}), {venue} {issue}, {self.field('pages')}"


def _one_field_per_line(entry: str) -> str:
    return re.sub(r"\}, (?=\w+ = \{)", "},\n", entry)


@cache
def references() -> dict[str, Reference]:
    """Return all sources by key, in the order of `references.bib`."""
    text = (files("metaopt.stats") / "references.bib").read_text(encoding="utf-8")
    entries = [entry.strip() for entry in text.split("\n\n") if entry.strip()]
    keys = [entry[entry.index("{") + 1 : entry.index(",")] for entry in entries]
    return {key: Reference(key, entry) for key, entry in zip(keys, entries, strict=True)}
