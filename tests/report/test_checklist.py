"""The checklist says what is recorded of a comparison, where it is shown, and what is missing."""

from __future__ import annotations

import csv
import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import metaopt
from metaopt import Categorical, Float, Int, Problem, Result, Space, Strategy, stats
from metaopt.analysis.setup import ComparisonSetup
from metaopt.comparison.strategies import Comparison
from metaopt.core.errors import StudyError
from metaopt.report import checklist, overtuning_table, recorded
from metaopt.report.comparison import compose
from metaopt.report.document import Table, Words

SPACE = Space(
    x=Float(0, 1),
    k=Int(0, 5),
    kind=Categorical(["a", "b"]),
    m=Float(0, 1, when={"kind": ["a"]}),
    forbid=[{"kind": "b", "k": 5}],
)


def noisy(trial) -> Result:
    """A noisy value with a less noisy hidden test value; fails for large x."""
    if trial["x"] > 0.95:
        raise ValueError("too large")
    rng = np.random.default_rng(trial.seed)
    true = (trial["x"] - 0.3) ** 2 + trial["k"] / 10
    value = true + rng.normal(0, 0.2)
    return Result(value, metrics={"test": true + rng.normal(0, 0.05)})


def reporting(trial) -> float:
    for step in range(1, 5):
        trial.report(trial["x"] / step, step)
        trial.should_stop()
    return trial["x"]


NOISY = Problem("noisy", SPACE, noisy, description="noisy bowl")


class Climb(Strategy):
    """A strategy that is not registered, with an option."""

    name = "climb"

    def __init__(self, space, seed=0, budget=None, step=0.1) -> None:
        super().__init__(space, seed, budget, step=step)

    def _ask(self, rng):
        return self.space.sample(rng)[0], None


def rows(c: Comparison) -> dict[str, checklist.Row]:
    tables = [b for b in checklist.blocks(c) if isinstance(b, Table) and b.name != "compute"]
    cells = [[x.text for x in row] for table in tables for row in table.rows]
    return {row[0]: checklist.Row(*row) for row in cells}


def row(c: Comparison, start: str) -> checklist.Row:
    (found,) = [r for question, r in rows(c).items() if question.startswith(start)]
    return found


@pytest.fixture(scope="module")
def made() -> Comparison:
    strategies = {
        "random": "random",
        "small": {"name": "genetic", "population": 4},
        "theirs": lambda space, seed=0, budget=None: Climb(space, seed, budget, step=0.2),
    }
    return metaopt.compare(strategies, [NOISY, "branin"], 8, 6, seed=7)


def test_it_is_the_last_section_and_names_sections_that_exist(made) -> None:
    sections = compose(made, []).sections
    assert sections[-1].title == "Checklist"
    titles = {s.title for s in sections}
    assert {r.where for r in rows(made).values()} <= titles | {"here", ""}


def test_every_question_is_answered_or_said_to_be_not_recorded_and_all_are_counted(made) -> None:
    found = rows(made)
    for each in found.values():
        assert each.question.endswith("?") and each.answer.endswith((".", "?"))
        missing = "not recorded" in each.answer.lower()
        assert {"yes": not missing, "no": missing and not each.where}.get(each.recorded, True)
    n = Counter(r.recorded for r in found.values())
    (words,) = [b for b in checklist.blocks(made) if isinstance(b, Words)]
    assert sum(n.values()) == n["yes"] + n["in part"] + n["no"] == len(found)
    for text in (
        f"{len(found)} questions, {n['yes']}",
        f"{n['in part']} in part",
        f"{n['no']} not",
    ):
        assert text in words.text


def test_compute_is_that_of_the_trials_by_strategy_and_in_total(made, tmp_path: Path) -> None:
    folder = made.report(tmp_path / "r").parent / "tables"
    with (folder / "compute.csv").open(newline="") as file:
        table = {r["strategy"]: r for r in csv.DictReader(file)}
    for label in made.strategies:
        trials = [t for r in made.runs if r.strategy == label for t in r.trials]
        assert int(table[label]["trials"]) == len(trials)
        assert int(table[label]["failed"]) == sum(t.status == "failed" for t in trials) > 0
        assert int(table[label]["complete"]) == sum(t.status == "complete" for t in trials)
        spent = sum(t.seconds for t in trials)
        assert float(table[label]["evaluation time"]) == pytest.approx(spent)
    total = row(made, "How much compute")
    assert f"{sum(len(r.trials) for r in made.runs)} trials" in total.answer
    failed = sum(int(r["failed"]) for r in table.values())
    assert row(made, "How many trials failed").answer.startswith(f"{failed} of ")


def test_settings_are_compared_with_the_defaults(made) -> None:
    settings = {label: row(made, f"With which settings did {label}") for label in made.strategies}
    assert settings["random"].answer == "random with its defaults (it has no options)."
    assert settings["small"].answer.startswith("genetic with population=4; the others have their")
    assert "crossover=0.9" in settings["small"].answer
    assert settings["theirs"].answer == "climb (step=0.2); its defaults are not known here."
    plain = metaopt.compare(["grid", "random"], "branin", 3, 1)
    assert row(plain, "With which settings did grid").answer == "grid with its defaults (levels=5)."


