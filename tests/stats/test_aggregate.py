import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats as oracle

from metaopt.stats import StatisticsError, a12, improvement, interquartile_mean

cubes = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 3), st.integers(2, 5), st.integers(2, 4)),
    elements=st.integers(-4, 4).map(float),
)


def test_the_examples_of_rliables_own_tests():
    # metrics_test.py, (runs, tasks) there: interquartile means 1.5 and 2, P(x > y) = 1/3.
    x = np.array([[1, 2], [2, 2], [1, 1], [2, 1]]).T
    y = np.array([[1, 1], [2, 2], [3, 3]]).T
    assert interquartile_mean(x).estimate == 1.5
    assert interquartile_mean(y).estimate == 2
    # `improvement` needs equally many runs of x and y, so P per task comes from A12 (lower wins).
    chances = [1 - a12(x[task], y[task]) for task in range(2)]
    assert np.mean(chances) == pytest.approx(1 / 3)


@given(cubes)
def test_the_interquartile_mean_is_scipys_trimmed_mean(scores):
    table = scores[..., 0]
    ours = interquartile_mean(table, n=50)
    assert ours.estimate == pytest.approx(oracle.trim_mean(table, 0.25, axis=None))
    assert ours.low <= ours.high
    moved = interquartile_mean(2 * table + 3, n=50)
    assert (moved.low, moved.high) == pytest.approx((2 * ours.low + 3, 2 * ours.high + 3))


def test_its_interval_is_that_of_a_bootstrap_within_problems():
    rng = np.random.default_rng(0)
    table = rng.normal(np.arange(5)[:, None] * 3.0, 1.0, size=(5, 10))
    drawn = [
        oracle.trim_mean(np.concatenate([rng.choice(row, 10) for row in table]), 0.25)
        for _ in range(4000)
    ]
    ours = interquartile_mean(table, n=4000)
    assert (ours.low, ours.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.05)
    # Problems are not resampled: otherwise the interval would be far longer.
    assert ours.high - ours.low < 1.5 < np.ptp(table.mean(axis=1))
    assert ours == interquartile_mean(table, n=4000) != interquartile_mean(table, n=4000, seed=1)


def test_resampling_in_parts_changes_only_the_draws(monkeypatch):
    table = np.random.default_rng(4).normal(size=(3, 8))
    whole = interquartile_mean(table, n=3000)
    monkeypatch.setattr("metaopt.stats.aggregate.CHUNK", 2400)
    parts = interquartile_mean(table, n=3000)
    assert (parts.low, parts.high) == pytest.approx((whole.low, whole.high), abs=0.06)


def test_the_interval_covers_the_true_value_about_as_often_as_its_level():
    tables = np.random.default_rng(1).normal(size=(300, 4, 15))
    intervals = [interquartile_mean(t, n=300, seed=i) for i, t in enumerate(tables)]
    covered = sum(i.low <= 0 <= i.high for i in intervals)
    assert oracle.binom.ppf(0.001, 300, 0.91) <= covered <= oracle.binom.ppf(0.999, 300, 0.97)


@given(cubes, st.booleans())
@settings(max_examples=40)
def test_improvement_is_the_mean_a12_and_its_matrix_is_consistent(scores, paired):
    ours = improvement(scores, paired=paired, n=60)
    k = scores.shape[2]
    for i in range(k):
        for j in range(k):
            expected = np.mean([a12(s[:, i], s[:, j]) for s in scores])
            assert ours.probability[i, j] == pytest.approx(expected)
    assert ours.probability + ours.probability.T == pytest.approx(np.ones((k, k)))
    assert ours.low + ours.high.T == pytest.approx(np.ones((k, k)))
    assert (ours.low <= ours.high).all()
    stretched = np.exp(scores) * (1 + np.arange(len(scores)))[:, None, None]  # a scale per problem
    again = improvement(stretched, paired=paired, n=60)
    assert np.array_equal(again.probability, ours.probability)
    assert np.array_equal(again.low, ours.low)


@pytest.mark.parametrize("paired", [True, False])
def test_its_interval_is_that_of_a_bootstrap_of_a12(paired):
    rng = np.random.default_rng(2)
    scores = rng.normal([0, 0.5], 1.0, size=(3, 12, 2))
    drawn = []
    for _ in range(3000):
        left = rng.integers(12, size=(3, 12))
        right = left if paired else rng.integers(12, size=(3, 12))
        drawn.append(
            np.mean([a12(s[i, 0], s[j, 1]) for s, i, j in zip(scores, left, right, strict=True)])
        )
    ours = improvement(scores, paired=paired, n=3000)
    assert (ours.low[0, 1], ours.high[0, 1]) == pytest.approx(
        np.quantile(drawn, [0.025, 0.975]), abs=0.02
    )
    assert ours.n == (3, 12)


def test_an_interval_without_one_half_is_rare_under_the_null_and_common_otherwise():
    rng = np.random.default_rng(3)
    null = [improvement(s, n=300).low[0, 1] for s in rng.normal(size=(300, 4, 15, 2))]
    # 2.5 % on this side, and slightly more with few repeats.
    assert np.sum(np.array(null) > 0.5) <= oracle.binom.ppf(0.999, 300, 0.05)
    better = rng.normal([0.0, 1.0], size=(100, 4, 15, 2))
    assert np.mean([improvement(s, n=300).low[0, 1] > 0.5 for s in better]) > 0.9


def test_a_failed_run_loses():
    scores = np.array([[[1.0, np.inf], [2.0, 3.0]]])
    assert improvement(scores).probability[0, 1] == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: interquartile_mean([1.0, 2.0]), r"\(problems, repeats\), got shape \(2,\)"),
        (lambda: interquartile_mean([[1.0], [2.0]]), r"2 repeats .* \(2, 1\); run more repeats"),
        (lambda: interquartile_mean([[1.0, np.inf]]), "finite"),
        (lambda: interquartile_mean([[1.0, 2.0], [1.0]]), "rows of equal length"),
        (lambda: interquartile_mean([[1.0, 2.0]], n=0), "n must be a whole number"),
        (lambda: improvement(np.ones((2, 3))), r"\(problems, repeats, treatments\)"),
        (lambda: improvement(np.ones((2, 3, 1))), "at least 2 treatments"),
        (lambda: improvement([[[1.0, np.nan], [1.0, 1.0]]]), "NaN"),
        (lambda: improvement(np.ones((2, 3, 2)), level=1), "between 0 and 1"),
    ],
)
def test_bad_input_raises_an_error_that_states_what_was_expected(call, message):
    with pytest.raises(StatisticsError, match=message):
        call()
