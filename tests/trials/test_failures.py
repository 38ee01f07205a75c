"""Values for trials and runs that have none."""

import math

import numpy as np
import pytest

from metaopt.trials import failures

COSTS = np.array([[1.0, np.nan], [5.0, 2.0], [np.inf, 3.0]])


def test_a_strategy_is_told_order_statistics():
    complete = [1.0, 2.0, 3.0, 9.0]
    assert failures.for_strategy("failed", (), complete) == 9.0
    assert failures.for_strategy("pruned", ((1, 0.5),), complete) == 3.0  # the median
    assert failures.for_strategy("pruned", ((1, 7.0), (2, 4.0)), complete) == 4.0  # its last report
    assert failures.for_strategy("pruned", ((1, math.nan),), complete) == 9.0
    assert failures.for_strategy("failed", ((1, 0.5),), []) == math.inf


@pytest.mark.parametrize(
    ("rule", "filled"),
    [
        (failures.worse_than_all, 9.0),
        (failures.loses_to_all, math.inf),
        (failures.as_worst_known, 5.0),
    ],
)
def test_runs_without_a_value_are_never_better_than_others(rule, filled):
    np.testing.assert_array_equal(rule(COSTS), [[1.0, filled], [5.0, 2.0], [filled, 3.0]])
    known = np.isfinite(COSTS)
    assert (rule(COSTS)[~known] >= COSTS[known].max()).all()


def test_equal_runs_are_still_better_than_a_failed_one():
    assert failures.worse_than_all(np.array([2.0, 2.0, np.nan]))[2] == 3.0
    assert failures.worse_than_all(np.array([np.nan, np.nan])).tolist() == [0.0, 0.0]
