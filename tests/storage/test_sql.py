import json
import os
import pickle
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import sqlalchemy as sa

import metaopt
from metaopt.core.errors import MetaoptError, StoreError, StudyError, UnknownNameError
from metaopt.space import Float, Space
from metaopt.storage import Finished, Reported, SqlStore, Told
from metaopt.trials.records import Result

SPACE = Space(x=Float(0, 1))


def told(*numbers):
    return [Told(float(n), n) for n in numbers]


def open_events(path, name="s"):
    store = SqlStore(path)
    if store.find(name) is None:
        store.create(name, {"name": name})
    return store.open(name)


def numbers(path, name="s"):
    log = open_events(path, name)
    found = [e.number for e in log]
    log.close()
    return found


# -- settings --------------------------------------------------------------------------------------


def test_sqlite_runs_with_settings_that_survive_power_loss(tmp_path):
    store = SqlStore(tmp_path / "study.db")
    for _ in range(2):  # on every connection of the pool
        with store.engine.connect() as connection, store.engine.connect() as another:
            for c in (connection, another):
                pragma = {
                    name: c.execute(sa.text(f"PRAGMA {name}")).scalar()
                    for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
                }
                assert pragma["journal_mode"] == "wal"
                assert pragma["synchronous"] == 2  # FULL
                assert pragma["foreign_keys"] == 1
                assert pragma["busy_timeout"] >= 10_000
        store.engine.dispose()


