import logging
import math
import random
import time

import numpy as np
import pytest
from running import SPACE, cheap, learnt, pruner, seen

import metaopt
from metaopt.core.errors import (
    MetaoptError,
    SpaceError,
    StoreError,
    StudyError,
    UnknownNameError,
)
from metaopt.core.seeds import derive
from metaopt.pruning import MedianPruner, PercentilePruner, Pruner
from metaopt.space import Categorical, Constant, Float, Int, Space
from metaopt.strategy.base import Strategy
from metaopt.strategy.registry import make_strategy
from metaopt.study import Study
from metaopt.trials.records import Result
from metaopt.trials.trial import Trial, TrialPruned, fixed_trial

LINE = Space(x=Float(-1, 1))
FINITE = Space(a=Int(0, 2), b=Categorical(["p", "q"]))


def square(trial):
    return trial["x"] ** 2


# -- direction -------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [None, 3])
@pytest.mark.parametrize("strategy", ["random", "genetic", "pso", "tabu"])
def test_maximising_equals_minimising_the_negated_objective(strategy, batch_size):
    def negated(trial):
        class Mirror:
            number, seed, params = trial.number, trial.seed, trial.params
            get, should_stop = trial.get, trial.should_stop

            def __getitem__(self, name):
                return trial[name]

            def report(self, value, step):
                trial.report(-value, step)

        value = cheap(Mirror())
        return value.negated() if isinstance(value, Result) else -value

    down = Study(SPACE, strategy, "minimize", seed=1, pruner=pruner())
    up = Study(SPACE, strategy, "maximize", seed=1, pruner=pruner())
    down.optimize(cheap, 20, batch_size=batch_size)
    up.optimize(negated, 20, batch_size=batch_size)
    assert {r.status for r in down.trials} == {"complete", "pruned", "failed"}
    assert [r.params for r in up.trials] == [r.params for r in down.trials]
    assert [r.status for r in up.trials] == [r.status for r in down.trials]
    assert [r.value for r in up.trials] == [None if r.value is None else -r.value
                                            for r in down.trials]  # fmt: skip
    assert learnt(up.strategy) == learnt(down.strategy)
    assert up.best.number == down.best.number and up.best_value == -down.best_value


def test_the_users_sign_is_kept_everywhere(tmp_path):
    study = Study(LINE, "random", "maximize", storage=tmp_path / "a.db")

    def objective(trial):
        trial.report(10.0 + trial["x"], 1)
        return 5.0 + trial["x"]

    study.optimize(objective, 6)
    study.add({"x": 0.125}, 7.5)
    for s in (study, metaopt.load(tmp_path / "a.db")):
        assert s.best_value == 7.5 and s.best_params == {"x": 0.125} == s.recommend()
        assert all(r.value == 5.0 + r.params["x"] for r in s.trials[:6])
        assert all(r.curve == ((1, 10.0 + r.params["x"]),) for r in s.trials[:6])
        s.close()


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_of_equal_values_the_earliest_trial_is_the_best(direction):
    study = Study(LINE, "random", direction)
    sign = 1 if direction == "minimize" else -1
    for i, value in enumerate([3, 1, 2, 1, 1]):
        study.add({"x": i / 10}, sign * value)
    assert study.best.number == 1


def test_an_objective_with_another_direction_is_refused_before_anything_is_written():
    class Accuracy:
        direction = "maximize"

        def __call__(self, trial):
            return 1.0

    study = Study(LINE, "random")
    with pytest.raises(StudyError, match="direction='maximize'"):
        study.optimize(Accuracy(), 3)
    assert study.trials == []
    assert Study(LINE, "random", "maximize").optimize(Accuracy(), 3).reason == "n_trials"


# -- outcomes --------------------------------------------------------------------------------------


def only(outcome, **fields):
    study = Study(LINE, "random", **fields)
    study.optimize(outcome, 1)
    return study.trials[0]


def raising(error):
    def objective(trial):
        raise error

    return objective


class OutOfMemoryError(RuntimeError):
    """Has the same name as PyTorch's error."""


@pytest.mark.parametrize(("objective", "kind", "message"), [
    (raising(ValueError("bad width")), "exception", "ValueError: bad width"),
    (raising(KeyError("lr")), "exception", "KeyError: 'lr'"),
    (raising(MemoryError("full")), "out_of_memory", "full"),
    (raising(OutOfMemoryError("CUDA out of memory")), "out_of_memory", "CUDA out of memory"),
    (lambda t: math.nan, "not_finite", "nan"),
    (lambda t: -math.inf, "not_finite", "-inf"),
    (lambda t: np.float32("inf"), "not_finite", "inf"),
    (lambda t: Result(math.nan, metrics={"m": 1}), "not_finite", "nan"),
    (lambda t: None, "exception", "a number or a Result, got None"),
    (lambda t: "0.5", "exception", "'0.5'"),
    (lambda t: 10**400, "exception", "float"),
    (lambda t: t["y"], "exception", "'y' is not an active parameter"),
    (lambda t: t.report("high", 1), "exception", "reported value must be a number, got 'high'"),
    (lambda t: [t.report(1, s) for s in (2, 2)], "exception", "steps must grow, got 2 after 2"),
    (lambda t: Result.failed("timeout", "gave up"), "timeout", "gave up"),
], ids=range(15))  # fmt: skip
def test_a_failure_is_a_result_with_kind_and_message(objective, kind, message):
    record = only(objective)
    assert record.status == "failed" and record.value is None
    assert record.result.error.kind == kind and message in record.result.error.message
    assert record.attempts == 1


