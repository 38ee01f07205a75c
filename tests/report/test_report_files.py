"""Files of a report: exact numbers, escaped text, reproducible, also from storage."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import nasty
import numpy as np
import pytest

import metaopt
from metaopt import Float, Problem, Result, Space, Study
from metaopt.comparison.strategies import Comparison
from metaopt.core.errors import StudyError
from metaopt.report import escape, formats
from metaopt.report import study as studying
from metaopt.report.document import Table, cell

SPACE = Space(x=Float(-1, 1), y=Float(-1, 1))


def bowl(trial) -> Result:
    value = trial["x"] ** 2 + trial["y"] ** 2
    return Result(value, metrics={"test": 10 * value})


BOWL = Problem("bowl", SPACE, bowl, "minimize", 0.0, "a bowl")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def everything(folder: Path) -> dict[str, bytes]:
    files = [p for p in folder.rglob("*") if p.is_file()]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, Path, Path]:
    """A comparison, its report, and its storage."""
    folder = tmp_path_factory.mktemp("written")
    store = folder / "c.db"
    c = metaopt.compare(
        ["random", "sobol", "grid"], BOWL, 5, 8, seed=3, storage=store, control="sobol"
    )
    return c, c.report(folder / "report"), store


def test_the_files_contain_all_numbers_exactly(written) -> None:
    c, page, _ = written
    assert page.name == "report.html"
    folder = page.parent / "tables"
    found = {(r["strategy"], int(r["repeat"])): r for r in rows(folder / "runs.csv")}
    assert len(found) == 3 * 8
    for run in c.runs:
        best = run.best
        assert best is not None
        row = found[run.strategy, run.repeat]
        assert float(row["best value"]) == best.value
        assert float(row["test"]) == best.metrics["test"]
        assert int(row["seed"]) == run.seed
    trials = rows(folder / "trials.csv")
    assert [json.loads(r["config"]) for r in trials] == [t.params for r in c.runs for t in r.trials]
    (analysis,) = c.analyses
    for row, s in zip(rows(folder / "standings-bowl.csv"), analysis.standings, strict=True):
        assert (row["label"], float(row["rank"])) == (s.label, s.rank)
        assert s.value is not None
        assert [float(row[k]) for k in ("value", "value_low", "value_high")] == [
            s.value.estimate, s.value.low, s.value.high,
        ]  # fmt: skip


def test_page_and_markdown_contain_the_sentences_of_the_terminal(written) -> None:
    c, page, _ = written
    html = page.read_text(encoding="utf-8")
    plain = re.sub(r"\\(.)", r"\1", (page.parent / "report.md").read_text(encoding="utf-8"))
    for sentence in c.analyses[0].sentences():
        assert sentence in plain
        assert sentence.replace("<", "&lt;").replace("'", "&#39;") in html
    for name in re.findall(r"\]\((\S+?)\)", plain):
        assert (page.parent / name).is_file()


def test_figures_are_saved_in_three_formats(written) -> None:
    _, page, _ = written
    figures = {p.stem for p in (page.parent / "figures").iterdir()}
    assert {"curves-bowl", "values"} <= figures
    for kind, begins in (("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")):
        files = list((page.parent / "figures").glob(f"*.{kind}"))
        assert {p.stem for p in files} == figures
        assert all(p.read_bytes().startswith(begins) for p in files)


def test_a_loaded_comparison_gives_the_same_bytes(written, tmp_path: Path) -> None:
    c, page, store = written
    again = metaopt.load_comparison(store)
    assert again.runs == c.runs
    again.report(tmp_path)
    assert len(everything(tmp_path)) > 10
    assert everything(tmp_path) == everything(page.parent)


def test_repeated_and_loaded_reports_of_a_study_have_the_same_bytes(tmp_path: Path) -> None:
    study = nasty.study(storage=tmp_path / "s.db")
    study.report(tmp_path / "first")
    alone = [study.report(tmp_path / f"{i}.html").read_bytes() for i in range(2)]
    assert alone[0] == alone[1]
    study.close()
    loaded = metaopt.load(tmp_path / "s.db")
    loaded.report(tmp_path / "loaded")
    loaded.close()
    assert everything(tmp_path / "loaded") == everything(tmp_path / "first")


def test_a_path_that_ends_with_html_gives_only_the_page(tmp_path: Path) -> None:
    page = nasty.study().report(tmp_path / "new" / "page.html")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["page.html"]
    assert page == tmp_path / "new" / "page.html"


@pytest.mark.parametrize("name", ["taken.txt", "folder.html"])
def test_a_path_of_the_wrong_kind_is_rejected(name: str, tmp_path: Path) -> None:
    (tmp_path / "taken.txt").write_text("mine")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(StudyError, match=f"{name} is a fo|{name} is a file; name a folder"):
        nasty.study().report(tmp_path / name)
    assert (tmp_path / "taken.txt").read_text() == "mine"


def test_the_report_of_a_study_without_values_states_it(tmp_path: Path) -> None:
    def never(trial):
        raise ValueError("never works")

    study = Study(SPACE, "random")
    empty = study.report(tmp_path / "empty.html").read_text()
    assert "No trial is complete yet (of 0 trials)" in empty
    study.optimize(never, 4)
    page = study.report(tmp_path / "page.html").read_text()
    assert "No trial is complete yet (of 4 trials)" in page
    assert "4 of 4 finished trials failed" in page
    assert "ValueError: never works" in page


def test_runs_without_a_value_do_not_break_the_report(tmp_path: Path) -> None:
    def half(trial):
        if trial["x"] > 0:
            raise ValueError("no value right of 0")
        return trial["x"]

    c = metaopt.compare(["random", "sobol"], Problem("half", SPACE, half), 1, 6)
    values = c.values("half")
    assert np.isnan(values).any(), "the test needs a run without a value"
    assert "rank last" in c.report(tmp_path / "page.html").read_text()


class Addresses(HTMLParser):
    """Collect the tags of a page and the addresses that it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        loads = ("src", "href", "xlink:href", "action", "data", "poster", "srcset")
        self.links += [v for k, v in attrs if k in loads]
        assert not [k for k, _ in attrs if k.startswith("on")]


