"""Statistics for comparing strategies: arrays in, numbers out.

Imports numpy alone; scipy is loaded by the functions that need it, and nothing of metaopt. Lower
is better wherever a function must know.

Two samples by pairs: `wilcoxon`, `smallest_p`. Many treatments by blocks: `mean_ranks`,
`friedman`, `holm`, `against_control`. Effects: `a12`, `magnitude`, `median_difference`,
`bootstrap`. Convergence: `best_so_far`, `band`.
"""

from metaopt.stats.curves import Band, band, best_so_far
from metaopt.stats.effect import Interval, a12, bootstrap, magnitude, median_difference
from metaopt.stats.errors import StatisticsError
from metaopt.stats.many import (
    AgainstControl,
    Friedman,
    against_control,
    block_ranks,
    friedman,
    holm,
    mean_ranks,
)
from metaopt.stats.two import Wilcoxon, smallest_p, wilcoxon

__all__ = [
    "AgainstControl",
    "Band",
    "Friedman",
    "Interval",
    "StatisticsError",
    "Wilcoxon",
    "a12",
    "against_control",
    "band",
    "best_so_far",
    "block_ranks",
    "bootstrap",
    "friedman",
    "holm",
    "magnitude",
    "mean_ranks",
    "median_difference",
    "smallest_p",
    "wilcoxon",
]