def test_a_failure_keeps_the_curve_and_the_traceback():
    def objective(trial):
        trial.report(0.5, 1)
        raise ZeroDivisionError("here")

    record = only(objective)
    assert record.curve == ((1, 0.5),)
    assert "in objective" in record.result.data["traceback"]


def test_without_a_complete_trial_the_error_of_best_names_the_first_failure():
    study = Study(LINE, "random")
    with pytest.raises(StudyError, match="no trial of the study 'study' is complete yet"):
        _ = study.best
    study.optimize(raising(ValueError("bad width")), 3)
    with pytest.raises(StudyError, match="3 failed, the first with: ValueError: bad width"):
        _ = study.best_params


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_errors_that_end_the_process_are_not_failures_of_the_trial(error):
    study = Study(LINE, "random")
    with pytest.raises(error):
        study.optimize(raising(error()), 3)
    assert [r.status for r in study.trials] == ["running"]
    study.optimize(square, 3)
    assert [r.status for r in study.trials] == ["complete"] * 3
    assert [r.attempts for r in study.trials] == [2, 1, 1]


class Always(Pruner):
    """Stops every trial at a step."""

    name = "always"

    def __init__(self, at=2):
        self.at = at

    def decide(self, step, value, others):
        return step >= self.at


def reporting(ending):
    def objective(trial):
        for step in range(1, 6):
            trial.report(step / 10, step)
            if trial.should_stop():
                return ending()
        return 9.0

    return objective


def prune():
    raise TrialPruned


@pytest.mark.parametrize("ending", [prune, lambda: 0.5, lambda: math.nan, lambda: None])
def test_a_stopped_trial_is_pruned_with_its_curve_and_without_a_value(ending):
    record = only(reporting(ending), pruner=Always())
    assert (record.status, record.value, record.curve) == ("pruned", None, ((1, 0.1), (2, 0.2)))
    assert record.result.error is None


def test_a_result_object_of_a_stopped_trial_is_kept():
    record = only(reporting(lambda: Result(0.5)), pruner=Always())
    assert (record.status, record.value) == ("complete", 0.5)
    assert record.curve == ((1, 0.1), (2, 0.2))


class Nameless(Pruner):
    def decide(self, step, value, others):
        return False


class Unwritable(Always):
    def __init__(self):
        self.rule = lambda value: value > 0


@pytest.mark.parametrize("cls", [Nameless, Unwritable])
def test_a_pruner_without_a_name_or_json_settings_is_refused(cls, tmp_path):
    with pytest.raises(StudyError, match=cls.__name__):
        Study(LINE, "random", pruner=cls(), storage=tmp_path / "a.db")
    assert list(tmp_path.iterdir()) == []


def test_members_of_an_interrupted_batch_are_not_compared_with_other_trials():
    seen_others = []

    class Watching(Pruner):
        name = "watching"

        def decide(self, step, value, others):
            seen_others.append(set(others))
            return False

    class Interrupted:
        lockstep = True

        def __call__(self, trial):
            raise AssertionError

        def many(self, trials):
            for trial in trials:
                trial.report(1.0, 1)
            raise KeyboardInterrupt

    study = Study(LINE, "random", pruner=Watching())
    with pytest.raises(KeyboardInterrupt):
        study.optimize(Interrupted(), 4, batch_size=4)
    trial = study.ask()
    trial.report(1.0, 1)
    trial.should_stop()
    assert seen_others == [set()]  # nothing was told yet


def test_raising_trial_pruned_needs_no_pruner():
    assert only(raising(TrialPruned())).status == "pruned"
    assert only(reporting(prune)).value == 9.0


def test_should_prune_is_should_stop():
    def objective(trial):
        trial.report(1.0, 5)
        return 0.0 if trial.should_prune() else 1.0

    assert only(objective, pruner=Always()).status == "pruned"


def test_a_result_is_kept_as_it_was_returned():
    given = Result(2.0, metrics={"test": 3.0}, curve=[(1, 5.0)], data={"folds": [1, 2]})
    record = only(lambda t: given)
    assert (record.value, record.metrics, record.curve) == (2.0, {"test": 3.0}, ((1, 5.0),))
    assert record.result.data == {"folds": [1, 2]} and record.seconds >= 0


def test_the_executors_measured_seconds_replace_those_of_the_result():
    def objective(trial):
        time.sleep(0.02)
        return Result(1.0, seconds=1e6)

    assert 0.02 <= only(objective).seconds < 5


