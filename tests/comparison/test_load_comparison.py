"""Comparisons read from a store: the same, also when unfinished, damaged or of an older file."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from pathlib import Path

import pytest

import metaopt
from metaopt import Categorical, Float, Problem, Space, Study
from metaopt.analysis.setup import NOTE, ComparisonSetup, study_name
from metaopt.core.errors import StoreError, StudyError
from metaopt.storage.opening import open_store

SPACE = Space(x=Float(-1, 1))


def square(trial) -> float:
    return trial["x"] ** 2


SQUARE = Problem("square", SPACE, square, "minimize", 0.0, "a parabola")


class Mine(metaopt.Pruner):
    name = "mine"

    def __init__(self) -> None:
        self.limit = 0.5

    def decide(self, step, value, others) -> bool:
        return value > self.limit


def reporting(trial) -> float:
    trial.report(trial["x"] ** 2, 1)
    trial.should_stop()
    return trial["x"] ** 2


@pytest.mark.parametrize("pruner", ["median", Mine()], ids=["ours", "theirs"])
def test_the_settings_of_a_third_party_pruner_are_kept(pruner, tmp_path: Path) -> None:
    store = tmp_path / "c.db"
    problem = Problem("reporting", SPACE, reporting)
    made = metaopt.compare(["random", "sobol"], problem, 8, 2, storage=store, pruner=pruner)
    read = metaopt.load_comparison(store)
    assert read.pruner.to_json() == made.pruner.to_json()
    assert read.runs == made.runs
    pages = [c.report(tmp_path / f"{i}.html").read_text() for i, c in enumerate((made, read))]
    assert pages[0] == pages[1]
    assert made.pruner.to_json()["name"] in pages[0]


class Fragile:
    """Works so many times, then is interrupted, as by Ctrl-C."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self, trial) -> float:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return trial["x"] ** 2


def test_a_loaded_comparison_equals_what_compare_returned(tmp_path: Path) -> None:
    store = tmp_path / "c.db"
    up = Problem("up", SPACE, square, "maximize")
    made = metaopt.compare({"a": "random", "b": "sobol"}, [SQUARE, up], 4, 3, 7, store, control="b")
    read = metaopt.load_comparison(store)
    assert read.runs == made.runs
    assert read.analyses == made.analyses
    for name in ("strategies", "n_trials", "repeats", "seed", "control", "storage", "unfinished"):
        assert getattr(read, name) == getattr(made, name)
    for mine, theirs in zip(read.problems, made.problems, strict=True):
        for name in ("name", "space", "direction", "optimum", "description"):
            assert getattr(mine, name) == getattr(theirs, name)
    with pytest.raises(StudyError, match="does not hold its objectives"):
        read.problems[0].objective(None)  # type: ignore[arg-type]


def test_the_complete_repeats_of_an_interrupted_comparison_are_read(tmp_path: Path) -> None:
    store = tmp_path / "c.db"
    given = (["random", "sobol"], 5, 4)
    problem = Problem("square", SPACE, Fragile(5), "minimize", 0.0, "a parabola")
    with pytest.raises(KeyboardInterrupt):
        metaopt.compare(given[0], problem, *given[1:], storage=store)
    with pytest.raises(StudyError, match=r"no repeat of the comparison .* is finished yet"):
        metaopt.load_comparison(store)
    problem = Problem("square", SPACE, Fragile(22), "minimize", 0.0, "a parabola")
    with pytest.raises(KeyboardInterrupt):
        metaopt.compare(given[0], problem, *given[1:], storage=store)
    half = metaopt.load_comparison(store)
    assert (half.repeats, half.unfinished) == (2, 2)
    assert "2 of 4 planned repeats are missing" in half.report(tmp_path / "page.html").read_text()
    whole = metaopt.compare(given[0], SQUARE, *given[1:], storage=store)
    assert [r for r in whole.runs if r.repeat < 2] == list(half.runs)
    assert metaopt.load_comparison(store).unfinished == 0


def test_a_run_that_exhausts_its_space_is_complete(tmp_path: Path) -> None:
    few = Problem("few", Space(x=Categorical([1, 2, 3])), square)
    made = metaopt.compare(["random", "grid"], few, 5, 2, storage=tmp_path / "c.db")
    assert {len(r.trials) for r in made.runs} == {3}
    assert metaopt.load_comparison(tmp_path / "c.db").runs == made.runs


