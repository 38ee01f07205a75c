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


def test_all_strategies_of_a_repeat_share_their_seed_and_repeats_do_not() -> None:
    seeds = {(r.repeat, r.seed) for r in _small().runs}
    assert len(seeds) == 8
    assert len({seed for _, seed in seeds}) == 8


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
    assert all(s.a12 is not None for s in a.standings if s.label != "s0")  # reported instead


def test_a_single_strategy_has_nothing_to_be_tested_against() -> None:
    c = metaopt.compare(["random"], BOWL, n_trials=3, repeats=1)
    assert "no test was made" in c.conclusion()
    assert all(s.p is None for s in c.analyses[0].standings)


def test_few_problems_are_tested_on_their_own_and_corrected_together() -> None:
    tables = [_apart(10, 3, seed) for seed in range(3)]
    *each, overall = _analyse(*tables)
    raw = [stats.wilcoxon(t[:, j], t[:, 0]).p for t in tables for j in (1, 2)]
    expected = stats.holm(raw)
    assert sorted(p for a in each for p in _ps(a)) == pytest.approx(sorted(expected))
    assert min(_ps(each[0])) == pytest.approx(6 * 2.0 ** (1 - 10))
    assert not _ps(overall)
    assert "Instead each problem is tested on its own" in " ".join(overall.sentences())
    assert each[0].friedman_p == pytest.approx(
        3 * stats.friedman(tables[0]).f_p  # the smallest of three equal ones
    )


def test_with_enough_problems_the_problem_is_the_unit() -> None:
    tables = [_apart(3, 3, seed) for seed in range(8)]
    *each, overall = _analyse(*tables)
    assert not any(_ps(a) for a in each)  # 3 repeats show nothing by themselves
    blocks = np.array([stats.mean_ranks(t) for t in tables])
    expected = [c.p_holm for c in stats.against_control(blocks, 0)]
    assert sorted(_ps(overall)) == pytest.approx(sorted(expected))
    assert overall.friedman_p == pytest.approx(stats.friedman_permutation(blocks).p)
    assert "Worse than s0: s1, s2." in overall.sentences()


def test_two_strategies_over_problems_get_the_probability_of_a_practical_difference() -> None:
    overall = _analyse(*[_apart(3, 2, seed) for seed in range(8)], control="s1")[-1]
    assert overall.friedman_p is None  # for three and more
    assert overall.posterior is not None
    assert overall.posterior.below > 0.95
    assert "s0 is practically better than s1 with probability 1.00" in " ".join(overall.sentences())


def test_under_the_null_a_comparison_rejects_no_more_often_than_its_level() -> None:
    rng = np.random.default_rng(5)
    runs = [_analyse(*rng.random((2, 9, 4))) for _ in range(300)]
    false = sum(any(p < 0.05 for a in found for p in _ps(a)) for found in runs)
    assert false <= scipy.stats.binom.ppf(0.999, 300, 0.05)


def test_several_problems_are_the_blocks_of_a_common_analysis() -> None:
    c = metaopt.compare(["random", "sobol"], [BOWL, "branin"], n_trials=5, repeats=3)
    overall = c.analyses[-1]
    assert (overall.blocks, overall.over) == (2, "problems")
    by_problem = [{s.label: s.rank for s in a.standings} for a in c.analyses[:-1]]
    for s in overall.standings:
        assert s.rank == pytest.approx(np.mean([r[s.label] for r in by_problem]))


def test_all_pairs_are_those_of_metaopt_stats_in_either_direction() -> None:
    up = Problem("up", SPACE, _Negated(), "maximize")
    c = metaopt.compare(["random", "sobol", "grid"], [BOWL, up], n_trials=8, repeats=8, seed=1)
    np.testing.assert_allclose(c.scores("up"), c.values("bowl"))
    np.testing.assert_array_equal(
        c.pairwise("up").table(), stats.pairwise(c.values("bowl")).table()
    )
    blocks = np.array([stats.mean_ranks(c.values("bowl"))] * 2)
    np.testing.assert_allclose(c.scores(), blocks)
    assert c.pairwise().n == 2
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
