import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from metaopt.stats import (
    StatisticsError,
    median_difference,
    sequential,
    sequential_against_control,
    sequential_interval,
    sequential_signed_rank,
    wilcoxon,
)
from metaopt.stats.signed_rank import signed_ranks

SPENDINGS = ("obrien-fleming", "pocock")
OTHER = {"better": "worse", "worse": "better", "open": "open"}


def run(d, **options):
    d = np.asarray(d, dtype=float)
    return sequential_signed_rank(d, np.zeros(d.shape), **options)


def first_decision(looks):
    return next((look.n for look in looks if look.decision != "open"), math.inf)


def all_signs(n):
    return np.array(list(itertools.product((-1.0, 1.0), repeat=n)))


def spent_by(spending, t, level=0.05):
    """The spending functions as printed: Lan and DeMets (1983), two tests at level / 2 each."""
    if spending == "pocock":
        return level * np.log(1 + (np.e - 1) * t)
    return 4 * norm.sf(norm.isf(level / 4) / np.sqrt(t))


@pytest.fixture
def small_group(monkeypatch):
    """A group that is smaller than the number of all signs, and quick."""

    def use(bits):
        monkeypatch.setattr(sequential, "BITS", bits)
        monkeypatch.setattr(sequential, "MEMBERS", 2**bits)

    return use


# The level


@pytest.mark.parametrize("spending", SPENDINGS)
@pytest.mark.parametrize("level", [0.05, 0.25])
@pytest.mark.parametrize(
    "sizes",
    [
        [3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.0, 3.5],
        [1.0, 0.0, 2.0, 2.0, 1.0, 1.0, 0.0, 2.0],
        [[3.0, 1.0, 4.0, 1.5], [10.0, 20.0, 0.0, 10.0]],
    ],
    ids=["all different", "ties and zeros", "two problems"],
)
def test_the_level_holds_exactly_over_all_signs_though_the_group_has_fewer(
    spending, level, sizes, small_group
):
    small_group(5)  # 2^6 of the 2^8 vectors of signs
    sizes = np.array(sizes)
    most = sizes.shape[-1]
    histories = [
        run(sizes * signs.reshape(sizes.shape), most=most, level=level, spending=spending)
        for signs in all_signs(sizes.size)
    ]
    first = np.array([first_decision(looks) for looks in histories])
    for n in range(1, most + 1):
        assert np.mean(first <= n) <= spent_by(spending, n / most, level) + 1e-12
    p = np.array([looks[-1].p for looks in histories])
    assert all(np.mean(p <= u) <= u for u in np.unique(p))
    if level == 0.25:
        assert np.mean(first <= most) > level / 2  # most of the level is used


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, shape: rng.normal(size=shape),
        lambda rng, shape: rng.standard_cauchy(size=shape),
        lambda rng, shape: rng.normal(size=shape).round(),
        lambda rng, shape: rng.integers(-1, 2, size=shape),
    ],
    ids=["normal", "Cauchy", "ties", "three values"],
)
def test_true_hypotheses_are_rejected_at_the_level(draw, small_group):
    small_group(7)
    runs, most = 300, 12
    d = draw(np.random.default_rng(0), (runs, most)).astype(float)
    rejected = np.mean([first_decision(run(row, most=most)) <= most for row in d])
    assert rejected <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_looking_at_an_ordinary_p_value_rejects_too_often():
    runs, looks = 300, range(6, 21, 2)
    d = np.random.default_rng(0).normal(size=(runs, 20))
    rejected = [any(wilcoxon(r[:n], np.zeros(n)).p <= 0.05 for n in looks) for r in d]
    assert np.mean(rejected) > 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def normal_boundaries(spending, looks, step=0.005):
    """Boundaries for normal data by integration, as Armitage, McPherson and Rowe (1969)."""
    grid = np.arange(-8, 8 + step, step)
    density, boundaries = norm.pdf(grid, 0, looks**-0.5), []
    for k in range(1, looks + 1):
        gain = spent_by(spending, k / looks) - (spent_by(spending, (k - 1) / looks) if k > 1 else 0)
        tail = density[::-1].cumsum()[::-1] * step - density * step / 2
        edge = np.interp(-gain / 2, -tail, grid)
        boundaries.append(edge / math.sqrt(k / looks))
        alive = np.where(np.abs(grid) < edge, density, 0)
        density = np.convolve(alive, norm.pdf(grid, 0, looks**-0.5), mode="same") * step
    return boundaries