@pytest.mark.parametrize("make", [nasty.study, nasty.comparison], ids=["study", "comparison"])
def test_no_script_or_address_from_user_text_is_in_the_page(make, tmp_path: Path) -> None:
    found = Addresses()
    found.feed(make().report(tmp_path / "page.html").read_text(encoding="utf-8"))
    assert found.tags.count("script") == 1
    assert not {"img", "iframe", "object", "embed", "form", "base"} & set(found.tags)
    assert {link for link in found.links if link and not link.startswith("#")} == {"data:,"}


def test_with_very_many_trials_the_page_shows_the_best_and_the_file_all(
    monkeypatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(studying, "MOST", 5)
    study = Study(SPACE, "random", "maximize", seed=2)
    study.optimize(lambda trial: trial["x"], 12)
    study.report(tmp_path)
    values = sorted((t.value for t in study.trials), reverse=True)
    assert [float(r["value"]) for r in rows(tmp_path / "tables" / "trials.csv")] == values[:5]
    every = rows(tmp_path / "tables" / "all-trials.csv")
    assert [float(r["value"]) for r in every] == [t.value for t in study.trials]


# -- escaping ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", range(len(nasty.NAMES)))
def test_latex_contains_no_command_from_user_text(name: int) -> None:
    text = escape.latex(nasty.NAMES[name])
    known = r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar)\{\}"
    rest = re.sub(rf"{known}|\\[{{}}$&#_%]|\{{[\[\]]\}}", "", text)
    assert not set(rest) & set("\\{}$&#^_%~[]<>|\n\u202e"), rest


def test_markdown_cells_are_escaped() -> None:
    table = Table("t", nasty.PIPES, ("a", "b"), ((cell(nasty.PIPES), cell(nasty.SCRIPT)),))
    lines = formats.to_markdown(table).splitlines()
    assert len(lines) == 5  # header, rule, row, empty line, caption
    assert len(re.findall(r"(?<!\\)\|", lines[2])) == 3
    assert not re.search(r"(?<!\\)[<`\[]", "\n".join(lines))


@pytest.mark.parametrize("lead", ["=", "+", "-", "@", "\t", "\r"])
def test_csv_text_is_no_formula_and_numbers_stay_numbers(lead: str) -> None:
    table = Table("t", "", (f"{lead}1",), ((cell(f"{lead}2+3"),), (cell(-1.5),)))
    header, text, number = csv.reader(io.StringIO(formats.to_csv(table), newline=""))
    read = "\n" if lead == "\r" else lead
    assert header == [f"'{read}1"]
    assert text == [f"'{read}2+3"]
    assert number == ["-1.5"]


def test_file_names_are_safe_and_unique() -> None:
    given = ["a/b", "a b", "A-B", "../..", "", "con", "x" * 300, "x" * 301, "ü", ".hidden", "a\0b"]
    allot = escape.FileNames()
    names = [allot(name) for name in given]
    assert len({n.casefold() for n in names}) == len(given)
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}", name)
        assert name.casefold() not in escape.DEVICES
