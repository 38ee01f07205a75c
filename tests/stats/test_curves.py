import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaopt.stats import StatisticsError, band, best_so_far

values = st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=12)


def test_failed_trials_keep_the_best_so_far():
    got = best_so_far([None, 3.0, np.nan, 5.0, np.inf, 1.0, -np.inf])
    assert np.array_equal(got, [np.nan, 3, 3, 3, 3, 1, 1], equal_nan=True)
    got = best_so_far([[1.0, 2.0, 0.0], [5.0, 4.0, 6.0]], "maximize")
    assert got.tolist() == [[1, 2, 2], [5, 5, 6]]


@given(values)
def test_maximising_is_minimising_the_negative_values(row):
    negated = [None if v is None else -v for v in row]
    assert np.array_equal(best_so_far(row, "maximize"), -best_so_far(negated), equal_nan=True)


@given(values)
def test_best_so_far_is_idempotent_and_never_increases(row):
    curve = best_so_far(row)
    assert np.array_equal(best_so_far(curve), curve, equal_nan=True)
    known = curve[np.isfinite(curve)]
    assert np.all(np.diff(known) <= 0)


def test_the_input_is_not_modified():
    given_values = np.array([np.inf, 2.0, 1.0])
    best_so_far(given_values)
    assert given_values.tolist() == [np.inf, 2.0, 1.0]


def test_the_band_of_full_curves_equals_numpys_quantiles():
    curves = np.random.default_rng(0).normal(size=(7, 30))
    got = band(curves)
    for ours, level in [(got.lower, 0.25), (got.median, 0.5), (got.upper, 0.75)]:
        assert ours == pytest.approx(np.quantile(curves, level, axis=0))
    assert got.count.tolist() == [7] * 30


def test_a_short_curve_keeps_its_last_value():
    assert band([[3.0, 1.0], [5.0, 4.0, 2.0], [9.0]]).median.tolist() == [5, 4, 2]


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1), ("maximize", -1)])
def test_a_repeat_without_a_value_counts_as_the_worst(direction, sign):
    curves = sign * np.array([[np.nan, 1.0], [2.0, 2.0], [3.0, 3.0]])
    got = band(curves, direction)
    assert got.count.tolist() == [2, 3]
    assert (sign * got.median).tolist() == [3, 2]
    best, worst = (got.lower, got.upper) if sign == 1 else (got.upper, got.lower)
    assert sign * best[0] == 2.5 and np.isnan(worst[0])


def test_five_repeats_with_one_failure_have_all_quartiles():
    got = band([[1.0], [2.0], [3.0], [4.0], [np.nan]])
    assert (got.lower[0], got.median[0], got.upper[0]) == (2, 3, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: best_so_far([[1.0], [1.0, 2.0]]), "rows of equal length"),
        (lambda: best_so_far(1.0), "sequence over trials"),
        (lambda: best_so_far([1.0], "min"), "'minimize' or 'maximize', got 'min'"),
        (lambda: band([]), "at least one curve"),
        (lambda: band([1.0, 2.0]), r"got shape \(\) for repeat 0"),
        (lambda: band([[1.0], []]), r"got shape \(0,\) for repeat 1"),
    ],
)
def test_bad_input_raises_an_error_that_states_what_was_expected(call, message):
    with pytest.raises(StatisticsError, match=message):
        call()


def test_importing_the_statistics_loads_neither_scipy_nor_the_rest_of_metaopt():
    code = (
        "import sys, metaopt\n"
        "before = set(sys.modules)\n"
        "import metaopt.stats\n"
        "new = set(sys.modules) - before\n"
        "wrong = [m for m in new if m.split('.')[0] in ('scipy', 'metaopt')]\n"
        "assert all(m.startswith(('metaopt.stats', 'metaopt.core')) for m in wrong), wrong\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