@pytest.mark.parametrize("spending", SPENDINGS)
def test_with_many_repeats_the_boundaries_are_those_for_normal_data(spending):
    looks = run(
        np.random.default_rng(0).normal(size=500),
        most=500, looks=[100, 200, 300, 400, 500], spending=spending,
    )  # fmt: skip
    deviations = [math.sqrt(k.n * (k.n + 1) * (2 * k.n + 1) / 6) for k in looks]
    ours = [k.boundary / s for k, s in zip(looks, deviations, strict=True)]
    known = normal_boundaries(spending, 5)
    if spending == "obrien-fleming":
        assert ours[0] == math.inf  # 4.88 is beyond the 2^15 members of the group
        assert known[0] == pytest.approx(4.877, abs=0.002)
        ours, known = ours[2:], known[2:]  # the second look leaves 13 members
    assert ours == pytest.approx(known, abs=0.08)


# One look


@pytest.mark.parametrize("n", [1, 5, 8, 12, 15])
@pytest.mark.parametrize("decimals", [6, 0])
def test_one_look_at_up_to_15_differences_is_the_exact_signed_rank_test(n, decimals):
    rng = np.random.default_rng(n)
    for d in rng.normal(0.4, size=(8, n)).round(decimals):
        p = wilcoxon(d, np.zeros(n)).p
        (look,) = run(d, most=n, looks=[n])
        assert look.p == pytest.approx(p, rel=1e-12)
        assert (look.decision != "open") == (p <= 0.05)


@pytest.mark.parametrize("n", [16, 30, 80])
def test_one_look_at_more_differences_has_nearly_the_p_of_the_signed_rank_test(n):
    d = np.random.default_rng(n).normal(0.3, size=n)
    p = wilcoxon(d, np.zeros(n)).p
    (look,) = run(d, most=n, looks=[n])
    assert look.p == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 2**14))


def test_the_transform_gives_the_statistic_of_each_member(small_group):
    small_group(4)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 2, 6))
    ((n, sums),) = sequential._sums(x, y, [5])
    ranks = [signed_ranks(*rows)[:n] for rows in zip(x[:, :5], y[:, :5], strict=True)]
    flips = sequential._flips(10)
    for member in range(16):
        signs = [(-1) ** (member & int(flip)).bit_count() for flip in flips]
        expected = np.dot(signs, np.array(ranks).T.ravel())
        assert sums[member] == pytest.approx(expected)
    assert sums[0] == pytest.approx(np.sum(ranks))


def test_the_first_15_signs_are_flipped_in_all_ways():
    flips = sequential._flips(40)
    assert [int(f) for f in flips[:15]] == [0] + [2**bit for bit in range(14)]
    assert (flips[15:] > 0).all()
    assert (sequential._flips(25) == flips[:25]).all()


# Looks


@pytest.mark.parametrize("spending", SPENDINGS)
@pytest.mark.parametrize("shape", [(20,), (3, 12)])
def test_more_repeats_leave_the_earlier_looks_as_they_were(spending, shape):
    d = np.random.default_rng(1).normal(-0.7, size=shape)
    options = {"most": 20, "spending": spending}
    whole = run(d, **options)
    assert {look.decision for look in whole} == {"open", "better"}
    for n in (1, 5, 6, 11):
        assert run(d[..., :n], **options) == whole[:n]


@pytest.mark.parametrize("looks", [None, [4, 9, 10, 15, 20]])
def test_a_decision_stays_with_its_p_value_and_before_it_there_is_none(looks):
    d = np.random.default_rng(4).normal(1.5, size=20)
    history = run(d, most=20, looks=looks)
    assert [look.n for look in history] == (looks or list(range(1, 21)))
    first = first_decision(history)
    decision = next(look for look in history if look.n == first)
    assert first < 20 and decision.p <= decision.spent
    for look in history:
        assert look.decision == ("worse" if look.n >= first else "open")
        assert look.p == (decision.p if look.n >= first else None)


def test_a_comparison_that_stays_open_has_a_p_value_after_the_last_planned_repeat():
    history = run(np.random.default_rng(0).normal(size=12), most=12)
    assert {look.decision for look in history} == {"open"}
    assert [look.p for look in history[:-1]] == [None] * 11
    assert history[-1].p > 0.05


