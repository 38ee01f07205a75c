import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats as oracle

from metaopt.stats import (
    StatisticsError,
    area,
    at_times,
    best_so_far,
    expected_runtime,
    performance_profile,
    rank_over_time,
    runtime_distribution,
    runtimes,
)

cells = st.one_of(st.integers(-5, 5).map(float), st.just(np.nan))
tables = hnp.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 8)), elements=cells)
cubes = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 6)),
    elements=cells,
)
costs_of_any_kind = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.integers(1, 4)),
    elements=st.one_of(st.integers(1, 9).map(float), st.just(np.inf)),
)


def test_values_at_given_seconds_are_the_best_known_by_then():
    got = at_times([5.0, 2.0, 9.0], [1.0, 3.0, 2.0], [0, 1.9, 2, 4, 5, 100])
    assert np.array_equal(got, [np.nan, np.nan, 3, 3, 1, 1], equal_nan=True)
    got = at_times([5.0, 2.0, 9.0], [1.0, None, 2.0], [3, 6, 9], "maximize")
    assert np.array_equal(got, [np.nan, 1, 2], equal_nan=True)
    assert np.isnan(at_times([], [], [1.0])).all()


@given(tables)
def test_one_trial_per_second_gives_the_best_so_far(table):
    seconds = np.arange(1.0, table.shape[1] + 1)
    for row in table:
        got = at_times(seconds, row, seconds)
        assert np.array_equal(got, best_so_far(row), equal_nan=True)


def test_the_area_of_a_hand_made_curve():
    # Scaled: 1 (no value), 0.5, 0.5, 0, 0 (cut).
    assert area([np.nan, 5.0, 7.0, 0.0, -3.0], 0.0, 10.0) == pytest.approx(0.4)
    assert area([np.nan, 5.0, 7.0, 10.0, 13.0], 10.0, 0.0) == pytest.approx((1 + 0.5 + 0.3) / 5)
    assert area([[20.0, 20.0], [-1.0, 0.0]], 0.0, 10.0).tolist() == [1.0, 0.0]


@given(tables)
def test_the_area_lies_between_0_and_1_and_earlier_values_never_increase_it(table):
    a = area(table, -5.0, 5.0)
    assert a.shape == table.shape[:1] and (a >= 0).all() and (a <= 1).all()
    assert area(-table, 5.0, -5.0) == pytest.approx(a)
    assert area(3 * table + 1, -14.0, 16.0) == pytest.approx(a)
    assert area(best_so_far(table), -5.0, 5.0) == pytest.approx(a)
    better = np.concatenate([table[:, -1:], table[:, :-1]], axis=1)  # the last value comes first
    last = best_so_far(table)[:, -1] == table[:, -1]
    assert (area(better, -5.0, 5.0)[last] <= a[last] + 1e-12).all()


@given(cubes)
def test_ranks_at_each_time_are_scipys(curves):
    best = np.where(np.isnan(best_so_far(curves)), np.inf, best_so_far(curves))
    expected = np.stack([oracle.rankdata(best[..., t], axis=1) for t in range(curves.shape[2])])
    got = rank_over_time(curves)
    assert got == pytest.approx(expected.mean(axis=1).T)
    assert got.sum(axis=0) == pytest.approx(curves.shape[1] * (curves.shape[1] + 1) / 2)
    assert rank_over_time(-curves, "maximize") == pytest.approx(got)
    assert rank_over_time(np.exp(curves)) == pytest.approx(got)


def test_a_profile_of_three_problems_by_hand():
    profile = performance_profile([[1, 2], [10, 5], [np.inf, 4]], [1, 2, 1.5])
    assert profile.factor.tolist() == [1, 1.5, 2]
    assert profile.share == pytest.approx(np.array([[1 / 3, 1 / 3, 2 / 3], [2 / 3, 2 / 3, 1]]))
    assert profile.ratios.tolist() == [[1, 2], [2, 1], [np.inf, 1]]


@given(costs_of_any_kind)
def test_profiles_follow_the_definition_of_dolan_and_more(costs):
    profile = performance_profile(costs)
    problems = len(costs)
    for j in range(costs.shape[1]):
        for tau, share in zip(profile.factor, profile.share[j], strict=True):
            within = [
                np.isfinite(row[j]) and row[j] / row.min() <= tau * (1 + 1e-15) for row in costs
            ]
            assert share == pytest.approx(sum(within) / problems)
    assert np.all(np.diff(profile.share, axis=1) >= 0)
    assert profile.share[:, -1] == pytest.approx(np.isfinite(costs).mean(axis=0))
    solved = np.isfinite(costs).any(axis=1).mean()
    assert profile.share[:, 0].sum() >= solved - 1e-12  # every solved problem has a best treatment
    scaled = performance_profile(costs * 2.0 ** np.arange(problems)[:, None])
    assert np.array_equal(scaled.share, profile.share)  # one unit per problem


