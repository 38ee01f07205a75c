"""Slots: they stay full, time is counted in ticks, and studies end as in other modes."""

import json
import sqlite3
import time

import pytest
from running import SPACE, cheap, pruner, seen
from slotted import LONGEST, Streaming, told

from metaopt.core.errors import StudyError
from metaopt.execution import Inline, evaluate
from metaopt.execution.stop_conditions import Target
from metaopt.pruning import SuccessiveHalvingPruner, TrialPruner
from metaopt.study import Study
from metaopt.trials.records import Proposal, Result
from metaopt.trials.trial import Trial


def run(objective=None, n_trials=24, strategy="genetic", which=None, storage=None, **options):
    study = Study(SPACE, strategy, seed=3, pruner=which, storage=storage)
    objective = objective or Streaming()
    outcome = study.optimize(objective, n_trials, **{"slots": 4, **options})
    return study, objective, outcome


@pytest.mark.parametrize("which", [None, pruner(), SuccessiveHalvingPruner()])
def test_slots_stay_full_until_the_last_trial_was_asked(which):
    study, objective, outcome = run(which=which)
    assert outcome.reason == "n_trials" and objective.calls == 1
    sizes = [len(running) for running in objective.passes]
    last = next(k for k, running in enumerate(objective.passes) if 23 in running)
    assert set(sizes[:last]) == {4} and sizes[last:] == sorted(sizes[last:], reverse=True)
    steps = [n for running in objective.passes for n in running]
    assert {n: steps.count(n) for n in steps} == {r.number: len(r.curve) for r in study.trials}


def test_ended_trials_are_told_by_number_before_the_next_are_asked_in_one_call():
    study, objective, _ = run()
    ends = {r.number: max(k for k, p in enumerate(objective.passes) if r.number in p)
            for r in study.trials}  # fmt: skip
    assert told(study) == sorted(ends, key=lambda n: (ends[n], n))
    asks = [entry["ask"]["proposals"] for entry in study.strategy.log if "ask" in entry]
    for numbers in ([p["number"] for p in ask] for ask in asks[1:]):
        (begin,) = {min(k for k, p in enumerate(objective.passes) if n in p) for n in numbers}
        assert len(numbers) == list(ends.values()).count(begin - 1)
    # The trials of a tick are told before the next ones are asked.
    order = [next(iter(entry)) for entry in study.strategy.log]
    assert order[:2] == ["ask", "tell"] and order[-1] == "tell"


@pytest.mark.parametrize("which", [None, pruner(), "asha", "hyperband:max_resource=9"])
def test_two_studies_with_the_same_seed_are_equal(which):
    (one, a, _), (two, b, _) = run(which=which), run(which=which)
    assert seen(one) == seen(two) and told(one) == told(two) and a.passes == b.passes


def test_trials_have_the_same_results_in_slots_as_alone():
    study, *_ = run(strategy="random")
    for r in study.trials:
        proposal = Proposal(r.number, r.params, r.seed)
        expected = evaluate(Streaming(), Trial(proposal, study.data_seed))
        assert (r.status, r.value, r.curve) == (expected.status, expected.value, expected.curve)


class Watching(TrialPruner):
    """Records its arguments and stops no trial."""

    name = "watching"

    def __init__(self):
        self.seen = []

    def to_json(self):
        return {"name": self.name}

    def judge(self, trial, others):
        self.seen.append((trial, {n: tuple(c) for n, c in others.items()}))
        return False


def test_a_pruner_sees_told_trials_and_concurrent_trials_at_their_own_steps():
    watching = Watching()
    study, objective, _ = run(which=watching)
    begun = {r.number: min(k for k, p in enumerate(objective.passes) if r.number in p)
             for r in study.trials}  # fmt: skip
    curves = {r.number: r.curve for r in study.trials}
    assert len(watching.seen) == sum(len(c) for c in curves.values())
    for trial, others in watching.seen:
        tick = begun[trial.number] + int(trial.step) - 1
        assert trial.cohort == frozenset()  # trials are at different epochs: no synchronous halving
        beside = set(objective.passes[tick]) - {trial.number}
        before = {n for running in objective.passes[:tick] for n in running} - set(
            objective.passes[tick]
        )
        assert set(others) == before | beside
        for number, curve in others.items():
            assert curve == curves[number][: tick - begun[number] + 1]


# -- ends ------------------------------------------------------------------------------------------


