import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaopt.core.errors import StudyError
from metaopt.pruning import Candidate, MedianPruner, PercentilePruner

laws = settings(derandomize=True, deadline=None, max_examples=150)
values = st.integers(-9, 9).map(float)
others = st.dictionaries(
    st.integers(0, 20),
    st.lists(values | st.just(math.nan), max_size=6).map(lambda v: tuple(enumerate(v, start=1))),
    max_size=12,
)
percentiles = st.sampled_from([1.0, 10.0, 25.0, 50.0, 75.0, 99.0])


def curve(*reports):
    return tuple(enumerate(map(float, reports), start=1))


@laws
@given(percentiles, st.integers(1, 5), values, others)
def test_monotone_transforms_change_no_decision(percentile, step, value, curves):
    pruner = PercentilePruner(percentile, min_trials=2)
    grown = {n: [(s, 7 * v**3 + 2) for s, v in c] for n, c in curves.items()}
    assert pruner.decide(step, value, curves) == pruner.decide(step, 7 * value**3 + 2, grown)


@laws
@given(percentiles, st.integers(1, 5), values, values, others)
def test_a_better_report_is_never_stopped_if_a_worse_one_continues(p, step, a, b, curves):
    pruner = PercentilePruner(p, min_trials=1)
    better, worse = sorted((a, b))
    assert pruner.decide(step, better, curves) <= pruner.decide(step, worse, curves)


@laws
@given(st.integers(1, 5), values, others, st.randoms(use_true_random=False))
def test_a_decision_depends_only_on_the_curves(step, value, curves, random):
    pruner = MedianPruner(min_trials=2)
    first = pruner.decide(step, value, curves)
    items = list(curves.items())
    random.shuffle(items)
    assert pruner.decide(step, value, dict(items)) == first


@laws
@given(percentiles, others, st.integers(1, 5))
def test_the_percentage_that_continues_is_the_percentile(percentile, curves, step):
    pruner = PercentilePruner(percentile, min_trials=1)
    bests = sorted(
        min((v for s, v in c if s <= step and not math.isnan(v)), default=math.inf)
        for c in curves.values()
        if len(c) >= step
    )
    if not bests or not math.isfinite(bests[-1]):
        return
    stopped = [pruner.decide(step, b, curves) for b in bests]
    # the best trial always continues, and so does at least the given percentage
    assert not stopped[0]
    assert stopped.count(False) >= percentile / 100 * len(bests)


def test_the_median_rule_compares_with_the_best_reports_up_to_the_step():
    # Golovin et al. 2017, 3.2.2; hand computation
    curves = {0: curve(5, 4, 9), 1: curve(1, 8, 8), 2: curve(7, 6, 5), 3: curve(3), 4: curve(9, 9)}
    reached = [4, 1, 6, 9]  # at step 2, which trial 3 did not reach
    assert statistics.median_high(reached) == 6
    pruner = MedianPruner(min_trials=4)
    assert not pruner.decide(2, 6.0, curves)
    assert pruner.decide(2, 6.1, curves)
    assert not MedianPruner(min_trials=5).decide(2, 100.0, curves)


def test_nan_stops_a_trial_but_not_during_warm_up_or_with_few_others():
    curves = {n: curve(1, 1, 1) for n in range(5)}
    assert not MedianPruner(warmup_steps=3).decide(2, math.nan, curves)
    assert MedianPruner(warmup_steps=3).decide(3, math.nan, curves)
    assert MedianPruner().decide(1, math.inf, curves)
    assert not MedianPruner(min_trials=6).decide(1, 9.0, curves)
    assert not MedianPruner().decide(1, 9.0, {})
    assert not MedianPruner(min_trials=1).decide(1, 9.0, {0: ()})


def test_curves_of_only_nan_are_worse_than_everything():
    curves = {n: curve(math.nan) for n in range(5)}
    assert not MedianPruner().decide(1, 1e300, curves)


def test_the_median_is_the_fiftieth_percentile():
    curves = {n: curve(n) for n in range(7)}
    for value in range(7):
        assert MedianPruner().decide(1, value, curves) == PercentilePruner(50).decide(
            1, value, curves
        )


@pytest.mark.parametrize(("make", "part"), [
    (lambda: PercentilePruner(0), "percentile must lie between 0 and 100, got 0"),
    (lambda: PercentilePruner(100), "percentile must lie between 0 and 100, got 100"),
    (lambda: PercentilePruner(math.nan), "percentile must lie between 0 and 100, got nan"),
    (lambda: PercentilePruner("half"), "percentile must"),
    (lambda: MedianPruner(min_trials=0), "min_trials must be an integer of at least 1, got 0"),
    (lambda: MedianPruner(min_trials=None), "min_trials must"),
    (lambda: MedianPruner(warmup_steps="ten"), "warmup_steps must"),
])  # fmt: skip
def test_wrong_settings_are_refused_by_name(make, part):
    with pytest.raises(StudyError) as caught:
        make()
    assert part in str(caught.value)


def test_a_trial_counts_with_its_best_report_like_the_others():
    # a good trial with one bad epoch is not worse than others, whose bad epochs do not count
    curves = {n: curve(4, 3, 2) for n in range(5)}
    pruner = PercentilePruner(50)
    assert not pruner.judge(Candidate(curve(4, 2, 9), 9), curves)
    assert pruner.judge(Candidate(curve(4, 2.5, 2.5), 9), curves)
    assert pruner.judge(Candidate(curve(4, 1, math.nan), 9), curves)