@pytest.mark.parametrize("spending", SPENDINGS)
def test_the_level_is_spent_little_by_little_and_never_more_than_planned(spending):
    history = run(np.random.default_rng(0).normal(size=40), most=40, spending=spending)
    spent = [look.spent for look in history]
    assert spent == sorted(spent)
    planned = [spent_by(spending, n / 40) for n in range(1, 41)]
    assert all(a <= b + 1e-12 for a, b in zip(spent, planned, strict=True))
    assert spent[-1] == pytest.approx(0.05, abs=0.001)
    function = sequential.SPENDING[spending]
    assert [function(0.05, n / 40) for n in range(1, 41)] == pytest.approx(planned)


def test_half_of_the_repeats_spend_what_the_literature_prints():
    # Lan and DeMets (1994), two-sided 0.05: 0.00305 and 0.03101 at half of the information.
    assert sequential.SPENDING["obrien-fleming"](0.05, 0.5) == pytest.approx(0.00305, abs=5e-6)
    assert sequential.SPENDING["pocock"](0.05, 0.5) == pytest.approx(0.03101, abs=5e-6)


@pytest.mark.parametrize("spending", SPENDINGS)
@pytest.mark.parametrize("problems", [1, 3])
def test_the_first_possible_decision_is_where_the_level_spent_reaches_the_smallest_p(
    spending, problems
):
    d = -np.arange(1.0, 31.0) * np.ones((problems, 1))
    smallest = [max(2.0 ** (1 - n * problems), 2.0**-14) for n in range(1, 31)]
    expected = next(n for n in range(1, 31) if spent_by(spending, n / 30) >= smallest[n - 1])
    assert first_decision(run(d, most=30, spending=spending)) == expected


def test_obrien_fleming_decides_nothing_in_the_first_quarter_of_the_repeats():
    assert spent_by("obrien-fleming", 0.25) < 1 / sequential.MEMBERS
    history = run(-np.ones((5, 10)), most=40)
    assert {look.decision for look in history} == {"open"}


def test_what_a_look_cannot_use_is_left_for_later_looks():
    one, many = (run(np.arange(1.0, 9.0), most=8, looks=k)[-1] for k in ([8], [2, 3, 8]))
    assert one == many


# Symmetry and problems


def test_swapping_x_and_y_swaps_better_and_worse_and_nothing_else():
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(2, 2, 15))
    ours, swapped = (sequential_signed_rank(*pair, most=15) for pair in ((x - 1, y), (y, x - 1)))
    assert ours[-1].decision == "better"
    for a, b in zip(ours, swapped, strict=True):
        assert b == replace(a, statistic=-a.statistic, decision=OTHER[a.decision])


def test_each_problem_may_have_its_own_unit_and_direction_of_lower_scores():
    d = np.random.default_rng(6).normal(-0.6, size=(3, 10))
    assert run(d * [[1000.0], [1.0], [0.001]], most=10) == run(d, most=10)


def test_one_problem_may_be_given_with_or_without_its_axis():
    d = np.random.default_rng(7).normal(size=10)
    assert run(d, most=10) == run(d[None], most=10)
    assert run(d, most=10, looks=np.array([5, 10])) == run(d, most=10, looks=[5, 10])


def test_no_difference_at_all_stays_open_with_p_one():
    last = run(np.zeros((2, 6)), most=6)[-1]
    assert (last.decision, last.statistic, last.boundary, last.p) == ("open", 0.0, math.inf, 1.0)


def test_a_large_difference_ends_sooner_with_pocock_and_a_small_one_is_found_less_often(
    small_group,
):
    small_group(8)
    rng = np.random.default_rng(8)
    firsts = {}
    for effect in (0.6, 1.5):
        d = rng.normal(effect, size=(80, 20))
        for spending in SPENDINGS:
            first = [first_decision(run(row, most=20, spending=spending)) for row in d]
            firsts[effect, spending] = np.array(first)
    found = {key: np.mean(np.isfinite(first)) for key, first in firsts.items()}
    assert found[0.6, "obrien-fleming"] > found[0.6, "pocock"] + 0.03
    assert firsts[1.5, "pocock"].mean() < firsts[1.5, "obrien-fleming"].mean() - 2


# Several treatments


def test_one_treatment_is_tested_as_alone():
    rng = np.random.default_rng(9)
    x, y = rng.normal(size=(2, 2, 14))
    alone = sequential_signed_rank(x - 0.8, y, most=14)
    assert sequential_against_control([x - 0.8], y, most=14) == (alone,)