def test_raising_n_trials_continues_the_study():
    study, objective, _ = run(n_trials=7)
    for total in (7, 12):
        outcome = study.optimize(objective, total, slots=4)
        assert outcome.reason == "n_trials" and len(study.trials) == total
    assert all(r.result is not None for r in study.trials)
    assert told(study)[:7] == told(run(n_trials=7)[0])


@pytest.mark.parametrize("stop", ["condition", "call"])
def test_after_a_stop_running_trials_finish_and_none_starts(stop):
    begun = []

    def callback(study, record):
        begun.append(len(study.trials))
        if stop == "call" and len(begun) == 5:
            study.stop()

    condition = Target(0.9) if stop == "condition" else None
    study, _, outcome = run(n_trials=500, stop=condition, callbacks=[callback])
    assert outcome.reason == "stopped"
    assert all(r.result is not None for r in study.trials)
    assert len(study.told) == len(study.trials) < 500
    assert len(set(begun[-3:])) == 1  # the last trials were not replaced
    if stop == "condition":
        assert "target" in outcome.message


def test_after_a_timeout_running_trials_finish():
    class Slow(Streaming):
        def stream(self, arrivals):
            def slowly():
                for starting in arrivals:
                    time.sleep(0.005)
                    yield starting

            yield from super().stream(slowly())

    study, _, outcome = run(Slow(), None, timeout=0.15)
    assert outcome.reason == "timeout" and len(study.trials) > 4
    assert all(r.result is not None for r in study.trials)


def test_a_trial_over_its_time_limit_fails():
    class Stuck(Streaming):
        def stream(self, arrivals):
            running = {}
            for k, starting in enumerate(arrivals, 1):
                running.update((trial.number, trial) for trial in starting)
                time.sleep(0.002)
                for trial in running.values():
                    trial.report(1.0, k)
                for number, trial in list(running.items()):
                    if trial.should_stop() or number % 3:
                        del running[number]
                        yield number, float(number)

    study, *_ = run(Stuck(), 12, trial_timeout=0.05)
    for record in study.trials:
        if record.number % 3:
            assert record.value == record.number
        else:
            assert record.result.error.kind == "timeout"


def test_more_slots_than_trials_and_a_single_slot():
    study, objective, _ = run(n_trials=3, slots=50)
    assert objective.passes[0] == [0, 1, 2]
    study, objective, _ = run(n_trials=5, slots=1)
    assert {len(running) for running in objective.passes} == {1} and told(study) == [*range(5)]


# -- errors ----------------------------------------------------------------------------------------


class Broken(Streaming):
    """Raises, ends too early, or returns a trial that is not running."""

    def __init__(self, how):
        super().__init__()
        self.how = how

    def stream(self, arrivals):
        self.calls += 1
        if self.how == "at once":
            raise ZeroDivisionError("no")
        for k, starting in enumerate(arrivals):
            if k == 1 and self.how == "raises":
                raise ZeroDivisionError("no")
            if k == 1 and self.how == "ends":
                return
            if self.how == "unknown":
                yield 99, 1.0
            yield starting[0].number, 1.0


@pytest.mark.parametrize(("how", "kinds"), [
    ("at once", {"exception"}), ("raises", {None, "exception"}), ("ends", {None, "abandoned"}),
])  # fmt: skip
def test_if_a_stream_breaks_running_trials_fail_and_a_new_stream_continues(how, kinds):
    study, objective, outcome = run(Broken(how), 10)
    assert outcome.reason == "n_trials" and objective.calls > 1
    errors = [r.result.error for r in study.trials]
    assert {None if e is None else e.kind for e in errors} == kinds


def test_a_result_for_a_trial_that_is_not_running_is_refused():
    with pytest.raises(StudyError, match=r"stream\(\) returned trial 99, which is not running"):
        run(Broken("unknown"), 10)


class Swallowing(Streaming):
    def stream(self, arrivals):
        try:
            yield from super().stream(arrivals)
        except Exception:
            return


@pytest.mark.parametrize("objective", [Streaming, Swallowing])
def test_an_error_of_a_callback_is_not_a_failure_of_the_objective(objective):
    def callback(study, record):
        if record.number == 6:
            raise RuntimeError("of the callback")

    study = Study(SPACE, "genetic", seed=3)
    with pytest.raises(RuntimeError, match="of the callback"):
        study.optimize(objective(), 24, slots=4, callbacks=[callback])
    study.optimize(objective(), 24, slots=4)
    expected = run()[0]
    assert seen(study) == seen(expected) and told(study) == told(expected)


