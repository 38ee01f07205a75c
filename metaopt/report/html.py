"""A document as one self-contained HTML page, which includes its style, script and figures.

The page cannot load anything: its content security policy allows only its own script (by hash) and
inline styles.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import TYPE_CHECKING

from metaopt.report.document import Document
from metaopt.report.escape import FileNames

if TYPE_CHECKING:
    import jinja2


def render(document: Document, *, with_files: bool) -> str:
    """Return the page; with `with_files` it links the files of figures and tables in its folder."""
    engine = _engine()
    style, script = (_source(name) for name in ("style.css", "script.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    names = FileNames()
    return engine.get_template("page.html").render(
        doc=document,
        sections=[(names(s.title).lower(), s) for s in document.sections],
        style=style,
        script=script,
        script_hash=f"sha256-{digest}",
        with_files=with_files,
    )


@cache
def _engine() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("metaopt.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _source(name: str) -> str:
    """Return a file of `templates/` without rendering, to include it in the page unchanged."""
    engine = _engine()
    assert engine.loader is not None
    return engine.loader.get_source(engine, name)[0]
