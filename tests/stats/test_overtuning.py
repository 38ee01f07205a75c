"""Overtuning follows the definitions of Schneider, Bischl and Feurer (2025)."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaopt.stats import StatisticsError, overtuning

costs = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=14)


def by_the_definition(validation, tests):
    """Absolute and relative overtuning after each trial, by the words of the paper, in loops."""
    found = []
    for t in range(1, len(validation) + 1):
        incumbents = [min(range(s), key=lambda i: validation[i]) for s in range(1, t + 1)]
        best = min(tests[i] for i in incumbents)
        absolute = tests[incumbents[-1]] - best
        gain = tests[incumbents[0]] - best
        found.append((absolute, absolute / gain if gain else math.nan))
    return found


@given(costs)
def test_each_prefix_of_a_run_has_the_overtuning_of_the_definition(pairs):
    validation, tests = map(list, zip(*pairs, strict=True))
    expected = by_the_definition(validation, tests)
    whole = overtuning(validation, tests)
    assert whole.trajectory.tolist() == [absolute for absolute, _ in expected]
    for t, (absolute, relative) in enumerate(expected, 1):
        found = overtuning(validation[:t], tests[:t])
        assert found.absolute == absolute
        assert found.relative == pytest.approx(relative, nan_ok=True)


def test_an_example_by_hand():
    found = overtuning([5, 4, 9, 3, 2], [10, 6, 1, 8, 7])  # the third is never an incumbent
    assert (found.absolute, found.relative) == (1, 0.25)  # 7 - 6, of 10 - 6
    assert (found.changes, found.worsened) == (3, pytest.approx(1 / 3))  # only from 6 to 8
    assert found.tests.tolist() == [10, 6, 6, 8, 7]
    assert found.trajectory.tolist() == [0, 0, 0, 2, 1]


@given(costs, st.integers(0, 13))
def test_trials_that_never_lead_or_lack_a_value_change_nothing(pairs, where):
    validation, tests = map(list, zip(*pairs, strict=True))
    before = overtuning(validation, tests)
    for v, t in ((math.nan, 1.0), (1.0, math.nan), (math.inf, 0.0), (None, 3.0), (99.0, -5.0)):
        at = max(1, min(where, len(validation))) if v == 99.0 else where
        longer = overtuning([*validation[:at], v, *validation[at:]], [*tests[:at], t, *tests[at:]])
        assert longer.absolute == before.absolute
        assert longer.relative == pytest.approx(before.relative, nan_ok=True)
        assert longer.changes == before.changes
        assert longer.worsened == pytest.approx(before.worsened, nan_ok=True)


@given(costs, st.integers(1, 9), st.integers(-9, 9))
def test_units_of_the_test_value_and_the_scale_of_the_validation_do_not_matter(pairs, a, b):
    validation, tests = map(np.array, zip(*pairs, strict=True))
    before, after = overtuning(validation, tests), overtuning(np.exp(validation), a * tests + b)
    assert after.absolute == a * before.absolute
    assert after.relative == pytest.approx(before.relative, nan_ok=True)
    assert after.worsened == pytest.approx(before.worsened, nan_ok=True)


@given(costs)
def test_more_than_one_means_worse_than_the_first_configuration(pairs):
    validation, tests = map(np.array, zip(*pairs, strict=True))
    found = overtuning(validation, tests)
    if math.isnan(found.relative):
        assert found.tests.min() == tests[0]  # no incumbent was better than the first
    else:
        assert (found.relative > 1) == (found.tests[-1] > tests[0])
        assert (found.relative == 0) == (found.absolute == 0)


def test_without_improvement_of_the_test_value_the_relative_overtuning_is_undefined():
    found = overtuning([3, 2], [1.0, 1.5])
    assert found.absolute == 0.5 and math.isnan(found.relative)
    alone = overtuning([3], [1.0])
    assert alone.absolute == 0 and math.isnan(alone.relative) and math.isnan(alone.worsened)
    rounding = overtuning([3, 2, 1], [0.1 + 0.2, 0.3, 1.0])  # the first two are equal
    assert math.isnan(rounding.relative)


def test_differences_beyond_the_largest_float_are_no_obstacle():
    found = overtuning([3, 2, 1], [1.2e308, -1.2e308, 1.2e308])
    assert found.absolute == math.inf and found.relative == 1 and found.worsened == 0.5


def test_the_earliest_of_equal_validation_values_stays_the_incumbent():
    found = overtuning([2, 2, 1, 1], [5, 0, 3, 9])
    assert found.tests.tolist() == [5, 5, 3, 3] and found.changes == 1


def test_before_the_first_value_there_is_no_incumbent():
    found = overtuning([None, 2, 1], [None, 5, 6])
    assert np.isnan(found.trajectory[0]) and found.trajectory[1:].tolist() == [0, 1]
    assert np.isnan(found.tests[0]) and found.tests[1:].tolist() == [5, 6]


@pytest.mark.parametrize(
    ("validation", "tests", "message"),
    [
        ([1.0, 2.0], [1.0], r"one value each per trial, got shapes \(2,\) and \(1,\)"),
        ([[1.0]], [[1.0]], r"one-dimensional.*\(1, 1\)"),
        ([], [], "needs a trial with a validation and a test value, got none"),
        ([math.nan, 1.0], [1.0, math.nan], "leave this run out"),
        (["a"], [1.0], "validation must be|validation must hold"),
        (3.0, 2.0, "validation must be"),
    ],
)
def test_bad_input_is_named(validation, tests, message):
    with pytest.raises(StatisticsError, match=message):
        overtuning(validation, tests)
