"""The report of a comparison of models: its sections, as a document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from metaopt import plots
from metaopt.analysis import model_conclusions
from metaopt.analysis.model_comparison import ModelComparisonData
from metaopt.core.version import __version__
from metaopt.plots import FigureSpec
from metaopt.report import blocks, methods, model_methods, model_tables, writer
from metaopt.report.document import (
    Block,
    Cell,
    Code,
    Document,
    Picture,
    Section,
    Table,
    Words,
    cell,
)


def write(c: ModelComparisonData, path: str | Path) -> Path:
    """Write the report into a folder, or as one page if `path` ends with .html; return the page."""
    page, folder = writer.destination(path)
    figures = list(writer.pictures(_figures(c), folder))
    return writer.write(compose(c, figures), page, folder)


def compose(c: ModelComparisonData, figures: list[Picture]) -> Document:
    """Build the document, section by section, in the order in which a reader asks."""
    *found, limit = model_conclusions.sentences(c)
    how = model_methods.paragraph(c)
    bibliography = methods.bibliography(how.keys)
    findings = [Words(" ".join(found), "finding")] if found else []
    sections = [
        Section("Findings", [*findings, Words(limit, "limit"), _facts(c)]),
        Section("Models", [_models(c)]),
        Section("Pairs", list(_pairs(c))),
        Section("Figures", figures),
        Section("Every fold", [_folds(c)]),
        Section(
            "Methods, ready to paste",
            [
                Words(how.plain()),
                Code(how.latex(), "The same as LaTeX (natbib)", "latex", folded=True),
                Code(bibliography.strip(), "Sources as BibTeX", "bibtex", folded=True),
            ],
        ),
        Section("Made with", [blocks.facts(blocks.environment())]),
    ]
    return Document(
        f"Comparison of {', '.join(c.scores)}",
        f"{c.repeats} x {c.folds} folds of {c.samples} samples, scored by {c.scoring}.",
        [s for s in sections if s.blocks],
        f"Written by metaopt {__version__}. Every number comes from the scores of the folds.",
        files={"references.bib": bibliography, "methods.tex": how.latex() + "\n"},
    )


def _facts(c: ModelComparisonData) -> Block:
    return blocks.facts(
        {
            "Models": ", ".join(c.scores),
            "Score": f"{c.scoring} (higher is better)",
            "Compared": "all pairs" if c.control is None else f"each with {c.control}",
            "Region of practical equivalence": "" if c.rope is None else f"up to {c.rope:g}",
            "Folds": f"{c.repeats} x {c.folds}",
            "Seed": c.seed,
            "Time of all fits": blocks.duration(
                float(sum(np.nansum(s) for s in c.seconds.values()))
            ),
        }
    )


def _models(c: ModelComparisonData) -> Table:
    looks = plots.styles(list(c.scores))
    header, rows = model_tables.models_table(c)
    cells = [
        (cell(label, color=looks[label].color), *(_number(text) for text in rest))
        for label, *rest in rows
    ]
    data = tuple(
        {"model": k, "mean": _mean(c.scores[k]), "failed folds": int(np.isnan(c.scores[k]).sum())}
        for k in c.ranking
    )
    return Table("models", "Models by their mean score.", tuple(header), tuple(cells), data)


def _mean(scores: Any) -> float | None:
    return None if np.isnan(scores).all() else float(np.nanmean(scores))


def _pairs(c: ModelComparisonData) -> Iterator[Block]:
    if not c.pairs:
        return
    header, rows = model_tables.pairs_table(c)
    cells = tuple((cell(row[0]), *(_number(text) for text in row[1:])) for row in rows)
    data = tuple(
        {
            "first": p.first, "second": p.second, "difference": p.difference,
            "low": p.test and p.test.low, "high": p.test and p.test.high,
            "level": p.test and p.test.level, "p": p.p,
            **(
                {} if (q := p.posterior) is None
                else {"above": q.above, "equivalent": q.equivalent, "below": q.below}
            ),
        }
        for p in c.pairs
    )  # fmt: skip
    test = c.plan.pairs.title if c.plan.pairs else "no test"
    caption = f"Differences in score by {test}, two-sided."
    if len(c.pairs) > 1:
        caption += " p is adjusted by Holm, and each interval has the level that fits its p."
    if c.rope is not None:
        caption += (
            " P: probability that the first is practically better, equal and worse than the second."
        )
    yield Table("pairs", caption, tuple(header), cells, data)
    yield Words(c.plan.why)


def _number(text: str) -> Cell:
    """A cell that is sorted by the number at the start of its text, if there is one."""
    found = re.match(r"[<\s]*(-?\d[\d.]*(?:e[+-]?\d+)?)", text)
    return Cell(text, float(found[1]) if found else text or None)


def _folds(c: ModelComparisonData) -> Table:
    labels = list(c.scores)
    rows = tuple(
        (
            cell(repeat),
            cell(fold),
            *(
                Cell("failed") if np.isnan(v) else cell(v, ".4g")
                for v in (float(c.scores[k][repeat, fold]) for k in labels)
            ),
        )
        for repeat in range(c.repeats)
        for fold in range(c.folds)
    )
    caption = f"The score ({c.scoring}) of every model on every fold."
    return Table("folds", caption, ("repeat", "fold", *labels), rows)


def _figures(c: ModelComparisonData) -> Iterator[FigureSpec]:
    panel = {k: v.ravel() for k, v in c.scores.items() if not np.isnan(v).all()}
    if not panel:
        return
    means = ", ".join(f"{k} {np.nanmean(v):.4g}" for k, v in panel.items())
    yield FigureSpec(
        "scores",
        "Scores of the folds",
        f"The {c.scoring} of each model on every fold as a dot, and the median as a bar. Folds are"
        f" the same for all; their scores are correlated, so the spread of the dots is not the"
        f" uncertainty of the mean.",
        f"Mean {c.scoring} over {c.repeats} x {c.folds} folds: {means}.",
        lambda: plots.values({c.scoring: panel}, colors=list(c.scores), xlabel=c.scoring),
    )
