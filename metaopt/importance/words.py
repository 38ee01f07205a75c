"""The sentences about parameter importance below a figure."""

from __future__ import annotations

from collections.abc import Mapping

from metaopt.core.text import percent
from metaopt.importance.result import Importance


def caption(found: Mapping[str, Importance]) -> str:
    """What the figure of the importances by both methods shows, and what follows from it."""
    left, right = found["fanova"], found["ped-anova"]
    several = (
        " Interactions are what several parameters explain only together." if len(left) > 1 else ""
    )
    out = f" Left out, because they have no value: {left.lost}." if left.lost else ""
    counted = f" Counted as not among the best: {right.lost}." if right.lost else ""
    return (
        "Left: the share of the variance of the observed values that each parameter explains alone"
        " (fANOVA, Hutter et al. 2014), over the whole space. Thin lines are"
        f" {percent(left.level or 0)} intervals; the bar is pale if its interval reaches 0."
        f"{several} The grey bar is not explained: noise, and what the forest cannot see."
        f" Out-of-bag R2: {left.r2:.2f}. {left.conclusion}{out}"
        " Right: each parameter's share in what separates the best tenth of the trials from the"
        " others, beyond chance (PED-ANOVA, Watanabe et al. 2023)."
        f" {right.conclusion}{counted}{_both(left, right)}"
    )


def _both(left: Importance, right: Importance) -> str:
    if not left.beyond_chance or not right.beyond_chance:
        return ""
    return (
        " A parameter can matter on the left but not on the right: it can ruin a result, but does"
        " not separate good from very good results."
    )


def alternative(found: Mapping[str, Importance]) -> str:
    """The numbers of the figure."""
    return " ".join(f"{method}: {result.numbers}." for method, result in found.items())
