"""Figures of a comparison show the numbers of `stats`, and texts that do not overlap."""

import dataclasses

import numpy as np
import pytest
from plotting import comparison, lines, overlapping_texts, random_comparison, record

from metaopt import plots, stats
from metaopt.core.errors import MetaoptError, StudyError
from metaopt.plots import arrays
from metaopt.plots.anytime_performance import profiles_of
from metaopt.plots.scores import aggregates

TWO = {"p": {"a": [[4.0, 2.0, 2.0], [4.0, 4.0, 1.0]], "b": [[4.0, 3.0, 3.0], [4.0, 1.0, 1.0]]}}


def test_curves_by_seconds_use_the_cumulative_evaluation_time():
    c = comparison(TWO, seconds={"a": 1.0, "b": 2.0})
    (axes,) = plots.anytime(c, by="seconds").axes
    drawn = lines(axes)
    x, y = drawn["b"].get_data()
    assert x[-1] == 6 and np.isnan(y[x < 2]).all()  # b's first trial ends after 2 s
    assert y[(x >= 2) & (x < 4)] == pytest.approx(4.0)
    assert y[(x >= 4) & (x < 6)] == pytest.approx(2.0)  # the median of 3 and 1
    assert drawn["a"].get_ydata()[x >= 3] == pytest.approx(1.5)


def test_ranks_over_time_are_mean_ranks_in_blocks_for_both_directions():
    for direction, sign in (("minimize", 1), ("maximize", -1)):
        flipped = {
            p: {k: (sign * np.array(v)).tolist() for k, v in t.items()} for p, t in TWO.items()
        }
        (axes,) = plots.rank_over_time(comparison(flipped, direction=direction)).axes
        assert lines(axes)["a"].get_ydata().tolist() == [1.5, 1.5, 1.25]
        assert lines(axes)["b"].get_ydata().tolist() == [1.5, 1.5, 1.75]
        assert axes.yaxis_inverted()


def test_the_critical_difference_diagram_shows_ranks_and_groups():
    rng = np.random.default_rng(3)
    scores = rng.normal([0.0, 0.3, 0.6, 2.0, 2.3], 0.8, size=(30, 5))
    found = stats.critical_groups(scores, test="nemenyi")
    labels = ["a", "b", "c", "d", "e"]
    (axes,) = plots.cd_diagram(found, labels).axes
    drawn = lines(axes)
    for label, rank in zip(labels, found.ranks, strict=True):
        assert drawn[label].get_xdata()[0] == rank
    bars = [line for line in axes.get_lines() if line.get_label() == "_group"]
    assert len(bars) == len(found.groups) >= 2
    for bar, group in zip(bars, found.groups, strict=True):
        low, high = bar.get_xdata()
        inside = {j for j, rank in enumerate(found.ranks) if low <= rank <= high}
        assert inside == set(group)
    for i, one in enumerate(bars):
        for other in bars[:i]:
            apart = one.get_ydata()[0] != other.get_ydata()[0]
            assert apart or one.get_xdata()[0] > other.get_xdata()[1]
    (cd,) = [line for line in axes.get_lines() if line.get_label() == "_cd"]
    assert np.ptp(cd.get_xdata()) == pytest.approx(found.difference)


def test_pairs_without_a_bar_are_listed_below_the_diagram():
    found = stats.CriticalDifference(
        (1.0, 2.0, 3.0), (0, 1, 2), ((1, 2),), ((0, 2),), None, 0.05, 9, "made up"
    )
    (axes,) = plots.cd_diagram(found, ["best", "middle", "last"]).axes
    assert any(
        "not significantly different" in t.get_text() and "best – last" in t.get_text()
        for t in axes.texts
    )


