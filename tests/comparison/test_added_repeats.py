"""Repeats that are added until all is decided: same decisions in any order of work, right level."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.stats

import metaopt
from metaopt import Float, Problem, Space, stats
from metaopt.analysis import judgement, ranking
from metaopt.core.errors import StudyError

SPACE = Space(x=Float(-1, 1), y=Float(-1, 1))


def bowl(trial) -> float:
    return trial["x"] ** 2 + trial["y"] ** 2


def nothing(trial) -> float:
    return float(np.random.default_rng(trial.seed).normal())


BOWL = Problem("bowl", SPACE, bowl)


def until(problems=BOWL, strategies=("random", "bayes"), **changes):
    given = {"n_trials": 12, "repeats": "until", "max_repeats": 16} | changes
    return metaopt.compare(list(strategies), problems, **given)


def test_repeats_end_once_all_is_decided() -> None:
    c = until()
    assert c.repeats < c.most == 16
    assert c.decided and not c.unfinished
    (a,) = c.analyses
    found = next(s for s in a.standings if s.label == "bayes")
    x, y = c.values("bowl")[:, 1], c.values("bowl")[:, 0]
    looks = stats.sequential_signed_rank(x, y, most=16)
    assert [look.decision for look in looks] == ["open"] * (c.repeats - 1) + ["better"]
    assert found.p == looks[-1].p <= 0.05
    d, expected = found.contrast.difference, stats.sequential_interval(x, y, most=16)
    assert (d.low, d.high) == (expected.low, expected.high)
    assert "Repeats were added until every strategy was decided, at most 16" in c.conclusion()


def test_equal_strategies_get_all_planned_repeats_and_nothing_is_claimed() -> None:
    noise = Problem("noise", SPACE, nothing)
    c = until(noise, ["random", "sobol"], n_trials=2, max_repeats=8)
    assert c.repeats == 8 and c.decided
    assert "Not shown to differ" in c.conclusion()


def test_a_stored_one_is_read_and_resumed_as_it_was(tmp_path: Path) -> None:
    store = tmp_path / "c.db"
    made = until([BOWL, "branin"], storage=store, n_trials=8, max_repeats=10)
    read = metaopt.load_comparison(store)
    assert (read.repeats, read.most, read.unfinished) == (made.repeats, 10, 0)
    assert read.conclusion() == made.conclusion()
    again = until([BOWL, "branin"], storage=store, n_trials=8, max_repeats=10, workers=2)
    assert again.runs == made.runs
    made.report(tmp_path / "page.html")


def test_only_the_control_is_tested_and_no_pairs_of_others() -> None:
    c = until()
    with pytest.raises(StudyError, match="Repeats were added until all was decided"):
        c.pairwise()
    assert "critical-difference" not in metaopt.plots.comparison_figures(c)


def test_looking_after_each_repeat_keeps_the_level() -> None:
    rng = np.random.default_rng(1)
    false = 0
    for _ in range(100):
        # A decision of an earlier look stays, so that the last look tells of all of them.
        sample = ranking.Sample("p", rng.normal(size=(10, 3)))
        found = judgement.decisions([sample], ["s0", "s1", "s2"], "s0", 10, 0.05)
        false += any(decision != "open" for decision in found)
    assert false <= scipy.stats.binom.ppf(0.999, 100, 0.05)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"repeats": "untill"}, "a number or \"until\", got 'untill'"),
        ({"margin": 0.1}, "fixed number of repeats"),
        ({"max_repeats": 0}, "max_repeats"),
        ({"alpha": 1.5}, "alpha must be a level"),
        ({"alpha": "a"}, "alpha"),
        ({"alpha": 1e-6}, "alpha must be at least 6.1e-05"),
    ],
)
def test_bad_plans_are_refused(changes, words) -> None:
    with pytest.raises(StudyError, match=words):
        until(**changes)


def test_the_level_of_the_family_can_be_chosen() -> None:
    strict = metaopt.compare(["random", "bayes"], BOWL, 12, 12, alpha=0.001)
    loose = metaopt.compare(["random", "bayes"], BOWL, 12, 12, alpha=0.05)
    assert strict.analyses[0].standings[0].p == loose.analyses[0].standings[0].p
    levels = [
        next(s.contrast.difference.level for s in c.analyses[0].standings if s.contrast)
        for c in (strict, loose)
    ]
    assert levels[0] >= 0.999 > levels[1] >= 0.95


def test_the_rule_cannot_change_once_data_are_stored(tmp_path: Path) -> None:
    store = tmp_path / "c.db"
    until(storage=store, n_trials=3, max_repeats=6)
    for changes in ({"max_repeats": 9}, {"repeats": 6}, {"alpha": 0.1}):
        given = {"n_trials": 3, "max_repeats": 6, "storage": store} | changes
        with pytest.raises(StudyError, match="the rule cannot change"):
            until(**given)


def test_a_confirmatory_comparison_keeps_its_level_margin_and_control(tmp_path: Path) -> None:
    store = tmp_path / "c.db"
    given = {"n_trials": 3, "repeats": 6, "storage": store, "purpose": "confirmatory"}
    until(**given)
    for changes in ({"alpha": 0.2}, {"margin": 3.0}, {"control": "bayes"}):
        with pytest.raises(StudyError, match="cannot change any more"):
            until(**(given | changes))
