"""The methods paragraph states only what was done, with correct sources."""

from __future__ import annotations

import re

import nasty
import pytest

import metaopt
from metaopt import stats
from metaopt.comparison.strategies import Comparison
from metaopt.report import methods
from metaopt.stats.references import references


def compared(strategies, problems, repeats: int) -> Comparison:
    return metaopt.compare(strategies, problems, 2, repeats)


def test_sources_are_cited_in_three_lengths_from_one_list() -> None:
    found = references()
    assert found["wilcoxon1945"].short == "Wilcoxon 1945"
    assert found["wilcoxon1945"].full == "Wilcoxon (1945), Biometrics Bulletin 1(6), 80-83"
    assert found["iman1980"].short == "Iman and Davenport 1980"
    assert found["demsar2006"].full == (
        "Demsar (2006), Journal of Machine Learning Research 7, 1-30"
    )
    assert found["benavoli2016"].short == "Benavoli et al. 2016"
    assert found["benavoli2016"].full.startswith("Benavoli, Corani and Mangili (2016), Journal")
    assert found["bouckaert2004"].full == (
        "Bouckaert and Frank (2004), Advances in Knowledge Discovery and Data Mining (PAKDD), LNCS"
        " 3056, 3-12"
    )


def test_every_source_can_be_cited_and_entries_are_complete() -> None:
    for key, source in references().items():
        assert source.bibtex.count("{") == source.bibtex.count("}")
        assert source.short.split()[-1] == key[-4:] == source.field("year")
        assert source.surnames[0].lower().replace(" ", "") == key[:-4]
        assert re.search(r"\d+-\d+$", source.full)
        assert not set("{}\\") & set(source.full + source.short)
    for test in stats.PLANNED_TESTS:
        assert set(test.sources) <= set(references())


@pytest.mark.parametrize(
    ("repeats", "strategies", "stated", "absent"),
    [
        (3, ["random", "sobol"], "No test was made", ["wilcoxon1945", "friedman1937", "holm1979"]),
        (6, ["random", "sobol"], "Wilcoxon's signed-rank", ["friedman1937", "holm1979"]),
        (8, ["random", "sobol", "grid"], "20,000 of them drawn", ["iman1980"]),
        (22, ["random", "sobol", "grid"], "Iman and Davenport", ["benavoli2017"]),
        (1, ["random"], "1 search strategy", ["wilcoxon1945", "friedman1937", "vargha2000"]),
    ],
)
def test_only_tests_that_were_made_are_mentioned(
    repeats: int, strategies: list[str], stated: str, absent: list[str]
) -> None:
    how = methods.paragraph(compared(strategies, "branin", repeats))
    assert stated in how.plain()
    assert not set(absent) & set(how.keys)


def test_the_bibliography_contains_the_cited_sources_and_metaopt() -> None:
    how = methods.paragraph(compared(["random", "sobol", "grid"], ["branin", "sphere"], 6))
    cited = {k for group in re.findall(r"\\citep\{(.+?)\}", how.latex()) for k in group.split(",")}
    entries = set(re.findall(r"^@\w+\{(\w+),", methods.bibliography(how.keys), re.MULTILINE))
    assert entries == cited | {"metaopt"}
    assert cited == set(how.keys)


def test_names_of_users_are_not_read_as_sources_or_commands() -> None:
    c = nasty.comparison()
    strategies = ("{holm1979}", "@", *c.strategies[:1])
    how = methods.Cited("We used @ and @ {holm1979}.", [", ".join(strategies), nasty.LATEX])
    assert how.plain().startswith("We used {holm1979}, @, ")
    assert how.plain().endswith("(Holm 1979).")
    assert how.latex().count("\\citep") == 1
    assert r"\{holm1979\}, @, " in how.latex()
    assert r"\textbackslash{}input\{secret\}" in how.latex()
    methods.paragraph(c).latex()
