"""The figures of a comparison with their words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from metaopt.plots.convergence import curves
from metaopt.plots.spec import FigureSpec, counted, listed, number, slugs
from metaopt.plots.standings import ranks, values

if TYPE_CHECKING:
    from metaopt.comparison import Comparison


def convergence(c: Comparison) -> Iterator[FigureSpec]:
    """The best value so far by trials, a figure a problem."""
    names = slugs(p.name for p in c.problems)
    for p in c.problems:
        rows = c.curves(p.name)
        draw = partial(
            curves, rows, colors=c.strategies, direction=p.direction, optimum=p.optimum
        )  # fmt: skip
        finals = dict(zip(c.strategies, np.nanmedian(c.values(p.name), axis=0), strict=True))
        yield FigureSpec(
            f"curves-{names[p.name]}",
            f"{p.name}: best value so far",
            f"The best validation value found so far ({p.direction}d) after each trial: the line is"
            f" the median of {counted(c.repeats, 'repeat')}, the band holds the middle half of"
            f" them."
            + (" Shown is the distance to the known optimum." if p.optimum is not None else "")
            + (" Higher" if p.direction == "maximize" and p.optimum is None else " Lower")
            + " and earlier is better.",
            f"Median best value after {c.n_trials} trials on {p.name}: "
            + listed(f"{k} {number(v)}" for k, v in finals.items())
            + ".",
            draw,
        )


def finals(c: Comparison) -> Iterator[FigureSpec]:
    """The final values of all repeats."""
    tables = {p.name: c.values(p.name) for p in c.problems}
    panels = {k: dict(zip(c.strategies, v.T, strict=True)) for k, v in tables.items()}
    yield FigureSpec(
        "values",
        "Final values",
        f"The best validation value of each repeat after {c.n_trials} trials as a dot, and the"
        " median as a bar. Repeats without a value are counted beside their row.",
        "Medians of the final values. "
        + " ".join(
            f"{k}: "
            + listed(
                f"{s} {number(m)}"
                for s, m in zip(c.strategies, np.nanmedian(v, axis=0), strict=True)
            )
            + "."
            for k, v in tables.items()
        ),
        partial(values, panels, colors=c.strategies),
    )


def mean_ranks(c: Comparison) -> Iterator[FigureSpec]:
    """Mean ranks, over problems where there are several."""
    last = c.analyses[-1]
    means = {s.label: s.rank for s in last.standings}
    yield FigureSpec(
        "ranks",
        f"Mean ranks: {last.title}",
        f"The mean rank of each strategy over {counted(last.blocks, last.over.removesuffix('s'))};"
        " 1 would be the best in every one of them.",
        "Mean ranks, best first: " + listed(f"{k} {v:.2f}" for k, v in means.items()) + ".",
        partial(ranks, means, colors=c.strategies),
    )


SPECS: tuple[Callable[[Comparison], Iterator[FigureSpec]], ...] = (
    convergence,
    finals,
    mean_ranks,
)
