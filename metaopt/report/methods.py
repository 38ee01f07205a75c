r"""How a comparison was made, as a paragraph for a paper, with its sources.

Sources appear in the text as ``{wilcoxon1945}``, the keys of ``metaopt/stats/references.bib``;
they become "(Wilcoxon 1945)" on the page and ``\citep{wilcoxon1945}`` in LaTeX.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metaopt.analysis.family import OVERALL
from metaopt.analysis.ranking import Analysis
from metaopt.core.text import counted, percent
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
    """Describe how the comparison was made: only what was done, with its sources.

    Args:
        c: the comparison.
    """
    parts = [_runs(c), _values(c), *_tested(c)]
    names = [", ".join(c.strategies), ", ".join(p.name for p in c.problems)]
    names += [] if c.pruner is None else [blocks.settings(c.pruner)]
    rest = "".join(parts[1:])
    return Cited(parts[0] + rest, [*names, *[c.control] * rest.count("@")])


def _runs(c: ComparisonData) -> str:
    each = " of each problem" if len(c.problems) > 1 else ""
    text = (
        f"We compared {counted(len(c.strategies), 'search strategy', 'search strategies')} (@) on"
        f" {counted(len(c.problems), 'problem')} (@) with metaopt {__version__}. Each"
        f" run had {counted(c.n_trials, 'trial')}, and there"
        f" {'was' if c.repeats == 1 else 'were'} {counted(c.repeats, 'repeat')}{each} under"
        f" seeds derived from {c.seed}. Within a repeat of a problem all strategies shared the"
        f" seed, and with it the trial seeds, data splits and order of samples, so that repeats are"
        f" pairs"
    )
    if len(c.problems) > 1:
        text += (
            "; all problems shared the seed of a repeat" if c.shared_seeds
            else "; repeats of different problems had different seeds"
        )  # fmt: skip
    text += (
        ". Repeats are independent given the problem: where a problem trains on one data set, they"
        " are other splits and initial weights of that data set, and the findings are conditional"
        " on it. The score of a run is the best validation value that it found."
    )
    if c.pruner is not None:
        text += " A pruner, @, stopped trials early; what it stopped has no value."
    return text


def _values(c: ComparisonData) -> str:
    standings = [s for a in c.analyses for s in a.standings]
    text = ""
    if any(s.test is not None for s in standings):
        text += (
            " Hidden test values belong to the configurations that validation chose, and played no"
            " part in the search or the ranking."
        )
    if any(s.without for s in standings):
        text += " A run without any complete trial was ranked last."
    levels = [s.value.level for s in standings if s.value is not None]
    if levels and min(levels) > 0:
        text += (
            f" We report medians over repeats with exact intervals from order statistics, which"
            f" cover the true median with at least {percent(min(levels))}."
        )
    return text


def _tested(c: ComparisonData) -> Iterator[str]:
    """Describe the tests that were made, the family that they belong to, and the effect sizes."""
    if c.analyses[0].plan is None:
        return
    made = [a for a in reversed(c.analyses) if any(s.p is not None for s in a.standings)]
    if not made:
        assert c.analyses[-1].plan is not None
        yield f" No test was made. {c.analyses[-1].plan.advice}"
    seen = set()
    for a in made:
        if (a.problems > 1) not in seen:
            seen.add(a.problems > 1)
            yield _test(a, len(c.problems))
    if made:
        yield _family(made)
    yield _effects(c, bool(made))
    if made and any(s.contrast and s.contrast.test for a in made for s in a.standings):
        yield (
            " Claims were checked by the same tests, under a correction of their own, on the"
            " hidden test values."
        )
    for a in made[:1]:
        yield from _further(a)


def _test(a: Analysis, problems: int) -> str:
    assert a.plan is not None and a.plan.pairs is not None
    pairs = a.plan.pairs
    where = "Over all problems" if a.problems > 1 else "Over repeats"
    where += " of each problem" if a.problems == 1 and problems > 1 else ""
    sources = [key for key in pairs.sources[:2] if f"{{{key}}}" not in pairs.detail]
    cited = "{" + ", ".join(sources) + "}"
    detail = f", {pairs.detail}" if pairs.detail else ""
    return f" {where}, each strategy was tested against @ by {pairs.title} {cited}{detail}."


def _family(made: Sequence[Analysis]) -> str:
    family = made[0].family
    if family == 1:
        return f" It is the only hypothesis, tested at the level {made[0].level:g}."
    text = f" The {family} hypotheses are one family at the level {made[0].level:g}, adjusted by"
    margins = any(a.margins for a in made)
    name = "Bonferroni's correction" if margins else "Holm's method {holm1979}"
    if made[0].most is not None:
        return (
            f"{text} the closed procedure with Bonferroni's correction, so that a strategy that is"
            f" decided passes its part of the level on {{holm1979}}. Repeats were to be added"
            f" until every strategy was decided, at most {made[0].most}; there were"
            f" {made[0].repeats}."
        )
    if made[0].problems > 1 and made[-1].problems == 1:
        share = f"{OVERALL:.0%}".replace("%", " %")
        return (
            f"{text} {name} with weights: {share} of the level belong to the hypotheses over all"
            f" problems, the rest to those on single problems."
        )
    return f"{text} {name}."


def _effects(c: ComparisonData, tested: bool) -> str:
    found = [s.contrast for a in c.analyses for s in a.standings if s.contrast is not None]
    if not found:
        return ""
    text = " Effect sizes are the share of paired repeats in which a strategy was better than @"
    if c.most is None:
        text += ", with its exact binomial interval {clopper1934}"
        if c.analyses[-1].plan is not None and c.analyses[-1].plan.unit == "problem":
            text += " (over problems, with the interval of the signed-rank test)"
    if any(x.difference is not None for x in found):
        text += (
            ", the typical difference of Hodges and Lehmann {hodges1963}, with the interval that"
            " belongs to the test"
        )
    if any(x.rank_biserial is not None for x in found):
        text += ", and the matched-pairs rank-biserial correlation {kerby2014}"
    how = (
        "the level at which its hypothesis was tested, and 95 % without a test"
        if tested
        else "the level 95 %, or the highest that so few repeats attain, without a correction"
    )
    if c.most is not None:
        how = "the level of its hypothesis and holds after any look (a repeated interval)"
    return f"{text}; each interval has {how}."


def _further(a: Analysis) -> Iterator[str]:
    """Describe the tests beside the comparisons with the control."""
    assert a.plan is not None
    if a.margins:
        each = ", ".join(f"{margin:g} ({title})" for title, margin in a.margins)
        yield (
            f" That a difference is not relevant on any problem was tested by two one-sided"
            f" signed-rank tests"
            f" {{schuirmann1987}} with the margins {each.replace('@', ' ')}, stated beforehand."
        )
    omnibus = a.plan.omnibus
    if a.friedman_p is not None and omnibus is not None:
        yield (
            f" Whether any strategies differ was tested by {omnibus.title}"
            f" {{{omnibus.sources[0]}}}{', ' + omnibus.detail if omnibus.detail else ''}; no claim"
            f" rests on it, and pairs were not tested by mean ranks, in which the other strategies"
            f" decide on a pair {{benavoli2016}}."
        )
    if a.posterior is not None and a.plan.posterior is not None:
        edge = 50 * a.posterior.rope
        yield (
            f" How probable a practical difference is comes from {a.plan.posterior.title}"
            f" {{{a.plan.posterior.sources[0]}}} of the share of repeats won on each problem, with"
            f" a prior of half an observation without a difference; two strategies are practically"
            f" equal where one is better in {50 - edge:g} to {50 + edge:g} % of repeats. The"
            f" probabilities for the next problem are those of the posterior predictive"
            f" distribution."
        )
