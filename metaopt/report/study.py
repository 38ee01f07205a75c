"""The report of one study."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaopt import plots
from metaopt.core.text import counted
from metaopt.core.version import __version__
from metaopt.report import blocks, writer
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
from metaopt.trials.records import TrialRecord, best_first

if TYPE_CHECKING:
    from metaopt.storage.study_view import StudyView

TOP = 10  # number of trials in the table of the best
MOST = 5000  # largest number of trials on the page, so that it opens quickly


def write(study: StudyView, path: str | Path) -> Path:
    """Write the report to a folder, or to one page if `path` ends with .html; return the page."""
    page, folder = writer.destination(path)
    figures = list(writer.pictures(plots.study_figures(study).values(), folder))
    return writer.write(compose(study, figures), page, folder)


def compose(study: StudyView, figures: list[Picture]) -> Document:
    """Build the document, section by section."""
    trials = study.trials
    best = best_first(trials, study.direction)
    made = study.strategy.header()
    sections = [Section("Findings", list(_finding(study, trials, best)))]
    if best:
        caption = f"The best {min(TOP, len(best))} of {len(best)} complete trials."
        sections.append(Section("The best trials", [_table("best", caption, best[:TOP])]))
    if figures:
        sections.append(Section("Figures", figures))
    if trials:
        sections.append(Section("All trials", list(_trials(study, trials))))
    failures = blocks.failures((("", t) for t in trials), "")
    sections += [
        Section("Failures", [failures or Words("No trial failed.")]),
        Section("Search space", [_space(made["space"])]),
        Section("How to continue", list(_again(study, len(trials)))),
    ]
    return Document(
        f"Study {study.name}",
        f"{blocks.counts(trials)} of the strategy {made['strategy']}, to {study.direction}."
        f" {blocks.period(trials)}",
        sections,
        f"Written by metaopt {__version__}. Every number comes from the study's own trials.",
    )


def _finding(
    study: StudyView, trials: list[TrialRecord], best: list[TrialRecord]
) -> Iterator[Block]:
    ended = [t for t in trials if t.result is not None]
    if not best:
        yield Words(f"No trial is complete yet (of {len(trials)} trials).", "warning")
    else:
        yield from _winner(study, best, ended)
    failed = sum(t.status == "failed" for t in trials)
    if failed and failed * 5 >= len(ended):
        yield Words(
            f"{failed} of {len(ended)} finished trials failed; see the reasons below. A search"
            f" learns little from failed trials.",
            "warning",
        )
    made = study.strategy.header()
    seconds = sorted(t.seconds for t in ended if t.seconds is not None)
    yield blocks.facts(
        {
            "Strategy": made["strategy"],
            "Options": ", ".join(f"{k}={v}" for k, v in made["options"].items() if v is not None),
            "Pruner": blocks.settings(study.pruner),
            "Seed": made["seed"],
            "Budget given to the strategy": made["budget"],
            "Trials": blocks.counts(trials),
            "Time of all trials": blocks.duration(sum(seconds)) if seconds else None,
            "Median time per trial": (
                blocks.duration(seconds[len(seconds) // 2]) if seconds else None
            ),
        }
    )


def _winner(study: StudyView, best: list[TrialRecord], ended: list[TrialRecord]) -> Iterator[Block]:
    first = best[0]
    aim = "lowest" if study.direction == "minimize" else "highest"
    since = sum(t.number > first.number for t in ended)
    runner_up = (
        f" The second best is {blocks.number(best[1].value)} (trial {best[1].number})."
        if len(best) > 1
        else ""
    )
    later = ", the latest one"
    if since:
        later = f"; none of the {counted(since, 'later trial')} is better"
    yield Words(
        f"The best of {len(best)} complete trials has the value {blocks.number(first.value)}"
        f" ({aim} is best), in trial {first.number}{later}.{runner_up}",
        "finding",
    )
    yield Words(
        "This is one run of one strategy: it does not show how another seed or strategy would have"
        " performed. If the objective is noisy, the best of many values is partly luck: train the"
        " chosen configuration again, and evaluate it on data that the search did not use.",
        "limit",
    )
    yield blocks.facts(
        {
            "Trial": first.number,
            "Value": blocks.number(first.value),
            **{f"Metric {name}": blocks.number(v) for name, v in first.metrics.items()},
        }
    )
    yield Code(json.dumps(first.params, indent=2, ensure_ascii=False), "Best configuration", "json")


def _trials(study: StudyView, trials: list[TrialRecord]) -> Iterator[Block]:
    """Table of all trials; if there are very many, the best on the page and all in a file."""
    caption = "All trials. A cell is empty if there is no such value: a failed trial has none."
    if len(trials) <= MOST:
        yield _table("trials", caption, trials)
        return
    shown = best_first(trials, study.direction)[:MOST]
    yield _table("trials", f"The best {len(shown)} of {len(trials)} trials.", shown)
    every = _table("all-trials", f"All {len(trials)} trials are in a file.", trials)
    yield replace(every, only_file=True)


def _table(name: str, caption: str, trials: list[TrialRecord]) -> Table:
    """Table with one row per trial, and a column for each parameter and metric."""
    parameters = list(dict.fromkeys(k for t in trials for k in t.params))
    metrics = list(dict.fromkeys(k for t in trials for k in t.metrics))
    failed = any(t.status == "failed" for t in trials)
    header = (
        "trial", "status", "value", *metrics, *parameters, "origin", "seconds",
        *(("reason",) if failed else ()),
    )  # fmt: skip
    rows = tuple(
        (
            cell(t.number),
            cell(t.status),
            cell(t.value, ".6g"),
            *(cell(t.metrics.get(k), ".6g") for k in metrics),
            *(_parameter(t.params.get(k)) for k in parameters),
            cell(t.origin),
            cell(t.seconds, ".3g"),
            *((cell(_reason(t)),) if failed else ()),
        )
        for t in trials
    )
    return Table(name, caption, header, rows)


def _parameter(value: Any) -> Cell:
    return cell(value, ".4g" if isinstance(value, float) else "")


def _reason(trial: TrialRecord) -> str | None:
    error = None if trial.result is None else trial.result.error
    return None if error is None else f"{error.kind}: {error.message}".removesuffix(": ")


def _space(space: Any) -> Table:
    """Table of the parameters: their ranges, and the conditions under which they are active."""
    rows = []
    for given in space["parameters"]:
        p = dict(given)
        name, kind, when = p.pop("name"), p.pop("kind"), p.pop("when", {})
        low, high = p.pop("low", None), p.pop("high", None)
        values = p.pop("values", p.pop("choices", p.pop("value", None)))
        what = f"{low:g} to {high:g}" if low is not None else json.dumps(values, ensure_ascii=False)
        extra = [
            k if v is True else f"{k} {v:g}" if isinstance(v, int | float) else f"{k} {v}"
            for k, v in p.items()
            if v not in (None, False)
        ]
        active = " and ".join(
            f"{k} in {json.dumps(v, ensure_ascii=False)}" for k, v in when.items()
        )
        rows.append(
            (
                cell(name),
                cell(kind),
                cell(what),
                cell(", ".join(extra) or None),
                cell(active or None),
            )
        )
    caption = "The search space."
    if space["forbid"]:
        caption += f" Forbidden: {json.dumps(space['forbid'], ensure_ascii=False)}."
    header = ("parameter", "kind", "range", "scale", "only when")
    table = Table("space", caption, header, tuple(rows))
    kept = [j for j in range(5) if any(r[j].text for r in rows)]
    return Table(
        "space", table.caption, tuple(header[j] for j in kept),
        tuple(tuple(r[j] for j in kept) for r in rows),
    )  # fmt: skip


def _again(study: StudyView, done: int) -> Iterator[Block]:
    storage = study.storage
    more = max(10, round(done / 2))
    if storage is None:
        yield Words(
            'This study was kept in memory only. Pass storage="study.db" to metaopt.Study to store'
            " it in a file: an interrupted search can then be resumed, and this page can be written"
            " again from the file."
        )
    where = storage or "study.db"
    code = (
        "import metaopt\n\n"
        f"study = metaopt.load({where!r}, {study.name!r})\n"
        f"study.optimize(objective, n_trials={done + more})  # {more} more"
    )
    yield Code(code, "To add trials", "python")
    yield Code(
        f"metaopt report {shlex.quote(where)} --study {shlex.quote(study.name)}",
        "To write this page again, with the same numbers",
        "sh",
    )
    yield blocks.facts(blocks.environment())
