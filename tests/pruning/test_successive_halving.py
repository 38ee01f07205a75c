"""Successive halving: sizes in the papers, a simple reference, and general properties."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reports import levels, noisy, play, reached

from metaopt.core.errors import StudyError
from metaopt.pruning import Candidate, SuccessiveHalvingPruner

laws = settings(derandomize=True, deadline=None, max_examples=60)


def best_of(curves, step, k):
    """The k best by their report at a step; of equal trials those with lower numbers."""
    at = {n: dict(curve)[step] for n, curve in curves.items()}
    return set(sorted(at, key=lambda n: (at[n], n))[:k])


@pytest.mark.parametrize(("n", "eta", "r", "R", "sizes"), [
    (64, 3, 1, 27, [64, 21, 7, 2]),
    (9, 3, 1, 9, [9, 3, 1]),  # Li et al. 2020, figure 1, bracket 0
    (81, 3, 1, 81, [81, 27, 9, 3, 1]),  # Li et al. 2018, table 1, s = 4
    (16, 2, 2, 16, [16, 8, 4, 2]),
])  # fmt: skip
def test_in_lockstep_the_sizes_are_those_of_synchronous_halving(n, eta, r, R, sizes):
    curves = noisy(n, R)
    shown = play(SuccessiveHalvingPruner(r, eta, max_resource=R), curves, lockstep=True)
    survivors, level = set(curves), r
    for size, after in zip(sizes, [*sizes[1:], None], strict=True):
        assert len(survivors) == size
        if after is not None:  # Jamieson and Talwalkar 2016: keep the best of those left
            survivors = best_of({m: curves[m] for m in survivors}, level, after)
            assert reached(shown, level) == survivors
            level *= eta
    assert {len(shown[m]) for m in survivors} == {R}


@pytest.mark.parametrize(("rate", "rungs"), [(0, [1, 3]), (1, [3]), (2, [])])
def test_the_early_stopping_rate_moves_the_first_rung_as_in_figure_1(rate, rungs):
    # Li et al. 2020, figure 1: n = 9, r = 1, R = 9, eta = 3; bracket s begins at r * eta^s
    pruner = SuccessiveHalvingPruner(1, 3, rate, max_resource=9)
    shown = play(pruner, levels(9, 9), lockstep=True)
    lengths = sorted(len(c) for c in shown.values())
    left, expected = 9, []
    for rung in rungs:
        expected += [rung] * (left - left // 3)
        left //= 3
    assert lengths == sorted(expected + [9] * left)


def test_equal_reports_are_halved_too_by_number():
    curves = {n: tuple((s, 0.5) for s in range(1, 10)) for n in range(9)}
    shown = play(SuccessiveHalvingPruner(1, 3, max_resource=9), curves, lockstep=True)
    assert reached(shown, 1) == {0, 1, 2} and reached(shown, 3) == {0}


def stopping_asha(curves, r, eta, R):
    """A simple reference of ASHA's stopping variant, for trials one after the other."""
    rungs = {}
    lengths = {}
    for number, curve in curves.items():
        lengths[number] = len(curve)
        for step, value in curve:
            k = round(math.log(step / r, eta))
            if step >= R or step != r * eta**k:
                continue
            records = rungs.setdefault(step, [])
            records.append((value, number))
            top = sorted(records)[: max(1, len(records) // eta)]
            if (value, number) not in top:
                lengths[number] = step
                break
    return lengths


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("r", "eta", "R"), [(1, 3, 27), (2, 4, 32), (1, 2, 16)])
def test_one_after_the_other_it_is_ashas_stopping_variant(r, eta, R, seed):
    curves = noisy(40, R, seed)
    shown = play(SuccessiveHalvingPruner(r, eta, max_resource=R), curves)
    assert {n: len(c) for n, c in shown.items()} == stopping_asha(curves, r, eta, R)


@laws
@given(st.integers(0, 9), st.booleans())
def test_monotone_transforms_change_no_decision(seed, lockstep):
    pruner = SuccessiveHalvingPruner(1, 3)
    curves = noisy(12, 10, seed)
    grown = {n: tuple((s, 7 * v**3 + 2) for s, v in c) for n, c in curves.items()}
    lengths = [
        {n: len(c) for n, c in play(pruner, x, lockstep=lockstep).items()} for x in (curves, grown)
    ]
    assert lengths[0] == lengths[1]


def test_a_rung_is_decided_by_the_first_report_at_or_above_it():
    pruner = SuccessiveHalvingPruner(4, 2)
    others = {0: ((3, 0.0), (5, 1.0), (9, 3.0)), 1: ((2, 9.0), (3.9, 9.0))}
    assert pruner.judge(Candidate(((3.5, 0.0), (6.5, 1.5)), 2), others)  # 1.5 against 1.0
    assert not pruner.judge(Candidate(((3.5, 9.0), (6.5, 0.5)), 2), others)
    # not judged again between rungs, however bad
    assert not pruner.judge(Candidate(((6.5, 0.5), (7.9, 99.0)), 2), others)
    assert pruner.judge(Candidate(((6.5, 0.5), (8.0, 99.0)), 2), others)


def test_one_report_may_reach_several_rungs_and_must_pass_all():
    pruner = SuccessiveHalvingPruner(1, 2)
    others = {0: ((1, 0.0), (5, 9.0)), 1: ((1, 8.0), (5, 9.0))}
    assert pruner.judge(Candidate(((5, 1.0),), 2), others)  # not the best at 1
    assert not pruner.judge(Candidate(((5, -1.0),), 2), others)
    assert not pruner.judge(Candidate(((0.5, 0.0), (0.9, 99.0)), 2), others)


def test_seconds_that_differ_from_trial_to_trial():
    rng = random.Random(1)
    curves = {}
    for n in range(30):
        pace, value, step = rng.uniform(0.2, 1.5), rng.random(), 0.0
        reports = []
        while step < 20:
            step += pace * rng.uniform(0.8, 1.2)
            reports.append((step, value + 1 / step))
        curves[n] = tuple(reports)
    shown = play(SuccessiveHalvingPruner(2.5, 2, max_resource=20), curves)
    ends = {0: 2.5, 1: 5.0, 2: 10.0}
    for curve in shown.values():
        before = curve[-2][0] if len(curve) > 1 else 0.0
        whole = curve[-1][0] >= 20
        assert whole or any(before < rung <= curve[-1][0] for rung in ends.values())
    assert 1 <= sum(c[-1][0] >= 20 for c in shown.values()) < 15


def test_a_trial_that_rarely_calls_should_stop_misses_no_rung():
    told = {0: ((1, 1.0), (30, 0.0)), 1: ((1, 2.0), (30, 0.0))}
    late = {2: tuple((s, 5.0 if s == 1 else -1.0) for s in range(1, 31))}
    shown = play(SuccessiveHalvingPruner(1, 3), late, told=told, ask_every=10)
    assert len(shown[2]) == 10  # bad at the first rung, though good ever since


def test_a_small_cohort_is_compared_with_all():
    pruner = SuccessiveHalvingPruner(1, 4)
    told = {n: ((1, float(n)),) for n in range(10)}
    alone = play(pruner, {20: ((1, 5.5), (2, 5.5))}, lockstep=True, told=told)
    assert len(alone[20]) == 1
    four = {20 + n: ((1, 50.0 + n), (2, 0.0)) for n in range(4)}
    assert reached(play(pruner, four, lockstep=True, told=told), 1) == {20}


def test_nan_stops_at_a_rung_and_counts_as_the_worst():
    pruner = SuccessiveHalvingPruner(2, 2)
    others = {0: ((2, math.nan),), 1: ((2, math.nan),), 2: ((2, 5.0),)}
    assert not pruner.judge(Candidate(((1, math.nan),), 3), others)
    assert pruner.judge(Candidate(((1, 1.0), (2, math.nan)), 3), others)
    assert not pruner.judge(Candidate(((2, 7.0),), 3), others)  # second of four
    assert pruner.judge(Candidate(((2, 7.0),), 3), {**others, 4: ((3, 6.0),)})


def test_no_rung_at_the_end_of_a_full_trial():
    others = dict.fromkeys(range(9), ((1, 0.0), (9, 0.0)))
    late = Candidate(((8, 5.0), (9, 5.0)), 10)
    assert SuccessiveHalvingPruner(1, 3).judge(late, others)
    assert not SuccessiveHalvingPruner(1, 3, max_resource=9).judge(late, others)


@pytest.mark.parametrize(("settings", "part"), [
    ({"min_resource": 0}, "min_resource must be a number above 0, got 0"),
    ({"min_resource": "auto"}, "min_resource must be"),
    ({"min_resource": math.inf}, "min_resource must be finite"),
    ({"reduction_factor": 1}, "reduction_factor must be an integer of at least 2, got 1"),
    ({"reduction_factor": 2.5}, "reduction_factor must"),
    ({"min_early_stopping_rate": -1}, "min_early_stopping_rate must"),
    ({"max_resource": -3}, "max_resource must"),
    ({"bootstrap_count": -1}, "bootstrap_count must"),
])  # fmt: skip
def test_wrong_settings_are_refused(settings, part):
    with pytest.raises(StudyError) as caught:
        SuccessiveHalvingPruner(**settings)
    assert part in str(caught.value)
