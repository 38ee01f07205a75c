"""Comparisons: paired, resumable, and true to the runs they are made of."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

import metaopt
from metaopt import Float, Problem, Result, Space, stats
from metaopt.analysis import ranking
from metaopt.comparison.strategies import Comparison
from metaopt.core.errors import StudyError, UnknownNameError

SPACE = Space(x=Float(-1, 1), y=Float(-1, 1))


def _bowl(trial) -> Result:
    value = trial["x"] ** 2 + trial["y"] ** 2
    return Result(value, metrics={"test": 10 * value})


BOWL = Problem("bowl", SPACE, _bowl, "minimize", 0.0, "a bowl")


def _small(**changes: object) -> Comparison:
    given = {"n_trials": 8, "repeats": 8, "seed": 1} | changes
    return metaopt.compare(["random", "sobol", "grid"], BOWL, **given)  # type: ignore[arg-type]


def test_strategies_share_the_seed_of_a_repeat_but_problems_and_repeats_do_not() -> None:
    c = metaopt.compare(["random", "sobol"], [BOWL, "branin"], n_trials=2, repeats=3)
    seeds = {(r.problem, r.repeat, r.seed) for r in c.runs}
    assert len(seeds) == 6
    assert len({seed for *_, seed in seeds}) == 6


def test_random_search_tries_other_points_on_each_problem() -> None:
    c = metaopt.compare(["random"], ["sphere", "rastrigin"], n_trials=3, repeats=1)
    one, two = (
        metaopt.problems.get(r.problem).space.encode([t.params for t in r.trials])[0]
        for r in c.runs
    )
    assert not np.isclose(one, two).any()


def test_strategies_with_an_initial_design_start_at_the_same_points() -> None:
    c = metaopt.compare(["genetic", "pso"], BOWL, n_trials=4, repeats=2)
    first = {(r.strategy, r.repeat): [t.params for t in r.trials] for r in c.runs}
    for repeat in range(2):
        assert first["genetic", repeat] == first["pso", repeat]


def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    one, two = _small(), _small(workers=2, storage=tmp_path / "c.db")
    assert [r.trials[-1].params for r in one.runs] == [r.trials[-1].params for r in two.runs]
    np.testing.assert_array_equal(one.values("bowl"), two.values("bowl"))


def test_values_and_hidden_test_belong_to_the_configuration_that_validation_chose() -> None:
    c = _small()
    tests = c.tests("bowl")
    assert tests is not None
    np.testing.assert_allclose(tests, 10 * c.values("bowl"))


def test_ranks_and_p_values_are_those_of_metaopt_stats() -> None:
    c = _small()
    scores = c.values("bowl")
    (a,) = c.analyses
    ranks = dict(zip(c.strategies, stats.mean_ranks(scores), strict=True))
    assert {s.label: s.rank for s in a.standings} == pytest.approx(ranks)
    control = list(c.strategies).index("random")
    expected = {c.strategies[x.treatment]: x.p_holm for x in stats.against_control(scores, control)}
    assert {s.label: s.p for s in a.standings if s.p is not None} == pytest.approx(expected)


def test_a_maximised_problem_gives_the_ranks_of_the_minimised_negation() -> None:
    up = Problem("bowl", SPACE, _Negated(), "maximize")
    c = metaopt.compare(["random", "sobol", "grid"], up, n_trials=8, repeats=8, seed=1)
    plain = _small()
    np.testing.assert_allclose(c.values("bowl"), -plain.values("bowl"))
    assert [(s.label, s.rank, s.p) for s in c.analyses[0].standings] == [
        (s.label, s.rank, s.p) for s in plain.analyses[0].standings
    ]


class _Negated:
    def __call__(self, trial) -> float:
        return -_bowl(trial).value


def _analyse(*tables: np.ndarray, control: str = "s0") -> list[ranking.Analysis]:
    labels = [f"s{i}" for i in range(tables[0].shape[1])]
    samples = [ranking.Sample(f"p{i}", table) for i, table in enumerate(tables)]
    return ranking.analyse(samples, labels, control)


def _apart(repeats: int, k: int, seed: int = 0) -> np.ndarray:
    """Values as different as can be: column 0 the lowest in every row."""
    return np.random.default_rng(seed).random((repeats, k)) + np.arange(k) * 10


def _ps(a: ranking.Analysis) -> list[float]:
    return [s.p for s in a.standings if s.p is not None]


def test_a_run_without_a_value_ranks_last_and_is_counted() -> None:
    (a,) = _analyse(np.array([[1.0, np.nan, 3.0], [1.0, 2.0, 3.0], [2.0, np.nan, 1.0]]))
    by = {s.label: s for s in a.standings}
    assert by["s1"].without == 2
    assert by["s1"].rank == pytest.approx((3 + 2 + 3) / 3)


@pytest.mark.parametrize(("repeats", "k"), [(8, 4), (9, 7), (6, 2)])
def test_the_limit_names_what_so_many_repeats_can_show_at_best(repeats: int, k: int) -> None:
    (a,) = _analyse(_apart(repeats, k))
    least = (k - 1) * 2.0 ** (1 - repeats)
    assert min(_ps(a)) == pytest.approx(least)
    assert f"p = {2.0 ** (1 - repeats):.2g}" in a.sentences()[-1]
    assert (f"{least:.2g} after Holm" in a.sentences()[-1]) == (k > 2)


@pytest.mark.parametrize(("repeats", "k", "need"), [(5, 2, 6), (7, 4, 7), (8, 8, 9), (1, 2, 6)])
def test_too_few_repeats_get_no_p_value_but_the_number_needed(
    repeats: int, k: int, need: int
) -> None:
    (a,) = _analyse(_apart(repeats, k))
    if repeats >= need:
        assert _ps(a)
        return
    assert not _ps(a)
    assert a.friedman_p is None
    text = " ".join(a.sentences())
    assert "No test was made" in text
    assert f"at least {need} are needed" in text
    assert all(s.contrast is not None for s in a.standings if s.label != "s0")  # told instead
    assert "1 paired repeats" not in text


def test_a_single_strategy_has_nothing_to_be_tested_against() -> None:
    c = metaopt.compare(["random"], BOWL, n_trials=3, repeats=1)
    assert "no test was made" in c.conclusion()
    assert all(s.p is None for s in c.analyses[0].standings)


def test_few_problems_are_strata_and_all_claims_are_one_family() -> None:
    tables = [_apart(12, 3, seed) for seed in range(3)]
    *each, overall = _analyse(*tables)
    stacked = np.array(tables)
    over = [stats.stratified_signed_rank(stacked[..., j], stacked[..., 0]).p for j in (1, 2)]
    single = [stats.wilcoxon(t[:, j], t[:, 0]).p for t in tables for j in (1, 2)]
    weights = [0.8 / 2] * 2 + [0.2 / 6] * 6
    expected = stats.holm(over + single, weights)
    assert _ps(overall) == pytest.approx(expected[:2])
    assert [p for a in each for p in _ps(a)] == pytest.approx(expected[2:])
    assert overall.family == 8
    assert "The finding holds for these 3 problems" in overall.sentences()[-1]


def test_single_problems_are_not_tested_where_their_share_of_the_level_shows_nothing() -> None:
    *each, overall = _analyse(*[_apart(8, 3, seed) for seed in range(3)])
    assert not any(_ps(a) for a in each)
    assert overall.family == 2
    assert "too few for tests on single problems" in each[0].sentences()[-1]


def test_with_many_problems_the_problem_is_the_unit() -> None:
    tables = [_apart(3, 3, seed) for seed in range(10)]
    *each, overall = _analyse(*tables)
    assert not any(_ps(a) for a in each)  # 3 repeats show nothing by themselves
    share = np.array([[(t[:, j] < t[:, 0]).mean() for j in (1, 2)] for t in tables])
    raw = [stats.wilcoxon(1 - share[:, j], share[:, j]).p for j in (0, 1)]
    assert _ps(overall) == pytest.approx(stats.holm(raw))
    blocks = np.array([stats.mean_ranks(t) for t in tables])
    assert overall.friedman_p == pytest.approx(stats.friedman_permutation(blocks).p)
    assert "Worse than s0: s1 (better in 0 % of repeats" in " ".join(overall.sentences())


def test_two_strategies_over_problems_get_the_probability_of_a_practical_difference() -> None:
    overall = _analyse(*[_apart(3, 2, seed) for seed in range(10)], control="s1")[-1]
    assert overall.friedman_p is None  # for three and more
    assert overall.posterior is not None
    assert overall.posterior.below > 0.95
    text = " ".join(overall.sentences())
    assert "that s0 is practically better than s1 is the most probable result" in text
    assert "equal: better in 44 to 56 % of repeats" in text
    # Ten differences beyond the rope, and a prior of half an observation at 0.
    assert "On the next problem of this kind s0 is better with probability 0.95" in text


def test_the_direction_of_a_claim_is_that_of_its_test_and_not_of_mean_ranks() -> None:
    """Of ten repeats, a wins eight by far and loses two by a hair, with others in between."""
    rng = np.random.default_rng(0)
    control = 10.0 + np.arange(10)
    a = np.where(np.arange(10) < 8, control - 1 - 0.1 * np.arange(10), control + 0.5)
    far, near = control + 5, control + 0.1
    others = np.where(np.arange(10) < 8, far, near)[:, None] + 0.1 * rng.random((10, 6))
    (found,) = _analyse(np.column_stack([control, a, others]))
    by = {s.label: s for s in found.standings}
    assert by["s1"].rank > by["s0"].rank
    raw = [stats.wilcoxon(x, control).p for x in (a, *others.T)]
    assert by["s1"].p == pytest.approx(stats.holm(raw)[0])
    assert by["s1"].contrast.difference.estimate < 0
    assert "Better than s0: s1 (typical difference" in " ".join(found.sentences())


def test_a_pair_over_problems_is_not_decided_by_other_strategies() -> None:
    def verdict(others: int) -> tuple[bool | None, str]:
        tables = []
        for problem in range(10):
            wins = np.arange(10) < 6 + problem % 2
            control, a = np.ones(10), np.where(wins, 0.9, 2.0)
            rest = np.where(wins, 3.0, 1.5)[:, None] + 0.01 * np.arange(others)
            tables.append(np.column_stack([control, a, rest]))
        found = next(s for s in _analyse(*tables)[-1].standings if s.label == "s1")
        verdict = found.contrast.verdict
        return verdict.better, f"{found.contrast.wins.estimate:.3f}"

    assert verdict(0) == verdict(6) == (True, "0.650")


def test_ten_wins_of_ten_are_no_negligible_effect() -> None:
    control = np.linspace(1, 3, 10)
    (found,) = _analyse(np.column_stack([control, control - 0.1]))
    effect = next(s.contrast for s in found.standings if s.label == "s1")
    assert effect.wins.estimate == effect.rank_biserial == 1.0
    assert effect.difference.estimate == pytest.approx(-0.1)


def test_an_interval_excludes_zero_exactly_where_its_adjusted_p_is_significant() -> None:
    rng = np.random.default_rng(3)
    for shift in np.linspace(0, 1.5, 12):
        table = rng.normal(size=(12, 4)) - shift * np.arange(4)
        for s in _analyse(table)[0].standings:
            if s.contrast is not None:
                d = s.contrast.difference
                assert (d.low > 0 or d.high < 0) == (s.p <= 0.05)


def test_hidden_test_values_that_contradict_a_claim_are_named() -> None:
    rng = np.random.default_rng(0)
    low, high = rng.random(10), rng.random(10) + 1
    values, tests = np.column_stack([high, low]), np.column_stack([low, high])
    sample = ranking.Sample("p", values, tests)
    text = " ".join(ranking.analyse([sample], ["random", "a"], "random")[0].sentences())
    assert "Better than random: a" in text
    assert "The hidden test values contradict it, with a difference in the other direction" in text
    same = ranking.Sample("p", values, values)
    text = " ".join(ranking.analyse([same], ["random", "a"], "random")[0].sentences())
    assert "The hidden test values confirm it: a (p = 0.002)" in text


def test_equivalence_within_a_stated_margin_is_a_verdict_of_its_own() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=20)
    near, far = base + 0.01 * rng.normal(size=20), base + 5
    table = np.column_stack([base, near, far])
    for margin, equal in ((0.1, True), (0.001, False)):
        sample = ranking.Sample("p", table, margin=margin)
        (found,) = ranking.analyse([sample], ["random", "near", "far"], "random")
        text = " ".join(found.sentences())
        told = f"No relevant difference from random (a difference within ±{margin:g} does not"
        assert (told in text) == equal
        assert "Worse than random: far" in text
    # Both one-sided tests, against scipy.
    one = scipy.stats.wilcoxon(near + 0.1, base, alternative="greater").pvalue
    two = scipy.stats.wilcoxon(near - 0.1, base, alternative="less").pvalue
    sample = ranking.Sample("p", table[:, :2], margin=0.1)
    (found,) = ranking.analyse([sample], ["random", "near"], "random")
    p = next(s.contrast.equivalent for s in found.standings if s.contrast)
    assert p == pytest.approx(max(one, two))


def test_one_problem_with_a_relevant_difference_forbids_equivalence_over_all() -> None:
    rng = np.random.default_rng(1)
    tables = [0.1 * rng.normal(size=(12, 2)) for _ in range(4)]
    tables[0][:, 1] += 5
    for shift, equal in ((0.0, False), (-5.0, True)):
        tables[0][:, 1] += shift
        samples = [ranking.Sample(f"p{i}", t, margin=0.5) for i, t in enumerate(tables)]
        text = " ".join(ranking.analyse(samples, ["s0", "s1"], "s0")[-1].sentences())
        assert ("No relevant difference" in text) == equal


def test_a_failed_run_is_never_within_a_margin() -> None:
    table = np.random.default_rng(2).random((12, 2))
    table[:, 1] = np.nan
    (found,) = ranking.analyse([ranking.Sample("p", table, margin=50.0)], ["s0", "s1"], "s0")
    text = " ".join(found.sentences())
    assert "Worse than s0: s1" in text and "No relevant difference" not in text


def test_missing_hidden_test_values_contradict_nothing() -> None:
    values = _apart(12, 2)
    tests = values.copy()
    tests[:, 0] = np.nan
    (found,) = ranking.analyse([ranking.Sample("p", values, tests)], ["s0", "s1"], "s1")
    text = " ".join(found.sentences())
    assert "Better than s1: s0" in text and "hidden test values" not in text


def test_the_share_over_many_problems_has_the_interval_of_its_test() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        effects = rng.choice([-3.0, 3.0, 1.0], size=(12, 1))
        tables = [np.column_stack([rng.normal(size=10), e + rng.normal(size=10)]) for e in effects]
        s = next(s for s in _analyse(*tables)[-1].standings if s.contrast)
        low, high = s.contrast.wins.low, s.contrast.wins.high
        if not (np.isclose(low, 0.5) or np.isclose(high, 0.5)):  # ties may end it there
            assert (low > 0.5 or high < 0.5) == (s.p <= 0.05)


@pytest.mark.parametrize("margin", [0, -1, float("nan"), "a", {"bowls": 1.0}])
def test_a_margin_must_be_a_number_above_zero_for_each_problem(margin) -> None:
    with pytest.raises(StudyError, match="margin"):
        metaopt.compare(["random", "sobol"], BOWL, 2, 2, margin=margin)


def test_problems_without_any_value_are_not_compared() -> None:
    empty, full = np.full((8, 2), np.nan), _apart(8, 2)
    each = _analyse(empty, full)
    assert each[0].sentences() == ["No run on p0 has a value, so nothing is compared there."]
    assert _ps(each[-1])


def test_comparisons_with_shared_seeds_are_not_tested_over_problems() -> None:
    samples = [ranking.Sample(f"p{i}", _apart(12, 2, i)) for i in range(3)]
    *each, overall = ranking.analyse(samples, ["s0", "s1"], "s0", shared_seeds=True)
    assert not _ps(overall)
    assert "the problems share the seed of each repeat" in overall.sentences()[-1]
    assert [len(_ps(a)) for a in each] == [1, 1, 1]
    assert each[0].family == 3


@pytest.mark.parametrize("shape", [(1, 9, 4), (3, 10, 2), (3, 15, 3), (12, 4, 3)])
def test_under_the_null_a_comparison_claims_no_more_often_than_its_level(shape) -> None:
    rng = np.random.default_rng(5)
    runs = [_analyse(*rng.random(shape)) for _ in range(150)]
    false = sum(any(p < 0.05 for a in found for p in _ps(a)) for found in runs)
    assert false <= scipy.stats.binom.ppf(0.999, 150, 0.05)


def test_several_problems_have_a_common_analysis_with_the_means_of_their_ranks() -> None:
    c = metaopt.compare(["random", "sobol"], [BOWL, "branin"], n_trials=5, repeats=3)
    overall = c.analyses[-1]
    assert overall.blocks == "2 problems with 3 paired repeats each"
    by_problem = [{s.label: s.rank for s in a.standings} for a in c.analyses[:-1]]
    for s in overall.standings:
        assert s.rank == pytest.approx(np.mean([r[s.label] for r in by_problem]))


def test_all_pairs_are_those_of_metaopt_stats_in_either_direction() -> None:
    up = Problem("up", SPACE, _Negated(), "maximize")
    c = metaopt.compare(["random", "sobol", "grid"], [BOWL, up], n_trials=8, repeats=8, seed=1)
    np.testing.assert_allclose(c.scores("up"), -c.values("up"))
    np.testing.assert_array_equal(c.pairwise("up").table(), stats.pairwise(-c.values("up")).table())
    both = np.array([c.scores("bowl"), c.scores("up")])
    np.testing.assert_allclose(c.scores(), [stats.mean_ranks(table) for table in both])
    expected = stats.pairwise(both, stats.stratified_signed_rank)
    np.testing.assert_array_equal(c.pairwise().table(), expected.table())
    assert c.pairwise().n == 16
    with pytest.raises(UnknownNameError, match="'bowls'; did you mean 'bowl'"):
        c.pairwise("bowls")


class _Counting:
    """Counts its calls in a file, so that a resumed comparison can be seen not to repeat them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, trial) -> float:
        with self.path.open("a") as file:
            file.write("x")
        return float(trial["x"])