def test_the_latest_call_counts_and_the_same_call_adds_nothing(tmp_path: Path) -> None:
    store = tmp_path / "c.db"
    for control in ("random", "random", "sobol"):
        metaopt.compare(["random", "sobol"], SQUARE, 3, 2, storage=store, control=control)
    with sqlite3.connect(store) as connection:
        assert connection.execute("SELECT count(*) FROM metaopt_notes").fetchone() == (2,)
    connection.close()
    assert metaopt.load_comparison(store).control == "sobol"


def test_a_call_that_is_refused_leaves_no_note(tmp_path: Path) -> None:
    store = tmp_path / "c.db"
    metaopt.compare(["random", "sobol"], SQUARE, 3, 2, storage=store)
    with pytest.raises(StudyError, match="another budget"):
        metaopt.compare(["random", "sobol"], SQUARE, 4, 2, storage=store)
    assert metaopt.load_comparison(store).n_trials == 3


def test_a_file_without_the_table_of_notes_still_opens(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    study = Study(SPACE, "random", storage=store)
    study.optimize(square, 3)
    study.close()
    with sqlite3.connect(store) as connection:
        connection.execute("DROP TABLE metaopt_notes")
    connection.close()
    with pytest.raises(StudyError, match="holds no comparison but 1 studies"):
        metaopt.load_comparison(store)
    study = metaopt.load(store)
    study.optimize(square, 4)
    study.close()
    metaopt.compare(["random"], SQUARE, 2, 2, storage=store)
    assert metaopt.load_comparison(store).n_trials == 2


@pytest.mark.parametrize(
    ("body", "words"), [("{not json", "note 'comparison' is damaged"), ("{}", "is damaged")]
)
def test_a_damaged_note_is_named(body: str, words: str, tmp_path: Path) -> None:
    store = tmp_path / "c.db"
    metaopt.compare(["random"], SQUARE, 2, 2, storage=store)
    with sqlite3.connect(store) as connection:
        connection.execute("UPDATE metaopt_notes SET body = ?", (body,))
    connection.close()
    with pytest.raises(StoreError, match=words):
        metaopt.load_comparison(store)


def of_an_earlier_version(store: Path) -> None:
    """Rewrite the setup as versions did in which all problems shared the seed of a repeat."""
    with sqlite3.connect(store) as db:
        for key, text in db.execute("SELECT rowid, body FROM metaopt_notes").fetchall():
            note = json.loads(text)
            del note["shared_seeds"], note["margin"]
            db.execute("UPDATE metaopt_notes SET body = ? WHERE rowid = ?", (json.dumps(note), key))


def test_a_comparison_of_an_earlier_version_is_read_and_not_tested_over_problems(
    tmp_path: Path,
) -> None:
    store = tmp_path / "c.db"
    twin = Problem("twin", SPACE, square)
    metaopt.compare(["random", "sobol"], [SQUARE, twin], 3, 6, storage=store)
    of_an_earlier_version(store)
    read = metaopt.load_comparison(store)
    assert read.shared_seeds
    assert "An earlier version made this comparison" in read.conclusion()
    assert "all problems shared the seed of a repeat" in read.report(
        tmp_path / "page.html"
    ).read_text(encoding="utf-8")
    assert all(s.p is None for s in read.analyses[-1].standings)
    with pytest.raises(StudyError, match="share the seed of each repeat"):
        read.pairwise()


def test_an_interrupted_comparison_of_an_earlier_version_goes_on_with_its_own_seeds(
    tmp_path: Path,
) -> None:
    store, problems = tmp_path / "c.db", [SQUARE, Problem("twin", SPACE, square)]
    setup = ComparisonSetup.of(problems, ["random"], 3, 2, 0, "random")
    old = dataclasses.replace(setup, shared_seeds=True)
    for repeat, name, strategy in list(old.runs())[:2]:
        study = Study(
            SPACE,
            metaopt.make_strategy(strategy, SPACE, old.seed_of(name, repeat), 3),
            storage=store,
            name=study_name(name, strategy, repeat),
        )
        study.optimize(square, 3)
        study.close()
    kept = open_store(store)
    kept.note(NOTE, {k: v for k, v in old.to_json().items() if k not in ("shared_seeds", "margin")})
    kept.close()
    c = metaopt.compare(["random"], problems, 3, 2, storage=store)
    assert c.shared_seeds and len(c.runs) == 4
    assert [r.seed for r in c.runs[:2]] == [old.seed_of("square", 0)] * 2
    assert metaopt.load_comparison(store).shared_seeds
