"""The contract of all pruners: pure decisions, settings as JSON, names, judging of reports."""

import json
import math
import random

import pytest
from reports import noisy

from metaopt.core.errors import StudyError, UnknownNameError
from metaopt.pruning import (
    PRUNERS,
    Candidate,
    CurvePruner,
    HyperbandPruner,
    MedianPruner,
    PatientPruner,
    PercentilePruner,
    Pruner,
    ReportTracker,
    SuccessiveHalvingPruner,
    ThresholdPruner,
    find_pruner,
    make_pruner,
    pruner_from_json,
)

OURS = {
    "median": MedianPruner(warmup_steps=2, min_trials=3),
    "percentile": PercentilePruner(25.0, warmup_steps=2, min_trials=3),
    "asha": SuccessiveHalvingPruner(2, 3, 1, max_resource=27, bootstrap_count=2),
    "hyperband": HyperbandPruner(27, min_resource=1, reduction_factor=3),
    "curve": CurvePruner(27, threshold=0.1, k=2, min_reports=4),
    "patient": PatientPruner(ThresholdPruner(upper=0.6), 1, min_delta=0.005),
    "threshold": ThresholdPruner(upper=0.9, warmup_steps=3),
}


def test_every_kind_is_tested_here():
    assert {type(p) for p in OURS.values()} == set(PRUNERS.values())


@pytest.mark.parametrize("name", OURS)
def test_settings_survive_json(name):
    pruner = OURS[name]
    data = json.loads(json.dumps(pruner.to_json(), allow_nan=False))
    assert data["name"] == name
    again = pruner_from_json(data)
    assert type(again) is type(pruner) and again.to_json() == pruner.to_json()
    assert vars(again).keys() == vars(pruner).keys()


def test_settings_are_the_arguments():
    assert OURS["median"].to_json() == {"name": "median", "warmup_steps": 2, "min_trials": 3}
    assert OURS["patient"].to_json() == {
        "name": "patient",
        "wrapped_pruner": {"name": "threshold", "lower": None, "upper": 0.6, "warmup_steps": 0.0},
        "patience": 1,
        "min_delta": 0.005,
    }
    assert pruner_from_json(None) is None
    forever = MedianPruner(warmup_steps=math.inf)
    assert pruner_from_json(forever.to_json()).warmup_steps == math.inf


@pytest.mark.parametrize("name", OURS)
def test_a_decision_depends_only_on_its_arguments(name):
    rng = random.Random(0)
    curves = noisy(30, 27)
    trials = [
        Candidate(c[:k], n, 5, frozenset(range(8)))
        for n, c in curves.items()
        for k in (3, 6, 9, 27)
    ]
    others = {t.number: {n: c for n, c in curves.items() if n != t.number} for t in trials}
    first = {t: OURS[name].judge(t, others[t.number]) for t in trials}
    assert len(set(first.values())) == 2
    random.Random(1).shuffle(trials)
    fresh = pruner_from_json(OURS[name].to_json())
    for trial in trials:
        company = list(others[trial.number].items())
        rng.shuffle(company)
        assert fresh.judge(trial, dict(company)) == first[trial]


@pytest.mark.parametrize("name", OURS)
def test_every_pruner_accepts_a_single_report_too(name):
    for others in ({}, {1: ()}, noisy(9, 27)):
        assert OURS[name].decide(5, 0.1, others) in (True, False)


class Plain(Pruner):
    """A minimal pruner."""

    name = "plain"

    def __init__(self):
        self.asked = []

    def decide(self, step, value, others):
        self.asked.append((step, value, {n: len(c) for n, c in others.items()}))
        return value > 1


def test_every_report_is_judged_once_and_in_order():
    pruner = Plain()
    tracker = ReportTracker(pruner, 0, "minimize")
    curve = tuple((s, 0.0) for s in range(1, 8))
    for asked in (2, 2, 3, 7, 7):
        assert not tracker.stops(4, curve[:asked], {}, {})
    assert [step for step, *_ in pruner.asked] == [1, 2, 3, 4, 5, 6, 7]
    tracker.forget(4)  # another attempt
    assert not tracker.stops(4, curve[:1], {}, {})
    assert pruner.asked[-1][0] == 1


def test_a_stopped_trial_stays_stopped():
    tracker = ReportTracker(Plain(), 0, "minimize")
    assert tracker.stops(1, ((1, 5.0),), {}, {})
    assert tracker.stops(1, ((1, 5.0),), {}, {})
    assert tracker.stops(1, ((1, 5.0), (2, 0.0)), {}, {})
    assert not tracker.stops(2, ((1, 0.0),), {}, {})
    tracker.forget(1)
    assert not tracker.stops(1, ((1, 0.0),), {}, {})


def test_curves_of_the_cohort_are_cut_at_the_step_and_others_are_complete():
    pruner = Plain()
    long = tuple((s, 0.0) for s in range(1, 6))
    tracker = ReportTracker(pruner, 0, "minimize")
    tracker.stops(9, ((2, 0.0), (3, 0.0)), {2: long, 9: long}, {0: long, 1: long[:2]})
    assert [seen for *_, seen in pruner.asked] == [{0: 2, 1: 2, 2: 5}, {0: 3, 1: 2, 2: 5}]


def test_without_a_pruner_no_trial_stops():
    assert not ReportTracker(None, 0, "minimize").stops(0, ((1, math.nan),), {}, {})


def test_pruners_by_name():
    assert isinstance(find_pruner("median"), MedianPruner)
    asha = find_pruner("asha: min_resource=0.5, reduction_factor=2")
    assert asha.to_json() == SuccessiveHalvingPruner(0.5, 2).to_json()
    assert find_pruner("hyperband:max_resource=81").brackets == HyperbandPruner(81).brackets
    assert find_pruner("threshold:upper=3,lower=null").upper == 3
    assert find_pruner(None) is None and find_pruner(asha) is asha
    assert make_pruner("percentile", percentile=10).percentile == 10


@pytest.mark.parametrize(("given", "error", "part"), [
    ("meridian", UnknownNameError, "did you mean 'median'?"),
    ("", UnknownNameError, "unknown pruner ''"),
    ("asha:reduction=3", UnknownNameError, "did you mean 'reduction_factor'?"),
    ("asha:reduction_factor", StudyError, "must be written like 'hyperband:max_resource=81"),
    ("asha:reduction_factor=three", StudyError, "must be written like"),
    ("asha:reduction_factor=1", StudyError, "reduction_factor must be an integer of at least 2"),
    ("hyperband", StudyError, "'hyperband' needs max_resource; make it with metaopt.HyperbandPruner"
     "(max_resource=...) or write 'hyperband:max_resource=...'"),
    ("threshold", StudyError, "needs lower or upper"),
    (5, StudyError, "pruner must be a metaopt Pruner, one of median, percentile, asha, hyperband"),
])  # fmt: skip
def test_wrong_names_and_settings_are_refused(given, error, part):
    with pytest.raises(error) as caught:
        find_pruner(given)
    assert part in str(caught.value)


def test_a_third_party_pruner_is_not_rebuilt():
    with pytest.raises(StudyError, match="'mine' is not metaopt's own; pass it as pruner="):
        pruner_from_json({"name": "mine", "rule": "exec"})