def test_a_trial_over_its_time_limit_fails_with_timeout():
    def objective(trial):
        while not trial.should_stop():
            time.sleep(0.002)
        return 1.0

    study = Study(LINE, "random")
    study.optimize(objective, 2, trial_timeout=0.02)
    for record in study.trials:
        assert record.status == "failed" and record.result.error.kind == "timeout"
    with pytest.raises(StudyError, match="trial_timeout must be a number above 0"):
        study.optimize(objective, 3, trial_timeout=-1)


# -- the trial -------------------------------------------------------------------------------------


def test_a_trial_is_a_mapping_of_its_parameters_and_has_seeds():
    trials = []
    study = Study(SPACE, "random", seed=8)
    study.optimize(lambda t: trials.append(t) or 1.0, 5)
    for i, (trial, record) in enumerate(zip(trials, study.trials, strict=True)):
        assert dict(trial) == trial.params == record.params
        assert len(trial) == len(record.params) and "x" in trial
        assert (trial.number, trial.seed) == (i, derive(8, "trial", i)) == (i, record.seed)
        trial.params["x"] = "spoilt"
        assert trial["x"] == record.params["x"]
        with pytest.raises(TypeError):
            trial["x"] = 0
    assert len({t.data_seed for t in trials}) == 1 == len({study.data_seed})
    assert len({t.seed for t in trials}) == 5
    assert Study(SPACE, "grid", seed=8).data_seed == study.data_seed
    assert Study(SPACE, "grid", seed=9).data_seed != study.data_seed


def test_fixed_trial_makes_a_trial_of_one_configuration():
    trial = fixed_trial({"x": 0.5}, seed=4)
    assert isinstance(trial, Trial) and square(trial) == 0.25 and trial.seed == 4
    trial.report(1.0, 1)
    assert not trial.should_stop() and trial.curve == ((1, 1.0),)


# -- ends ------------------------------------------------------------------------------------------


def test_n_trials_counts_all_trials_of_the_study():
    study = Study(LINE, "random")
    study.add({"x": 0.5}, 0.25)
    calls = []
    outcome = study.optimize(lambda t: calls.append(1) or 1.0, 4)
    assert (outcome.reason, len(calls), len(study.trials)) == ("n_trials", 3, 4)
    again = study.optimize(lambda t: calls.append(1) or 1.0, 4)
    assert again.reason == "n_trials" and len(calls) == 3
    assert "holds 4 trials" in again.message and "raise n_trials=4" in again.message
    study.optimize(lambda t: 1.0, 2)
    assert len(study.trials) == 4


@pytest.mark.parametrize(("n", "batch_size"), [(7, 3), (7, 10), (6, 3), (1, 4)])
def test_a_batch_never_exceeds_the_total(n, batch_size):
    study = Study(LINE, "random")
    study.optimize(square, n, batch_size=batch_size)
    assert len(study.trials) == n == len(study.told)


def test_an_exhausted_space_is_an_outcome():
    study = Study(FINITE, "random")
    outcome = study.optimize(lambda t: t["a"], 100)
    assert outcome.reason == "exhausted" and "all of its 6 configurations" in outcome.message
    assert len({FINITE.key(r.params) for r in study.trials}) == 6
    assert study.optimize(lambda t: t["a"], 100, batch_size=4).reason == "exhausted"
    with pytest.raises(StudyError, match="exhausted"):
        study.ask()
    assert Study(Space(c=Constant(1)), "sobol").optimize(lambda t: 1.0, 5).reason == "exhausted"


def test_a_timeout_starts_no_further_trial():
    study = Study(LINE, "random")
    start = time.monotonic()
    outcome = study.optimize(lambda t: time.sleep(0.02) or 1.0, timeout=0.1)
    assert outcome.reason == "timeout" and 0.1 <= time.monotonic() - start < 3
    assert 1 <= len(study.trials) <= 6
    assert all(r.status == "complete" for r in study.trials)


@pytest.mark.parametrize("batch_size", [None, 3])
def test_a_callback_sees_every_told_trial_and_can_stop(batch_size):
    numbers = []

    def callback(study, record):
        numbers.append(record.number)
        assert record == study.trials[record.number] and record.status == "complete"
        if record.number == 4:
            study.stop()

    study = Study(LINE, "random")
    outcome = study.optimize(square, 20, batch_size=batch_size, callbacks=[callback])
    expected = 5 if batch_size is None else 6  # the batch is finished
    assert (outcome.reason, len(study.trials)) == ("stopped", expected)
    assert numbers == list(range(expected))
    assert study.optimize(square, 20).reason == "n_trials"  # stop() ends one call


def test_stop_from_within_an_objective_ends_after_the_trial():
    study = Study(LINE, "random")
    outcome = study.optimize(lambda t: study.stop() or 1.0, 20)
    assert outcome.reason == "stopped" and [r.status for r in study.trials] == ["complete"]


