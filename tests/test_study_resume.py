"""A study that is killed at any point and resumed equals the uninterrupted one, bit for bit."""

import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fragile import Crash, FragileStore
from running import SPACE, cheap, learnt, main, pruner, seen

from metaopt.execution import evaluate
from metaopt.pruning import PatientPruner, Pruner, find_pruner
from metaopt.space import Categorical, Int, Space
from metaopt.study import Study
from metaopt.trials.records import Result

CHEAP = ["random", "grid", "sobol", "genetic", "pso", "tabu"]
MODES = [(None, False), (None, True), (4, False), (4, True)]  # batch_size, pruner
WEIGHED = [pytest.param(*m, marks=() if m[1] else pytest.mark.slow) for m in MODES]
N = 14


def make(strategy, with_pruner=False, space=SPACE):
    return Study(space, strategy, storage="there", seed=3, pruner=pruner() if with_pruner else None)


def reference(strategy, n, batch_size, with_pruner, space=SPACE, objective=cheap):
    study = Study(space, strategy, seed=3, pruner=pruner() if with_pruner else None)
    study.optimize(objective, n, batch_size=batch_size)
    return study


def go_on(store, monkeypatch, strategy, n, batch_size, with_pruner, **fields):
    monkeypatch.setattr("metaopt.storage.opening.open_store", lambda storage: store)
    study = make(strategy, with_pruner, **fields)
    study.optimize(cheap, n, batch_size=batch_size)
    return study


@pytest.mark.parametrize(("batch_size", "with_pruner"), WEIGHED)
@pytest.mark.parametrize("strategy", CHEAP)
def test_a_crash_at_any_append_changes_nothing(strategy, batch_size, with_pruner, monkeypatch):
    expected = reference(strategy, N, batch_size, with_pruner)
    statuses = {r.status for r in expected.trials}
    assert statuses >= ({"complete", "failed", "pruned"} if with_pruner else {"complete", "failed"})
    whole = FragileStore(eager=True).boot()
    monkeypatch.setattr("metaopt.storage.opening.open_store", lambda storage: whole)
    go_on(whole, monkeypatch, strategy, N, batch_size, with_pruner)
    appends = whole.appended
    assert appends > 4 * N
    eager = batch_size is None  # both kinds of store: all prefixes, and buffered as in a file
    for k in range(appends):
        store = FragileStore(eager=eager).boot(crash_at=k, crash_after=eager)
        with pytest.raises(Crash):
            go_on(store, monkeypatch, strategy, N, batch_size, with_pruner)
        again = go_on(store.boot(), monkeypatch, strategy, N, batch_size, with_pruner)
        assert seen(again) == seen(expected), f"after a crash at append {k}"
        assert learnt(again.strategy) == learnt(expected.strategy), f"after a crash at append {k}"
        assert {r.attempts for r in again.trials} <= {1, 2}
        assert sum(r.attempts == 2 for r in again.trials) <= 1


class Together:
    """A batch that trains in lockstep; its members are compared with each other for pruning."""

    lockstep = True

    def __call__(self, trial):
        raise AssertionError("members are trained together")

    def many(self, trials):
        running = {t.number: t for t in trials}
        for step in range(1, 4):
            for trial in running.values():
                trial.report(trial["x"] ** 2 + trial["n"] / 10 + 1 / step, step)
            for trial in list(running.values()):
                if trial.should_stop():
                    yield running.pop(trial.number).number, Result(status="pruned")
        yield from ((n, t["x"] ** 2) for n, t in running.items())