def test_a_finished_comparison_is_read_and_not_run_again(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    problem = dataclasses.replace(BOWL, objective=_Counting(calls))
    for _ in range(2):
        c = metaopt.compare(["random", "sobol"], problem, 5, 3, storage=tmp_path / "c.db")
        assert len(calls.read_text()) == 2 * 3 * 5
    assert len(c.runs) == 6


def test_a_killed_comparison_resumes_with_identical_results(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, time, metaopt\n"
        "from metaopt import Float, Problem, Space\n"
        "def slow(t):\n    time.sleep(0.02)\n    return t['x'] ** 2\n"
        "p = Problem('slow', Space(x=Float(-1, 1)), slow)\n"
        "metaopt.compare(['random', 'genetic'], p, 20, 3, storage=sys.argv[1])\n"
    )
    storage = tmp_path / "c.db"
    child = subprocess.Popen([sys.executable, str(script), str(storage)])
    while not storage.exists() or len(metaopt.studies(storage)) < 3:
        time.sleep(0.05)
        assert child.poll() is None, "it finished before it could be killed"
    child.send_signal(signal.SIGKILL)
    child.wait()
    subprocess.run([sys.executable, str(script), str(storage)], check=True)
    expected = metaopt.compare(
        ["random", "genetic"], Problem("slow", Space(x=Float(-1, 1)), _sq), 20, 3
    )
    for run in expected.runs:
        study = metaopt.load(storage, f"slow/{run.strategy}/{run.repeat}")
        assert [t.params for t in study.trials] == [t.params for t in run.trials]
        study.close()


def _sq(trial) -> float:
    return trial["x"] ** 2


def test_an_error_of_a_worker_reaches_the_caller_and_no_worker_survives() -> None:
    before = {p.pid for p in multiprocessing.active_children()}

    def unlucky(space, seed=0, budget=None):
        if seed and multiprocessing.parent_process() is not None:
            raise ValueError("no strategy today")
        return metaopt.make_strategy("random", space, seed, budget)

    with pytest.raises(ValueError, match="no strategy today"):
        metaopt.compare({"unlucky": unlucky}, BOWL, 3, 2, workers=2)
    assert {p.pid for p in multiprocessing.active_children()} <= before


def test_workers_leave_the_environment_as_it_was() -> None:
    before = dict(os.environ)
    _small(workers=2, repeats=1)
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("strategies", "problems", "changes", "error", "words"),
    [
        (["randm"], BOWL, {}, UnknownNameError, "did you mean 'random'"),
        ({"a": {"name": "grid", "level": 3}}, BOWL, {}, UnknownNameError, "did you mean 'levels'"),
        ({"a": {"levels": 3}}, BOWL, {}, StudyError, "'name'"),
        (["random", "random"], BOWL, {}, StudyError, "twice"),
        ([], BOWL, {}, StudyError, "at least one strategy"),
        (["random"], [], {}, StudyError, "at least one problem"),
        (["random"], "brannin", {}, UnknownNameError, "did you mean 'branin'"),
        (["random"], [BOWL, BOWL], {}, StudyError, "twice"),
        (["random"], BOWL, {"control": "sobol"}, StudyError, "control 'sobol'"),
        (["random"], BOWL, {"repeats": 0}, StudyError, "repeats"),
        (["random"], BOWL, {"workers": 1.5}, StudyError, "workers"),
        ({"a/b": "random"}, BOWL, {}, StudyError, "must not contain"),
        (["random"], BOWL, {"pruner": "medain"}, UnknownNameError, "did you mean 'median'"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(
    strategies, problems, changes, error, words, tmp_path: Path
) -> None:
    storage = tmp_path / "c.db"
    with pytest.raises(error, match=words):
        metaopt.compare(strategies, problems, storage=storage, **changes)
    assert not storage.exists()


def _learning(trial) -> float:
    for step in range(1, 5):
        trial.report(trial["x"] ** 2 + 1 / step, step)
        if trial.should_stop():
            break
    return trial["x"] ** 2 + 1 / step


def test_a_pruner_stops_trials_of_every_run_and_is_named_in_the_report(tmp_path: Path) -> None:
    learning = Problem("learning", SPACE, _learning, "minimize", 0.25, "it learns")

    def compared(**changes: object) -> Comparison:
        given = {"n_trials": 8, "repeats": 2, "pruner": "asha:reduction_factor=2"} | changes
        return metaopt.compare(["random", "sobol"], learning, **given)  # type: ignore[arg-type]

    c = compared(storage=tmp_path / "c.db")
    for run in c.runs:
        assert {t.status for t in run.trials} == {"complete", "pruned"}
        assert len(run.trials[0].curve) == 4  # nobody from other runs is there to compare with
    both = [[[t.curve for t in r.trials] for r in k.runs] for k in (c, compared(workers=2))]
    assert both[0] == both[1]
    page = c.report(tmp_path / "page.html").read_text()
    assert "asha (min_resource=1, reduction_factor=2," in page
    with pytest.raises(StudyError, match="another pruner"):
        compared(storage=tmp_path / "c.db", pruner=None)


def test_another_number_of_trials_in_the_same_file_is_refused_by_name(tmp_path: Path) -> None:
    metaopt.compare(["random"], BOWL, 3, 2, storage=tmp_path / "c.db")
    with pytest.raises(StudyError, match="another budget: stored 3, given 4"):
        metaopt.compare(["random"], BOWL, 4, 2, storage=tmp_path / "c.db")


def test_the_terminal_shows_every_strategy_and_the_finding(capsys) -> None:
    c = _small()
    c.print()
    out = capsys.readouterr().out
    assert all(s in out for s in c.strategies)
    assert "cannot show less than" in out
