"""The methods paragraph: what was done and nothing else, with sources that are right."""

from __future__ import annotations

import re

import nasty
import pytest

import metaopt
from metaopt.comparison.strategies import Comparison
from metaopt.report import methods
from metaopt.stats.recommend import CITATIONS


def compared(strategies, problems, repeats: int) -> Comparison:
    return metaopt.compare(strategies, problems, 2, repeats)


def test_sources_agree_with_those_of_the_statistics() -> None:
    entries = methods.references()
    for key, text in CITATIONS.items():
        year = re.search(r"\((\d{4})\)", text)[1]
        entry = entries[key if key[-1].isdigit() else f"{key}{year}"]
        assert f"year = {{{year}}}" in entry
        surnames = re.match(r"(.+?) \(", text)[1].replace(" and ", ", ").split(", ")
        plain = entry.replace(r"{\v{s}}", "s").replace(r"{\i}", "i").replace(r"{\'a}", "a")
        assert all(f"{name}, " in plain for name in surnames)
        pages = re.search(r"(\d+)-(\d+)(?!.*\d-\d)", text)
        assert f"pages = {{{pages[1]}--{pages[2]}}}" in entry
        volume = re.search(r" (\d+)(?:\(|,)", text.split(")", 1)[1])
        if volume:
            assert f"volume = {{{volume[1]}}}" in entry


def test_every_source_can_be_cited_and_entries_are_whole() -> None:
    assert set(methods.SHORT) == set(methods.references())
    for key, entry in methods.references().items():
        assert entry.count("{") == entry.count("}")
        assert methods.SHORT[key].split()[-1] == key[-4:]


@pytest.mark.parametrize(
    ("repeats", "strategies", "said", "unsaid"),
    [
        (3, ["random", "sobol"], "No test was made", ["wilcoxon1945", "friedman1937", "holm1979"]),
        (6, ["random", "sobol"], "Wilcoxon's signed-rank", ["friedman1937", "holm1979"]),
        (8, ["random", "sobol", "grid"], "counted or drawn", ["iman1980"]),
        (12, ["random", "sobol", "grid"], "Iman and Davenport", ["benavoli2017"]),
        (1, ["random"], "1 search strategy", ["wilcoxon1945", "friedman1937", "vargha2000"]),
    ],
)
def test_only_tests_that_were_made_are_claimed(
    repeats: int, strategies: list[str], said: str, unsaid: list[str]
) -> None:
    how = methods.paragraph(compared(strategies, "branin", repeats))
    assert said in how.plain()
    assert not set(unsaid) & set(how.keys)


def test_the_bibliography_holds_what_is_cited_and_metaopt_itself() -> None:
    how = methods.paragraph(compared(["random", "sobol", "grid"], ["branin", "sphere"], 6))
    cited = {k for group in re.findall(r"\\citep\{(.+?)\}", how.latex()) for k in group.split(",")}
    entries = set(re.findall(r"^@\w+\{(\w+),", methods.bibliography(how.keys), re.MULTILINE))
    assert entries == cited | {"metaopt"}
    assert cited == set(how.keys)


def test_names_of_users_are_neither_read_as_sources_nor_as_commands() -> None:
    c = nasty.comparison()
    strategies = ("{holm1979}", "@", *c.strategies[:1])
    how = methods.Cited("We used @ and @ {holm1979}.", [", ".join(strategies), nasty.LATEX])
    assert how.plain().startswith("We used {holm1979}, @, ")
    assert how.plain().endswith("(Holm 1979).")
    assert how.latex().count("\\citep") == 1
    assert r"\{holm1979\}, @, " in how.latex()
    assert r"\textbackslash{}input\{secret\}" in how.latex()
    methods.paragraph(c).latex()
