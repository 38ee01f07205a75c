"""The checklist's questions about design, search spaces and settings, with their answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metaopt.analysis.setup import CONFIRMATORY
from metaopt.core.text import counted
from metaopt.report import blocks, recorded

if TYPE_CHECKING:
    from metaopt.analysis.comparison import ComparisonData
    from metaopt.problems.problem import Problem

YES, PARTLY, NO = "yes", "in part", "no"
HERE = "here"


@dataclass(frozen=True)
class Row:
    """One question of the checklist.

    Attributes:
        question: as a reviewer asks it.
        answer: from what is recorded, or what the authors must add.
        where: the section of the page that shows it; "here" for the answer, "" for nowhere.
        recorded: "yes", "in part" or "no".
    """

    question: str
    answer: str
    where: str = HERE
    recorded: str = YES


def design(c: ComparisonData, kept: recorded.Stored | None) -> list[Row]:
    """Return the questions about the design; `kept` is what the storage holds, or None."""
    return [
        _purpose(c),
        Row(
            "Are all strategies evaluated in the same way?",
            "Yes: in each repeat of a problem they share the seed, and with it the trial seeds,"
            " data splits and order of samples. Each run is a search of its own.",
            "Methods, ready to paste",
        ),
        _budget(c),
        _repeats(c, kept),
        _seeds(c),
        _complete(c),
        _hidden(c),
        _margin(c),
    ]


def _purpose(c: ComparisonData) -> Row:
    question = "Is the study exploratory or confirmatory?"
    if c.purpose == CONFIRMATORY:
        answer = (
            "Confirmatory: the call of metaopt.compare states that the design was fixed before any"
            " of these data were seen. metaopt cannot check what was tried elsewhere before."
        )
        return Row(question, answer, "Findings", PARTLY)
    answer = (
        "Exploratory: nobody stated a plan before the data were seen. A finding suggests what a new"
        " comparison, with other seeds, could confirm."
    )
    return Row(question, answer, "Findings")


def _budget(c: ComparisonData) -> Row:
    lengths = [len(r.trials) for r in c.runs]
    answer = f"{counted(c.n_trials, 'trial')} per run, the same for all strategies; no time limit."
    if c.pruner is not None:
        answer += f" A pruner stops trials early: {blocks.settings(c.pruner)}."
    short = sum(n < c.n_trials for n in lengths)
    if short:
        answer += f" {counted(short, 'run')} ended earlier, because the space was exhausted."
    return Row("Which budget does a run have, and what ends it?", answer, "Findings")


def _repeats(c: ComparisonData, kept: recorded.Stored | None) -> Row:
    question = "How many repeats are there, and was their number fixed beforehand?"
    planned = () if kept is None else kept.planned
    answer = f"{counted(c.repeats, 'paired repeat')} of each strategy on each problem"
    if len(planned) > 1:
        answer += (
            f". The number was changed: {', then '.join(planned)}. If results were looked at before"
            f" a change, the p-values are too small"
        )
        return Row(question, f"{answer}.", "Runs", PARTLY)
    if c.most is not None:
        answer += (
            f", added one by one until all was decided, {c.most} at most; the tests allow for a"
            f" look after each"
        )
    if planned:
        return Row(question, f"{answer}; every call asked for {planned[0]}.", "Runs")
    return Row(question, f"{answer}; no earlier call is recorded.", "Runs", PARTLY)


def _seeds(c: ComparisonData) -> Row:
    shared = "the number of the repeat alone" if c.shared_seeds else "the problem and the repeat"
    answer = (
        f"All seeds derive from {c.seed}: that of a run from {shared}, that of a trial from its run"
        f" and number. The seed of each run is in the table of runs."
    )
    return Row("Which random seeds were used?", answer, "Runs")


def _complete(c: ComparisonData) -> Row:
    planned = c.repeats + c.unfinished
    answer = f"Complete: all {counted(planned, 'planned repeat')}."
    if c.most is not None:
        answer = f"Complete: it ended by its rule, after {c.repeats} of at most {c.most} repeats."
    if c.unfinished:
        answer = f"Stopped early: {c.repeats} of {planned} planned repeats are complete and shown."
    return Row("Is the comparison complete, or was it stopped early?", answer, "Findings")


def _hidden(c: ComparisonData) -> Row:
    having = [p.name for p in c.problems if c.tests(p.name) is not None]
    question = "Is there a hidden test set, and what is it used for?"
    if not having:
        return Row(question, "No problem has hidden test values.", "Standings")
    answer = (
        f"Yes ({', '.join(having)}): it is never seen by the search or the ranking; it checks the"
        f" configuration that validation chose."
    )
    return Row(question, answer, "Standings")


def _margin(c: ComparisonData) -> Row:
    question = "Was a smallest difference that matters stated beforehand?"
    if c.margin is None:
        answer = "No: only differences are tested, and equality cannot be shown."
        return Row(question, answer, "Tests")
    each = ", ".join(f"{name}: {margin:g}" for name, margin in c.margin.items())
    return Row(question, f"Yes, in the units of the values: {each}.", "Tests")


def spaces(c: ComparisonData) -> Iterator[Row]:
    """Yield one question per problem."""
    for p in c.problems:
        yield Row(f"Which search space does {p.name} have?", _space(p))


def _space(p: Problem) -> str:
    kinds = Counter(parameter.kind for parameter in p.space.parameters.values())
    listed = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
    conditional = sum(bool(parameter.when) for parameter in p.space.parameters.values())
    forbidden = len(p.space.forbid)
    text = f"{counted(len(p.space), 'parameter')} ({listed}), {conditional or 'none'} conditional"
    if forbidden:
        text += f", {counted(forbidden, 'forbidden combination')}"
    return f"{text}; the value is {p.direction[:-3]}ised."


def settings(c: ComparisonData) -> Iterator[Row]:
    """Yield one question per strategy, and that about tuning them beforehand."""
    of = {p.name: p.space for p in c.problems}
    for label in c.strategies:
        runs = [r for r in c.runs if r.strategy == label]
        found = dict.fromkeys(recorded.settings_of(r, of[r.problem]) for r in runs)
        texts = [text for text in found if text]
        question = f"With which settings did {label} run?"
        if texts:
            yield Row(question, f"{'; or '.join(texts)}.")
        else:
            yield Row(question, "Not recorded.", "", NO)
    yield Row(
        "How much effort went into tuning each strategy beforehand?",
        "Not recorded: metaopt knows the settings above, not how they were found.", "", NO,
    )  # fmt: skip
