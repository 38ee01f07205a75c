"""Figures of comparisons and studies, as matplotlib figures that the caller may change.

- All figures that apply, with captions and alt texts: `comparison_figures` and `study_figures`
  return a dict of `FigureSpec`.
- For a comparison: `anytime`, `rank_over_time`, `critical_difference`, `improvement`,
  `interquartile_means`, `performance_profiles`, `runtime_distribution`, `validation_against_test`,
  `overtuning`, `comparison_matrix`, `effects_by_problem`.
- For a study: `history`, `intermediate`, `importances`, `parallel_coordinates`, `slices`,
  `contours`, `resources`.
- For arrays: `curves`, `ranks`, `values`, `cd_diagram`.
- Output: `save` writes files, `svg` returns markup for an HTML page.

All figures share one style (`styles`): a strategy has the same colour in every figure of its
comparison. matplotlib is imported when the first figure is drawn.
"""

from metaopt.plots.anytime_performance import (
    anytime,
    performance_profiles,
    rank_over_time,
    runtime_distribution,
)
from metaopt.plots.comparison_figures import comparison_figures
from metaopt.plots.convergence import curves
from metaopt.plots.critical_difference_diagram import cd_diagram, critical_difference
from metaopt.plots.figure_text import spread_apart
from metaopt.plots.files import save, svg
from metaopt.plots.final_values import ranks, values
from metaopt.plots.matrix import comparison_matrix
from metaopt.plots.overtuning_figure import overtuning
from metaopt.plots.parameters import importances, parallel_coordinates
from metaopt.plots.problem_effects import effects_by_problem
from metaopt.plots.scores import improvement, interquartile_means, validation_against_test
from metaopt.plots.slices_and_contours import contours, slices
from metaopt.plots.spec import FigureSpec
from metaopt.plots.study_figures import study_figures
from metaopt.plots.style import PALETTE, Style, styles, wants_log
from metaopt.plots.trials import history, intermediate, resources

__all__ = [
    "PALETTE",
    "FigureSpec",
    "Style",
    "anytime",
    "cd_diagram",
    "comparison_figures",
    "comparison_matrix",
    "contours",
    "critical_difference",
    "curves",
    "effects_by_problem",
    "history",
    "importances",
    "improvement",
    "intermediate",
    "interquartile_means",
    "overtuning",
    "parallel_coordinates",
    "performance_profiles",
    "rank_over_time",
    "ranks",
    "resources",
    "runtime_distribution",
    "save",
    "slices",
    "spread_apart",
    "study_figures",
    "styles",
    "svg",
    "validation_against_test",
    "values",
    "wants_log",
]
