"""The report of a comparison of strategies: its sections, as a document."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from metaopt import plots
from metaopt.analysis import conclusions
from metaopt.analysis.comparison import ComparisonData, Run
from metaopt.analysis.setup import study_name
from metaopt.analysis.standings import AnalysisData, Standing
from metaopt.core.text import brief, counted
from metaopt.core.version import __version__
from metaopt.report import (
    blocks,
    budgets_table,
    checklist,
    methods,
    overtuning_table,
    terminal,
    writer,
)
from metaopt.report.document import (
    Block,
    Cell,
    Code,
    Document,
    Picture,
    Section,
    Table,
    Value,
    Words,
    cell,
)
from metaopt.report.escape import FileNames
from metaopt.stats import Interval
from metaopt.trials.records import TrialRecord


def write(c: ComparisonData, path: str | Path) -> Path:
    """Write the report into a folder, or as one page if `path` ends with .html; return the page."""
    page, folder = writer.destination(path)
    figures = list(writer.pictures(plots.comparison_figures(c).values(), folder))
    return writer.write(compose(c, figures), page, folder)


def compose(c: ComparisonData, figures: list[Picture]) -> Document:
    """Build the document, section by section, in the order in which a reader asks."""
    several = f"{len(c.problems)} problems" if len(c.problems) > 1 else c.problems[0].name
    how = methods.paragraph(c)
    bibliography = methods.bibliography(how.keys)
    trials = [t for r in c.runs for t in r.trials]
    sections = [
        Section("Findings", list(_finding(c))),
        Section(
            "Standings",
            [*_standings(c), *budgets_table.blocks(c), *overtuning_table.blocks(c)],
        ),
        Section("Tests", list(_tests(c))),
        Section("Figures", figures),
        Section("Runs", [_best(c), _runs(c), _trials(c)]),
        Section("Failures", list(_failures(c))),
        Section("Methods, ready to paste", list(_methods(how, bibliography))),
        Section("How to reproduce this page", list(_again(c))),
        Section("Checklist", list(checklist.blocks(c))),
    ]
    return Document(
        f"Comparison of {', '.join(c.strategies)}",
        f"On {several}: {counted(c.repeats, 'paired repeat')} of {c.n_trials} trials"
        f" each. {blocks.period(trials)}",
        sections,
        f"Written by metaopt {__version__}. Every number comes from the stored trials.",
        files={"references.bib": bibliography, "methods.tex": how.latex() + "\n"},
    )


def _finding(c: ComparisonData) -> Iterator[Block]:
    if c.unfinished:
        yield Words(
            f"This comparison is not finished: {c.unfinished} of"
            f" {c.repeats + c.unfinished} planned repeats are missing; this report is about the"
            f" {c.repeats} complete ones. Stopping as soon as a difference shows would find"
            f" differences where there are none.",
            "warning",
        )
    # What holds for all problems comes first; a limit of several problems is stated once.
    told = [analysis.sentences() for analysis in reversed(c.analyses)]
    for i, (*finding, limit) in enumerate(told):
        if finding:
            yield Words(" ".join(finding), "finding")
        if i + 1 == len(told) or told[i + 1][-1] != limit:
            yield Words(limit, "limit")
    missing = sum(s.without for a in c.analyses for s in a.standings)
    if missing:
        yield Words(
            f"{counted(missing, 'run')} ended without any complete trial and rank last; see"
            f" the failures below.",
            "warning",
        )
    yield blocks.facts(
        {
            "Strategies": ", ".join(c.strategies),
            "Problems": ", ".join(f"{p.name} ({p.direction})" for p in c.problems),
            "Control": c.control,
            "Purpose": c.purpose,
            "Pruner": blocks.settings(c.pruner),
            "Paired repeats": c.repeats,
            "Trials per run": c.n_trials,
            "Seed": c.seed,
            "All trials": blocks.counts([t for r in c.runs for t in r.trials]),
            "Time of all trials": blocks.duration(
                sum(t.seconds or 0.0 for r in c.runs for t in r.trials)
            ),
        }
    )


def _standings(c: ComparisonData) -> Iterator[Table]:
    names = FileNames()
    looks = plots.styles(c.strategies)
    for analysis in reversed(c.analyses):
        header, shown = terminal.table(analysis)
        rows = []
        for s, texts in zip(analysis.standings, shown, strict=True):
            numbers = _sorted_by(analysis, s)
            cells = [Cell(t, numbers.get(n, t)) for n, t in zip(header, texts, strict=True)]
            cells[0] = cell(s.label, color=looks[s.label].color)
            rows.append(tuple(cells))
        yield Table(
            names(f"standings-{analysis.title}"),
            f"Standings on {analysis.title} over {analysis.blocks}, the best mean rank first.",
            tuple(header),
            tuple(rows),
            tuple(_exact(s) for s in analysis.standings),
        )


def _sorted_by(analysis: AnalysisData, s: Standing) -> dict[str, Value]:
    """The numbers by which a table is sorted, by column."""
    c = s.contrast
    return {
        "rank": s.rank,
        "validation": None if s.value is None else s.value.estimate,
        "test": None if s.test is None else s.test.estimate,
        "rank by test": s.test_rank,
        f"better than {analysis.control}": None if c is None else c.wins.estimate,
        "difference": None if c is None or c.difference is None else c.difference.estimate,
        "r": None if c is None else c.rank_biserial,
        "p": s.p,
        "p (test)": None if c is None or c.test is None else c.test.p,
        "p (equivalent)": None if c is None else c.equivalent,
        "runs without value": s.without,
    }


def _exact(s: Standing) -> dict[str, Any]:
    """All numbers of a standing; an interval gives its ends and its level."""
    c = s.contrast
    out: dict[str, Any] = {"label": s.label, "rank": s.rank}
    out |= _ends("value", s.value) | _ends("test", s.test) | {"test_rank": s.test_rank}
    out |= _ends("better", None if c is None else c.wins)
    out |= _ends("difference", None if c is None else c.difference)
    out["rank_biserial"] = None if c is None else c.rank_biserial
    out["p"] = s.p
    out["p_test"] = None if c is None or c.test is None else c.test.p
    out["p_equivalent"] = None if c is None else c.equivalent
    return out | {"without": s.without}


def _ends(name: str, found: Interval | None) -> dict[str, float | None]:
    if found is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high", f"{name}_level"))
    return {
        name: found.estimate,
        f"{name}_low": found.low,
        f"{name}_high": found.high,
        f"{name}_level": found.level,
    }


def _tests(c: ComparisonData) -> Iterator[Block]:
    rows = tuple(_test_row(a) for a in reversed(c.analyses))
    header = (
        "on", "compared over", f"better than {c.control}", f"worse than {c.control}",
        "no relevant difference", "not shown to differ", "Friedman p",
    )  # fmt: skip
    tested = [a for a in c.analyses if any(s.p is not None for s in a.standings)]
    caption = f"Which strategies differ from {c.control}."
    if tested:
        pairs = _named([a.plan.pairs.short for a in reversed(tested) if a.plan and a.plan.pairs])
        caption = (
            f"Which strategies differ from {c.control} at the level {c.level:g} of the whole family"
            f" of {counted(tested[0].family, 'hypothesis', 'hypotheses')}{pairs}."
        )
    if any(a.friedman_p is not None for a in c.analyses):
        caption += " Friedman p asks whether any strategies differ at all; no claim rests on it."
    yield _without_empty(Table("tests", caption, header, rows))
    yield from _plan_words(c)
    yield Words(terminal.how_to_read(c.analyses))


def _test_row(a: AnalysisData) -> tuple[Cell, ...]:
    if not any(s.p is not None for s in a.standings):
        found = ["no test", "", "", ""]
    else:
        groups = (
            conclusions.better(a), conclusions.worse(a),
            conclusions.equivalent(a), conclusions.open_questions(a),
        )  # fmt: skip
        found = [", ".join(s.label for s in group) for group in groups]
        found = [text or ("none" if i != 2 else "") for i, text in enumerate(found)]
    return (cell(a.title), cell(a.blocks), *map(cell, found), cell(a.friedman_p, ".3g"))


def _plan_words(c: ComparisonData) -> Iterator[Words]:
    """Why these tests, of the plan that the headline rests on."""
    plan = c.analyses[-1].plan
    if plan is not None:
        yield Words(f"{plan.why} {plan.advice}".strip())


def _named(tests: list[str]) -> str:
    """Names of tests in parentheses, each once; empty without tests."""
    return f" ({', '.join(dict.fromkeys(tests))})" if tests else ""


def _best(c: ComparisonData) -> Table:
    """The best configuration of each strategy on each problem."""
    looks = plots.styles(c.strategies)
    rows = []
    for p in c.problems:
        for s in c.strategies:
            runs = [
                (r, b) for r in c.runs if (r.problem, r.strategy) == (p.name, s) and (b := r.best)
            ]
            if not runs:
                continue
            run, best = min(runs, key=lambda pair: p.sign * (pair[1].value or 0.0))
            rows.append(
                (
                    cell(p.name), cell(s, color=looks[s].color), cell(best.value, ".6g"),
                    cell(best.metrics.get("test"), ".6g"), cell(run.repeat), cell(best.number),
                    cell(", ".join(f"{k}={brief(v)}" for k, v in best.params.items())),
                )
            )  # fmt: skip
    header = ("problem", "strategy", "best value", "test", "repeat", "trial", "configuration")
    return _without_empty(
        Table("best", "The best configuration that each strategy found.", header, tuple(rows))
    )


def _runs(c: ComparisonData) -> Table:
    looks = plots.styles(c.strategies)
    rows = tuple(_run_row(run, looks[run.strategy].color) for run in c.runs)
    header = (
        "problem", "strategy", "repeat", "seed", "best value", "test", "in trial", "trials",
        "failed", "seconds",
    )  # fmt: skip
    caption = "Every run: the best value, its hidden test value, and what the run took."
    return _without_empty(Table("runs", caption, header, rows))


def _run_row(run: Run, color: str) -> tuple[Cell, ...]:
    best: TrialRecord | None = run.best
    return (
        cell(run.problem),
        cell(run.strategy, color=color),
        cell(run.repeat),
        cell(run.seed),
        cell(None if best is None else best.value, ".6g"),
        cell(None if best is None else best.metrics.get("test"), ".6g"),
        cell(None if best is None else best.number),
        cell(len(run.trials)),
        cell(sum(t.status == "failed" for t in run.trials)),
        cell(sum(t.seconds or 0.0 for t in run.trials), ".3g"),
    )


def _without_empty(table: Table) -> Table:
    """Return the table without empty columns, such as test values if there are none."""
    kept = [j for j in range(len(table.header)) if any(row[j].text for row in table.rows)]
    return Table(
        table.name,
        table.caption,
        tuple(table.header[j] for j in kept),
        tuple(tuple(row[j] for j in kept) for row in table.rows),
    )


def _trials(c: ComparisonData) -> Table:
    data = tuple(
        {
            "problem": run.problem,
            "strategy": run.strategy,
            "repeat": run.repeat,
            "trial": t.number,
            "origin": t.origin,
            "status": t.status,
            "value": t.value,
            "test": t.metrics.get("test"),
            "seconds": t.seconds,
            "config": json.dumps(t.params),
        }
        for run in c.runs
        for t in run.trials
    )
    caption = f"All {len(data)} trials with their configurations are in a file."
    return Table("trials", caption, (), (), data, only_file=True)


def _failures(c: ComparisonData) -> Iterator[Block]:
    table = blocks.failures(
        ((study_name(r.problem, r.strategy, r.repeat), t) for r in c.runs for t in r.trials), "run"
    )
    yield table or Words("No trial failed.")


def _methods(how: methods.Cited, bibliography: str) -> Iterator[Block]:
    yield Words(how.plain())
    yield Code(how.latex(), "The same as LaTeX (natbib)", "latex", folded=True)
    yield Code(bibliography.strip(), "Sources as BibTeX", "bibtex", folded=True)


def _again(c: ComparisonData) -> Iterator[Block]:
    if c.storage is None:
        yield Words(
            'This comparison was in memory only. With storage="comparison.db" in the call of'
            " metaopt.compare, this command writes the page again from the stored trials:"
        )
    else:
        yield Words(
            "This command writes this page again from the stored trials, with the same numbers:"
        )
    yield Code(f"metaopt report {shlex.quote(c.storage or 'comparison.db')}", "In a shell", "sh")
    yield blocks.facts(blocks.environment())