@pytest.mark.parametrize(("arguments", "part"), [
    ({"n_trials": None}, "n_trials, timeout or stop"),
    ({"n_trials": 0}, "n_trials must be an integer of at least 1, got 0"),
    ({"n_trials": 2.5}, "n_trials must be an integer of at least 1, got 2.5"),
    ({"n_trials": True}, "n_trials must be an integer of at least 1, got True"),
    ({"n_trials": 3, "batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
    ({"n_trials": 3, "timeout": 0}, "timeout must be a number above 0, got 0"),
    ({"timeout": math.nan}, "timeout must be a number above 0, got nan"),
    ({"timeout": "10"}, "timeout"),
    ({"n_trials": 3, "trial_timeout": "10"}, "trial_timeout"),
    ({"n_trials": 3, "stop": ["soon"]}, "stop"),
    ({"n_trials": 3, "callbacks": [None]}, "callbacks"),
])  # fmt: skip
def test_a_wrong_argument_is_refused_before_anything_is_written(arguments, part):
    study = Study(LINE, "random")
    with pytest.raises(StudyError) as caught:
        study.optimize(square, **arguments)
    assert part in str(caught.value)
    assert study.trials == []


def test_an_objective_that_is_not_callable_is_refused():
    with pytest.raises(StudyError, match="objective must be callable, got float"):
        Study(LINE, "random").optimize(0.5, 3)


def test_numpy_integers_are_accepted():
    study = Study(LINE, "random", seed=np.int64(3))
    study.optimize(square, np.int64(4), batch_size=np.int64(2))
    assert len(study.trials) == 4


@pytest.mark.parametrize(("arguments", "error", "part"), [
    (({"x": 1},), StudyError, "space must be a metaopt.Space, got dict"),
    ((LINE, "randm"), UnknownNameError, "did you mean 'random'"),
    ((LINE, 5), StudyError, "strategy must be a name or a Strategy, got 5"),
    ((LINE, "random", "maximise"), StudyError, "did you mean 'maximize'"),
    ((LINE, "random", "minimize", -1), MetaoptError, "seed must be an integer of at least 0"),
    ((LINE, "random", "minimize", "x"), MetaoptError, "seed must be an integer of at least 0"),
    ((LINE, "random", "minimize", 0, None, 5), StudyError, "pruner must be"),
    ((LINE, "random", "minimize", 0, None, "medan"), UnknownNameError, "did you mean 'median'"),
    ((LINE, "random", "minimize", 0, 5), MetaoptError, "storage"),
    ((LINE, make_strategy("random", FINITE)), StudyError, "another space"),
    ((LINE, make_strategy("random", LINE, 3), "minimize", 4), StudyError, "seed=4"),
])  # fmt: skip
def test_a_wrong_study_is_refused(arguments, error, part, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error) as caught:
        Study(*arguments)
    assert part in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_used_strategy_is_refused_and_a_new_one_keeps_its_seed():
    strategy = make_strategy("genetic", LINE, 5, 40)
    study = Study(LINE, strategy)
    assert study.seed == 5 and study.strategy is strategy
    study.optimize(square, 2)
    with pytest.raises(StudyError, match="used already"):
        Study(LINE, strategy)


# -- ask and tell ----------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["random", "sobol", "genetic", "pso", "tabu"])
def test_ask_and_tell_equal_optimize(strategy):
    by_hand, loop = Study(LINE, strategy, seed=2), Study(LINE, strategy, seed=2)
    for _ in range(15):
        trial = by_hand.ask()
        record = by_hand.tell(trial, square(trial))
        assert record.value == square(trial)
    loop.optimize(square, 15)
    assert seen(by_hand) == seen(loop) and learnt(by_hand.strategy) == learnt(loop.strategy)


def test_trials_may_be_held_and_told_in_any_order():
    study = Study(LINE, "genetic", seed=1)
    trials = [study.ask() for _ in range(4)]
    assert [r.status for r in study.trials] == ["running"] * 4
    for trial in (trials[2], trials[0].number, trials[3]):
        study.tell(trial, 1.0)
    assert [r.number for r in study.told] == [2, 0, 3]
    study.optimize(square, 6)  # runs other trials than the held ones
    assert [r.status for r in study.trials] == ["complete", "running", *["complete"] * 4]
    study.tell(trials[1], 0.0)
    assert study.told[-1].number == 1 and study.best.number == 1


def test_after_reopening_pending_trials_are_asked_again_with_number_and_seed(tmp_path):
    path = tmp_path / "a.db"
    study = Study(LINE, "genetic", storage=path)
    held = [study.ask() for _ in range(3)]
    held[0].report(5.0, 1)
    study.tell(held[1], 1.0)
    study.close()
    again = metaopt.load(path)
    assert [r.status for r in again.trials] == ["running", "complete", "running"]
    (one, two), fresh = (again.ask(), again.ask()), again.ask()
    assert [(t.number, t.seed, t.params) for t in (one, two)] == [
        (t.number, t.seed, t.params) for t in (held[0], held[2])
    ]
    assert fresh.number == 3
    again.tell(two.number, 2.0)
    again.tell(one, 0.5)
    assert again.trials[0].attempts == 2 and again.trials[0].curve == ()
    again.close()
    last = metaopt.load(path)
    last.optimize(square, 4)
    assert [r.status for r in last.trials] == ["complete"] * 4
    assert [r.number for r in last.told] == [1, 2, 0, 3]
    last.close()


def test_a_batch_finished_with_ask_and_tell_is_told_together_and_in_order(tmp_path):
    expected = Study(SPACE, "genetic", seed=1)
    expected.optimize(lambda t: t["x"], 9, batch_size=3)
    study = Study(SPACE, "genetic", seed=1, storage=tmp_path / "a.db")

    def cut_off(trial):
        if trial.number == 4:
            raise KeyboardInterrupt
        return trial["x"]

    with pytest.raises(KeyboardInterrupt):
        study.optimize(cut_off, 9, batch_size=3)
    study.close()
    again = metaopt.load(tmp_path / "a.db")
    one, two = again.ask(), again.ask()
    assert [one.number, two.number] == [4, 5]
    again.tell(two, two["x"])
    assert [r.number for r in again.told] == [0, 1, 2]  # the batch waits for its last member
    again.tell(one, one["x"])
    assert [r.number for r in again.told] == [0, 1, 2, 3, 4, 5]
    again.optimize(lambda t: t["x"], 9, batch_size=3)
    assert seen(again) == seen(expected)
    again.close()


def test_wrong_calls_of_tell_are_refused_and_change_nothing():
    study = Study(LINE, "random")
    trial = study.ask()
    for number in (7, -1, "0", None):
        with pytest.raises(StudyError, match=f"trial {number!r} is unknown"):
            study.tell(number, 1.0)
    with pytest.raises(StudyError, match="number or a Result"):
        study.tell(trial, "good")
    assert study.trials[0].status == "running"
    study.tell(trial, 1.0)
    with pytest.raises(StudyError, match=r"trial 0 was already told \(complete\)"):
        study.tell(trial, 2.0)
    assert study.best_value == 1.0 and len(study.told) == 1


def test_tell_accepts_a_numpy_integer_as_number(tmp_path):
    study = Study(LINE, "random", storage=tmp_path / "a.db")
    study.ask()
    study.tell(np.int64(0), 1.0)
    study.close()
    assert metaopt.load(tmp_path / "a.db").best_value == 1.0


def test_tell_records_a_stopped_trial_as_pruned():
    study = Study(LINE, "random", pruner=Always(1))
    trial = study.ask()
    trial.report(3.0, 1)
    assert trial.should_stop()
    assert study.tell(trial, 0.0).status == "pruned"
    assert study.trials[0].curve == ((1, 3.0),)


def test_enqueued_configurations_come_first_and_are_stored(tmp_path):
    path = tmp_path / "a.db"
    study = Study(SPACE, "sobol", storage=path)
    good = {"x": 0.5, "rate": 0.01, "n": 2, "kind": True}
    assert study.enqueue(dict(reversed(good.items())))
    assert not study.enqueue(good)
    with pytest.raises(SpaceError, match="'n'"):
        study.enqueue({**good, "n": 99})
    study.close()
    again = metaopt.load(path)
    again.optimize(cheap, 3)
    assert again.trials[0].origin == "enqueued"
    assert again.trials[0].params == good and list(again.trials[0].params) == ["x", "rate", "n",
                                                                             "kind"]  # fmt: skip
    assert not again.enqueue(good)
    again.close()


def test_added_trials_are_told_and_never_proposed_again():
    study = Study(FINITE, "random")
    record = study.add({"a": 1, "b": "q"}, Result(0.5, metrics={"m": 1}))
    assert (record.number, record.origin, record.status, record.metrics) == (
        0,
        "added",
        "complete",
        {"m": 1.0},
    )
    study.add({"a": 2, "b": "q"}, math.nan)
    assert study.trials[1].status == "failed"
    study.optimize(lambda t: 1.0, 100)
    assert len(study.trials) == 6 == len({FINITE.key(r.params) for r in study.trials})
    with pytest.raises(SpaceError, match="'a'"):
        study.add({"a": 9, "b": "q"}, 1.0)
    with pytest.raises(StudyError, match="number or a Result"):
        study.add({"a": 0, "b": "q"}, None)
    assert len(study.trials) == 6


# -- batches ---------------------------------------------------------------------------------------


class Shuffled:
    """A batch objective that yields its results in another order each time."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.sizes = []

    def __call__(self, trial):
        return cheap(trial)

    def many(self, trials):
        self.sizes.append(len(trials))
        trials = list(trials)
        self.random.shuffle(trials)
        for trial in trials:
            try:
                yield trial.number, cheap(trial)
            except ArithmeticError as error:
                yield trial.number, Result.failed("exception", f"ArithmeticError: {error}")
            except TrialPruned:
                yield trial.number, Result(status="pruned")


@pytest.mark.parametrize("strategy", ["random", "grid", "genetic", "pso", "tabu"])
def test_a_batch_is_independent_of_the_order_in_which_it_finishes(strategy):
    studies = []
    for seed in range(4):
        study = Study(SPACE, strategy, seed=5)
        objective = Shuffled(seed)
        study.optimize(objective, 22, batch_size=5)
        assert objective.sizes == [5, 5, 5, 5, 2]
        studies.append(study)
    one_by_one = Study(SPACE, strategy, seed=5)
    one_by_one.optimize(cheap, 22, batch_size=5)
    for study in studies:
        assert seen(study) == seen(one_by_one)
        assert learnt(study.strategy) == learnt(one_by_one.strategy)
        assert [r.number for r in study.told] == list(range(22))


def test_a_pruner_in_a_batch_compares_with_trials_told_before_it():
    counts = []

    class Watching(Pruner):
        name = "watching"

        def decide(self, step, value, others):
            counts.append(len(others))
            return False

    Study(SPACE, "random", pruner=Watching()).optimize(cheap, 9, batch_size=3)
    assert counts == [0] * 9 + [3] * 9 + [6] * 9


def test_pruning_in_a_batch_is_independent_of_the_order():
    expected = Study(SPACE, "random", seed=5, pruner=pruner())
    expected.optimize(cheap, 20, batch_size=5)
    assert {r.status for r in expected.trials} >= {"pruned", "complete"}
    for seed in range(3):
        study = Study(SPACE, "random", seed=5, pruner=pruner())
        study.optimize(Shuffled(seed), 20, batch_size=5)
        assert seen(study) == seen(expected)


class Lockstep(Shuffled):
    """Trains all members together: all report a step, then all call `should_stop`."""

    lockstep = True

    def many(self, trials):
        running = {t.number: t for t in trials}
        outcomes = {}
        for step in range(1, 5):
            for trial in self.shuffled(running.values()):
                trial.report(trial["x"] ** 2 + trial["n"] / 10 + 1 / step, step)
            for trial in self.shuffled(running.values()):
                if trial.should_stop():
                    outcomes[trial.number] = 0.0  # a number, after being told to stop
                    del running[trial.number]
        outcomes |= {n: t["x"] ** 2 for n, t in running.items()}
        yield from self.shuffled(outcomes.items())

    def shuffled(self, things):
        things = list(things)
        self.random.shuffle(things)
        return things


def test_members_in_lockstep_are_compared_with_each_other_at_the_same_step():
    studies = [Study(SPACE, "random", seed=5, pruner=pruner()) for _ in range(3)]
    for seed, study in enumerate(studies):
        study.optimize(Lockstep(seed), 20, batch_size=10)
        assert seen(study) == seen(studies[0])
    first = studies[0].trials[:10]  # nothing was told before them
    assert {r.status for r in first} == {"pruned", "complete"}
    reports = sorted(r.curve[0][1] for r in first)
    for record in first:
        others = [v for v in reports if v != record.curve[0][1]]
        stopped = record.curve[0][1] > others[len(others) // 2]  # the upper median
        assert (len(record.curve) == 1) == stopped


def test_without_a_batch_size_many_is_not_called():
    objective = Shuffled(0)
    Study(SPACE, "random").optimize(objective, 4)
    assert objective.sizes == []


def batch_of(many):
    class Objective:
        def __call__(self, trial):
            raise AssertionError("not called one by one")

    objective = Objective()
    objective.many = many
    study = Study(LINE, "random")
    study.optimize(objective, 3, batch_size=3)
    return study


def test_a_trial_for_which_a_batch_returns_nothing_fails_as_abandoned():
    study = batch_of(lambda trials: ((t.number, 1.0) for t in trials if t.number != 1))
    assert [r.status for r in study.trials] == ["complete", "failed", "complete"]
    assert study.trials[1].result.error.kind == "abandoned"


def test_if_a_batch_raises_members_without_a_result_fail():
    def many(trials):
        yield trials[1].number, 0.5
        raise ValueError("half way")

    study = batch_of(many)
    assert [r.status for r in study.trials] == ["failed", "complete", "failed"]
    assert "ValueError: half way" in study.trials[0].result.error.message
    assert len(study.told) == 3


def test_a_batch_keeps_each_trials_reports():
    def many(trials):
        for step in (1, 2):
            for trial in trials:
                trial.report(trial.number + step, step)
        return ((t.number, float(t.number)) for t in trials)

    study = batch_of(many)
    assert [r.curve for r in study.trials] == [((1, n + 1.0), (2, n + 2.0)) for n in range(3)]


def test_a_number_returned_for_a_stopped_member_of_a_batch_means_pruned():
    class Objective:
        def __call__(self, trial):
            raise AssertionError

        def many(self, trials):
            for trial in trials:
                trial.report(1.0, 5)
                assert trial.should_stop()
                yield trial.number, 0.5

    study = Study(LINE, "random", pruner=Always())
    study.optimize(Objective(), 2, batch_size=2)
    assert [r.status for r in study.trials] == ["pruned", "pruned"]


@pytest.mark.parametrize("many", [
    lambda trials: [(99, 1.0)], lambda trials: [(0, 1.0), (0, 2.0)],
])  # fmt: skip
def test_a_batch_that_returns_an_unknown_number_is_an_error_that_names_it(many):
    with pytest.raises(StudyError, match=r"many\(\) returned trial (99|0)"):
        batch_of(many)


# -- storage ---------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    return tmp_path / "study.db"


def stored(path, **changes):
    fields = {"strategy": "genetic", "direction": "minimize", "seed": 3, "pruner": pruner()}
    return Study(**{"space": SPACE, **fields, **changes}, storage=path)


@pytest.mark.parametrize("n", [0, 5])
@pytest.mark.parametrize(("changes", "what"), [
    ({"space": Space(x=Float(-2, 2.5))}, "space"),
    ({"strategy": "tabu"}, "strategy"),
    ({"direction": "maximize"}, "direction"),
    ({"seed": 4}, "seed"),
    ({"pruner": None}, "pruner"),
    ({"pruner": MedianPruner(min_trials=3)}, "pruner"),
    ({"pruner": PercentilePruner(50.0, min_trials=2)}, "pruner"),
    ({"strategy": make_strategy("genetic", SPACE, 3, population=9)}, "options"),
    ({"strategy": make_strategy("genetic", SPACE, 3, 50)}, "budget"),
])  # fmt: skip
def test_reopening_with_another_setting_is_an_error_that_names_it(path, changes, what, n):
    first = stored(path)
    if n:
        first.optimize(cheap, n)
    first.close()
    if isinstance(changes.get("strategy"), Strategy):  # a strategy can be used in one study only
        old = changes["strategy"]
        changes = {"strategy": type(old)(SPACE, 3, old.budget, **old.options), "seed": None}
    with pytest.raises(StudyError) as caught:
        stored(path, **changes)
    message = str(caught.value)
    assert f"was created with another {what}" in message and str(path) in message
    assert "'study'" in message and "stored" in message and "given" in message
    again = stored(path)
    assert len(again.trials) == n
    again.close()


def test_another_version_of_the_library_only_warns(path, monkeypatch):
    first = stored(path)
    first.optimize(cheap, 4)
    first.close()
    monkeypatch.setattr("metaopt.study.__version__", "99.1")
    with pytest.warns(UserWarning, match=r"created with metaopt .*, this is 99\.1") as caught:
        again = stored(path)
    assert caught[0].filename == __file__
    again.optimize(cheap, 5)
    assert len(again.trials) == 5
    again.close()


def test_a_stored_study_equals_one_in_memory_and_loads_unchanged(path):
    memory = stored(None)
    memory.optimize(cheap, 12)
    disk = stored(path)
    disk.optimize(cheap, 12)
    disk.close()
    again = metaopt.load(path, pruner=pruner())
    assert seen(memory) == seen(disk) == seen(again)
    assert learnt(again.strategy) == learnt(memory.strategy)
    assert again.best == disk.best and again.space == SPACE
    assert (again.name, again.seed, again.direction) == ("study", 3, "minimize")
    assert [r.seconds for r in again.trials] == [r.seconds for r in disk.trials]
    again.close()


def test_load_restores_a_builtin_pruner_by_itself(path):
    first = stored(path)
    first.optimize(cheap, 3)
    first.close()
    again = metaopt.load(path)
    assert again.pruner.to_json() == pruner().to_json()
    again.close()


def test_several_studies_share_a_file(path):
    for name, seed in (("a", 1), ("b", 2)):
        study = Study(LINE, "random", seed=seed, storage=path, name=name)
        study.optimize(square, seed)
        study.close()
    assert [(s.name, s.header["seed"]) for s in metaopt.studies(path)] == [("a", 1), ("b", 2)]
    assert len(metaopt.load(path, "b").trials) == 2
    with pytest.raises(StudyError, match="holds 2 studies; name one: a, b"):
        metaopt.load(path)
    with pytest.raises(UnknownNameError, match="unknown study 'c'"):
        metaopt.load(path, "c")
    with pytest.raises(StoreError, match="there is no file"):
        metaopt.load(path.with_name("none.db"))


@pytest.mark.parametrize("batch_size", [None, 3])
def test_a_result_is_on_the_disk_before_the_next_trial_starts(path, batch_size):
    study = Study(LINE, "random", storage=path)

    def objective(trial):
        other = metaopt.load(path)  # the state that a crash would leave now
        done = [r.number for r in other.trials if r.status == "complete"]
        running = [r.number for r in other.trials if r.status == "running"]
        other.close()
        assert (done, running) == (list(range(trial.number)), [trial.number])
        return 1.0

    study.optimize(objective, 5, batch_size=batch_size)
    assert [r.status for r in study.trials] == ["complete"] * 5
    held = study.ask()
    study.tell(held, 2.0)
    other = metaopt.load(path)
    assert other.trials[5].value == 2.0
    other.close()
    study.close()


def test_interrupted_reports_are_in_the_file(path):
    study = Study(LINE, "random", storage=path)

    def objective(trial):
        trial.report(1.0, 1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study.optimize(objective, 3)
    other = metaopt.load(path)  # while the first is still open
    assert [(r.status, r.attempts) for r in other.trials] == [("running", 1)]
    other.close()
    study.close()


# -- reading ---------------------------------------------------------------------------------------


def test_the_table_has_one_row_per_trial():
    pandas = pytest.importorskip("pandas")
    study = Study(SPACE, "random", seed=3)
    study.optimize(cheap, 9)
    table = study.to_pandas()
    assert isinstance(table, pandas.DataFrame) and len(table) == 9
    assert list(table["number"]) == list(range(9))
    for row, record in zip(table.to_dict("records"), study.trials, strict=True):
        assert row["status"] == record.status and row["origin"] == record.origin
        for name in SPACE.names:
            value = row[f"params_{name}"]
            assert value == record.params[name] if name in record.params else pandas.isna(value)
        assert pandas.isna(row["value"]) if record.value is None else row["value"] == record.value
    assert Study(LINE, "random").to_pandas().empty


@pytest.mark.parametrize(("name", "ours"), [
    ("best_trial", "best"), ("enqueue_trial", "enqueue"), ("add_trial", "add"),
    ("trials_dataframe", "to_pandas"), ("sampler", "strategy"), ("study_name", "name"),
    ("get_trials", "trials"), ("best_parms", "best_params"), ("optimise", "optimize"),
])  # fmt: skip
def test_names_of_optuna_and_misspelt_names_get_a_hint(name, ours):
    study = Study(LINE, "random")
    with pytest.raises(AttributeError, match=f"no attribute '{name}'.*'{ours}'"):
        getattr(study, name)
    assert not hasattr(study, name)


def test_a_trial_is_logged_in_one_line(caplog):
    study = Study(SPACE, "random", seed=3, pruner=pruner())
    with caplog.at_level(logging.INFO, logger="metaopt"):
        study.optimize(cheap, 12)
    lines = [r.getMessage() for r in caplog.records if r.getMessage().startswith("trial ")]
    assert len(lines) == 12 and not any("\n" in line for line in lines)
    for record, line in zip(study.trials, lines, strict=True):
        assert line.startswith(f"trial {record.number}")
        word = {"failed": "failed", "pruned": "pruned", "complete": f"{record.value or 0:.6g}"}
        assert word[record.status] in line
    assert "study study ended" in caplog.text


@pytest.mark.parametrize("batch_size", [None, 4])
def test_progress_goes_to_the_error_stream_and_ends_at_the_total(capsys, batch_size):
    study = Study(LINE, "random", name="mine")
    study.optimize(square, 6, batch_size=batch_size, progress=True)
    captured = capsys.readouterr()
    assert captured.out == "" and "mine: 6 of 6" in captured.err and "best" in captured.err
    study.optimize(square, 8)
    assert capsys.readouterr().err == ""


def test_progress_on_a_terminal_is_a_bar(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    Study(LINE, "random", name="mine").optimize(square, 4, progress=True)
    captured = capsys.readouterr()
    assert captured.out == "" and "4/4" in captured.err


def test_the_repr_shows_the_settings_of_the_study():
    text = repr(Study(LINE, "sobol", "maximize", seed=4, name="mine"))
    for part in ("mine", "sobol", "maximize", "4", "0 trials"):
        assert part in text


def test_global_random_state_and_the_callers_objects_are_not_changed():
    config = {"x": 0.5}
    state = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    study = Study(LINE, "genetic", seed=1)
    study.enqueue(config)
    study.add({"x": 0.25}, 1.0)
    study.optimize(square, 8)
    study.trials[0].params["x"] = "spoilt"
    config["x"] = "spoilt"
    assert (random.getstate(), np.random.get_state()[1].tolist()) == state  # noqa: NPY002
    assert all(isinstance(r.params["x"], float) for r in study.trials)


def test_a_trial_asked_by_hand_has_no_timeout_of_an_earlier_optimize():
    study = Study(LINE, "random")
    study.optimize(square, 1, trial_timeout=1e-4)
    trial = study.ask()
    time.sleep(0.01)
    assert not trial.should_stop()


@pytest.mark.parametrize("strategy", ["random", "bayes"])
def test_there_is_nothing_to_recommend_before_a_trial_is_complete(strategy):
    study = Study(LINE, strategy)
    with pytest.raises(StudyError, match="no trial of the study 'study' is complete yet"):
        study.recommend()
    study.optimize(square, n_trials=3)
    assert study.recommend() in [t.params for t in study.trials]
