"""How a comparison of models was made, as a paragraph for a paper, with its sources."""

from __future__ import annotations

from metaopt.analysis.family import LEVEL
from metaopt.analysis.model_comparison import ModelComparisonData
from metaopt.core.text import counted
from metaopt.core.version import __version__
from metaopt.report.methods import Cited


def paragraph(c: ModelComparisonData) -> Cited:
    """Describe how the comparison was made: only what was done, with its sources.

    Args:
        c: the comparison.
    """
    names = [", ".join(c.scores), c.scoring]
    text = (
        f"We compared {counted(len(c.scores), 'model')} (@) with metaopt {__version__} on one data"
        f" set of {c.samples} samples by {counted(c.repeats, 'repetition')} of {c.folds}-fold"
        f" cross-validation, with the same folds for all models and a seed of {c.seed}. Models were"
        f" trained on {c.folds - 1} folds and scored (@, higher is better) on the fold left out."
    )
    if c.control is not None:
        text += " Each model was compared with @."
        names.append(c.control)
    if c.errors:
        text += f" {counted(len(c.errors), 'model')} failed on a fold and took part in no test."
    text += _tests(c)
    return Cited(text, names)


def _tests(c: ModelComparisonData) -> str:
    plan = c.plan
    if plan.pairs is None or not any(p.test is not None for p in c.pairs):
        return " No test was made."
    cited = "{" + ", ".join(plan.pairs.sources) + "}"
    text = (
        f" Scores of folds are correlated, since training sets overlap {{dietterich1998}}, so pairs"
        f" were compared by {plan.pairs.title} {cited}, two-sided, at the level {LEVEL}"
    )
    if plan.pairs.detail:
        text += f", {plan.pairs.detail}"
    if len(c.pairs) > 1:
        text += (
            f"; p-values of the {len(c.pairs)} pairs are one family, adjusted by Holm's method"
            f" {{holm1979}}, and each confidence interval has the level at which its pair was"
            f" tested"
        )
    text += "."
    if any(p.test is None for p in c.pairs):
        text += " A pair that differed by the same amount on every fold was not tested."
    if c.rope is not None and plan.posterior is not None:
        text += (
            f" Differences within {c.rope:g} count as practically equal; the probabilities of a"
            f" practical difference come from {plan.posterior.title}"
            f" {{{plan.posterior.sources[0]}}}, with an uninformative prior."
        )
    return text + " The findings are conditional on this data set."
