"""The command line: its output, its exit codes, and no traceback for bad input."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

import metaopt


def _metaopt(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "metaopt.cli", *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_it_lists_strategies_and_problems() -> None:
    done = _metaopt("strategies")
    assert done.returncode == 0
    assert all(name in done.stdout for name in metaopt.strategies())
    done = _metaopt("problems")
    assert done.returncode == 0
    assert all(name in done.stdout for name in metaopt.problems.names())


def test_a_run_is_stored_shown_and_continued(tmp_path: Path) -> None:
    storage = tmp_path / "runs.db"
    run = ("run", "branin", "--strategy", "sobol", "--storage", storage, "--seed", "3")
    assert _metaopt(*run, "--trials", "12").returncode == 0
    again = _metaopt(*run, "--trials", "12")
    assert again.returncode == 0
    assert "holds 12 trials" in again.stdout
    best = metaopt.load(storage).best
    shown = _metaopt("show", storage)
    assert f"{best.value:.6g}" in shown.stdout
    assert "12 complete" in shown.stdout
    page = _metaopt("report", storage, "--out", tmp_path / "only.html")
    assert page.stdout == f"report: {tmp_path / 'only.html'}\n"
    assert f"{best.value:.6g}" in (tmp_path / "only.html").read_text()
    listed = _metaopt("studies", storage)
    assert "branin" in listed.stdout
    assert "sobol" in listed.stdout


def test_a_comparison_prints_a_ranking_and_writes_a_report(tmp_path: Path) -> None:
    done = _metaopt(
        "compare", "branin", "--strategies", "random, sobol", "--trials", "5", "--repeats", "6",
        "--storage", tmp_path / "c.db", "--report", tmp_path / "page.html",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ranks first" in done.stdout or "rank first" in done.stdout
    page = tmp_path / "page.html"
    assert f"report: {page}" in done.stdout.replace("\n", "")
    written = page.read_bytes()
    again = _metaopt("report", tmp_path / "c.db", "--out", tmp_path / "again.html")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "again.html").read_bytes() == written


def test_slots_can_be_used_on_the_command_line(tmp_path: Path) -> None:
    storage = tmp_path / "runs.db"
    run = ("run", "breast_cancer", "--strategy", "random", "--storage", storage, "--trials", "6")
    done = _metaopt(*run, "--slots", "3", "--pruner", "asha:reduction_factor=2")
    assert done.returncode == 0 and "holds 6 trials" in done.stdout
    assert len(metaopt.load(storage).told) == 6
    refused = _metaopt("run", "branin", "--slots", "3")
    assert refused.returncode != 0 and "needs an objective with stream" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_pruner_can_be_chosen_on_the_command_line(tmp_path: Path) -> None:
    run = (
        "run", "breast_cancer", "--strategy", "random", "--trials", "8",
        "--pruner", "asha:reduction_factor=2", "--storage", tmp_path / "a.db",
    )  # fmt: skip
    done = _metaopt(*run)
    assert done.returncode == 0, done.stderr
    assert " pruned" in done.stdout
    assert metaopt.load(tmp_path / "a.db").pruner.to_json()["reduction_factor"] == 2
    wrong = _metaopt("run", "branin", "--pruner", "hyperband")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "'hyperband' needs max_resource" in wrong.stderr and "Traceback" not in wrong.stderr


def _not_a_study(tmp_path: Path) -> Path:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (x)")
    return path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "brannin"), "did you mean 'branin'"),
        (("run", "branin", "--strategy", "sobl"), "did you mean 'sobol'"),
        (("run", "branin", "--trials", "0"), "--trials"),
        (("run", "branin", "--trials", "many"), "--trials"),
        (("run", "branin", "--seed", "-1"), "--seed"),
        (("run", "branin", "--storage", "{tmp}/no/where.db"), "does not exist"),
        (("run", "branin", "--storage", "{tmp}"), "is a folder"),
        (("run", "branin", "--storage", "{other}"), "not a study file"),
        (("run", "branin", "--storage", "nosuchdb://x/y"), "nosuchdb"),
        (("run",), "problem"),
        (("show", "{tmp}/none.db"), "there is no file"),
        (("studies", "{text}"), "not a study file"),
        (("report", "{tmp}/none.db"), "there is no file"),
        (("report", "{text}", "--out", "{other}"), "name a folder"),
        (("compare", "branin", "--strategies", "random,,nope"), "unknown strategy 'nope'"),
        (("compare", "branin", "--strategies", ","), "at least one strategy"),
        (("compare", "branin", "--strategies", "random", "--control", "grid"), "control 'grid'"),
        (("comprae",), "comprae"),
        (("run", "branin", "--trails", "3"), "--trails"),
    ],
)
def test_bad_input_ends_with_code_2_and_one_line(arguments, words: str, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("not a database, but long enough to have a header of one, surely: " * 3)
    places = {"tmp": tmp_path, "other": _not_a_study(tmp_path), "text": text}
    done = _metaopt(*(a.format(**places) for a in arguments))
    assert done.returncode == 2
    lines = [x for x in done.stderr.splitlines() if x]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("metaopt: ")
    assert words in lines[0]


def test_ctrl_c_prints_the_command_to_resume_and_it_works(tmp_path: Path) -> None:
    storage = tmp_path / "digits.db"
    arguments = [
        "run",
        "digits",
        "--strategy",
        "random",
        "--trials",
        "60",
        "--storage",
        str(storage),
    ]
    child = subprocess.Popen(
        [sys.executable, "-m", "metaopt.cli", *arguments], stderr=subprocess.PIPE, text=True
    )
    while not storage.exists() or not _finished(storage):
        time.sleep(0.05)
        assert child.poll() is None, child.communicate()
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "Traceback" not in err
    assert "resume with: metaopt run digits" in err
    kept = _finished(storage)
    done = _metaopt(*arguments[:-3], str(kept + 2), *arguments[-2:])
    assert done.returncode == 0, done.stderr
    assert f"holds {kept + 2} trials" in done.stdout


def _finished(storage: Path) -> int:
    try:
        connection = sqlite3.connect(storage)
        query = "SELECT count(*) FROM metaopt_events WHERE kind = 'finished'"
        return int(connection.execute(query).fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # the tables are not there yet
    finally:
        connection.close()
