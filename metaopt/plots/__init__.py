"""Figures of comparisons and studies: matplotlib figures that the caller may change.

- A catalogue of what applies, with captions and text alternatives: `comparison_figures`,
  `study_figures`, each a dict of `FigureSpec`.
- Of arrays: `curves`, `ranks`, `values`.
- To files and pages: `save`, `svg`.

One style for all (`styles`): a strategy has the same colour in every figure of its comparison.
matplotlib is loaded by the first figure.
"""

from metaopt.plots.catalogue import FigureSpec, comparison_figures, study_figures
from metaopt.plots.convergence import curves
from metaopt.plots.saving import save, svg
from metaopt.plots.standings import ranks, values
from metaopt.plots.style import PALETTE, Style, spread_apart, styles, wants_log

__all__ = [
    "PALETTE",
    "FigureSpec",
    "Style",
    "comparison_figures",
    "curves",
    "ranks",
    "save",
    "spread_apart",
    "study_figures",
    "styles",
    "svg",
    "values",
    "wants_log",
]
