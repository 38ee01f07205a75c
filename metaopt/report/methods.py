r"""How a comparison was made, as a paragraph for a paper, with its sources.

Sources appear in the text as ``{wilcoxon1945}``, the keys of ``metaopt/stats/references.bib``;
they become "(Wilcoxon 1945)" on the page and ``\citep{wilcoxon1945}`` in LaTeX.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metaopt.analysis.ranking import Analysis
from metaopt.analysis.standings import LEVEL
from metaopt.core.text import counted
from metaopt.core.version import __version__
from metaopt.report import blocks, escape
from metaopt.stats.references import references

if TYPE_CHECKING:
    from metaopt.analysis.comparison import ComparisonData

CITED = re.compile(r"\{(\w+(?:, \w+)*)\}")


@dataclass(frozen=True)
class Cited:
    """A paragraph with sources in braces, and user-chosen names for its placeholders."""

    text: str
    names: Sequence[str] = ()

    @property
    def keys(self) -> list[str]:
        """Sources in the order of the first mention."""
        found = [key for group in CITED.findall(self.text) for key in group.split(", ")]
        return list(dict.fromkeys(found))

    def plain(self) -> str:
        """For reading."""
        return _filled(CITED.sub(_short, self.text), self.names)

    def latex(self) -> str:
        """For a paper."""
        parts = CITED.split(self.text)
        cited = [
            f"\\citep{{{part.replace(' ', '')}}}" if i % 2 else escape.latex(part)
            for i, part in enumerate(parts)
        ]
        return _filled("".join(cited), [escape.latex(name) for name in self.names])


def _short(found: re.Match[str]) -> str:
    """Sources in parentheses, for the keys in braces."""
    return f"({'; '.join(references()[key].short for key in found[1].split(', '))})"


def _filled(text: str, names: Sequence[str]) -> str:
    """Replace each @ of the text by the next name, as it is."""
    pieces = text.split("@")
    return "".join(p + n for p, n in zip(pieces, [*names, ""], strict=True))


def bibliography(keys: Sequence[str]) -> str:
    """Return the BibTeX entries of the keys and of metaopt itself."""
    ours = (
        "@software{metaopt,\n"
        "  title = {metaopt: hyper-parameter optimization and fair comparison of its strategies},\n"
        f"  version = {{{__version__}}}\n"
        "}"
    )
    return "\n\n".join([*(references()[key].bibtex for key in sorted(keys)), ours]) + "\n"


def paragraph(c: ComparisonData) -> Cited:
    """Describe how the comparison was made: only what was done, with its sources."""
    text = (
        f"We compared {counted(len(c.strategies), 'search strategy', 'search strategies')} (@) on"
        f" {counted(len(c.problems), 'problem')} (@) with metaopt {__version__}. Each"
        f" run had {counted(c.n_trials, 'trial')}, and there"
        f" {'was' if c.repeats == 1 else 'were'} {counted(c.repeats, 'repeat')} under"
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


def _planned(analyses: Sequence[Analysis]) -> list[Analysis]:
    """One analysis of a problem, since all problems have the same plan, and that over problems."""
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
    """Describe the tests on each problem, or over all; only tests that were made."""
    assert a.plan is not None
    over = a.over == "problems"
    if not any(s.p is not None for s in a.standings):
        return "" if over else f" No test was made. {a.plan.advice}"
    where = (
        "Over problems, whose mean ranks are the blocks {demsar2006}," if over else "Over repeats,"
    )
    pairs = a.plan.pairs
    assert pairs is not None
    cited = "{" + ", ".join(pairs.sources[:1]) + "}"
    text = f" {where} each strategy was tested against @ by {pairs.title} {cited}"
    if pairs.detail:
        text += f", {pairs.detail}"
    if a.plan.comparisons > 1:
        text += (
            f", with p-values adjusted by Holm's method {{holm1979}} for all {a.plan.comparisons}"
            f" comparisons"
        )
    text += f", at the level {LEVEL}."
    omnibus = a.plan.omnibus
    if a.friedman_p is not None and omnibus is not None:
        text += (
            f" That any strategies differ was tested by {omnibus.title}"
            f" {{{omnibus.sources[0]}}}{', ' + omnibus.detail if omnibus.detail else ''}; pairs"
            f" were not tested by mean ranks, in which the other strategies decide on a pair"
            f" {{benavoli2016}}."
        )
    if a.posterior is not None and a.plan.posterior is not None:
        text += (
            f" How probable a practical difference is on another problem comes from"
            f" {a.plan.posterior.title} {{{a.plan.posterior.sources[0]}}}; mean ranks are"
            f" practically equal within {a.posterior.rope:g} of each other."
        )
    return text
