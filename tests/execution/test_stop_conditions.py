import pytest

from metaopt.core.errors import StudyError
from metaopt.execution.stop_conditions import Stall, Target
from metaopt.space import Int, Space
from metaopt.study import Study

SPACE = Space(i=Int(0, 999))


def told(values, direction="minimize"):
    """A study with these values; None is a failed trial."""
    study = Study(SPACE, "random", direction)
    for i, value in enumerate(values):
        study.add({"i": i}, float("nan") if value is None else float(value))
    return study


@pytest.mark.parametrize(("values", "trials", "stops"), [
    ([], 1, False), ([1], 1, False), ([1, 1], 1, True), ([1, 2], 1, True), ([2, 1], 1, False),
    ([1, 2, 3], 2, True), ([1, 2, 0], 2, False), ([5, 4, 3, 2], 1, False),
    ([1, None, None], 2, True), ([None, None, None], 2, False), ([3, None, 2, 5], 2, False),
    ([-1, -2, -3], 1, False), ([0, 0, 0], 2, True),
])  # fmt: skip
def test_stall_stops_after_that_many_trials_in_a_row_without_improvement(values, trials, stops):
    for direction, sign in (("minimize", 1), ("maximize", -1)):
        signed = [v if v is None else sign * v for v in values]
        assert bool(Stall(trials)(told(signed, direction))) == stops


@pytest.mark.parametrize(("values", "stops"), [
    ([100, 95], False), ([100, 91], False), ([100, 89], False), ([100, 95, 91], True),
    ([100, 95, 89], False), ([-100, -105, -109], True), ([-100, -105, -111], False),
    ([1000, 950, 910], True), ([0.1, 0.095, 0.091], True),
])  # fmt: skip
def test_min_delta_is_relative_to_the_absolute_best_value(values, stops):
    stall = Stall(2, min_delta=0.1)
    assert bool(stall(told(values))) == stops
    assert bool(stall(told([-v for v in values], "maximize"))) == stops


def test_small_gains_that_add_up_to_min_delta_count():
    values = [100 - 4 * i for i in range(20)]
    assert not any(Stall(4, min_delta=0.1)(told(values[:n])) for n in range(1, 10))


@pytest.mark.parametrize(("values", "target", "stops"), [
    ([], 1, False), ([None], 1, False), ([2], 1, False), ([1], 1, True), ([2, 0.5, 3], 1, True),
    ([-3], -2, True), ([-1], -2, False),
])  # fmt: skip
def test_target_compares_the_best_value_in_the_direction_of_the_study(values, target, stops):
    assert bool(Target(target)(told(values))) == stops
    signed = [v if v is None else -v for v in values]
    assert bool(Target(-target)(told(signed, "maximize"))) == stops


def test_the_message_names_the_condition_that_ended_the_study():
    study = Study(SPACE, "random")
    outcome = study.optimize(lambda t: 1.0, n_trials=50, stop=[Stall(4), Target(0.5)])
    assert (outcome.reason, outcome.message) == ("stopped", "no better value in 4 trials")
    assert len(study.trials) == 5
    outcome = study.optimize(lambda t: 0.25, n_trials=50, stop=Target(0.5))
    assert outcome.message == "the target 0.5 is reached" and len(study.trials) == 6
    outcome = study.optimize(lambda t: 1.0, stop=lambda s: len(s.trials) >= 8)
    assert outcome.reason == "stopped" and len(study.trials) == 8


@pytest.mark.parametrize("make", [
    lambda: Stall(0), lambda: Stall(-3), lambda: Stall(1, min_delta=-0.1), lambda: Stall("ten"),
    lambda: Stall(3, min_delta=None), lambda: Target("low"), lambda: Target(None),
    lambda: Target(float("nan")),
])  # fmt: skip
def test_wrong_settings_are_refused(make):
    with pytest.raises(StudyError, match="got"):
        make()