@pytest.mark.parametrize("eager", [True, False])
def test_a_crash_during_a_batch_in_lockstep_changes_nothing(eager, monkeypatch):
    def run(study):
        study.optimize(Together(), N, batch_size=5)
        return study

    expected = run(Study(SPACE, "genetic", seed=3, pruner=pruner()))
    assert {r.status for r in expected.trials[:5]} == {"pruned", "complete"}
    store = whole = FragileStore(eager).boot()
    monkeypatch.setattr("metaopt.storage.opening.open_store", lambda storage: store)
    run(make("genetic", with_pruner=True))
    for k in range(whole.appended):
        store = FragileStore(eager).boot(crash_at=k, crash_after=eager)
        with pytest.raises(Crash):
            run(make("genetic", with_pruner=True))
        store.boot()
        again = run(make("genetic", with_pruner=True))
        assert seen(again) == seen(expected), f"after a crash at append {k}"


KINDS = ["asha:reduction_factor=2", "hyperband:max_resource=8,reduction_factor=2",
         "curve:max_resource=8,min_reports=3,threshold=0.4", "threshold:upper=5,warmup_steps=4",
         "percentile:percentile=40,min_trials=2"]  # fmt: skip


class Racing(Pruner):
    """Uses all reports of other trials, at any step."""

    name = "racing"

    def decide(self, step, value, others):
        return value > 2 + min((v for c in others.values() for _, v in c), default=math.inf)


KINDS += [PatientPruner(find_pruner("threshold:upper=5"), 0), Racing()]


def falling(trial, step):
    """Return a report of a falling curve with bumps; its rate depends on the trial."""
    bump = 0.7 * math.sin(7 * step + trial.number)
    return trial["x"] ** 2 / 2 + trial["n"] / 9 + 8 / step ** (trial["rate"] + 0.5) + bump


class Ending(Together):
    """A batch whose members end by themselves, at different steps."""

    def many(self, trials):
        running = {t.number: t for t in trials}
        for step in range(1, 9):
            for trial in running.values():
                trial.report(falling(trial, step), step)
            for trial in list(running.values()):
                if trial.should_stop():
                    yield running.pop(trial.number).number, Result(status="pruned")
                elif step == 8 - trial.number % 4:
                    yield running.pop(trial.number).number, trial.curve[-1][1]


def ending(trial):
    for step in range(1, 9 - trial.number % 4):
        trial.report(falling(trial, step), step)
        if trial.should_stop():
            break
    return trial.curve[-1][1]


@pytest.mark.parametrize("objective", [Ending(), ending], ids=["lockstep", "serial"])
@pytest.mark.parametrize("kind", KINDS, ids=["asha", "hyperband", "curve", "threshold",
                                             "percentile", "patient", "racing"])  # fmt: skip
def test_with_every_pruner_a_crash_changes_nothing(kind, objective, monkeypatch):
    def run(storage=None, direction="minimize"):
        study = Study(SPACE, "random", direction, seed=3, storage=storage, pruner=kind)
        study.optimize(objective, 16, batch_size=8)
        return study

    expected = run()
    assert {r.status for r in expected.trials} == {"pruned", "complete"}
    assert seen(run()) == seen(expected)
    store = FragileStore(eager=True).boot()
    monkeypatch.setattr("metaopt.storage.opening.open_store", lambda storage: store)
    run("there")
    for k in range(3, store.appended, 3 if objective is not ending else 9):
        store = FragileStore(eager=True).boot(crash_at=k)
        with pytest.raises(Crash):
            run("there")
        store.boot()
        assert seen(run("there")) == seen(expected), f"after a crash at append {k}"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("strategy", CHEAP)
def test_many_crashes_in_a_row_change_nothing(strategy, seed, monkeypatch):
    rng = random.Random(seed)
    batch_size, with_pruner = rng.choice(MODES)
    expected = reference(strategy, N, batch_size, with_pruner)
    store = FragileStore(eager=rng.random() < 0.5)
    for life in range(200):  # noqa: B007 -- used below
        try:
            again = go_on(
                store.boot(rng.randrange(1, 40), rng.random() < 0.5),
                monkeypatch,
                strategy,
                N,
                batch_size,
                with_pruner,
            )
        except Crash:
            continue
        break
    assert life > 1
    assert seen(again) == seen(expected)
    assert learnt(again.strategy) == learnt(expected.strategy)