def test_a_diagram_of_several_problems_uses_the_mean_ranks_of_each():
    tables = {
        p: {"a": [[1.0]] * 6, "b": [[2.0]] * 6, "c": [[x]] * 6} for p, x in (("p", 3.0), ("q", 0.0))
    }
    (axes,) = plots.critical_difference(comparison(tables)).axes
    assert {k: v.get_xdata()[0] for k, v in lines(axes).items()} == {"a": 1.5, "b": 2.5, "c": 2.0}
    (axes,) = plots.critical_difference(comparison(tables), "q").axes
    assert {k: v.get_xdata()[0] for k, v in lines(axes).items()} == {"a": 2.0, "b": 3.0, "c": 1.0}


def test_the_improvement_matrix_shows_the_probabilities_with_the_best_on_top():
    c = random_comparison(["a", "b", "c"], ["p", "q"])
    scores = np.array([c.values(p.name) for p in c.problems])
    expected = stats.improvement(scores)
    (axes,) = plots.improvement(c).axes
    names = [t.get_text() for t in axes.get_yticklabels()]
    assert names == [t.get_text() for t in axes.get_xticklabels()]
    order = [c.strategies.index(name) for name in names]
    assert order == sorted(order, key=lambda i: -expected.probability[i].mean())
    cells = {(round(t.get_position()[1]), round(t.get_position()[0])): t for t in axes.texts}
    for (i, j), text in cells.items():
        at = order[i], order[j]
        assert text.get_text() == f"{expected.probability[at]:.2f}"
        sure = expected.low[at] > 0.5 or expected.high[at] < 0.5
        assert (text.get_fontweight() == "bold") == sure
    assert len(cells) == 6


def cells(c):
    """Texts of the comparison matrix by labels of row and column, and which are bold."""
    (axes,) = plots.comparison_matrix(c).axes
    rows = [t.get_text() for t in axes.get_yticklabels()]
    columns = [t.get_text() for t in axes.get_xticklabels()]
    found = {}
    for text in axes.texts:
        x, y = text.get_position()
        key = rows[round(y)], columns[round(x)]
        found[key] = text.get_text().replace("−", "-").split("\n"), text.get_fontweight() == "bold"
    return found


def test_a_cell_of_the_matrix_shows_effect_counts_and_the_test_of_the_two():
    rng = np.random.default_rng(2)
    means = {"a": 0.0, "b": 1.0, "c": 2.0, "d": 1.4}
    c = comparison({p: {k: rng.normal(m, 1, (8, 1)) for k, m in means.items()} for p in "pq"})
    shown, tests = cells(c), c.pairwise().pairs
    assert len(shown) == 12 and any(pair.p <= 0.05 < pair.p_adjusted for pair in tests)
    table = np.array([c.scores(p.name) for p in c.problems])
    for pair in tests:
        x, y = table[:, :, pair.first], table[:, :, pair.second]
        (effect,) = stats.hierarchical(np.stack([x, y], axis=2), control=1)
        key = c.strategies[pair.first], c.strategies[pair.second]
        counts = f"{(x < y).sum()} / {(x == y).sum()} / {(x > y).sum()}"
        p = f"p = {pair.p:.3f}" if pair.p >= 0.001 else "p < 0.001"
        assert shown[key][0] == [f"{effect.mean.estimate:+.2f}", counts, p]
        assert shown[key][1] == shown[key[::-1]][1] == (pair.p_adjusted <= 0.05)
        assert float(shown[key[::-1]][0][0]) == -float(shown[key][0][0])


def test_another_strategy_changes_no_cell_but_its_own():
    rng = np.random.default_rng(5)
    whole = {p: {k: rng.normal(j, 1, (12, 1)).tolist() for j, k in enumerate("abcd")} for p in "pq"}
    part = {p: {k: v for k, v in table.items() if k != "b"} for p, table in whole.items()}
    before, after = cells(comparison(part)), cells(comparison(whole))
    assert {k: v[0] for k, v in after.items() if "b" not in k} == {
        k: v[0] for k, v in before.items()
    }
    assert any(bold for _, bold in after.values())


