"""Figures as files and as markup for pages; the same figure always gives the same bytes."""

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

FORMATS: dict[
    str, dict[str, Any]
] = {  # no dates and versions in the files, so that they are reproducible
    "png": {"dpi": 160, "metadata": {"Software": None}},
    "svg": {"dpi": 160, "metadata": {"Date": None, "Creator": None}},
    "pdf": {"dpi": 160, "metadata": {"CreationDate": None, "Creator": None, "Producer": None}},
}
# A fixed salt makes the ids in an SVG reproducible; 42 embeds TrueType fonts in a PDF.
SETTINGS: Any = {"svg.hashsalt": "metaopt", "pdf.fonttype": 42}

# rc_context changes global settings for a while; only one thread may do this at a time.
_SAVING = threading.Lock()


def save(
    figure: Figure,
    path: str | Path,
    formats: Sequence[str] = ("png", "svg"),
    *,
    transparent: bool = False,
) -> tuple[Path, ...]:
    """Write a figure to files, one per format, and return their paths.

    The same figure always gives the same bytes: the files hold no dates or random ids.

    Args:
        figure: the figure to save.
        path: path of the files without the extension; missing folders are created.
        formats: any of "png" (160 dpi), "svg" and "pdf".
        transparent: whether to leave out the white background.

    Returns:
        The paths of the files, such as `path`.png, in the order of `formats`.

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
    """Return a figure as an ``<svg>`` element for an HTML page.

    The figure fits a light and a dark page: text and axes have the colour of the page's text
    (``currentColor``), and there is no background. Text that lines cross has a background in the
    CSS variable ``--paper``, else in the browser's ``Canvas``.

    Args:
        figure: the figure to convert.
        name: prefix of all ids in the element; must be unique within the page.
        alt: alternative text for screen readers; none if empty.

    Returns:
        The markup, from ``<svg`` to ``</svg>``.
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
    """Reset the positions of the axes that an earlier drawing has computed.

    A constrained layout starts from the last positions, so that a second drawing of the same
    figure would differ by about a hundredth of a point.
    """
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.transforms import Bbox

    if isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
        for axes in figure.axes:
            place = axes.get_subplotspec()
            if place is not None:
                start = place.get_position(figure)
            elif hasattr(axes, "_colorbar_info"):  # a colour bar, placed by the layout
                start = Bbox.unit()
            else:
                continue  # placed by the user
            axes._set_position(start)  # type: ignore[attr-defined] # set_position removes axes from the layout