def test_settings_that_differ_between_runs_are_all_listed() -> None:
    def by_size(space, seed=0, budget=None):
        return metaopt.make_strategy("genetic", space, seed, budget, population=len(space) + 2)

    c = metaopt.compare({"random": "random", "own": by_size}, [NOISY, "branin"], 3, 1)
    answer = row(c, "With which settings did own").answer
    assert "population=6" in answer and "; or genetic with population=4" in answer


def test_without_stored_settings_they_are_not_recorded(made) -> None:
    bare = [dataclasses.replace(r, settings={}) for r in made.runs]
    c = dataclasses.replace(made, runs=tuple(bare))
    assert row(c, "With which settings did small").recorded == "no"


def test_search_spaces_are_described(made) -> None:
    assert row(made, "Which search space does noisy").answer == (
        "4 parameters (2 float, 1 int, 1 categorical), 1 conditional, 1 forbidden combination; the"
        " value is minimised."
    )
    assert "2 parameters (2 float), none cond" in row(made, "Which search space does branin").answer


def test_seeds_and_hidden_test_values_and_the_plan_are_stated(made) -> None:
    assert "derive from 7" in row(made, "Which random seeds").answer
    assert "(noisy)" in row(made, "Is there a hidden test").answer
    tests = row(made, "Which tests")
    plan = made.analyses[-1].plan
    assert plan.pairs.title in tests.answer and "0.05" in tests.answer
    assert f"family of {made.analyses[-1].family} hyp" in tests.answer
    assert f"({plan.n})" in row(made, "What is the independent unit").answer
    few = metaopt.compare(["random", "sobol"], "branin", 2, 3)
    assert row(few, "Which tests").answer.startswith("No test was made: 3 paired repeats")
    alone = metaopt.compare("random", "branin", 2, 3)
    assert "a single strategy" in row(alone, "Which tests").answer
    assert row(alone, "Is there a hidden").answer == "No problem has hidden test values."


def test_the_budget_names_pruners_and_runs_that_ended_early() -> None:
    problem = Problem("reporting", Space(x=Int(1, 3)), reporting)
    c = metaopt.compare(["random", "sobol"], problem, 3, 2, pruner="threshold:upper=2")
    assert "threshold" in row(c, "Which budget").answer
    short = [dataclasses.replace(r, trials=r.trials[:2]) for r in c.runs]
    answer = row(dataclasses.replace(c, runs=tuple(short)), "Which budget").answer
    assert "4 runs ended earlier" in answer


def test_a_margin_and_missing_repeats_are_stated(made) -> None:
    c = dataclasses.replace(made, margin={"noisy": 0.1, "branin": 2.0}, unfinished=4)
    assert "noisy: 0.1, branin: 2" in row(c, "Was a smallest difference").answer
    assert row(c, "Is the comparison complete").answer.startswith("Stopped early: 6 of 10")
    assert row(made, "Is the comparison complete").answer == "Complete: all 6 planned repeats."


def test_a_number_of_repeats_that_was_changed_is_told(tmp_path: Path) -> None:
    store = tmp_path / "c.db"
    for repeats in (2, 2, 3):
        c = metaopt.compare(["random", "sobol"], NOISY, 3, repeats, storage=store)
        found = row(c, "How many repeats")
        assert found.recorded == ("yes" if repeats == 2 else "in part")
    assert "changed: 2, then 3." in found.answer
    assert row(metaopt.load_comparison(store), "How many repeats") == found
    other = metaopt.compare(["random", "sobol"], "branin", 3, 2, storage=store)
    assert row(other, "How many repeats").recorded == "yes"  # of another comparison in the store


def test_repeats_that_are_added_until_all_is_decided_are_a_rule_and_no_early_stop(tmp_path) -> None:
    store = tmp_path / "c.db"
    call = (["random", "sobol"], NOISY, 3)
    c = metaopt.compare(*call, "until", storage=store, max_repeats=3)
    found = row(c, "How many repeats")
    assert "until all was decided, 3 at most" in found.answer and found.recorded == "yes"
    assert f"after {c.repeats} of at most 3" in row(c, "Is the comparison complete").answer
    with pytest.raises(metaopt.MetaoptError, match="the rule cannot change"):
        metaopt.compare(*call, 4, storage=store)


def test_versions_of_the_runs_come_from_the_storage(tmp_path: Path) -> None:
    store = tmp_path / "c.db"
    c = metaopt.compare(["random", "sobol"], NOISY, 3, 1, storage=store)
    found = row(c, "Which versions")
    assert f"For the runs: metaopt {metaopt.__version__};" in found.answer
    assert "For this page" in found.answer and "numpy" in found.answer
    store.unlink()  # then it is said, and the page is written all the same
    assert "the storage cannot be read" in row(c, "Which versions").answer


# -- the purpose -----------------------------------------------------------------------------------


