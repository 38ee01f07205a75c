"""Figures of comparisons and studies: matplotlib figures that the caller may change.

- What applies, with captions and text alternatives: `comparison_figures`, `study_figures`, each a
  dict of `FigureSpec`.
- Of a comparison: `anytime`, `rank_over_time`, `critical_difference`, `improvement`,
  `interquartile_means`, `performance_profiles`, `runtime_distribution`, `validation_against_test`.
- Of a study: `history`.
- Of arrays: `curves`, `ranks`, `values`, `cd_diagram`.
- To files and pages: `save`, `svg`.

One style for all (`styles`): a strategy has the same colour in every figure of its comparison.
matplotlib is loaded by the first figure.
"""

from metaopt.plots.catalogue import FigureSpec, comparison_figures, study_figures
from metaopt.plots.convergence import curves
from metaopt.plots.critical import cd_diagram, critical_difference
from metaopt.plots.over_time import (
    anytime,
    performance_profiles,
    rank_over_time,
    runtime_distribution,
)
from metaopt.plots.saving import save, svg
from metaopt.plots.scores import improvement, interquartile_means, validation_against_test
from metaopt.plots.standings import ranks, values
from metaopt.plots.style import PALETTE, Style, spread_apart, styles, wants_log
from metaopt.plots.trials import history

__all__ = [
    "PALETTE",
    "FigureSpec",
    "Style",
    "anytime",
    "cd_diagram",
    "comparison_figures",
    "critical_difference",
    "curves",
    "history",
    "improvement",
    "interquartile_means",
    "performance_profiles",
    "rank_over_time",
    "ranks",
    "runtime_distribution",
    "save",
    "spread_apart",
    "study_figures",
    "styles",
    "svg",
    "validation_against_test",
    "values",
    "wants_log",
]