@pytest.mark.parametrize("true_effects", [0, 1])
def test_the_family_wise_level_holds_exactly_over_all_signs(true_effects, small_group):
    small_group(4)
    level, sizes = 0.3, np.array([[2.0, 1.0, 5.0, 1.0, 3.0], [1.0, 4.0, 2.0, 6.0, 3.0]])
    effects = [np.arange(1.0, 6.0)] * true_effects
    half = all_signs(5)[16:]  # turning all signs of a treatment changes no decision but its side
    wrong = []
    for signs in itertools.product(half, half):
        out = sequential_against_control(
            [*(sizes * np.array(signs)), *effects], np.zeros(5),
            most=5, level=level, spending="pocock",
        )  # fmt: skip
        wrong.append(any(looks[-1].decision != "open" for looks in out[:2]))
    assert level / 4 < np.mean(wrong) <= level


def brute_force(first, i, n):
    """Closed test: all sets of treatments that contain i."""
    others = [j for j in range(len(first)) if j != i]
    sets = [
        (i, *rest) for size in range(len(first)) for rest in itertools.combinations(others, size)
    ]
    return all(any(first[j, len(chosen) - 1] <= n for j in chosen) for chosen in sets)


def test_the_shortcut_decides_as_the_closed_test_over_all_sets():
    rng = np.random.default_rng(10)
    for m in (1, 2, 3, 4, 5):
        for _ in range(60):
            first = rng.integers(1, 4, size=(m, m)).astype(float)
            for i in range(m):
                decided, s = sequential._step(first, i, 2)
                assert decided == brute_force(first, i, 2)
                assert 1 <= s <= m
                assert not decided or first[i, s - 1] <= 2


def three_treatments(n=25):
    rng = np.random.default_rng(11)
    control = rng.normal(size=n)
    return [control + rng.normal(e, 1.0, size=n) for e in (-1.5, 1.0, -0.9)], control


def test_a_decision_passes_its_share_of_the_level_on():
    treatments, control = three_treatments()
    out = sequential_against_control(treatments, control, most=25)
    assert [looks[-1].decision for looks in out] == ["better", "worse", "better"]
    levels = [[look.level for look in looks] for looks in out]
    assert all(own[0] == pytest.approx(0.05 / 3) for own in levels)
    assert levels[2][-1] == pytest.approx(0.05)
    alone = sequential_signed_rank(treatments[2], control, most=25, level=0.05 / 3)
    assert first_decision(out[2]) < first_decision(alone)
    for looks in out:
        decided = next(look for look in looks if look.decision != "open")
        assert decided.p <= decided.level


def test_a_decided_treatment_needs_no_more_repeats_and_earlier_looks_stay():
    treatments, control = three_treatments()
    whole = sequential_against_control(treatments, control, most=25)
    first = first_decision(whole[0])
    shorter = [treatments[0][:first], *treatments[1:]]
    stopped = sequential_against_control(shorter, control, most=25)
    assert stopped == (whole[0][:first], *whole[1:])
    part = sequential_against_control([t[:9] for t in treatments], control, most=25)
    assert part == tuple(looks[:9] for looks in whole)


# The interval after stopping


def test_with_one_look_the_interval_holds_the_shifts_that_the_signed_rank_test_accepts():
    rng = np.random.default_rng(12)
    x, y = rng.normal(0.5, size=12), rng.normal(size=12)
    interval = sequential_interval(x, y, most=12, looks=[12])
    assert interval.estimate == median_difference(x, y)
    assert interval.level == 0.95
    for shift in np.linspace(-2, 3, 101):
        accepted = wilcoxon(x - shift, y).p > 0.05
        assert accepted == (interval.low <= shift <= interval.high)


@pytest.mark.parametrize("shape", [(18,), (2, 9)])
def test_the_interval_leaves_0_out_when_the_test_decides(shape):
    d = np.random.default_rng(13).normal(-1.0, size=shape)
    first = first_decision(run(d, most=18, spending="pocock"))
    for n in range(first - 2, first + 1):
        part = d[..., :n]
        interval = sequential_interval(part, np.zeros(part.shape), most=18, spending="pocock")
        assert (interval.low <= 0 <= interval.high) == (n < first)
        assert interval.low <= interval.estimate <= interval.high


