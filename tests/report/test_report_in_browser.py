"""The page in a browser: no errors or requests, sorting, narrow, dark and printed layouts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import nasty
import pytest
from browser import CHROMIUM, Browser, browser

import metaopt
from metaopt import Float, Space, Study

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (Debian's package)")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    wide = Space({f"a rather long parameter name {i}": Float(0, 1) for i in range(25)})
    study = Study(wide, "random", name="w" * 200)
    study.optimize(lambda trial: sum(trial.values()), 30)
    c = metaopt.compare(["random", "sobol", "tabu"], "branin", 8, 6)
    return {
        "comparison": c.report(folder / "comparison"),
        "wide study": study.report(folder / "wide.html"),
        "nasty comparison": nasty.comparison().report(folder / "nasty-comparison.html"),
        "nasty models": nasty.models().report(folder / "nasty-models.html"),
        "nasty study": nasty.study().report(folder / "nasty-study"),
    }


KINDS = ("comparison", "wide study", "nasty comparison", "nasty study", "nasty models")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [360, 1000])
def test_no_console_messages_no_requests_and_no_overflow(
    kind: str, width: int, chromium: Browser, pages: dict[str, Path]
) -> None:
    chromium.open(pages[kind], width)
    chromium.run("document.querySelectorAll('th button').forEach(b => b.click())")
    assert chromium.console == []
    asked = [url for url in chromium.requests if not url.startswith("data:")]
    assert asked == [pages[kind].resolve().as_uri()]
    assert chromium.run("document.documentElement.scrollWidth") <= width
    assert chromium.run("document.title") != "owned"
    assert chromium.run("document.querySelectorAll('img, iframe, object, embed').length") == 0


def _column(chromium: Browser, table: str, j: int) -> list[str]:
    found: list[str] = chromium.run(
        f"Array.from(document.querySelector('#table-{table}').tBodies[0].rows,"
        f" r => r.cells[{j}].dataset.v ?? r.cells[{j}].textContent)"
    )
    return found


def _state(chromium: Browser, table: str) -> list[str]:
    found: list[str] = chromium.run(
        f"Array.from(document.querySelectorAll('#table-{table} thead th'), h => h.ariaSort)"
    )
    return found


def test_a_click_sorts_numbers_numerically_and_empty_cells_last(
    chromium: Browser, pages: dict[str, Path]
) -> None:
    chromium.open(pages["nasty study"])
    header = chromium.run(
        "Array.from(document.querySelectorAll('#table-trials thead th'), h => h.innerText.trim())"
    )
    j = header.index("value")
    before = _column(chromium, "trials", j)
    assert "" in before, "the test needs a failed trial"
    values = sorted(float(v) for v in before if v)
    assert values != [float(v) for v in before if v]
    for direction, expected in (("ascending", values), ("descending", values[::-1])):
        chromium.click(f"#table-trials thead th:nth-child({j + 1}) button")
        after = _column(chromium, "trials", j)
        assert [float(v) for v in after if v] == expected
        assert set(after[len(expected) :]) == {""}
        assert _state(chromium, "trials")[j] == direction
        assert {s for i, s in enumerate(_state(chromium, "trials")) if i != j} == {"none"}
    # Cells stay in their rows, and 10 comes after 2.
    numbers = _column(chromium, "trials", 0)
    chromium.click("#table-trials thead th button")
    assert _column(chromium, "trials", 0) == [str(i) for i in range(len(before))]
    assert dict(zip(numbers, after, strict=True)) == {str(i): v for i, v in enumerate(before)}


def test_tables_sort_text_by_keyboard(chromium: Browser, pages: dict[str, Path]) -> None:
    chromium.open(pages["comparison"])
    chromium.run("document.querySelector('#table-runs thead th:nth-child(2) button').focus()")
    chromium.key("Enter", 13, "\r")
    strategies = _column(chromium, "runs", 1)
    assert strategies == sorted(strategies)
    assert _state(chromium, "runs")[1] == "ascending"
    chromium.key(" ", 32, " ")
    assert _column(chromium, "runs", 1) == sorted(strategies, reverse=True)
    # The sort is stable: rows of one strategy stay in the order of the repeats.
    repeats = _column(chromium, "runs", 2)[:6]
    assert repeats == sorted(repeats)


@pytest.mark.parametrize("kind", ["comparison", "nasty study"])
def test_dark_and_light_pages_have_enough_contrast(
    kind: str, chromium: Browser, pages: dict[str, Path]
) -> None:
    seen = []
    for dark in (False, True):
        chromium.open(pages[kind], dark=dark)
        paper = _luminance(chromium, "document.body", "backgroundColor")
        seen.append(paper)
        for selector in ("body", ".subtitle", ".finding", ".limit", "a[href]", "td", ".caption",
                         "figcaption", ".picture svg", "dt", "thead button"):  # fmt: skip
            ink = _luminance(chromium, f"document.querySelector('{selector}')", "color")
            low, high = sorted((paper, ink))
            # The Web Content Accessibility Guidelines (2.1, level AA) require 4.5 : 1.
            assert (high + 0.05) / (low + 0.05) >= 4.5, f"{selector} is too faint, dark={dark}"
    assert seen[0] > 0.9
    assert seen[1] < 0.05


def _luminance(chromium: Browser, element: str, what: str) -> float:
    """Relative luminance of a colour as WCAG 2.1 defines it."""
    text = chromium.run(f"getComputedStyle({element}).{what}")
    channels = [int(v) / 255 for v in re.findall(r"\d+", text)[:3]]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_unique_links_are_valid_and_figures_have_alt_texts(
    kind: str, chromium: Browser, pages: dict[str, Path]
) -> None:
    chromium.open(pages[kind])
    ids = chromium.run("Array.from(document.querySelectorAll('[id]'), e => e.id)")
    assert len(ids) == len(set(ids))
    used = chromium.run(
        "Array.from(document.querySelectorAll('use, a[href^=\"#\"]'),"
        " e => (e.getAttribute('href') || e.getAttribute('xlink:href')).slice(1))"
    )
    assert set(used) <= set(ids)
    clips = re.findall(r"url\(#([^)]+)\)", pages[kind].read_text(encoding="utf-8"))
    assert set(clips) <= set(ids)
    tree = chromium.call("Accessibility.getFullAXTree")["nodes"]
    pictures = [n for n in tree if n.get("role", {}).get("value") in ("img", "image")]
    assert len(pictures) == chromium.run("document.querySelectorAll('figure').length") > 0
    assert all(len(n["name"]["value"]) > 20 for n in pictures)
    boxes = "Array.from(document.querySelectorAll('.scroll, pre'), e => e.tabIndex)"
    assert set(chromium.run(boxes)) == {0}, "boxes that scroll can be reached by the keyboard"


def test_linked_files_exist(chromium: Browser, pages: dict[str, Path]) -> None:
    for kind, beside in (("comparison", True), ("nasty study", True), ("wide study", False)):
        chromium.open(pages[kind])
        links = chromium.run(
            "Array.from(document.querySelectorAll('a:not([href^=\"#\"])'),"
            " a => a.getAttribute('href'))"
        )
        assert bool(links) == beside
        for link in links:
            assert (pages[kind].parent / link).stat().st_size > 0


def test_the_printed_page_shows_whole_tables(chromium: Browser, pages: dict[str, Path]) -> None:
    chromium.open(pages["comparison"], dark=True)
    assert chromium.pdf().startswith(b"%PDF")
    chromium.call("Emulation.setEmulatedMedia", media="print")
    assert _luminance(chromium, "document.body", "backgroundColor") == 1.0
    hidden = "getComputedStyle(document.querySelector('nav')).display"
    assert chromium.run(hidden) == "none"
    boxes = (
        "Array.from(document.querySelectorAll('.scroll'),"
        " e => [e.scrollHeight - e.clientHeight, getComputedStyle(e).overflowY])"
    )
    assert all(more <= 1 and flow == "visible" for more, flow in chromium.run(boxes))
    chromium.call("Emulation.setEmulatedMedia", media="")
