"""Write a document: a single HTML page, or a folder with the page, its figures and its tables.

The folder holds ``report.html``, ``report.md``, ``figures/`` (SVG, PNG, PDF), ``tables/`` (CSV,
LaTeX, Markdown) and the document's other text files, such as ``references.bib``. The same document
always gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from metaopt import plots
from metaopt.core.errors import StudyError
from metaopt.plots.arguments import as_path
from metaopt.report import formats, html
from metaopt.report.document import Block, Code, Document, Facts, Picture, Table, Words
from metaopt.report.escape import markdown

if TYPE_CHECKING:
    from metaopt.plots import FigureSpec

PAGE = "report.html"
KINDS = ("svg", "png", "pdf")


def destination(path: str | Path) -> tuple[Path, Path | None]:
    """Return the path of the page, and the folder for all files; None for the page alone.

    Missing folders are created.

    Raises:
        StudyError: `path` is an existing file other than .html, a folder that ends with .html, or
            no path.
        OSError: a folder cannot be made.
    """
    given = Path(as_path(path, "a folder, or a file that ends with .html"))
    if given.suffix.lower() in (".html", ".htm"):
        if given.is_dir():
            raise StudyError(f"{given} is a folder; name a file that ends with .html, or a folder")
        given.parent.mkdir(parents=True, exist_ok=True)
        return given, None
    if given.exists() and not given.is_dir():
        raise StudyError(f"{given} is a file; name a folder, or a file that ends with .html")
    given.mkdir(parents=True, exist_ok=True)
    return given / PAGE, given


def pictures(specs: Iterable[FigureSpec], folder: Path | None) -> Iterator[Picture]:
    """Draw the figures, save them in the folder if there is one, and yield them for the page."""
    for spec in specs:
        figure = spec.draw()
        if folder is not None:
            plots.save(figure, folder / "figures" / spec.name, KINDS)
        markup = plots.svg(figure, spec.name, spec.alt)
        yield Picture(spec.name, spec.title, spec.caption, spec.alt, markup)


def write(document: Document, path: Path, folder: Path | None) -> Path:
    """Write the page to `path` and the other files to `folder`; return the path of the page."""
    if folder is not None:
        for table in document.tables:
            _write_table(table, folder / "tables")
        for name, text in document.files.items():
            _put(folder / name, text)
        _put(folder / "report.md", "\n".join(_markdown(document)) + "\n")
    _put(path, html.render(document, with_files=folder is not None))
    return path


def _write_table(table: Table, folder: Path) -> None:
    _put(folder / f"{table.name}.csv", formats.to_csv(table))
    if not table.only_file:
        _put(folder / f"{table.name}.tex", formats.to_latex(table))
        _put(folder / f"{table.name}.md", formats.to_markdown(table))


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def _markdown(document: Document) -> Iterator[str]:
    yield f"# {markdown(document.title)}\n\n{markdown(document.subtitle)}"
    for section in document.sections:
        yield f"\n## {markdown(section.title)}"
        for block in section.blocks:
            yield ""
            yield _markdown_block(block)
    yield f"\n---\n\n{markdown(document.footer)}"


def _markdown_block(block: Block) -> str:
    match block:
        case Words():
            return markdown(block.text)
        case Facts():
            return "\n".join(f"- {markdown(k)}: {markdown(v)}" for k, v in block.pairs)
        case Code():
            fence = "```"
            while fence in block.text:
                fence += "`"
            return f"{markdown(block.label)}\n\n{fence}{block.language}\n{block.text}\n{fence}"
        case Picture():
            title = markdown(block.title)
            return (
                f"![{markdown(block.alt)}](figures/{block.name}.svg)\n\n"
                f"**{title}** {markdown(block.caption)}"
            )
        case Table():
            link = f"[CSV](tables/{block.name}.csv)"
            if block.only_file:
                return f"{markdown(block.caption)} {link}"
            return f"{formats.to_markdown(block)}\n{link}"