def test_the_settings_also_apply_to_a_database_url(tmp_path):
    store = SqlStore(f"sqlite:///{tmp_path}/study.db")
    with store.engine.connect() as connection:
        assert connection.execute(sa.text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(sa.text("PRAGMA synchronous")).scalar() == 2
    store.close()


# -- appending -------------------------------------------------------------------------------------


def test_events_come_back_in_order_from_another_connection(tmp_path):
    log = open_events(tmp_path / "a.db")
    log.append(*told(3, 1))
    log.append(*told(2))
    assert numbers(tmp_path / "a.db") == [3, 1, 2] == [e.number for e in log]


def test_a_durable_append_writes_all_earlier_events_and_close_writes_the_rest(tmp_path):
    path = tmp_path / "a.db"
    log = open_events(path)
    log.append(*told(0), durable=False)
    assert [e.number for e in log] == [0]  # its own reader sees it
    log.append(*told(1))
    assert numbers(path) == [0, 1]
    log.append(*told(2), durable=False)
    log.close()
    assert numbers(path) == [0, 1, 2]


def test_studies_in_one_file_do_not_see_each_other(tmp_path):
    path = tmp_path / "a.db"
    one, other = open_events(path, "one"), open_events(path, "other")
    one.append(*told(0))
    other.append(*told(5, 6))
    one.append(*told(1))
    assert numbers(path, "one") == [0, 1] and numbers(path, "other") == [5, 6]
    assert [s.name for s in SqlStore(path).studies()] == ["one", "other"]
    with pytest.raises(UnknownNameError, match="'othr'; did you mean 'other'"):
        SqlStore(path).open("othr")


def test_two_writers_of_one_study_collide_and_the_first_keeps_its_events(tmp_path):
    path = tmp_path / "a.db"
    one, other = open_events(path, "mine"), open_events(path, "mine")
    list(one), list(other)
    one.append(*told(0))
    with pytest.raises(StudyError, match=r"another process.*'mine'.*open the study again"):
        other.append(*told(9))
    one.append(*told(1))
    assert numbers(path, "mine") == [0, 1]


def test_two_studies_on_one_file_collide_with_a_clear_error_and_can_be_closed(tmp_path):
    path = tmp_path / "a.db"
    one = metaopt.Study(SPACE, "random", storage=path)
    other = metaopt.Study(SPACE, "random", storage=path)
    one.optimize(lambda t: t["x"], n_trials=2)
    with pytest.raises(StudyError, match="another process has written to the study 'study'"):
        other.optimize(lambda t: t["x"], n_trials=2)
    other.close()  # the error was reported once and is not raised again
    one.optimize(lambda t: t["x"], n_trials=3)
    one.close()
    assert len(metaopt.load(path).trials) == 3


def test_an_interruption_after_the_commit_neither_loses_nor_repeats_events(tmp_path, monkeypatch):
    path = tmp_path / "a.db"
    log = open_events(path)
    log.append(*told(0))
    insert = type(log)._insert

    def interrupted(self):
        insert(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(type(log), "_insert", interrupted)
    with pytest.raises(KeyboardInterrupt):
        log.append(*told(1, 2))
    monkeypatch.undo()
    log.append(*told(3))
    log.append(*told(4), durable=False)
    log.close()
    assert numbers(path) == [0, 1, 2, 3, 4]


def test_a_study_file_is_complete_as_soon_as_it_exists(tmp_path, monkeypatch):
    seen = []
    prepare = SqlStore._prepare

    def looking(self, create):
        seen.append((tmp_path / "a.db").exists())
        prepare(self, create)

    monkeypatch.setattr(SqlStore, "_prepare", looking)
    SqlStore(tmp_path / "a.db").close()
    assert seen == [False, True]  # the tables are created in a temporary file first
    assert [p.name for p in tmp_path.iterdir()] == ["a.db"]


def test_without_hard_links_the_file_is_created_in_place(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    open_events(tmp_path / "a.db").append(*told(0))
    assert numbers(tmp_path / "a.db") == [0]


def test_an_event_that_is_not_json_is_refused_and_later_events_are_stored(tmp_path):
    log = open_events(tmp_path / "a.db")
    log.append(*told(0))
    with pytest.raises(Exception, match="int64"):
        log.append(Told(1.0, np.int64(1)))
    log.append(*told(2))
    log.close()
    assert numbers(tmp_path / "a.db") == [0, 2]


def test_a_study_name_cannot_be_created_twice(tmp_path):
    store = SqlStore(tmp_path / "a.db")
    store.create("s", {})
    with pytest.raises(StoreError, match="'s' was created at the same time"):
        store.create("s", {})


CHILD = textwrap.dedent("""
    import sys
    from metaopt.trials.records import Result
    from metaopt.storage import Finished, Reported, SqlStore
    store = SqlStore(sys.argv[1])
    if store.find("s") is None:
        store.create("s", {})
    log = store.open("s")
    n = len(list(log))
    print("ready", flush=True)
    while True:
        log.append(Reported(0.0, n, 1, 1, 0.5), durable=False)
        log.append(Finished(0.0, n + 1, 1, Result(float(n), data={"pad": "x" * 2000})))
        n += 2
        print(n, flush=True)
""")


def test_durable_events_survive_sigkill(tmp_path):
    path, rng, seen = tmp_path / "a.db", random.Random(1), 0
    for _ in range(6):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.0, 0.15))
        os.kill(child.pid, signal.SIGKILL)
        acknowledged = [int(line) for line in child.stdout.read().split("\n")[:-1]]
        child.wait()
        child.stdout.close()
        last = acknowledged[-1] if acknowledged else seen
        log = open_events(path)
        events = list(log)
        assert len(events) >= last  # perhaps one more, whose acknowledgement was lost
        assert len(events) <= last + 2
        assert [e.number for e in events] == list(range(len(events)))
        assert {type(e) for e in events} <= {Reported, Finished}
        log.close()
        seen = len(events)
    assert seen > 20
    check = sqlite3.connect(path)
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.close()


def test_several_processes_may_create_the_same_file_at_once(tmp_path):
    code = (
        "import sys, time, metaopt\n"
        "from metaopt.study import Study\n"
        "space = metaopt.Space(x=metaopt.Float(0, 1)); metaopt.strategies()\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "s = Study(space, 'random', storage=sys.argv[1], name=sys.argv[2])\n"
        "s.optimize(lambda t: t['x'], n_trials=3); s.close()\n"
    )
    for attempt in range(3):
        path = tmp_path / f"new{attempt}.db"
        children = [
            subprocess.Popen(
                [sys.executable, "-c", code, str(path), f"s{i}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for i in range(3)
        ]
        for child in children:
            assert child.stdout.readline() == "ready\n"
        for child in children:
            child.stdin.write("\n")
            child.stdin.flush()
        errors = [child.communicate(timeout=60)[1] for child in children]
        assert [e[-300:] for e in errors] == [""] * 3
        assert len(metaopt.studies(path)) == 3


# -- files that are not study files ----------------------------------------------------------------


def test_another_file_is_refused_with_its_path_and_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("These are my notes, and no database at all.\n" * 50)
    for call in (
        SqlStore,
        metaopt.load,
        metaopt.studies,
        lambda p: metaopt.Study(SPACE, "random", storage=p),
    ):
        with pytest.raises(StoreError) as caught:
            call(path)
        assert str(path) in str(caught.value) and "not a study file" in str(caught.value)
    assert path.read_text() == "These are my notes, and no database at all.\n" * 50


def test_another_database_is_refused_with_its_path_and_left_alone(tmp_path):
    path = tmp_path / "accounts.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE money (amount)")
    other.commit()
    other.close()
    before = path.read_bytes()
    for call in (SqlStore, metaopt.load, lambda p: metaopt.Study(SPACE, "random", storage=p)):
        with pytest.raises(StoreError) as caught:
            call(path)
        assert str(path) in str(caught.value) and "money" in str(caught.value)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["accounts.db"]


@pytest.mark.parametrize(("where", "part"), [
    ("", "is a folder"), ("missing/deep.db", "does not exist"),
])  # fmt: skip
def test_a_folder_or_a_missing_parent_is_refused_with_the_path(tmp_path, where, part):
    path = tmp_path / where
    with pytest.raises(StoreError, match=part) as caught:
        SqlStore(path)
    assert str(tmp_path) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_reading_creates_no_file(tmp_path):
    path = tmp_path / "none.db"
    for call in (metaopt.load, metaopt.studies):
        with pytest.raises(StoreError, match="there is no file") as caught:
            call(path)
        assert str(path) in str(caught.value)
    assert not path.exists()
    path.touch()
    with pytest.raises(StoreError, match="not a study file"):
        metaopt.studies(path)
    assert path.stat().st_size == 0


@pytest.mark.parametrize(
    "url", ["nosuch://host/db", "postgresql://", "sqlite:////no/such/dir/a.db"]
)
def test_a_url_that_cannot_be_reached_is_a_store_error_that_names_it(url):
    with pytest.raises(StoreError) as caught:
        SqlStore(url)
    assert url in str(caught.value)


def test_a_file_with_a_valid_header_and_random_content_is_a_store_error(tmp_path):
    path = tmp_path / "a.db"
    open_events(path).close()
    broken = bytearray(path.read_bytes())
    broken[100:] = os.urandom(len(broken) - 100)
    path.write_bytes(broken)
    with pytest.raises(StoreError) as caught:
        list(open_events(path))
    assert str(path) in str(caught.value)


def edit(path, statement, *values):
    connection = sqlite3.connect(path)
    connection.execute(statement, values)
    connection.commit()
    connection.close()


@pytest.fixture
def stored(tmp_path):
    path = tmp_path / "a.db"
    study = metaopt.Study(SPACE, "random", storage=path)
    study.optimize(lambda t: t["x"], n_trials=2)
    study.close()
    return path


@pytest.mark.parametrize(("statement", "value"), [
    ("UPDATE metaopt_events SET body = ? WHERE position = 1", "{"),
    ("UPDATE metaopt_events SET body = ? WHERE position = 1", '{"number": 77}'),
    ("UPDATE metaopt_events SET body = ? WHERE position = 1",
     '{"number": 77, "attempt": 1, "worker": "x"}'),
    ("UPDATE metaopt_events SET body = ? WHERE position = 0", '{"entry": {}, "batch": false}'),
    ("UPDATE metaopt_events SET body = ? WHERE position = 0", '{"entry": 3, "batch": false}'),
    ("UPDATE metaopt_events SET kind = ? WHERE position = 2", "__init__"),
    ("UPDATE metaopt_events SET kind = ? WHERE position = 2", "split"),
    ("DELETE FROM metaopt_events WHERE position = 0 AND ''=?", ""),
    ("UPDATE metaopt_studies SET header = ?", "{"),
    ("UPDATE metaopt_studies SET header = ?", "[]"),
    ("UPDATE metaopt_studies SET format = ?", 99),
])  # fmt: skip
def test_a_damaged_study_is_a_clear_error(stored, statement, value):
    edit(stored, statement, value)
    with pytest.raises(MetaoptError):
        metaopt.load(stored)


class Bomb:
    def __reduce__(self):
        return os.mkdir, (str(Bomb.path),)


def test_stored_content_is_never_unpickled_or_executed(tmp_path, stored, monkeypatch):
    Bomb.path = tmp_path / "exploded"
    payload = pickle.dumps(Bomb())
    for statement in (
        "UPDATE metaopt_events SET body = ? WHERE position = 1",
        "UPDATE metaopt_studies SET header = ?",
    ):
        edit(stored, statement, payload)
        with pytest.raises(Exception):  # noqa: B017 -- any refusal will do
            metaopt.load(stored)
    assert not Bomb.path.exists()
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, lambda *a, **k: pytest.fail("a store was unpickled"))
    path = tmp_path / "b.db"
    study = metaopt.Study(SPACE, "genetic", storage=path)
    study.optimize(lambda t: Result(t["x"], data={"code": "__import__('os')"}), n_trials=4)
    study.close()
    again = metaopt.load(path)
    assert again.trials[0].result.data == {"code": "__import__('os')"}


def test_rows_hold_plain_json(stored):
    connection = sqlite3.connect(stored)
    rows = connection.execute("SELECT kind, body FROM metaopt_events ORDER BY position").fetchall()
    (header,) = connection.execute("SELECT header FROM metaopt_studies").fetchone()
    connection.close()
    assert [k for k, _ in rows] == ["asked", "started", "finished", "told"] * 2
    assert all(isinstance(json.loads(body), dict) for _, body in rows)
    assert Space.from_json(json.loads(header)["space"]) == SPACE