@pytest.mark.parametrize("batch_size", [None, 4])
@pytest.mark.parametrize("strategy", CHEAP)
def test_a_crash_before_the_space_is_exhausted_changes_nothing(strategy, batch_size, monkeypatch):
    rate = Categorical([0.1, 1.0])
    space = Space(x=Int(-2, 2), n=Int(1, 2), rate=rate, forbid=[{"x": 0, "n": 1}])
    expected = reference(strategy, 99, batch_size, False, space)
    assert len(expected.trials) == 18
    for k in range(3, 5 * 18, 7):
        store = FragileStore(eager=bool(k % 2)).boot(crash_at=k)
        with pytest.raises(Crash):
            go_on(store, monkeypatch, strategy, 99, batch_size, False, space=space)
        again = go_on(store.boot(), monkeypatch, strategy, 99, batch_size, False, space=space)
        assert seen(again) == seen(expected)


@pytest.mark.parametrize("crash_at", range(0, 40, 3))
def test_a_crash_with_ask_and_tell_keeps_enqueued_added_and_pending_trials(crash_at, monkeypatch):
    good, other = ({"x": x, "rate": 0.01, "n": 2, "kind": "plain"} for x in (0.5, 0.25))

    def by_hand(study):
        """Run a script that a user starts again after an interruption."""
        study.enqueue(good)
        while len(study.trials) < 9 or any(r.result is None for r in study.trials):
            if len(study.trials) == 4 and all(r.result is not None for r in study.trials):
                study.add(other, 0.125)
            trial = study.ask()
            study.tell(trial, evaluate(cheap, trial))
        return study

    expected = by_hand(Study(SPACE, "genetic", seed=3))
    assert [r.origin for r in expected.trials].count("enqueued") == 1
    assert expected.trials[4].origin == "added"
    store = FragileStore(eager=bool(crash_at % 2)).boot(crash_at=crash_at)
    monkeypatch.setattr("metaopt.storage.opening.open_store", lambda storage: store)
    with pytest.raises(Crash):
        by_hand(make("genetic"))
    store.boot()
    assert seen(by_hand(make("genetic"))) == seen(expected)


@pytest.mark.parametrize(("batch_size", "with_pruner"), MODES)
def test_interrupting_inside_the_objective_changes_nothing(tmp_path, batch_size, with_pruner):
    expected = reference("tabu", N, batch_size, with_pruner)
    path = tmp_path / "study.db"
    calls = 0

    def interrupted(trial):
        nonlocal calls
        calls += 1
        if calls % 3 == 0:
            trial.report(-100.0, 0.5)  # of an interrupted attempt: must be discarded
            raise KeyboardInterrupt
        return cheap(trial)

    for _ in range(50):
        study = Study(SPACE, "tabu", storage=path, seed=3, pruner=pruner() if with_pruner else None)
        try:
            study.optimize(interrupted, N, batch_size=batch_size)
        except KeyboardInterrupt:
            study.close()
            continue
        break
    assert calls > N + 5
    assert seen(study) == seen(expected)
    assert learnt(study.strategy) == learnt(expected.strategy)
    study.close()


def test_an_interrupted_study_can_be_resumed_without_reopening(caplog):
    expected = reference("genetic", N, None, False)
    study = Study(SPACE, "genetic", seed=3)
    calls = 0

    def interrupted(trial):
        nonlocal calls
        calls += 1
        if calls in (1, 6):
            raise KeyboardInterrupt
        return cheap(trial)

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            study.optimize(interrupted, N)
    assert "to resume, repeat the call of optimize()" in caplog.text
    study.optimize(interrupted, N)
    assert seen(study) == seen(expected)