def test_runtimes_count_from_the_first_trial():
    curves = [[np.nan, 4.0, 6.0, 2.0], [1.0, 9.0, 9.0, 9.0]]
    got = runtimes(curves, [4.0, 2.0, 1.0])
    assert got.tolist() == [[2, 4, np.inf], [1, 1, 1]]
    seconds = [[0.5, 1.5, 1.5, 8.0], [3.0, 4.0, 5.0, 6.0]]
    assert runtimes(curves, [4.0, 1.0], times=seconds).tolist() == [[1.5, np.inf], [3, 3]]
    assert runtimes([1.0, 5.0], [4.0], "maximize").tolist() == [2.0]


@given(tables, st.lists(st.integers(-6, 6).map(float), min_size=1, max_size=5))
def test_the_runtime_distribution_is_the_share_of_pairs_reached(table, targets):
    found = runtimes(table, targets)
    assert found.shape == (len(table), len(targets))
    budgets = np.arange(0.0, table.shape[1] + 2)
    ours = runtime_distribution(found, budgets)
    best = best_so_far(table)
    expected = [
        np.mean([[(row[: int(b)] <= t).any() for t in targets] for row in best]) for b in budgets
    ]
    assert ours.share == pytest.approx(expected)
    assert ours.n == found.size and ours.share[0] == 0
    steps = runtime_distribution(found)
    assert (np.diff(steps.share) > 0).all() and (steps.share > 0).all()
    assert np.array_equal(runtimes(-table, -np.array(targets), "maximize"), found)
    harder = runtimes(table, np.array(targets) - 1)
    assert (harder >= found).all()


def test_the_expected_runtime_includes_the_cost_of_failures():
    # Two successes after 30 and 50, one failure of 100: (30 + 50 + 100) / 2.
    got = expected_runtime([[30.0, np.inf], [np.inf, np.inf], [50.0, np.inf]], 100)
    assert got.tolist() == [90.0, np.inf]


@given(st.lists(st.integers(1, 20).map(float), min_size=1, max_size=6))
def test_without_failures_the_expected_runtime_is_the_mean(found):
    assert expected_runtime(np.array(found)[:, None], 20) == pytest.approx([np.mean(found)])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: at_times([1.0], [1.0, 2.0], [1.0]), r"one entry for each value, got 1 .*\(2,\)"),
        (lambda: at_times([-1.0], [1.0], [1.0]), "seconds since the start, got"),
        (lambda: at_times([np.nan], [1.0], [1.0]), "times must not hold NaN"),
        (lambda: at_times([1.0], ["a"], [1.0]), "numbers or None"),
        (lambda: area([1.0], 2.0, 2.0), "must differ to set a scale, got 2.0 for both"),
        (lambda: area([], 0.0, 1.0), "at least one trial"),
        (lambda: area([[1.0], [1.0, 2.0]], 0.0, 1.0), "rows of equal length"),
        (lambda: rank_over_time([[1.0, 2.0]]), r"\(blocks, treatments, trials\)"),
        (lambda: rank_over_time(np.ones((1, 2, 3)), "down"), "direction"),
        (lambda: performance_profile([1.0, 2.0]), r"\(problems, treatments\), got shape \(2,\)"),
        (lambda: performance_profile([[1.0, 0.0]]), "above 0.*got 0.0"),
        (lambda: performance_profile([[1.0, np.nan]]), "NaN"),
        (lambda: performance_profile([[1.0, 2.0]], [0.5]), "at least 1, got 0.5"),
        (lambda: runtimes([1.0], []), "targets needs at least 1"),
        (lambda: runtimes([1.0, 2.0], [1.0], times=[2.0, 1.0]), "ascend"),
        (lambda: runtimes([1.0, 2.0], [1.0], times=[2.0]), r"\(2,\), got shape \(1,\)"),
        (lambda: runtime_distribution([]), "at least one runtime"),
        (lambda: runtime_distribution([np.nan]), "NaN"),
        (lambda: expected_runtime([1.0], 5), r"\(runs, targets\)"),
        (lambda: expected_runtime([[9.0]], 5), "at least 9.0, got 5"),
    ],
)
def test_bad_input_raises_an_error_that_states_what_was_expected(call, message):
    with pytest.raises(StatisticsError, match=message):
        call()