def test_with_more_than_eight_strategies_the_matrix_has_the_control_as_its_only_column():
    labels = [f"s{i}" for i in range(9)]
    assert set(cells(random_comparison(labels[:8]))) == {
        (a, b) for a in labels[:8] for b in labels[:8] if a != b
    }
    assert set(cells(random_comparison(labels))) == {(a, "s0") for a in labels[1:]}


def test_without_a_test_the_matrix_shows_no_p_values_and_says_why():
    c = random_comparison(["a", "b", "c"], repeats=4)
    assert all(len(lines) == 2 and not bold for lines, bold in cells(c).values())
    caption = plots.comparison_figures(c)["comparison-matrix"].caption
    assert "There are no p-values" in caption and "at least" in caption


def test_effects_by_problem_are_those_of_the_hierarchical_model():
    c = random_comparison(["a", "b", "c"], ["p", "q", "r"], repeats=6)
    table = np.array([c.scores(p.name) for p in c.problems])
    figure = plots.effects_by_problem(c)
    for axes, found in zip(figure.axes, stats.hierarchical(table, control=0), strict=False):
        drawn = axes.get_lines()
        assert axes.get_title(loc="left") == c.strategies[found.treatment]
        raw = [line.get_xdata()[0] for line in drawn if line.get_label() == "_observed"]
        assert raw == list(found.observed)
        (mean,) = [line for line in drawn if line.get_label() == "_mean"]
        (ahead,) = [line for line in drawn if line.get_label() == "_next"]
        assert mean.get_xdata()[0] == found.mean.estimate
        assert list(ahead.get_xdata()) == [found.next_problem.low, found.next_problem.high]
        spans = [list(line.get_xdata()) for line in drawn if len(line.get_xdata()) == 2]
        assert [[x.low, x.high] in spans for x in [*found.effects, found.mean]] == [True] * 4
    rows = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert rows == ["p", "q", "r", "mean", "next problem"]


def test_effects_by_problem_need_several_independent_problems():
    for c in (
        random_comparison(["a", "b"], ["p"]),
        random_comparison(["a", "b"], ["p", "q"], repeats=1),
        dataclasses.replace(random_comparison(["a", "b"], ["p", "q"]), shared_seeds=True),
    ):
        assert "effects-by-problem" not in plots.comparison_figures(c)
        with pytest.raises(StudyError, match="effects by problem cannot be estimated"):
            plots.effects_by_problem(c)


def test_a_problem_in_which_all_runs_failed_counts_as_ties():
    table = {"a": [[None]] * 6, "b": [[None]] * 6}
    assert "comparison-matrix" not in plots.comparison_figures(comparison({"p": table}))
    mixed = {"p": table, "q": {"a": [[1.0]] * 6, "b": [[2.0]] * 6}}
    assert cells(comparison(mixed))["a", "b"][0][1] == "6 / 6 / 0"
    found = plots.comparison_figures(comparison(mixed))
    found["effects-by-problem"].draw().draw_without_rendering()


def test_interquartile_means_are_scaled_from_the_best_known_to_a_first_trial():
    c = comparison(TWO)  # best known 1, first trials 4; final values: a (2, 1), b (3, 1)
    found = {k: x.estimate for k, x in aggregates(c).items()}
    assert found == pytest.approx({"a": (1 / 3 + 0) / 2, "b": (2 / 3 + 0) / 2})
    (axes,) = plots.interquartile_means(c).axes
    assert {k: line.get_xdata()[0] for k, line in lines(axes).items()} == pytest.approx(found)
    half = comparison(TWO, optimum=-2.0)
    assert aggregates(half)["a"].estimate == pytest.approx((4 / 6 + 3 / 6) / 2)


def test_a_run_without_a_value_gets_the_worst_value_of_its_problem():
    table = {"p": {"a": [[4.0, 1.0], [4.0, 2.0]], "b": [[None, None], [4.0, 3.0]]}}
    scores = arrays.scaled_finals(comparison(table))
    assert scores[0] == pytest.approx(np.array([[0, 2 / 3], [1 / 3, 2 / 3]]))


