"""Slots: a study that is killed at any point and resumed equals the uninterrupted one."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import fragile
import pytest
from fragile import Crash, FragileStore
from running import SPACE, learnt, pruner, seen
from slotted import Streaming, told

from metaopt.execution.stop_conditions import Stall
from metaopt.pruning import PatientPruner, find_pruner
from metaopt.space import Categorical, Int, Space
from metaopt.study import Study

N, SLOTS = 16, 4


def run(study, objective=None, n_trials=N, **options):
    study.optimize(objective or Streaming(), n_trials, **{"slots": SLOTS, **options})
    return study


def same(again, expected, where=""):
    assert seen(again) == seen(expected), where
    assert told(again) == told(expected), where
    assert learnt(again.strategy) == learnt(expected.strategy), where


def in_store(store, monkeypatch, strategy="genetic", which=None, **options):
    monkeypatch.setattr("metaopt.storage.opening.open_store", lambda storage: store)
    return run(Study(SPACE, strategy, seed=3, storage="there", pruner=which), **options)


@pytest.mark.parametrize(("strategy", "with_pruner", "eager"), [
    ("genetic", True, True), ("random", False, False),
    *[pytest.param(*case, marks=pytest.mark.slow) for case in [
        ("genetic", False, True), ("genetic", True, False), ("random", True, True)]],
])  # fmt: skip
def test_a_crash_at_any_append_changes_nothing(strategy, with_pruner, eager, monkeypatch):
    which = pruner() if with_pruner else None
    expected = run(Study(SPACE, strategy, seed=3, pruner=which))
    statuses = {"complete", "failed", *(["pruned"] if with_pruner else [])}
    assert {r.status for r in expected.trials} == statuses
    assert told(expected) != sorted(told(expected))
    whole = FragileStore(eager).boot()
    in_store(whole, monkeypatch, strategy, which)
    for k in range(whole.appended):
        store = FragileStore(eager).boot(crash_at=k, crash_after=eager)
        with pytest.raises(Crash):
            in_store(store, monkeypatch, strategy, which)
        again = in_store(store.boot(), monkeypatch, strategy, which)
        same(again, expected, f"after a crash at append {k}")
        assert {r.attempts for r in again.trials} <= {1, 2}


KINDS = ["asha:reduction_factor=2", "hyperband:max_resource=9,reduction_factor=2",
         "curve:max_resource=9,min_reports=3,threshold=0.4", "threshold:upper=5,warmup_steps=4",
         "percentile:percentile=40,min_trials=2",
         PatientPruner(find_pruner("threshold:upper=5"), 0)]  # fmt: skip


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("which", KINDS, ids=["asha", "hyperband", "curve", "threshold",
                                              "percentile", "patient"])  # fmt: skip
def test_with_every_pruner_a_crash_changes_nothing(which, direction, monkeypatch):
    def begin(storage=None):
        return run(Study(SPACE, "genetic", direction, seed=3, storage=storage, pruner=which))

    expected = begin()
    store = FragileStore(eager=True).boot()
    monkeypatch.setattr("metaopt.storage.opening.open_store", lambda storage: store)
    begin("there")
    for k in range(3, store.appended, 9):
        store = FragileStore(eager=True).boot(crash_at=k)
        with pytest.raises(Crash):
            begin("there")
        store.boot()
        same(begin("there"), expected, f"after a crash at append {k}")


@pytest.mark.parametrize("seed", range(6))
def test_many_crashes_in_a_row_change_nothing(seed, monkeypatch):
    rng = random.Random(seed)
    which = rng.choice([None, pruner(), "asha:reduction_factor=2"])
    expected = run(Study(SPACE, "genetic", seed=3, pruner=which))
    store = FragileStore(eager=rng.random() < 0.5)
    for life in range(300):
        try:
            # Crash while the recorded ticks are repeated, or later.
            cut = rng.randrange(1, 60) + 3 * life
            again = in_store(store.boot(cut, rng.random() < 0.5), monkeypatch, which=which)
        except Crash:
            continue
        break
    assert life > 1
    same(again, expected)


def test_recorded_ticks_are_neither_pruned_nor_asked_again(monkeypatch):
    expected = run(Study(SPACE, "genetic", seed=3, pruner=pruner()))
    store = FragileStore(eager=True).boot(crash_at=70)
    with pytest.raises(Crash):
        in_store(store, monkeypatch, which=pruner())
    recorded = Study(SPACE, "genetic", seed=3, storage="there", pruner=pruner())
    asked_at = recorded._history.asked_at
    pending = [r.number for r in recorded.trials if r.result is None]
    survived, first = max(asked_at.values()), min(asked_at[n] for n in pending)
    judged = []

    class Watched(type(pruner())):
        def judge(self, trial, others):
            judged.append((trial.number, asked_at[trial.number] + trial.step))
            return super().judge(trial, others)

    recorded._monitor._tracker._pruner = Watched(min_trials=2)
    objective = Streaming()
    run(recorded, objective)
    same(recorded, expected)
    assert pending and min(tick for _, tick in judged) > survived
    assert {n for n, tick in judged if tick == survived + 1} >= set(pending)
    assert objective.passes[0] == [n for n in pending if asked_at[n] == first]


def test_after_a_recorded_ask_the_same_tick_asks_for_nothing_more(monkeypatch):
    store = FragileStore(eager=True).boot(crash_at=70)
    with pytest.raises(Crash):
        in_store(store, monkeypatch)
    recorded = Study(SPACE, "genetic", seed=3, storage="there")
    objective, total = Streaming(), len(recorded.trials)
    assert total < N
    run(recorded, objective, slots=9)
    # Additional slots are filled when the next trial ends, not earlier.
    first = next(k for k, running in enumerate(objective.passes) if total in running)
    assert max(len(running) for running in objective.passes[:first]) == SLOTS
    assert len(objective.passes[first]) > SLOTS


@pytest.mark.parametrize("stop", [Stall(5), lambda s: len(s.told) >= 9])
def test_a_stop_while_trials_run_is_reproduced_after_a_crash(stop, monkeypatch):
    expected = run(Study(SPACE, "genetic", seed=3), n_trials=60, stop=stop)
    assert len(expected.trials) < 60 and all(r.result is not None for r in expected.trials)
    store = FragileStore(eager=True).boot()
    in_store(store, monkeypatch, n_trials=60, stop=stop)
    for k in range(3, store.appended, 7):
        store = FragileStore(eager=True).boot(crash_at=k)
        with pytest.raises(Crash):
            in_store(store, monkeypatch, n_trials=60, stop=stop)
        again = in_store(store.boot(), monkeypatch, n_trials=60, stop=stop)
        same(again, expected, f"after a crash at append {k}")


def test_a_crash_before_the_space_is_exhausted_changes_nothing(monkeypatch):
    space = Space(x=Int(-2, 2), n=Int(1, 2), rate=Categorical([0.1, 1.0]))

    def begin(storage=None):
        study = Study(space, "genetic", seed=3, storage=storage)
        outcome = study.optimize(Streaming(), 99, slots=3)
        assert outcome.reason == "exhausted"
        return study

    expected = begin()
    assert len(expected.trials) == 20
    store = FragileStore(eager=True).boot()
    monkeypatch.setattr("metaopt.storage.opening.open_store", lambda storage: store)
    begin("there")
    for k in range(3, store.appended, 11):
        store = FragileStore(eager=True).boot(crash_at=k)
        with pytest.raises(Crash):
            begin("there")
        store.boot()
        same(begin("there"), expected, f"after a crash at append {k}")


@pytest.mark.parametrize("where", ["stream", "callback"])
def test_interrupting_and_resuming_without_reopening_changes_nothing(where):
    expected = run(Study(SPACE, "genetic", seed=3, pruner=pruner()))
    study = Study(SPACE, "genetic", seed=3, pruner=pruner())
    left = [2, 5, 11]

    class Interrupted(Streaming):
        def stream(self, arrivals):
            for ended in super().stream(arrivals):
                if where == "stream" and left and len(study.told) >= left[0]:
                    left.pop(0)
                    raise KeyboardInterrupt
                yield ended

    def callback(study, record):
        if where == "callback" and left and len(study.told) >= left[0]:
            left.pop(0)
            raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            run(study, Interrupted(), callbacks=[callback])
    run(study, Interrupted(), callbacks=[callback])
    same(study, expected)
    assert not left


def test_replicates_can_be_resumed(monkeypatch):
    options = {"replicates": 2, "n_trials": 9}
    expected = run(Study(SPACE, "genetic", seed=3, pruner=pruner()), **options)
    store = FragileStore(eager=True).boot()
    in_store(store, monkeypatch, which=pruner(), **options)
    for k in range(store.appended):
        store = FragileStore(eager=True).boot(crash_at=k)
        with pytest.raises(Crash):
            in_store(store, monkeypatch, which=pruner(), **options)
        again = in_store(store.boot(), monkeypatch, which=pruner(), **options)
        same(again, expected, f"after a crash at append {k}")


# -- a real process, a real signal, a real file ----------------------------------------------------


def main(path):
    """Run in a process that may be killed at any time."""

    class Slow(Streaming):
        def stream(self, arrivals):
            def slowly():
                for starting in arrivals:
                    time.sleep(0.002)
                    yield starting

            yield from super().stream(slowly())

    study = Study(SPACE, "genetic", storage=path, seed=3, pruner=pruner())
    print("ready", flush=True)
    run(study, Slow(), callbacks=[lambda s, r: print(r.number, flush=True)])
    study.close()
    print("done", flush=True)


def test_killed_with_sigkill_and_reopened_until_done(tmp_path):
    rng, path, kills = random.Random(0), tmp_path / "study.db", 0
    while True:
        environment = {**os.environ, "PYTHONPATH": str(Path(fragile.__file__).parent)}
        child = subprocess.Popen([sys.executable, __file__, str(path)], text=True, env=environment,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
        last = child.stdout.readline()
        if last != "ready\n":
            pytest.fail(child.communicate()[1][-2000:])
        for _ in range(rng.randrange(4, 10)):
            last = child.stdout.readline() or last
        time.sleep(rng.uniform(0, 0.01))
        os.kill(child.pid, signal.SIGKILL)
        if (child.communicate()[0] or last).endswith("done\n"):
            break
        kills += 1
        assert kills < 40
    study = Study(SPACE, "genetic", storage=path, seed=3, pruner=pruner())
    same(study, run(Study(SPACE, "genetic", seed=3, pruner=pruner())))
    study.close()
    assert kills >= 1


if __name__ == "__main__":
    main(sys.argv[1])