class Plain:
    def __call__(self, trial):
        return 0.0

    def many(self, trials):
        return []


@pytest.mark.parametrize(("objective", "options", "message"), [
    (cheap, {"slots": 2}, r"slots=2 needs an objective with stream\(arrivals\).*function has none"),
    (Plain(), {"slots": 2}, "such as metaopt.Trainer; Plain has none; omit slots"),
    (Streaming(), {"slots": 0}, "slots must be an integer of at least 1, got 0"),
    (Streaming(), {"slots": 2.5}, "slots must be an integer of at least 1, got 2.5"),
    (Streaming(), {"slots": True}, "slots must be an integer of at least 1, got True"),
    (Streaming(), {"slots": "4"}, "slots must be an integer of at least 1, got '4'"),
    (Streaming(), {"slots": 2, "batch_size": 2}, "exclude each other.*give one of them"),
])  # fmt: skip
def test_wrong_arguments_are_refused_before_anything_is_written(objective, options, message):
    study = Study(SPACE, "random")
    with pytest.raises(StudyError, match=message):
        study.optimize(objective, 4, **options)
    assert not study.trials


# -- together with other modes, and in files -------------------------------------------------------


def test_without_slots_the_same_objective_runs_one_by_one():
    study = Study(SPACE, "random", seed=3)
    study.optimize(Streaming(), 6)
    assert told(study) == [*range(6)]


@pytest.mark.parametrize("first", ["slots", "serial", "hand"])
def test_modes_may_follow_each_other_and_finish_all_trials(first):
    study = Study(SPACE, "genetic", seed=3)

    class Cut(Streaming):
        def stream(self, arrivals):
            for k, starting in enumerate(arrivals):
                if k == 2:
                    raise KeyboardInterrupt
                yield starting[0].number, 1.0

    if first == "slots":
        with pytest.raises(KeyboardInterrupt):
            study.optimize(Cut(), 12, slots=3)
        study.optimize(Streaming(), 7, batch_size=2)
        study.optimize(Streaming(), 12, slots=3)
    elif first == "serial":
        with pytest.raises(KeyboardInterrupt):
            study.optimize(lambda trial: next(iter([])) if trial.number else stop(), 5)
        study.optimize(Streaming(), 12, slots=3)
    else:
        held = study.ask()
        study.optimize(Streaming(), 12, slots=3)
        assert study.trials[0].result is None
        study.tell(held, 1.0)
    assert len(study.told) == len(study.trials) == 12


def stop():
    raise KeyboardInterrupt


def events(path):
    query = "select kind, body from metaopt_events order by position"
    with sqlite3.connect(path) as file:
        return [(kind, json.loads(body)) for kind, body in file.execute(query)]


def test_ticks_are_stored_for_slots_only_and_old_files_can_be_opened(tmp_path):
    run(storage=tmp_path / "slots.db")[0].close()
    kinds = {kind for kind, body in events(tmp_path / "slots.db") if "tick" in body}
    assert kinds == {"asked", "finished"}
    study = Study(SPACE, "genetic", seed=3, storage=tmp_path / "serial.db")
    study.optimize(Streaming(), 5)
    study.close()
    # Files from before slots existed have this format, too.
    assert not any("tick" in body for _, body in events(tmp_path / "serial.db"))
    study = Study(SPACE, "genetic", seed=3, storage=tmp_path / "serial.db")
    study.optimize(Streaming(), 11, slots=3)
    assert len(study.told) == 11
    study.close()


def test_an_executor_starts_trials_when_the_objective_requests_them():
    class Monitor:
        data_seed = 7

        def __init__(self):
            self.begun = []

        def started(self, number):
            self.begun.append(number)

        def reported(self, number, value, step):
            pass

        def should_stop(self, number):
            return number == 2

    study = Study(SPACE, "random", seed=3)
    proposals = [study._history[n].proposal for n in study._history.ask(3, batch=False)]
    monitor, ended = Monitor(), {}

    def arrivals():
        for k in range(LONGEST + 3):
            yield proposals[k : k + 1]

    for number, result in Inline().stream(Streaming(), arrivals(), monitor):
        ended[number] = result
    assert monitor.begun == [0, 1, 2]
    assert ended[2] == Result(status="pruned", curve=ended[2].curve)
    assert {ended[0].status, ended[1].status} == {"complete"}