def test_performance_profiles_count_trials_until_nine_tenths_of_the_gap_are_closed():
    table = {
        "p": {"a": [[10.0, 1.0, 0.0], [10.0, 5.0, 0.5]], "b": [[10.0, 5.0, 1.0], [10.0, 9.0, 9.0]]}
    }
    profile = profiles_of(
        comparison(table)
    )  # the target is 1: a needs 2 and 3 trials, b needs 3 and inf
    assert profile.ratios.tolist() == [[1.0, 1.5], [1.0, np.inf]]
    (axes,) = plots.performance_profiles(comparison(table)).axes
    x, y = lines(axes)["b"].get_data()
    assert list(zip(x, y, strict=True))[:2] == [(1.0, 0.0), (1.5, 0.5)] and y[-1] == 0.5
    assert lines(axes)["a"].get_ydata().tolist() == [1.0, 1.0, 1.0]


def test_the_runtime_distribution_is_the_share_of_targets_reached():
    c = comparison({"p": {"a": [[10.0, 1.0, 0.0]], "b": [[10.0, 10.0, 5.0]]}})
    (axes,) = plots.runtime_distribution(c).axes
    targets = 10 * arrays.GAPS
    for label, values in (("a", [10.0, 1.0, 0.0]), ("b", [10.0, 10.0, 5.0])):
        x, y = lines(axes)[label].get_data()
        expected = [(targets >= v - 1e-12).mean() for v in values]
        assert x.tolist()[:3] == [1, 2, 3] and y[:3] == pytest.approx(expected)


def test_validation_against_test_shows_each_run_and_the_diagonal():
    c = comparison(TWO, tests={"p": {"a": [2.5, 1.5], "b": [3.0, 0.5]}})
    (axes,) = plots.validation_against_test(c).axes
    drawn = lines(axes)
    assert drawn["a"].get_xdata().tolist() == [2.0, 1.0]
    assert drawn["a"].get_ydata().tolist() == [2.5, 1.5]
    assert drawn["equal"].get_xdata().tolist() == drawn["equal"].get_ydata().tolist() == [0.5, 3.0]


def with_tests(tables, tests, **how):
    """A comparison of {problem: {label: rows of values}} with a test value of every trial."""
    c = comparison(tables, **how)
    runs = []
    for run in c.runs:
        row = tests[run.problem][run.strategy][run.repeat]
        trials = [
            record(t.number, t.value, 1.0, {"test": v})
            for t, v in zip(run.trials, row, strict=True)
        ]
        runs.append(dataclasses.replace(run, trials=tuple(trials)))
    return dataclasses.replace(c, runs=tuple(runs))


def test_overtuning_is_drawn_as_the_share_of_runs_with_at_most_so_much():
    tables = {"p": {"a": [[3.0, 2.0, 1.0]] * 4, "b": [[3.0, 2.0, None]] * 4}}
    tests = {
        "p": {  # relative overtuning of a: 0, 0.5, 2 and undefined
            "a": [[9.0, 8.0, 7.0], [9.0, 5.0, 7.0], [9.0, 8.0, 10.0], [1.0, 2.0, 3.0]],
            "b": [[9.0, 8.0, 0.0]] * 4,
        }
    }
    c = with_tests(tables, tests)
    (axes,) = plots.overtuning(c).axes
    x, y = lines(axes)["a"].get_data()
    height = {at: y[np.flatnonzero(x <= at)[-1]] for at in (0.0, 0.49, 0.51, 1.9, 2.05)}
    third = 1 / 3
    assert height == pytest.approx(
        {0.0: third, 0.49: third, 0.51: 2 * third, 1.9: 2 * third, 2.05: 1.0}
    )
    x, y = lines(axes)["b"].get_data()
    assert x[0] == y[0] == 0 and (y[x > 0] == 1).all()
    spec = plots.comparison_figures(c)["overtuning-p"]
    assert "Not drawn: 1 run that never improved the test value." in spec.caption
    assert "a 0.333 and b 1." in spec.alt


