"""The checklist at the end of the report of a comparison: question, answer, where it is shown.

An answer comes from what is stored, or from the machine that writes the page, and says which. What
is not recorded is listed, too, so that the authors can add it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from metaopt import plots
from metaopt.core.text import counted
from metaopt.report import blocks as parts
from metaopt.report import recorded
from metaopt.report.checklist_design import HERE, NO, PARTLY, YES, Row, design, settings, spaces
from metaopt.report.document import Block, Cell, Table, Words, cell

if TYPE_CHECKING:
    from metaopt.analysis.comparison import ComparisonData
    from metaopt.trials.records import TrialRecord

HEADER = ("question", "answer", "where", "recorded")


def blocks(c: ComparisonData) -> Iterator[Block]:
    """Yield the checklist of a comparison."""
    kept = recorded.stored(c)
    groups = {
        "Design": design(c, kept),
        "Search spaces and settings": [*spaces(c), *settings(c)],
        "Compute": _compute(c),
        "Analysis": _analysis(c),
        "Software, code and data": _software(c, kept),
    }
    rows = [row for group in groups.values() for row in group]
    yield Words(_summary(rows))
    for title, group in groups.items():
        cells = tuple(tuple(cell(text) for text in _texts(row)) for row in group)
        name = f"checklist-{title.split(',')[0].lower().replace(' ', '-')}"
        caption = f"Questions about {title[0].lower()}{title[1:]}."
        yield Table(name, caption, HEADER, cells)
        if title == "Compute":
            yield _by_strategy(c)


def _texts(row: Row) -> tuple[str, str, str, str]:
    return row.question, row.answer, row.where, row.recorded


def _summary(rows: Sequence[Row]) -> str:
    n = Counter(row.recorded for row in rows)
    return (
        "What the checklists of NeurIPS and of the AutoML Conference and the guidelines of"
        " Bartz-Beielstein et al. (2020) ask about such experiments. Of"
        f" {counted(len(rows), 'question')}, {n[YES]} are answered from what is stored,"
        f" {n[PARTLY]} in part, and {n[NO]} not at all: these the authors must answer."
    )


def _compute(c: ComparisonData) -> list[Row]:
    trials = [t for r in c.runs for t in r.trials]
    spent, unknown = _seconds(trials)
    failed = sum(t.status == "failed" for t in trials)
    total = f"{parts.counts(trials)}, {parts.duration(spent)} of evaluation in total"
    total += f"; {counted(unknown, 'trial')} without a measured time." if unknown else "."
    here = f"This page was written on: {recorded.processor()}; {recorded.gpus()}."
    return [
        Row(
            "How much compute did the comparison take, in total and per strategy?",
            f"{total} Per strategy: see the table below.", HERE, PARTLY if unknown else YES,
        ),
        Row(
            "On which hardware did it run?",
            f"Not recorded for the runs; the authors must say whether it was this machine. {here}",
            "", NO,
        ),
        Row(
            "How long did the strategies themselves compute?",
            "Not recorded: times are those of the evaluations.", "", NO,
        ),
        Row(
            "Which runs were made beside those shown, such as preliminary ones?",
            "Not recorded.", "", NO,
        ),
        Row(
            "How many trials failed, and how do they count?",
            f"{failed or 'None'} of {counted(len(trials), 'trial')}. A failed or pruned"
            f" trial has no value; a run without any value ranks last.",
            "Failures",
        ),
    ]  # fmt: skip


def _seconds(trials: Sequence[TrialRecord]) -> tuple[float, int]:
    """Total evaluation time in seconds, and the number of trials without a measured time."""
    known = [t.seconds for t in trials if t.seconds is not None]
    return float(sum(known)), len(trials) - len(known)


def _by_strategy(c: ComparisonData) -> Table:
    looks = plots.styles(c.strategies)
    rows = []
    for label in c.strategies:
        trials = [t for r in c.runs if r.strategy == label for t in r.trials]
        by = Counter(t.status for t in trials)
        spent, unknown = _seconds(trials)
        known = [t.seconds for t in trials if t.seconds is not None]
        middle = float(np.median(known)) if known else None
        rows.append(
            (
                cell(label, color=looks[label].color),
                *(cell(n) for n in (len(trials), by["complete"], by["pruned"], by["failed"])),
                Cell(parts.duration(spent), spent),
                Cell("" if middle is None else parts.duration(middle), middle),
                cell(unknown),
            )
        )
    header = (
        "strategy", "trials", "complete", "pruned", "failed", "evaluation time", "per trial",
        "not timed",
    )  # fmt: skip
    caption = "Compute of each strategy, over all problems and repeats; per trial is the median."
    return Table("compute", caption, header, tuple(rows))


def _analysis(c: ComparisonData) -> list[Row]:
    differences = f", and of the differences to {c.control}" if len(c.strategies) > 1 else ""
    return [
        _tests(c),
        _unit(c),
        Row(
            "Are uncertainty and size of the effects reported?",
            f"Yes: intervals of medians{differences}.", "Standings",
        ),
        Row(
            "Is performance shown over time, and not at the end only?",
            "Yes: the best value so far after each trial.", "Figures",
        ),
    ]  # fmt: skip


def _tests(c: ComparisonData) -> Row:
    question = "Which tests were made, at which level, and how is their number accounted for?"
    made = [a for a in reversed(c.analyses) if any(s.p is not None for s in a.standings)]
    if not made:
        plan = c.analyses[-1].plan
        why = "there is a single strategy." if plan is None else plan.advice
        return Row(question, f"No test was made: {why}", "Tests")
    titles = dict.fromkeys(a.plan.pairs.title for a in made if a.plan and a.plan.pairs)
    answer = (
        f"Each strategy against {c.control} by {' and on single problems by '.join(titles)},"
        f" two-sided. The plan follows from the design alone. The level {c.level:g} holds for the"
        f" whole family of {counted(made[0].family, 'hypothesis', 'hypotheses')}."
    )
    return Row(question, answer, "Tests")


def _unit(c: ComparisonData) -> Row:
    question = "What is the independent unit of the analysis?"
    plan = c.analyses[-1].plan
    if plan is None:
        return Row(question, f"The repeat ({c.repeats}).", "Tests")
    answer = f"The {plan.unit} ({plan.n}). The findings hold for these problems"
    answer += " and others like them." if plan.unit == "problem" else "."
    return Row(question, answer, "Tests")


def _software(c: ComparisonData, kept: recorded.Stored | None) -> list[Row]:
    versions = parts.environment()
    shown = [f"{k} {v}" for k, v in versions.items() if k in ("Python", "numpy", "scipy", "torch")]
    why = "the comparison is in memory" if c.storage is None else "the storage cannot be read"
    runs = f"not recorded, since {why}"
    if kept is not None:
        runs = f"metaopt {', '.join(kept.versions) or 'unknown'}; other packages not recorded"
    place = "in memory only" if c.storage is None else f"stored in {c.storage}"
    data = f"Every trial is {place}; a report that is a folder also holds the table of all trials."
    return [
        Row(
            "Which versions of the software were used?",
            f"For the runs: {runs}. For this page: metaopt {versions['metaopt']},"
            f" {', '.join(shown)}.",
            "How to reproduce this page", PARTLY,
        ),
        Row("Are the results of all trials available?", data, "Runs"),
        Row(
            "Is the code of the experiment available, and how is it run?",
            "Not recorded: metaopt does not store the objectives or the script.", "", NO,
        ),
        Row(
            "Which data sets were used, and under which licences?",
            _described(c), "", NO,
        ),
    ]  # fmt: skip


def _described(c: ComparisonData) -> str:
    known = [f"{p.name}: {p.description.rstrip('.')}" for p in c.problems if p.description]
    text = "Licences and sources are not recorded."
    return f"{text} {'; '.join(known)}." if known else text
