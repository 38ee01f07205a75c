r"""How a comparison was made, as a paragraph for a paper, with its sources.

Sources stand in the text as ``{wilcoxon1945}``, the keys of ``references.bib``; they become
"(Wilcoxon 1945)" on the page and ``\citep{wilcoxon1945}`` in LaTeX.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from metaopt.analysis.ranking import Analysis
from metaopt.analysis.standings import LEVEL
from metaopt.core.version import __version__
from metaopt.report import blocks, escape

if TYPE_CHECKING:
    from metaopt.analysis.comparison import ComparisonData

SHORT = {  # how the page cites
    "alpaydin1999": "Alpaydin 1999",
    "benavoli2016": "Benavoli et al. 2016",
    "benavoli2017": "Benavoli et al. 2017",
    "bouckaert2004": "Bouckaert and Frank 2004",
    "cochran1950": "Cochran 1950",
    "corani2015": "Corani and Benavoli 2015",
    "demsar2006": "Demsar 2006",
    "dietterich1998": "Dietterich 1998",
    "efron1979": "Efron 1979",
    "friedman1937": "Friedman 1937",
    "holm1979": "Holm 1979",
    "iman1980": "Iman and Davenport 1980",
    "mann1947": "Mann and Whitney 1947",
    "mcnemar1947": "McNemar 1947",
    "nadeau2003": "Nadeau and Bengio 2003",
    "vargha2000": "Vargha and Delaney 2000",
    "wilcoxon1945": "Wilcoxon 1945",
}
OMNIBUS = {  # how its p-value was found
    "friedman": "with the F approximation of Iman and Davenport {iman1980}",
    "friedman_permutation": "with arrangements of ranks counted or drawn, since blocks are few",
}
CITED = re.compile(r"\{(\w+(?:, \w+)*)\}")


@dataclass(frozen=True)
class Cited:
    """A paragraph with sources in braces, and the names that users chose kept apart from it."""

    text: str
    names: Sequence[str] = ()

    @property
    def keys(self) -> list[str]:
        """Sources in the order of the first mention."""
        found = [key for group in CITED.findall(self.text) for key in group.split(", ")]
        return list(dict.fromkeys(found))

    def plain(self) -> str:
        """For reading."""
        text = CITED.sub(lambda m: f"({'; '.join(SHORT[k] for k in m[1].split(', '))})", self.text)
        return _filled(text, self.names)

    def latex(self) -> str:
        """For a paper."""
        parts = CITED.split(self.text)
        cited = [
            f"\\citep{{{part.replace(' ', '')}}}" if i % 2 else escape.latex(part)
            for i, part in enumerate(parts)
        ]
        return _filled("".join(cited), [escape.latex(name) for name in self.names])


def _filled(text: str, names: Sequence[str]) -> str:
    """Put the names where the text says @, one after the other, without looking into them."""
    pieces = text.split("@")
    return "".join(p + n for p, n in zip(pieces, [*names, ""], strict=True))


@cache
def references() -> dict[str, str]:
    """All BibTeX entries by their key."""
    text = (files("metaopt.report") / "templates" / "references.bib").read_text(encoding="utf-8")
    entries = [entry.strip() for entry in text.split("\n\n") if entry.strip()]
    return {entry[entry.index("{") + 1 : entry.index(",")]: entry for entry in entries}


def bibliography(keys: Sequence[str]) -> str:
    """Return the BibTeX entries of the keys and of metaopt itself."""
    ours = (
        "@software{metaopt,\n"
        "  title = {metaopt: hyper-parameter optimization and fair comparison of its strategies},\n"
        f"  version = {{{__version__}}}\n"
        "}"
    )
    return "\n\n".join([*(references()[key] for key in sorted(keys)), ours]) + "\n"


def paragraph(c: ComparisonData) -> Cited:
    """Say how the comparison was made; only what was done is said, and cited."""
    text = (
        f"We compared {_counted(len(c.strategies), 'search strategy', 'search strategies')} (@) on"
        f" {_counted(len(c.problems), 'problem', 'problems')} (@) with metaopt {__version__}. Each"
        f" run had {_counted(c.n_trials, 'trial', 'trials')}, and there"
        f" {'was' if c.repeats == 1 else 'were'} {_counted(c.repeats, 'repeat', 'repeats')} under"
        f" seeds derived from {c.seed}. Within a repeat all strategies shared the seed, and with"
        f" it the trial seeds, data splits and order of samples, so that repeats are paired blocks."
        f" The score of a run is the best validation value that it found."
    )
    names = [", ".join(c.strategies), ", ".join(p.name for p in c.problems)]
    if c.pruner is not None:
        text += " A pruner, @, stopped trials early; what it stopped has no value."
        names.append(blocks.settings(c.pruner))
    if any(s.test is not None for a in c.analyses for s in a.standings):
        text += (
            " Hidden test values belong to the configurations that validation chose, and played no"
            " part in the search or the ranking."
        )
    if any(s.without for a in c.analyses for s in a.standings):
        text += " A run without any complete trial was ranked last."
    if c.repeats > 1:
        text += (
            " We report medians over repeats with 95 % percentile bootstrap intervals {efron1979}."
        )
    parts = [_sizes(c.analyses), *(_tests(a) for a in _planned(c.analyses))]
    for part in parts:
        text += part
        names += [c.control] * part.count("@")
    return Cited(text, names)


def _counted(n: int, one: str, more: str) -> str:
    return f"{n} {one if n == 1 else more}"


def _planned(analyses: Sequence[Analysis]) -> list[Analysis]:
    """One analysis of a problem, since all have one plan, and that over problems."""
    by_unit = {a.over: a for a in analyses if a.plan is not None}
    return list(by_unit.values())


def _sizes(analyses: Sequence[Analysis]) -> str:
    if not any(s.a12 is not None for a in analyses for s in a.standings):
        return ""
    return (
        " The size of a difference is A12, the probability of a better value than that of @"
        " {vargha2000}, with a bootstrap interval over paired repeats."
    )


def _tests(a: Analysis) -> str:
    """What was tested on each problem, or over all; a test that was not made is not claimed."""
    assert a.plan is not None
    over = a.over == "problems"
    if not any(s.p is not None for s in a.standings):
        return "" if over else f" No test was made. {a.plan.advice}"
    where = (
        "Over problems, whose mean ranks are the blocks {demsar2006}," if over else "Over repeats,"
    )
    text = f" {where} each strategy was tested against @ by Wilcoxon's signed-rank test"
    text += " {wilcoxon1945}"
    if a.plan.comparisons > 1:
        text += (
            f", with p-values adjusted by Holm's method {{holm1979}} for all {a.plan.comparisons}"
            f" comparisons"
        )
    text += f", at the level {LEVEL}."
    if a.friedman_p is not None:
        text += (
            f" That any strategies differ was tested by Friedman's test {{friedman1937}},"
            f" {OMNIBUS[next(t for t in a.plan.tests if t in OMNIBUS)]}; pairs were not tested by"
            f" mean ranks, in which the other strategies decide on a pair {{benavoli2016}}."
        )
    if a.posterior is not None:
        text += (
            " How probable a practical difference is on another problem comes from the Bayesian"
            " signed-rank test {benavoli2017}; mean ranks are practically equal within"
            f" {a.posterior.rope:g} of each other."
        )
    return text