def test_overtuning_of_a_maximised_problem_is_that_of_its_negative():
    rng = np.random.default_rng(5)
    values = {"p": {k: rng.normal(size=(6, 9)).tolist() for k in "ab"}}
    tests = {"p": {k: rng.normal(size=(6, 9)).tolist() for k in "ab"}}

    def flip(table):
        return {p: {k: (-np.array(v)).tolist() for k, v in t.items()} for p, t in table.items()}

    (one,) = plots.overtuning(with_tests(values, tests)).axes
    (two,) = plots.overtuning(with_tests(flip(values), flip(tests), direction="maximize")).axes
    for label in "ab":
        assert (lines(one)[label].get_xydata() == lines(two)[label].get_xydata()).all()


def test_the_axis_of_overtuning_ends_where_the_runs_of_each_strategy_can_be_seen():
    tables = {"p": {"a": [[3.0, 2.0, 1.0]] * 2, "b": [[3.0, 2.0, 1.0]] * 2}}
    far, near = [9.0, 8.0, 29.0], [9.0, 8.0, 8.0]  # relative overtuning 21 and 0
    (axes,) = plots.overtuning(
        with_tests(tables, {"p": {"a": [near, far], "b": [near, near]}})
    ).axes
    assert 3 < axes.get_xlim()[1] < 4
    (axes,) = plots.overtuning(with_tests(tables, {"p": {"a": [far, far], "b": [near, near]}})).axes
    assert axes.get_xlim()[1] > 21


def test_overtuning_needs_a_test_value_of_every_trial_and_a_gain():
    with pytest.raises(StudyError, match="every complete trial; the problem 'p' has none"):
        plots.overtuning(comparison(TWO))
    flat = comparison(TWO, tests={"p": {"a": [2.5, 1.5], "b": [3.0, 0.5]}})
    with pytest.raises(StudyError, match="no run on 'p' improved its test value"):
        plots.overtuning(flat)
    assert "overtuning-p" not in plots.comparison_figures(flat)
    some = with_tests(TWO, {"p": {k: [[1.0, 2.0, float("nan")]] * 2 for k in "ab"}})
    assert "overtuning-p" not in plots.comparison_figures(some)


@pytest.mark.parametrize("k", [2, 12])
def test_no_texts_of_the_figure_of_overtuning_overlap(k):
    rng = np.random.default_rng(2)
    labels = [LONG.format("$strategy", i) for i in range(k)]
    made = [{"p": {x: rng.normal(size=(5, 9)).tolist() for x in labels}} for _ in range(2)]
    assert overlapping_texts(plots.overtuning(with_tests(*made))) == ([], [])


def test_all_figures_that_apply_are_returned_and_can_be_drawn():
    c = random_comparison(["a", "b", "c"], ["p", "q"], tests=None)
    found = plots.comparison_figures(c)
    assert set(found) == {
        "curves-p", "curves-q", "seconds-p", "seconds-q", "rank-over-time", "critical-difference",
        "values", "improvement", "comparison-matrix", "effects-by-problem",
        "interquartile-means", "performance-profiles", "runtime-distribution",
    }  # fmt: skip
    for name, spec in found.items():
        assert spec.name == name and spec.title and len(spec.caption) > 40 and len(spec.alt) > 20
        assert spec.draw().axes and spec.draw() is not spec.draw()
    fast = random_comparison(["a", "b"], seconds={"a": 1e-4, "b": 1e-4})
    assert "seconds-p" not in plots.comparison_figures(fast)


def test_a_comparison_of_one_run_has_only_the_figures_for_one_run():
    alone = plots.comparison_figures(comparison({"p": {"a": [[2.0, 1.0]]}}))
    assert {"curves-p", "values", "ranks"} <= set(alone)
    assert not {"critical-difference", "improvement", "rank-over-time"} & set(alone)
    for spec in alone.values():
        spec.draw().draw_without_rendering()


