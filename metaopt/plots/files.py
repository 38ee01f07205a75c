"""Figures to files and to pages: the same figure gives the same bytes each time."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaopt.core.errors import StudyError
from metaopt.plots.style import INK, PAPER

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS: dict[str, dict[str, Any]] = {  # what keeps dates and versions out of the files
    "png": {"dpi": 160, "metadata": {"Software": None}},
    "svg": {"dpi": 160, "metadata": {"Date": None, "Creator": None}},
    "pdf": {"dpi": 160, "metadata": {"CreationDate": None, "Creator": None, "Producer": None}},
}
# Ids of the SVG from a fixed salt; a PDF with fonts that every reader and printer takes.
SETTINGS: Any = {"svg.hashsalt": "metaopt", "pdf.fonttype": 42}

# rc_context changes and restores process-wide settings; two threads must not interleave there.
_SAVING = threading.Lock()


def save(
    figure: Figure,
    path: str | Path,
    formats: Sequence[str] = ("png", "svg"),
    *,
    transparent: bool = False,
) -> tuple[Path, ...]:
    """Write the figure as `path`.png (160 dpi), `path`.svg, `path`.pdf, and return the paths.

    The same figure gives the same files: no dates, and ids of the SVG from a fixed salt. Missing
    folders are made. `transparent` leaves out the white background.

    Raises:
        StudyError: a format is none of png, svg and pdf.
    """
    import matplotlib

    for kind in formats:
        if kind not in FORMATS:
            raise StudyError(f"a figure's format must be one of {', '.join(FORMATS)}, got {kind!r}")
    paths = tuple(Path(f"{path}.{kind}") for kind in formats)
    for kind, file in zip(formats, paths, strict=True):
        file.parent.mkdir(parents=True, exist_ok=True)
        _start_anew(figure)
        with _SAVING, matplotlib.rc_context(SETTINGS):
            figure.savefig(file, format=kind, transparent=transparent, **FORMATS[kind])
    return paths


def svg(figure: Figure, name: str, alt: str = "") -> str:
    """Return the figure as an ``<svg>`` element to stand in a page beside others.

    Its ids begin with `name`, so that figures do not share them; text and axes have the colour of
    the page's text (``currentColor``), and there is no background, so that it suits a light and a
    dark page (behind crossed text lies ``--paper`` or else the browser's ``Canvas``). `alt` is
    what a screen reader says.
    """
    import matplotlib

    buffer = io.StringIO()
    _start_anew(figure)
    with _SAVING, matplotlib.rc_context(SETTINGS):
        figure.savefig(buffer, format="svg", transparent=True, **FORMATS["svg"])
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', lambda m: f'id="{name}-{m[1]}"', text)
    text = re.sub(r'href="#([^"]+)"', lambda m: f'href="#{name}-{m[1]}"', text)
    text = re.sub(r"url\(#([^)]+)\)", lambda m: f"url(#{name}-{m[1]})", text)
    text = re.sub(INK, "currentColor", text, flags=re.IGNORECASE)
    text = re.sub(PAPER, "var(--paper, Canvas)", text, flags=re.IGNORECASE)
    label = f' role="img" aria-label="{escape(alt)}"' if alt else ' role="img"'
    return text.replace("<svg", f"<svg{label}", 1)


def _start_anew(figure: Figure) -> None:
    """Forget where an earlier drawing put the axes.

    A constrained layout comes nearer to its end with each drawing, so that the second one of a
    figure would not be the first, to a hundredth of a point.
    """
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.transforms import Bbox

    if isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
        for axes in figure.axes:
            place = axes.get_subplotspec()
            if place is not None:
                start = place.get_position(figure)
            elif hasattr(axes, "_colorbar_info"):  # a colour bar that the layout places
                start = Bbox.unit()
            else:
                continue  # somebody put it where it is
            axes._set_position(start)  # type: ignore[attr-defined] # the public one ends its layout
