"""`metaopt watch`: its output is correct, it ends with the study, and it only reads."""

from __future__ import annotations

import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

import metaopt
from metaopt import Categorical, Float, Problem, Space, Study
from metaopt.cli.follow import Follower, Overview, View
from metaopt.cli.watch import BLOCKS, PLAIN_BLOCKS, blocks_for, sparkline, watch
from metaopt.core.errors import StoreError, UnknownNameError
from metaopt.trials.records import Proposal, Result, TrialRecord

SPACE = Space(x=Float(-1, 1))
RUN = """
import sys, time, metaopt
from metaopt import Float, Space, Study, make_strategy
space = Space(x=Float(-1, 1))
def slow(trial):
    time.sleep(0.03)
    if trial.number % 6 == 5:
        raise ValueError("now and then")
    return trial["x"] ** 2
strategy = make_strategy("random", space, 1, budget=40)
study = Study(space, strategy, storage=sys.argv[1], name="slow one")
study.optimize(slow, 40)
study.close()
"""


def square(trial) -> float:
    return trial["x"] ** 2


@pytest.fixture
def running(tmp_path: Path):
    """A file in which another process is writing a study of 40 trials."""
    (tmp_path / "run.py").write_text(RUN)
    storage = tmp_path / "s.db"
    child = subprocess.Popen(
        [sys.executable, "-W", "ignore", str(tmp_path / "run.py"), str(storage)],
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not (storage.exists() and metaopt.studies(storage)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    yield storage
    child.wait(60)


def command(storage: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "metaopt.cli", "watch", str(storage), "--interval", "0.1", *more]


def content(storage: Path) -> list[tuple]:
    connection = sqlite3.connect(storage)
    tables = ("metaopt_studies", "metaopt_events", "metaopt_notes")
    rows = [row for t in tables for row in connection.execute(f"SELECT * FROM {t}")]
    connection.close()
    return rows


def test_with_piped_output_it_prints_changes_and_ends_with_the_study(running: Path) -> None:
    done = subprocess.run(
        command(running), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    numbers = [int(re.match(r"(\d+) of 40 trials", line)[1]) for line in lines]
    assert numbers == sorted(numbers)
    assert len(lines) == len(set(lines)) >= 1
    study = metaopt.load(running)
    best = study.best
    study.close()
    assert lines[-1] == (
        f"40 of 40 trials (34 complete, 6 failed); best {best.value:.6g} in trial {best.number};"
        f" complete"
    )


def test_on_a_terminal_it_shows_curve_best_and_newest_trials(running: Path) -> None:
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        command(running), stdout=theirs, stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # the terminal has no more writers
            break
        seen += chunk
        if not chunk:
            break
    assert child.wait(60) == 0, child.communicate()[1]
    child.stderr.close()
    os.close(ours)
    text = seen.decode()
    assert "slow one: random, minimize" in text
    assert any(block in text for block in BLOCKS)
    last = text[text.rindex("slow one:") :]
    assert "40 of 40 trials (34 complete, 6 failed); complete" in last
    assert re.search(r"39\s+complete|39\s+failed", last)


def test_ctrl_c_ends_watching_without_a_message_and_the_study_continues(running: Path) -> None:
    child = subprocess.Popen(
        command(running, "--trials", "1000"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert "of 1000 trials" in child.stdout.readline()
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (0, "")


def test_it_only_reads(tmp_path: Path) -> None:
    storage = tmp_path / "s.db"
    study = Study(SPACE, metaopt.make_strategy("random", SPACE, 0, budget=4), storage=storage)
    study.optimize(square, 3)
    study.ask()
    before = content(storage)
    follower = Follower(storage)
    first = follower.look()
    assert first.views[0].counts == {"complete": 3, "running": 1}
    assert (first.done, first.left, first.complete) == (3, 1, False)
    follower.close()
    assert content(storage) == before
    study.close()


def test_a_follower_sees_new_trials_and_agrees_with_the_study(tmp_path: Path) -> None:
    storage = tmp_path / "s.db"
    study = Study(SPACE, "random", "maximize", storage=storage)
    study.optimize(square, 5)
    follower = Follower(storage)
    for n in (5, 9):
        study.optimize(square, n)
        (view,) = follower.look().views
        assert view.trials == study.trials
        assert view.best == study.best
        assert view.curve == list(metaopt.stats.best_so_far(
            [t.value for t in study.trials], "maximize"
        ))  # fmt: skip
    assert view.total is None
    assert not view.complete
    follower.close()
    study.close()


def test_a_comparison_is_complete_when_all_its_runs_are(tmp_path: Path, capsys) -> None:
    storage = tmp_path / "c.db"
    problem = Problem("square", SPACE, square)
    other = Study(SPACE, "random", storage=storage, name="another study")
    other.close()
    metaopt.compare(["random", "sobol"], problem, 4, 3, storage=storage)
    assert watch(storage) is True
    assert capsys.readouterr().out.startswith("6 of 6 studies, 24 of 24 trials (24 complete)")


def test_an_exhausted_space_is_complete(tmp_path: Path) -> None:
    storage = tmp_path / "s.db"
    study = Study(Space(x=Categorical([1, 2, 3])), "random", storage=storage)
    study.optimize(square, 9)
    study.close()
    assert watch(storage) is True


def test_a_missing_file_or_study_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no file"):
        watch(tmp_path / "none.db")
    Study(SPACE, "random", storage=tmp_path / "s.db", name="alpha").close()
    with pytest.raises(UnknownNameError, match="did you mean 'alpha'"):
        watch(tmp_path / "s.db", "alpa")


def _view(times: list[float], seconds: float, total: int | None) -> View:
    trials = [
        TrialRecord(
            Proposal(i, {"x": 0.0}, 0), Result(1.0, seconds=seconds), started=at, finished=at
        )
        for i, at in enumerate(times)
    ]
    return View("s", "random", "minimize", total, trials, None)


def test_the_rate_leaves_out_pauses_and_gives_the_time_left() -> None:
    # One trial every 2 s, a pause of a night, then again one trial every 2 s.
    times = [1000 + 2 * i for i in range(6)] + [40000 + 2 * i for i in range(6)]
    seen = Overview([_view(times, 1.9, 20)], 1, 0)
    assert seen.rate == pytest.approx(0.5)
    assert seen.seconds_left == pytest.approx(8 / 0.5)
    # Two workers finish twice as many.
    both = Overview([_view(times, 1.9, 20), _view([t + 1 for t in times], 1.9, 20)], 2, 0)
    assert both.rate == pytest.approx(1.0)
    assert Overview([_view([5.0], 1.0, 20)], 1, 0).rate is None
    assert Overview([_view(times, 1.9, None)], 1, 0).seconds_left is None


@pytest.mark.parametrize(
    ("values", "width", "expected"),
    [
        ([8, 7, 6, 5, 4, 3, 2, 1], 8, "█▇▆▅▄▃▂▁"),
        ([1, 1, 1], 8, "▁▁▁"),
        ([3.0], 8, "▁"),
        ([100, 10, 1], 3, "█▅▁"),  # logarithmic: ten is in the middle
        ([10, 9, 9, 9, 9, 3], 3, "██▁"),  # the last value of each part is drawn
    ],
)
def test_a_sparkline_shows_its_values(values, width: int, expected: str) -> None:
    assert sparkline(values, width) == expected
    assert len(sparkline(list(range(1000)), 48)) == 48


def test_a_terminal_without_block_characters_gets_ascii() -> None:
    assert blocks_for("utf-8") == BLOCKS
    assert blocks_for("ascii") == blocks_for(None) == PLAIN_BLOCKS
    assert sparkline([2, 1], 8, PLAIN_BLOCKS).isascii()
