"""What a confirmation concludes from fresh values: the choice, its tests, and the optimism."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from metaopt import Confirmation, Proposal, Result, TrialRecord
from metaopt.analysis.confirmation import read_again
from metaopt.execution.reevaluation import Reevaluation
from metaopt.report.confirmation import table


def confirmed(values, search=None, direction="minimize", tests=None, level=0.95, asked=None):
    """The confirmation of configurations with these values, (configurations, seeds); NaN failed."""
    values = np.asarray(values, dtype=float)
    k, n = values.shape
    search = np.zeros(k) if search is None else search
    trials = tuple(
        TrialRecord(Proposal(i, {"x": i / 10}, i), Result(float(v))) for i, v in enumerate(search)
    )
    results = tuple(
        tuple(
            Result.failed("exception", "unlucky")
            if np.isnan(v)
            else Result(v, metrics={} if tests is None else {"test": tests[i][j]})
            for j, v in enumerate(row)
        )
        for i, row in enumerate(values)
    )
    again = Reevaluation(trials, tuple(range(n)), results, 0)
    configs = read_again(again, direction, level)
    return Confirmation(configs, again.seeds, direction, level, asked or k, 0)


RNG = np.random.default_rng(5)
VALUES = RNG.normal(size=(3, 10)) + np.array([[0.0], [0.2], [3.0]])


def by_trial(found, number):
    return next(c for c in found.configs if c.trial == number)


# -- one confirmation ------------------------------------------------------------------------------


def test_the_best_median_is_chosen_and_the_mean_does_not_matter():
    values = [[1.0, 1.0, 1.0, 1.0, 99.0], [2.0, 2.1, 2.2, 2.3, 2.4]]
    found = confirmed(values, search=[5.0, 0.0])
    assert found.best.trial == 0
    assert found.search_best.trial == 1
    assert found.best.params == {"x": 0.0}


def test_intervals_of_medians_are_those_of_the_sign_test_in_scipy():
    for c in confirmed(VALUES).configs:
        ci = scipy_stats.quantile_test(VALUES[c.trial]).confidence_interval(0.95)
        assert (c.median.low, c.median.high) == (ci.low, ci.high)
        assert c.median.estimate == np.median(VALUES[c.trial])
        assert c.median.level == pytest.approx(1 - 2 * scipy_stats.binom.cdf(1, 10, 0.5))


def test_p_values_are_signed_rank_tests_adjusted_for_all_pairs():
    found = confirmed(VALUES)
    pairs = [(0, 1), (0, 2), (1, 2)]
    raw = [scipy_stats.wilcoxon(VALUES[i], VALUES[j]).pvalue for i, j in pairs]
    order, adjusted, largest = np.argsort(raw), {}, 0.0
    for place, which in enumerate(order):
        largest = max(largest, min(1.0, (3 - place) * raw[which]))
        adjusted[pairs[which]] = largest
    best = found.best.trial
    assert found.best.p is None
    for c in found.configs[1:]:
        assert c.p == pytest.approx(adjusted[min(best, c.trial), max(best, c.trial)])


def test_optimism_is_the_distance_of_the_search_to_the_median_and_its_interval():
    search = [-1.0, -0.5, 2.0]
    found = confirmed(VALUES, search)
    for c in found.configs:
        for end in ("estimate", "low", "high"):
            distance = getattr(c.median, end) - search[c.trial]
            assert getattr(c.optimism, end) == pytest.approx(distance)
        assert c.better == (VALUES[c.trial] < search[c.trial]).sum()
    each = (VALUES - np.array(search)[:, None]).mean(axis=0)
    assert found.optimism.estimate == pytest.approx(np.median(each))


def test_maximising_is_minimising_the_negated_values():
    values, search = VALUES.copy(), np.array([-1.0, -0.5, 2.0])
    values[1, 3] = np.nan
    low, high = confirmed(values, search), confirmed(-values, -search, "maximize")
    assert low.held_out == -high.held_out
    assert low.optimism == high.optimism
    for a, b in zip(low.configs, high.configs, strict=True):
        assert (a.trial, a.p, a.better, a.optimism) == (b.trial, b.p, b.better, b.optimism)
        assert (a.median.low, a.median.high) == (-b.median.high, -b.median.low)
        if a.difference is not None:
            assert a.difference.estimate == -b.difference.estimate
            assert a.difference.low == -b.difference.high
    assert high.search_best.trial == low.search_best.trial


def test_one_half_of_the_seeds_chooses_and_the_other_measures():
    values = np.array([[0.0, 5.0, 0.0, 7.0], [1.0, 2.0, 1.0, 4.0]])
    # Seeds 0 and 2 choose row 0, which has 6 on the others; those choose row 1, which has 1.
    assert confirmed(values).held_out == (6.0 + 1.0) / 2
    assert confirmed(values[:, :3]).held_out is None
    assert confirmed(values[:1]).held_out is None


def test_failures_are_worse_than_every_value_in_the_median_and_in_the_tests():
    values = VALUES.copy()
    values[0, :3] = np.nan
    failing, plain = by_trial(confirmed(values), 0), by_trial(confirmed(VALUES), 0)
    assert failing.median.estimate == np.sort(np.nan_to_num(values[0], nan=np.inf))[4:6].mean()
    assert failing.median.estimate > plain.median.estimate
    assert failing.median.high == np.inf
    large = np.nan_to_num(values, nan=1e6)
    for c in confirmed(values).configs:
        assert c.p == by_trial(confirmed(large), c.trial).p
    assert np.isnan(values).sum() == confirmed(values).failed


def test_of_equal_medians_the_one_with_fewer_failures_and_then_the_earlier_is_chosen():
    nan = np.nan
    values = [[nan, nan, nan, 1.0], [nan, nan, nan, 1.0], [1.0, nan, nan, nan], [nan, nan, 2, 3]]
    assert [c.trial for c in confirmed(values).configs] == [3, 0, 1, 2]


# -- words -----------------------------------------------------------------------------------------


def test_the_conclusion_names_the_choice_the_others_and_the_optimism():
    text = confirmed(VALUES, search=[-2.0, -1.5, -1.0]).conclusion()
    best = confirmed(VALUES).best.trial
    assert text.startswith(f"Use trial {best} (x={best / 10:g}): over 10 fresh seeds")
    assert "(level 97.8 %)" in text
    assert "Shown to be worse: trial 2" in text
    assert f"Not shown to be worse than trial {best}: trial {1 - best}" in text
    assert "The search reported -2 for trial 0; over 10 fresh seeds its median is" in text
    assert "too optimistic, by" in text
    assert "almost unbiased" in text


def test_an_optimism_that_the_seeds_do_not_show_is_not_claimed():
    middle = float(np.median(VALUES[0]))
    assert "is not shown" in confirmed(VALUES[:1], [middle - 0.01]).conclusion()
    assert "too pessimistic" in confirmed(VALUES[:1], [middle + 9]).conclusion()


def test_too_few_seeds_for_a_test_are_said_with_the_number_that_is_needed():
    text = confirmed(VALUES[:, :6]).conclusion()
    assert "No test can show a difference between 3 configurations with 6 seeds; 7 would" in text
    assert "worse:" not in text
    assert "No test" not in confirmed(VALUES[:, :7]).conclusion()


def test_one_seed_gives_values_and_no_interval():
    found = confirmed(VALUES[:, :1])
    assert all(c.median.level == 0 for c in found.configs)
    text = found.conclusion()
    assert "one seed gives no interval" in text
    assert "[" not in text
    assert "do not vary" not in text
    assert all("[" not in cell for row in table(found)[1] for cell in row)


def test_values_that_do_not_vary_over_the_seeds_are_not_tested():
    found = confirmed([[1.0] * 10, [2.0] * 10], search=[1.0, 2.0])
    assert all(c.p is None for c in found.configs)
    text = found.conclusion()
    assert "do not vary over the seeds" in text
    assert "confirmed exactly" in text
    assert "worse" not in text


def test_hidden_test_values_are_summarised_and_gaps_in_them_are_left_out():
    tests = VALUES + 1
    found = confirmed(VALUES, tests=tests)
    for c in found.configs:
        assert c.test.estimate == pytest.approx(np.median(tests[c.trial]))
    assert "the median of its hidden test values is" in found.conclusion()
    assert "test" in table(found)[0]
    assert "test" not in table(confirmed(VALUES))[0]


def test_the_table_has_one_row_per_configuration_and_the_frame_one_per_evaluation():
    values = VALUES.copy()
    values[1, 2] = np.nan
    found = confirmed(values, tests=values + 1)
    header, rows = table(found)
    assert [row[0] for row in rows] == [str(c.trial) for c in found.configs]
    assert "failed" in header
    frame = found.to_pandas()
    assert len(frame) == 30
    for number, part in frame.groupby("trial"):
        assert np.array_equal(part["value"], values[number], equal_nan=True)
        assert np.array_equal(part["test"], values[number] + 1, equal_nan=True)
        assert part["seed"].tolist() == list(found.seeds)
        assert (part["params_x"] == number / 10).all()


# -- laws over many confirmations ------------------------------------------------------------------


def _after_search(rng, k, n, trials=50, spread=0.0):
    """True values of the best k of a noisy search, their values in it, and fresh values."""
    true = spread * np.abs(rng.normal(size=trials))
    search = true + rng.normal(size=trials)
    top = np.argsort(search)[:k]
    fresh = true[top, None] + rng.normal(size=(k, n))
    return true[top], search[top], fresh


def test_a_planted_optimism_is_found_and_its_interval_covers_the_true_one():
    rng = np.random.default_rng(1)
    found, covered, average = [], 0, 0
    for _ in range(400):
        true, search, fresh = _after_search(rng, 3, 10)
        c = confirmed(fresh, search)
        first = c.search_best
        found.append(first.optimism.estimate)
        covered += first.optimism.low <= true[0] - search[0] <= first.optimism.high
        average += c.optimism.low <= (true - search).mean() <= c.optimism.high
    # The expected minimum of 50 standard normal values is -2.249 (Harter 1961).
    assert np.mean(found) == pytest.approx(2.249, abs=0.1)
    assert min(covered, average) >= 0.95 * 400  # the attained level is 0.979


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_the_median_of_the_choice_is_too_good_the_held_out_value_hardly_and_the_interval_holds(
    spread,
):
    rng = np.random.default_rng(2)
    own, held_out, covered = [], [], 0
    for _ in range(600):
        true, search, fresh = _after_search(rng, 3, 10, spread=spread)
        c = confirmed(fresh, search)
        of_choice = true[np.flatnonzero(np.sort(search) == c.best.search)[0]]
        own.append(c.best.median.estimate - of_choice)
        held_out.append(c.held_out - of_choice)
        covered += c.best.median.low <= of_choice <= c.best.median.high
    assert np.mean(own) < -0.2
    assert abs(np.mean(held_out)) < 0.08
    assert covered >= 0.95 * 600


def test_among_equal_configurations_a_difference_is_claimed_in_at_most_5_percent():
    rng = np.random.default_rng(3)
    claimed = 0
    for _ in range(600):
        found = confirmed(rng.normal(size=(5, 10)))
        claimed += any(c.p <= 0.05 for c in found.configs[1:])
    assert claimed <= 30
