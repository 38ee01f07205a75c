"""Figures as files and as markup for pages; the same figure always gives the same bytes."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaopt.core.errors import StudyError
from metaopt.plots.arguments import as_path
from metaopt.plots.style import INK, PAPER
from metaopt.stats.checks import shown

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
        StudyError: a format is none of png, svg and pdf, `path` ends with one of them, a file
            cannot be written, or an argument is of another type.
    """
    figure, formats = _as_figure(figure), _as_formats(formats)
    given = as_path(path, "the path of a file without its extension")
    if Path(given).suffix.lower()[1:] in FORMATS:
        raise StudyError(
            f"path must not end with the extension, which each format adds, got {given};"
            f" give {Path(given).with_suffix('')} and formats=[{Path(given).suffix[1:]!r}]"
        )
    if not isinstance(transparent, bool):
        raise StudyError(f"transparent must be True or False, got {shown(transparent)}")
    paths = tuple(Path(f"{given}.{kind}") for kind in formats)
    for kind, file in zip(formats, paths, strict=True):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            _write(figure, file, kind, transparent)
        except OSError as error:
            raise StudyError(f"{file} cannot be written: {error.strerror or error}") from error
    return paths


def _write(figure: Figure, file: Path | io.StringIO, kind: str, transparent: bool) -> None:
    import matplotlib

    _start_anew(figure)
    with _SAVING, matplotlib.rc_context(SETTINGS):
        figure.savefig(file, format=kind, transparent=transparent, **FORMATS[kind])


def _as_figure(figure: Any) -> Figure:
    from matplotlib.figure import Figure

    if not isinstance(figure, Figure):
        raise StudyError(f"figure must be a matplotlib Figure, got {shown(figure)}")
    return figure


def _as_formats(formats: Any) -> list[str]:
    known = ", ".join(FORMATS)
    if isinstance(formats, (str, bytes)) or not isinstance(formats, Iterable):
        raise StudyError(f"formats must be a list of any of {known}, got {shown(formats)}")
    kinds = list(formats)
    for kind in kinds:
        if not isinstance(kind, str) or kind not in FORMATS:
            raise StudyError(f"a figure's format must be one of {known}, got {shown(kind)}")
    if not kinds:
        raise StudyError(f"formats must hold at least one of {known}, got none")
    return kinds


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

    Raises:
        StudyError: `name` is not made of letters, digits, "-", "_" and ".", or an argument is of
            another type.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+", name):
        raise StudyError(
            f"name must be made of letters, digits, '-', '_' and '.', got {shown(name)}"
        )
    if not isinstance(alt, str):
        raise StudyError(f"alt must be a text, got {shown(alt)}")
    buffer = io.StringIO()
    _write(_as_figure(figure), buffer, "svg", transparent=True)
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
