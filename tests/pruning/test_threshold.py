"""ThresholdPruner and PatientPruner."""

import math

import pytest

from metaopt.core.errors import StudyError
from metaopt.pruning import Candidate, MedianPruner, PatientPruner, ThresholdPruner


def curve(*reports):
    return tuple(enumerate(map(float, reports), start=1))


def test_bounds_are_in_the_objectives_own_sign():
    at_least = ThresholdPruner(lower=0.2)
    accuracy = {"direction": "maximize"}
    assert at_least.judge(Candidate(curve(-0.1), **accuracy), {})
    assert not at_least.judge(Candidate(curve(-0.2), **accuracy), {})
    assert not at_least.judge(Candidate(curve(-0.9), **accuracy), {})
    at_most = ThresholdPruner(upper=10.0)
    assert at_most.judge(Candidate(curve(10.5)), {}) and not at_most.judge(Candidate(curve(10)), {})
    assert at_most.judge(Candidate(curve(math.inf)), {})


def test_nan_is_out_of_bounds_after_the_warm_up():
    pruner = ThresholdPruner(0, 1, warmup_steps=2)
    assert not pruner.decide(1, math.nan, {}) and not pruner.decide(1.9, 7.0, {})
    assert pruner.decide(2, math.nan, {}) and pruner.decide(2, 7.0, {})


def test_patience_without_another_pruner_ends_a_trial_that_gets_worse():
    pruner = PatientPruner(None, patience=2)
    verdicts = [pruner.judge(Candidate(curve(5, 3, 4, 4, 4)[:n]), {}) for n in range(1, 6)]
    assert verdicts == [False, False, False, False, True]  # three reports, none as good as 3
    assert not pruner.judge(Candidate(curve(5, 3, 4, 3, 4)), {})  # a plateau is not worse
    assert not pruner.judge(Candidate(curve(5, 3, 4, 2, 4)), {})


def test_a_difference_below_min_delta_does_not_count_as_worse():
    worse = Candidate(curve(1.0, 1.2))
    assert PatientPruner(None, 0).judge(worse, {})
    assert PatientPruner(None, 0, min_delta=0.1).judge(worse, {})
    assert not PatientPruner(None, 0, min_delta=0.3).judge(worse, {})


def test_nan_reports_are_ignored_by_patience():
    assert PatientPruner(None, 0).judge(Candidate(curve(1, math.nan)), {})
    assert not PatientPruner(None, 0).judge(Candidate(curve(math.nan, 1)), {})
    assert not PatientPruner(None, 0).judge(Candidate(curve(math.nan, math.nan)), {})


def test_the_wrapped_pruner_decides_only_when_patience_has_ended():
    others = {n: curve(1, 1, 1, 1, 1) for n in range(5)}
    median = MedianPruner()
    falling, rising = Candidate(curve(9, 8, 7, 6), 9), Candidate(curve(6, 7, 8, 9), 9)
    assert median.judge(falling, others) and median.judge(rising, others)
    patient = PatientPruner(median, 1)
    assert not patient.judge(falling, others) and patient.judge(rising, others)
    good = Candidate(curve(0, 0.5, 0.6, 0.7), 9)
    assert not patient.judge(good, others) and PatientPruner(None, 1).judge(good, others)


@pytest.mark.parametrize(("make", "part"), [
    (lambda: ThresholdPruner(), "needs lower or upper"),
    (lambda: ThresholdPruner(lower="low"), "lower must be a number"),
    (lambda: ThresholdPruner(upper=math.inf), "upper must be finite"),
    (lambda: ThresholdPruner(2, 1), "lower must not be above upper, got 2 and 1"),
    (lambda: PatientPruner("median", 3), "wrapped_pruner must be a Pruner or None, got 'median'"),
    (lambda: PatientPruner(None, -1), "patience must be an integer of at least 0"),
    (lambda: PatientPruner(None, 1.5), "patience must"),
    (lambda: PatientPruner(None, 1, -0.1), "min_delta must not be negative"),
], ids=range(8))  # fmt: skip
def test_wrong_settings_are_refused(make, part):
    with pytest.raises(StudyError) as caught:
        make()
    assert part in str(caught.value)
