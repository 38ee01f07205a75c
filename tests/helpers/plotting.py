"""Comparisons of given numbers, and functions that read what a figure shows."""

import itertools

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from metaopt import Float, Problem, Space
from metaopt.comparison.strategies import Comparison, Run
from metaopt.trials.records import Proposal, Result, TrialRecord

SPACE = Space(x=Float(0, 1))


def record(number, value, seconds=1.0, metrics=None):
    """A finished trial; failed if `value` is None."""
    if value is None:
        result = Result.failed("exception", "boom", seconds=seconds)
    else:
        result = Result(value, seconds=seconds, metrics=metrics or {})
    return TrialRecord(Proposal(number, {"x": 0.5}, number), result)


def comparison(tables, *, direction="minimize", optimum=None, tests=None, seconds=None):
    """A comparison from {problem: {label: rows of values}}; None for a failed trial."""
    runs, labels = [], tuple(next(iter(tables.values())))
    for problem, rows in tables.items():
        for label in labels:
            for r, row in enumerate(rows[label]):
                extra = {} if tests is None else {"test": tests[problem][label][r]}
                spent = 1.0 if seconds is None else seconds[label]
                trials = tuple(record(i, v, spent, extra) for i, v in enumerate(row))
                runs.append(Run(problem, label, r, r, direction, trials))
    problems = tuple(
        Problem(p, SPACE, lambda t: 0.0, direction=direction, optimum=optimum) for p in tables
    )
    first = next(iter(tables.values()))[labels[0]]
    return Comparison(tuple(runs), problems, labels, max(map(len, first)), len(first), 0, labels[0])


def random_comparison(labels, problems=("p",), repeats=6, trials=12, seed=0, **how):
    rng = np.random.default_rng(seed)
    tables = {
        p: {k: rng.uniform(1, 2, (repeats, trials)).tolist() for k in labels} for p in problems
    }
    return comparison(tables, **how)


def lines(axes):
    """Lines by label, without matplotlib's unlabelled ones."""
    return {line.get_label(): line for line in axes.get_lines() if line.get_label()[0] != "_"}


def overlapping_texts(figure):
    """Draw; return pairs of texts that overlap, and texts that are partly outside the figure."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    texts = [t for axes in figure.axes for t in [*axes.texts, axes.title, axes._left_title]]
    for axes in figure.axes:
        if axes.get_visible():
            texts += [axes.xaxis.label, axes.yaxis.label]
            texts += [*_ticks(axes.xaxis), *_ticks(axes.yaxis)]
    texts += [t for legend in figure.legends for t in legend.get_texts()]
    shown = [t for t in texts if t.get_visible() and t.get_text()]
    boxes = [(t.get_text(), Text.get_window_extent(t, renderer), t.get_rotation()) for t in shown]
    found = [
        (a[0], b[0])
        for a, b in itertools.combinations(boxes, 2)
        if not a[2] % 90 and not b[2] % 90 and _covered(a[1], b[1])
    ]
    out = [name for name, box, _ in boxes if not _inside(box, figure.bbox)]
    return found, out


def _ticks(axis):
    """Labels of the ticks within the axis limits; matplotlib also keeps some outside."""
    return [t.label1 for t in axis._update_ticks() if axis.get_visible() and t.label1.get_visible()]


def _covered(a, b):
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    return width > 2 and height > 3


def _inside(box, page):
    return box.x0 >= -2 and box.y0 >= -2 and box.x1 <= page.x1 + 2 and box.y1 <= page.y1 + 2
