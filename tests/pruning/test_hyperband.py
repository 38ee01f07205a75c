"""Hyperband: the paper's table, brackets by number and seed, comparison within a bracket."""

from collections import Counter

import pytest
from reports import levels, noisy, play, reached

from metaopt.core.errors import StudyError
from metaopt.pruning import Candidate, HyperbandPruner, SuccessiveHalvingPruner

TABLE_1 = {  # Li et al. 2018: R = 81, eta = 3
    4: [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
    3: [(27, 3), (9, 9), (3, 27), (1, 81)],
    2: [(9, 9), (3, 27), (1, 81)],
    1: [(6, 27), (2, 81)],
    0: [(5, 81)],
}


def test_the_brackets_are_those_of_table_1():
    assert HyperbandPruner(81).brackets == TABLE_1


@pytest.mark.parametrize(("R", "r", "eta", "first"), [
    (243, 1, 3, 5), (242, 1, 3, 4), (1000, 1, 10, 3), (27, 3, 3, 2), (1, 1, 3, 0), (8, 1, 2, 3),
])  # fmt: skip
def test_the_number_of_brackets_is_exact(R, r, eta, first):
    # floor(log_3(243)) is 4 in floating point
    assert max(HyperbandPruner(R, min_resource=r, reduction_factor=eta).brackets) == first


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_every_block_of_trials_has_the_shares_of_the_table(seed):
    pruner = HyperbandPruner(81)
    for block in range(3):
        brackets = [pruner.bracket(n, seed) for n in range(128 * block, 128 * (block + 1))]
        assert Counter(brackets) == {s: rungs[0][0] for s, rungs in TABLE_1.items()}
        assert brackets != sorted(brackets)


def test_a_bracket_is_a_function_of_number_and_seed():
    def found(seed, numbers=range(300)):
        return {n: HyperbandPruner(81).bracket(n, seed) for n in numbers}

    assert found(3) == found(3, reversed(range(300)))
    assert found(3) != found(4)


def of_bracket(pruner, s, n, seed=0):
    return [k for k in range(2000) if pruner.bracket(k, seed) == s][:n]


@pytest.mark.parametrize("s", range(5))
def test_in_lockstep_a_bracket_is_its_row_of_the_table(s):
    pruner = HyperbandPruner(81)
    numbers = of_bracket(pruner, s, TABLE_1[s][0][0])
    curves = dict(zip(numbers, noisy(len(numbers), 81).values(), strict=True))
    shown = play(pruner, curves, lockstep=True)
    for (n, r), (after, _) in zip(TABLE_1[s], TABLE_1[s][1:], strict=False):
        assert sum(c[-1][0] >= r for c in shown.values()) == n
        assert len(reached(shown, r)) == after
    assert {len(shown[n]) for n in reached(shown, 80)} == {81}


def test_a_single_bracket_equals_asha():
    pruner = HyperbandPruner(27)
    for s in (3, 2, 1):
        numbers = of_bracket(pruner, s, 30)
        curves = dict(zip(numbers, noisy(30, 27, s).values(), strict=True))
        halving = SuccessiveHalvingPruner(1, 3, 3 - s, max_resource=27)
        assert play(pruner, curves) == play(halving, curves)


def test_trials_of_other_brackets_do_not_count():
    pruner = HyperbandPruner(27)
    curves = levels(120, 27)
    mixed = play(pruner, curves)
    apart = {}
    for s in range(4):
        mine = {n: c for n, c in curves.items() if pruner.bracket(n, 0) == s}
        apart |= play(pruner, mine)
    assert mixed == apart
    longest = [n for n in curves if pruner.bracket(n, 0) == 0]
    assert all(len(mixed[n]) == 27 for n in longest)  # bracket 0 stops none


def test_a_maximum_that_is_not_a_power_has_rungs_between_reports():
    pruner = HyperbandPruner(100)
    assert [r for _, r in pruner.brackets[4]] == pytest.approx(
        [100 / 3**k for k in range(4, -1, -1)]
    )
    first, second = of_bracket(pruner, 4, 2)
    good = {first: ((1, 5.0), (2, 1.0))}
    assert not pruner.judge(Candidate(((1, 9.0),), second), good)  # the rung is at 1.23
    assert pruner.judge(Candidate(((1, 0.0), (2, 2.0)), second), good)


@pytest.mark.parametrize(("settings", "part"), [
    ({"max_resource": 0}, "max_resource must be a number above 0"),
    ({"max_resource": 3, "min_resource": 4}, "max_resource must not be below min_resource"),
    ({"max_resource": 9, "reduction_factor": 1}, "reduction_factor must"),
    ({"max_resource": None}, "max_resource must"),
])  # fmt: skip
def test_wrong_settings_are_refused(settings, part):
    with pytest.raises(StudyError) as caught:
        HyperbandPruner(**settings)
    assert part in str(caught.value)
