"""A figure with its words: what a page needs to show it to everybody."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class FigureSpec:
    """A figure that applies to a study or a comparison.

    Attributes:
        name: short and unique among its fellows; small letters, digits and hyphens, fit for the
            name of a file and for an id.
        title: a heading.
        caption: what one sees and how to read it, in plain words.
        alt: the main facts of the data, for those who do not see the figure.
        draw: makes the figure, anew at each call.
    """

    name: str
    title: str
    caption: str
    alt: str
    draw: Callable[[], Figure] = field(repr=False)


def by_name(specs: Iterable[FigureSpec]) -> dict[str, FigureSpec]:
    """The figures by name, in their order."""
    return {spec.name: spec for spec in specs}


def slug(text: str) -> str:
    """Small letters, digits and hyphens of a name, to be part of a file's name and of an id."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:60].strip("-") or "x"


def slugs(names: Iterable[str]) -> dict[str, str]:
    """A different slug for each of different names."""
    out: dict[str, str] = {}
    for name in names:
        base, tries = slug(name), 2
        found = base
        while found in out.values():
            found, tries = f"{base}-{tries}", tries + 1
        out[name] = found
    return out


def number(value: float) -> str:
    """A number as one reads it."""
    if value is None or not np.isfinite(value):
        return "none"
    return f"{value:.3g}" if abs(value) < 1e5 else f"{value:.2e}"


def listed(parts: Iterable[str]) -> str:
    """Things in a sentence: "a, b and c"."""
    parts = list(parts)
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def counted(n: int, what: str) -> str:
    """A count with its noun: "1 trial", "2 trials"."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