def test_alt_texts_state_the_numbers():
    found = plots.comparison_figures(comparison(TWO))
    assert "a 1.5 and b 2." in found["curves-p"].alt
    assert "a 1.25" in found["ranks"].alt


def test_a_diagram_that_could_show_nothing_is_not_drawn_and_the_caption_says_why():
    labels = [f"s{i}" for i in range(8)]
    found = plots.comparison_figures(random_comparison(labels, ["p"], repeats=9))
    assert "critical-difference" not in found
    assert "9 repeats are too few for 28 pairs" in found["ranks"].caption
    found = plots.comparison_figures(random_comparison(labels[:3], ["p", "q"], repeats=8))
    assert "ranks" not in found
    caption = found["critical-difference"].caption
    assert "the signed-rank test stratified by problem" in caption


def test_mean_ranks_of_the_diagram_are_those_of_the_standings():
    c = random_comparison(["a", "b", "c"], ["p", "q"], repeats=8)
    (axes,) = plots.critical_difference(c).axes
    drawn = {k: v.get_xdata()[0] for k, v in lines(axes).items()}
    assert drawn == pytest.approx({s.label: s.rank for s in c.analyses[-1].standings})


def test_names_of_figures_are_unique_and_valid_file_names_and_ids():
    c = random_comparison(["a", "b"], ["my problem", "My/Problem", "…", "x" * 300])
    names = list(plots.comparison_figures(c))
    assert {"curves-my-problem", "curves-my-problem-2", "curves-x"} <= set(names)
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for name in names)


LONG = "{}-with-a-very-long-name-indeed-{}"


@pytest.mark.parametrize(
    ("k", "problems", "pattern"), [(2, 1, "s{1}"), (8, 1, LONG), (12, 6, "s{1}"), (12, 2, LONG)]
)
def test_no_texts_overlap_or_leave_the_figure(k, problems, pattern):
    labels = [pattern.format("$strategy", i) for i in range(k)]
    names = [pattern.format("problem", i) for i in range(problems)]
    tests = {p: {k: [1.5] * 6 for k in labels} for p in names}
    specs = plots.comparison_figures(random_comparison(labels, names, tests=tests))
    for name, spec in specs.items():
        if name.split("-")[0] in ("curves", "seconds", "validation") and names[0] not in spec.title:
            continue  # the first problem is enough
        covered, out = overlapping_texts(spec.draw())
        assert (covered, out) == ([], []), name


def test_a_name_with_dollar_signs_is_not_a_formula():
    figure = plots.curves({"$x_1$": [[1.0, 2.0]]}, title="$y$")
    assert figure.axes[0].texts[0].get_text() == "$x_1$"
    assert not any(t.get_parse_math() for t in [*figure.axes[0].texts, figure.axes[0]._left_title])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: plots.anytime(c, "pq"), "unknown problem 'pq'.*did you mean 'p'"),
        (lambda c: plots.anytime(c, by="hours"), "'evaluations' or 'seconds', got 'hours'"),
        (lambda c: plots.validation_against_test(c), "'p' has no hidden test values"),
        (lambda c: plots.performance_profiles(c, 2.0), "between 0 and 1, got 2.0"),
        (lambda c: plots.critical_difference(c, test="t"), "wilcoxon, nemenyi, conover, got 't'"),
    ],
)
def test_invalid_input_is_rejected_with_the_expected_values(call, message):
    with pytest.raises(
        MetaoptError if "problem" in message or "by" in message else Exception, match=message
    ):
        call(comparison(TWO))


def test_without_improvement_there_are_no_targets():
    flat = comparison({"p": {"a": [[1.0, 1.0]] * 2, "b": [[1.0, 2.0]] * 2}})
    for draw in (plots.performance_profiles, plots.runtime_distribution, plots.interquartile_means):
        with pytest.raises(StudyError, match="better than its first trials"):
            draw(flat)
    assert "performance-profiles" not in plots.comparison_figures(flat)