@pytest.mark.parametrize("strategy", CHEAP)
def test_raising_n_trials_step_by_step_equals_a_single_call(strategy, tmp_path):
    expected = reference(strategy, N, None, True)
    for total in (1, 2, 5, 9, N):
        study = Study(SPACE, strategy, storage=tmp_path / "a.db", seed=3, pruner=pruner())
        study.optimize(cheap, total)
        study.close()
    assert seen(study) == seen(expected)


# -- real processes, real signals, real files ------------------------------------------------------


def run_and_kill(arguments, lines, delay):
    """Start a process and kill it `delay` seconds after that many lines; True if it was done."""
    child = subprocess.Popen(
        [
            sys.executable,
            str(Path(__file__).parent / "helpers" / "running.py"),
            *map(str, arguments),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    first = child.stdout.readline()
    if first != "ready\n":
        pytest.fail(child.communicate()[1][-2000:])
    last = first
    for _ in range(lines):
        last = child.stdout.readline() or last
    time.sleep(delay)
    os.kill(child.pid, signal.SIGKILL)
    return (child.communicate()[0] or last).endswith("done\n")


def killed_until_done(tmp_path, strategy, n, batch_size, with_pruner, seed):
    rng = random.Random(f"{strategy}{seed}")
    path = tmp_path / "study.db"
    arguments = (path, strategy, n, batch_size or 0, with_pruner)
    kills = 0
    while not run_and_kill(arguments, rng.randrange(n // 3, n), rng.uniform(0, 0.01)):
        kills += 1
        assert kills < 60
    again = Study(SPACE, strategy, storage=path, seed=3, pruner=pruner() if with_pruner else None)
    expected = reference(strategy, n, batch_size, with_pruner)
    assert seen(again) == seen(expected)
    assert learnt(again.strategy)[:3] == learnt(expected.strategy)[:3]
    again.close()
    return kills


@pytest.mark.parametrize(("strategy", "batch_size", "with_pruner"), [
    ("random", None, True), ("grid", 4, False), ("sobol", 4, True), ("genetic", 4, True),
    ("pso", None, True), ("tabu", 4, False),
])  # fmt: skip
def test_killed_with_sigkill_and_reopened_until_done(tmp_path, strategy, batch_size, with_pruner):
    assert killed_until_done(tmp_path, strategy, 24, batch_size, with_pruner, 0) >= 1


@pytest.mark.slow
@pytest.mark.parametrize(("batch_size", "with_pruner"), MODES)
@pytest.mark.parametrize("strategy", CHEAP)
def test_killed_with_sigkill_in_every_mode(tmp_path, strategy, batch_size, with_pruner):
    killed_until_done(tmp_path, strategy, 24, batch_size, with_pruner, 1)


@pytest.mark.slow
@pytest.mark.parametrize(("batch_size", "with_pruner"), [(None, True), (4, False)])
def test_skopt_killed_with_sigkill_and_reopened_until_done(tmp_path, batch_size, with_pruner):
    killed_until_done(tmp_path, "skopt", 13, batch_size, with_pruner, 0)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [None, 4])
def test_skopt_resumes_from_a_crash_in_its_model_phase(batch_size, monkeypatch):
    expected = reference("skopt", 13, batch_size, True)
    for k in range(70, 92, 3):
        store = FragileStore(eager=True).boot(crash_at=k)
        try:
            go_on(store, monkeypatch, "skopt", 13, batch_size, True)
        except Crash:
            again = go_on(store.boot(), monkeypatch, "skopt", 13, batch_size, True)
            assert seen(again) == seen(expected)


def test_the_script_that_is_killed_runs_the_same_study(tmp_path, capsys):
    main(tmp_path / "a.db", "random", 6, None, False)
    assert capsys.readouterr().out.split()[-1] == "done"
    study = Study(SPACE, "random", storage=tmp_path / "a.db", seed=3)
    assert seen(study) == seen(reference("random", 6, None, False))
    study.close()