def test_a_comparison_is_exploratory_unless_the_user_says_otherwise(tmp_path: Path) -> None:
    store = tmp_path / "c.db"
    call = (["random", "sobol"], NOISY, 3, 2)
    plain = metaopt.compare(*call)
    assert plain.purpose == "exploratory"
    assert row(plain, "Is the study exp").answer.startswith("Exploratory")
    stated = metaopt.compare(*call, storage=store, purpose="confirmatory")
    assert stated.purpose == "confirmatory"
    found = row(stated, "Is the study exp")
    assert found.answer.startswith("Confirmatory") and found.recorded == "in part"
    assert metaopt.load_comparison(store).purpose == "confirmatory"
    assert metaopt.compare(*call, storage=store, purpose="confirmatory").runs == stated.runs
    (facts,) = [b for b in compose(stated, []).sections[0].blocks if b.kind == "facts"]
    assert dict(facts.pairs)["Purpose"] == "confirmatory"


def test_what_began_as_exploratory_cannot_become_confirmatory(tmp_path: Path) -> None:
    store = tmp_path / "c.db"
    metaopt.compare(["random", "sobol"], NOISY, 3, 1, storage=store)
    for repeats in (1, 4):
        with pytest.raises(StudyError, match=r"began as exploratory.*another storage and another"):
            metaopt.compare(
                ["random", "sobol"], NOISY, 3, repeats, storage=store, purpose="confirmatory"
            )
    new = metaopt.compare(
        ["random", "sobol"], "branin", 3, 1, storage=store, purpose="confirmatory"
    )
    assert new.purpose == "confirmatory"  # another comparison in the same file


def test_an_unknown_purpose_is_named() -> None:
    with pytest.raises(StudyError, match="'exploratory' or 'confirmatory', got 'confirmation'"):
        metaopt.compare(["random"], "branin", 2, 1, purpose="confirmation")


def test_setups_of_earlier_versions_are_exploratory() -> None:
    setup = ComparisonSetup.of([NOISY], ["a", "b"], 3, 2, 0, "a")
    stated = dataclasses.replace(setup, purpose="confirmatory")
    assert ComparisonSetup.from_json(stated.to_json()) == stated
    old = {k: v for k, v in stated.to_json().items() if k != "purpose"}
    assert ComparisonSetup.from_json(old).purpose == "exploratory"


# -- the machine, and the table of overtuning ------------------------------------------------------


def test_the_machine_is_read_from_what_the_system_tells(tmp_path: Path, monkeypatch) -> None:
    cpu = tmp_path / "cpuinfo"
    cpu.write_text("processor\t: 0\nmodel name\t: Some CPU 3000\n")
    gpu = tmp_path / "gpus" / "0000:01:00.0" / "information"
    monkeypatch.setattr(recorded, "CPU", cpu)
    monkeypatch.setattr(recorded, "GPUS", tmp_path / "gpus")
    assert recorded.processor().startswith("Some CPU 3000, ")
    assert recorded.gpus() == "no GPU found"
    gpu.parent.mkdir(parents=True)
    gpu.write_text("Model: \t\t Some GPU\nIRQ: 1\n")
    assert recorded.gpus() == "Some GPU"
    monkeypatch.setattr(recorded, "CPU", tmp_path / "none")
    assert recorded.processor().endswith("cores")


def test_the_table_of_overtuning_holds_the_numbers_of_stats(made) -> None:
    table, words = overtuning_table.blocks(made)
    assert [r[0].text for r in table.rows] == ["noisy"] * 3  # branin has no test values
    for cells, label in zip(table.rows, made.strategies, strict=True):
        found = [
            stats.overtuning(
                [t.value for t in r.trials], [t.metrics.get("test") for t in r.trials]
            )
            for r in made.runs
            if (r.problem, r.strategy) == ("noisy", label)
        ]  # fmt: skip
        relative = [x.relative for x in found if not np.isnan(x.relative)]
        shown = dict(zip(table.header, (c.value for c in cells), strict=True))
        assert (shown["strategy"], shown["runs"]) == (label, 6)
        assert shown["runs with overtuning"] == np.mean([x.absolute > 0 for x in found])
        assert shown["test value lost"] == np.median([x.absolute for x in found])
        assert shown["runs without gain"] == 6 - len(relative)
        assert shown["relative overtuning"] == (np.median(relative) if relative else None)
    assert "never sees the test value" in words.text


def test_overtuning_of_a_maximised_problem_is_that_of_its_negative() -> None:
    def opposite(trial) -> Result:
        return Result(-noisy(trial).value, metrics={"test": -noisy(trial).metrics["test"]})

    flipped = Problem("noisy", SPACE, opposite, "maximize")
    tables = [
        next(iter(overtuning_table.blocks(metaopt.compare(["random", "sobol"], p, 8, 4))))
        for p in (NOISY, flipped)
    ]
    assert tables[0].rows == tables[1].rows


def test_without_test_values_of_every_trial_there_is_no_table() -> None:
    def sometimes(trial) -> Result:
        return Result(trial["x"], metrics={"test": 1.0} if trial.number else {})

    c = metaopt.compare(["random", "sobol"], Problem("p", SPACE, sometimes), 4, 2)
    assert list(overtuning_table.blocks(c)) == []