def test_the_interval_moves_with_the_data_and_turns_with_its_sign():
    d = np.random.default_rng(14).normal(size=12)
    zero = np.zeros(12)
    base = sequential_interval(d, zero, most=12)
    moved = sequential_interval(d + 2, zero, most=12)
    turned = sequential_interval(zero, d, most=12)
    assert (moved.low, moved.high) == pytest.approx((base.low + 2, base.high + 2))
    assert (turned.low, turned.high) == pytest.approx((-base.high, -base.low))


def test_the_interval_is_unbounded_while_no_look_can_decide():
    d = np.random.default_rng(15).normal(size=4)
    interval = sequential_interval(d, np.zeros(4), most=20)
    assert (interval.low, interval.high) == (-math.inf, math.inf)
    assert math.isfinite(interval.estimate)


def test_equal_differences_give_an_interval_around_their_value():
    interval = sequential_interval(np.full(8, 3.0), np.ones(8), most=8)
    assert (interval.low, interval.estimate, interval.high) == (2.0, 2.0, 2.0)


def test_the_interval_of_huge_and_of_tiny_values_is_that_of_ordinary_ones():
    x = np.random.default_rng(17).normal(1.0, size=9)
    base = sequential_interval(x, np.zeros(9), most=9)
    for scale in (2.0**1020, 2.0**-1000):
        scaled = sequential_interval(x * scale, np.zeros(9), most=9)
        assert scaled.low == base.low * scale
        assert scaled.high == base.high * scale


def test_the_intervals_of_all_looks_cover_the_difference_together(small_group):
    small_group(7)
    looks, runs = [6, 8, 10], 60
    missed = 0
    for d in np.random.default_rng(16).normal(1.0, size=(runs, 10)):
        intervals = [
            sequential_interval(d[:n], np.zeros(n), most=10, looks=looks, spending="pocock")
            for n in looks
        ]
        missed += any(not k.low <= 1.0 <= k.high for k in intervals)
    assert missed / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


# Bad input


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        ([1.0, 2.0], [1.0], {}, r"paired.*got \(2,\) and \(1,\)"),
        ([1.0], [[1.0]], {}, "must both have the shape"),
        ([], [], {}, "at least one repeat"),
        ([np.nan], [1.0], {}, "x must not hold NaN"),
        ([np.inf], [1.0], {}, "x must be finite"),
        ([1.0] * 4, [2.0] * 4, {"most": 3}, "at most 3 repeats were planned, got 4"),
        ([1.0], [2.0], {"most": 0}, "most must be a whole number"),
        ([1.0], [2.0], {"looks": []}, r"looks must rise and end at 9 or before, got \[\]"),
        ([1.0], [2.0], {"looks": [3, 3]}, "looks must rise"),
        ([1.0], [2.0], {"looks": [3, 10]}, "looks must rise and end at 9"),
        ([1.0], [2.0], {"looks": [2.5]}, "looks must be a whole number"),
        ([1.0], [2.0], {"looks": 3}, "looks must be numbers of repeats"),
        ([1.0], [2.0], {"level": 0.0}, "level must"),
        ([1.0], [2.0], {"level": 1e-5}, "at least 6.1e-05, the resolution"),
        ([1.0], [2.0], {"spending": "all"}, "spending must be"),
    ],
)
def test_bad_input_raises_an_error_that_states_what_was_expected(x, y, options, message):
    options = {"most": 9, **options}
    with pytest.raises(StatisticsError, match=message):
        sequential_signed_rank(x, y, **options)
    with pytest.raises(StatisticsError, match=message):
        sequential_interval(x, y, **options)


def test_treatments_must_be_there_and_not_have_more_repeats_than_the_control():
    for nothing in ([], None):
        with pytest.raises(StatisticsError, match="at least one treatment"):
            sequential_against_control(nothing, [1.0], most=3)
    with pytest.raises(StatisticsError, match=r"treatments\[1\] and control must be paired"):
        sequential_against_control([[1.0], [1.0, 2.0]], [1.0], most=3)
    with pytest.raises(StatisticsError, match=r"got 0\.001 / 20"):
        sequential_against_control([[1.0]] * 20, [1.0], most=3, level=0.001)


def test_an_interval_needs_a_look():
    with pytest.raises(StatisticsError, match="looks must hold one of at most the 2 repeats"):
        sequential_interval([1.0, 2.0], [1.0, 1.0], most=9, looks=[5])
