"""A figure with its title, caption and alt text, and helpers to write these texts."""

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
    """A figure that applies to a study or a comparison, with its texts.

    Attributes:
        name: unique among the figures of one report, in lower-case letters, digits and hyphens,
            so that it can be a file name and an HTML id.
        title: heading of the figure.
        caption: what the figure shows and how to read it.
        alt: alternative text with the main facts of the data, for screen readers.
        draw: function without parameters that returns a new figure at each call.
    """

    name: str
    title: str
    caption: str
    alt: str
    draw: Callable[[], Figure] = field(repr=False)


def by_name(specs: Iterable[FigureSpec]) -> dict[str, FigureSpec]:
    """A dict of the figures by name, in the same order."""
    return {spec.name: spec for spec in specs}


def slug(text: str) -> str:
    """A name in lower-case letters, digits and hyphens, for file names and HTML ids."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:60].strip("-") or "x"


def slugs(names: Iterable[str]) -> dict[str, str]:
    """A unique slug for each name."""
    out: dict[str, str] = {}
    for name in names:
        base, tries = slug(name), 2
        found = base
        while found in out.values():
            found, tries = f"{base}-{tries}", tries + 1
        out[name] = found
    return out


def number(value: float) -> str:
    """A number with 3 digits, for people; "none" if it is None or not finite."""
    if value is None or not np.isfinite(value):
        return "none"
    return f"{value:.3g}" if abs(value) < 1e5 else f"{value:.2e}"


def listed(parts: Iterable[str]) -> str:
    """The parts joined for a sentence: "a, b and c"."""
    parts = list(parts)
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
