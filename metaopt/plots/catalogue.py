"""Which figures apply to a comparison or a study, in the order in which a page shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metaopt.plots import of_comparison, of_study
from metaopt.plots.spec import FigureSpec, by_name

if TYPE_CHECKING:
    from metaopt.comparison import Comparison
    from metaopt.view import StudyView

__all__ = ["FigureSpec", "comparison_figures", "study_figures"]


def comparison_figures(comparison: Comparison) -> dict[str, FigureSpec]:
    """The figures that apply to a comparison, by name, each with caption and text alternative."""
    return by_name(spec for make in of_comparison.SPECS for spec in make(comparison))


def study_figures(study: StudyView) -> dict[str, FigureSpec]:
    """The figures that apply to a study, by name, each with caption and text alternative.

    Empty while no trial is finished.
    """
    look = of_study.Look(study)
    return by_name(spec for make in of_study.SPECS for spec in make(look))
