"""A document as one HTML page that needs nothing else: style, script and figures are in it.

The page may load nothing from anywhere: its content security policy allows its own script, by its
hash, inline styles, and no connection at all.
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


def render(document: Document, *, beside: bool) -> str:
    """Return the page; `beside` links the files of figures and tables, which lie beside it."""
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
        beside=beside,
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
    """Return a file that stands in the page as it is."""
    engine = _engine()
    assert engine.loader is not None
    return engine.loader.get_source(engine, name)[0]
