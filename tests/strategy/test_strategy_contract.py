import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import qmc

from metaopt.core.errors import SpaceError, StrategyError
from metaopt.core.seeds import derive, stream
from metaopt.space import Categorical, Constant, Float, Int, Space
from metaopt.strategy.base import Strategy
from metaopt.strategy.registry import make_strategy
from metaopt.trials.records import Proposal, Result

laws = settings(derandomize=True, deadline=None, max_examples=60)

SPACE = Space(x=Float(0, 1), n=Int(0, 3), kind=Categorical(["a", True, 1]))
SMALL = Space(n=Int(0, 3), kind=Categorical(["p", "q"]), forbid=[{"n": 0, "kind": "p"}])


class Uniform(Strategy):
    """Random points; stores the calls of `_tell`."""

    name = "uniform"
    first = 0

    def __init__(self, space, seed=0, budget=None, **options):
        super().__init__(space, seed, budget, **options)
        self.heard = []

    def _initial_points(self):
        return self.first

    def _ask(self, rng):
        return self.space.sample(rng)[0], {"u": rng.random()}

    def _tell(self, config, note, value, status, curve):
        self.heard.append((config, note, value, status, tuple(curve)))


class Designed(Uniform):
    first = 20


class Scripted(Uniform):
    """Proposes a fixed list in order."""

    def __init__(self, space, seed=0, budget=None, *, points):
        super().__init__(space, seed, budget, points=points)
        self.points, self.next = points, 0

    def _ask(self, rng):
        self.next += 1
        return dict(self.points[(self.next - 1) % len(self.points)]), self.next

    def _state(self):
        return self.next

    def _restore(self, state):
        self.next = state


def point(x, n=0, kind="a"):
    return {"x": x, "n": n, "kind": kind}


# -- numbers, seeds, streams -----------------------------------------------------------------------


def test_proposals_are_numbered_consecutively_over_all_calls():
    strategy = Designed(SPACE, seed=5)
    asked = strategy.ask() + strategy.ask(4)
    strategy.observe(point(0.123), 1.0)  # gets number 5
    asked += strategy.ask(2)
    assert [p.number for p in asked] == [0, 1, 2, 3, 4, 6, 7]
    assert [p.seed for p in asked] == [derive(5, "trial", p.number) for p in asked]


def test_an_ask_draws_from_the_stream_of_its_first_number():
    strategy = Uniform(SPACE, seed=9)
    strategy.ask(3)
    rng = stream(9, "ask", 3)
    expected = [SPACE.sample(rng)[0]]
    rng.random()  # the note
    expected.append(SPACE.sample(rng)[0])
    assert [p.config for p in strategy.ask(2)] == expected


def test_changing_returned_or_told_objects_does_not_change_the_strategy():
    strategy, other = Uniform(SPACE), Uniform(SPACE)
    (p,) = strategy.ask()
    (q,) = other.ask()
    p.config["x"] = "spoilt"
    strategy.tell(p, 1.0)
    other.tell(q, 1.0)
    assert strategy.state_dict() == other.state_dict()
    strategy.heard[0][0]["x"] = "spoilt"
    assert strategy.observations[0].config == q.config
    strategy.imputed().append(3)
    assert strategy.imputed() == [1.0]


@pytest.mark.parametrize("n", [0, -1, 1.0, "1", None, True])
def test_ask_requires_a_positive_integer(n):
    with pytest.raises(StrategyError, match="integer of at least 1, got"):
        Uniform(SPACE).ask(n)


@pytest.mark.parametrize(("arguments", "part"), [
    (({"x": 1},), "space must be a metaopt.Space, got dict"),
    ((SPACE, -1), "seed must be an integer of at least 0, got -1"),
    ((SPACE, 0.5), "seed must be an integer of at least 0, got 0.5"),
    ((SPACE, True), "seed must be an integer of at least 0, got True"),
    ((SPACE, 0, 0), "budget must be an integer of at least 1, got 0"),
    ((SPACE, 0, 2.5), "budget must be an integer of at least 1, got 2.5"),
])  # fmt: skip
def test_a_strategy_is_made_from_a_space_a_seed_and_a_budget(arguments, part):
    with pytest.raises(StrategyError) as caught:
        Uniform(*arguments)
    assert part in str(caught.value)


def test_a_numpy_seed_is_the_same_seed():
    assert Designed(SPACE, np.int64(3)).ask(30) == Designed(SPACE, 3).ask(30)
    json.dumps(Uniform(SPACE, np.int64(3), np.int64(7)).state_dict())


# -- the initial design ----------------------------------------------------------------------------


def test_the_initial_design_is_scipys_scrambled_sobol_sequence():
    space = Space(a=Float(-1, 1), b=Float(1e-3, 1e3, log=True), c=Float(0, 5))
    engine = qmc.Sobol(3, scramble=True, rng=stream(4, "initial"))
    expected = space.decode(engine.random(256))

    class Long(Designed):
        first = 200  # crosses the blocks in which the sequence is made

    asked = Long(space, seed=4).ask(200)
    assert [p.config for p in asked] == expected[:200]
    assert {p.origin for p in asked} == {"initial"}
    assert [p.config for p in make_strategy("sobol", space, 4).ask(200)] == expected[:200]


def test_initial_designs_of_different_lengths_share_a_prefix():
    names = ("genetic", "pso", "tabu", "sobol", "skopt")
    asked = {name: make_strategy(name, SPACE, 7).ask(6) for name in names}
    asked["mine"] = Designed(SPACE, 7).ask(6)
    lengths = {name: [p.origin for p in ps].count("initial") for name, ps in asked.items()}
    assert lengths["mine"] == 6
    for name, proposals in asked.items():
        n = lengths[name] if name != "sobol" else 6
        assert [p.config for p in proposals[:n]] == [p.config for p in asked["mine"][:n]]
    assert any(n > 0 for name, n in lengths.items() if name != "mine")


def test_enqueued_and_added_points_count_towards_the_length_of_the_design():
    strategy = Designed(SPACE, seed=1)
    strategy.observe(point(0.25), 1.0)
    strategy.enqueue(point(0.75))
    origins = [p.origin for p in strategy.ask(22)]
    assert origins == ["enqueued", *["initial"] * 18, *["strategy"] * 3]


def test_the_design_skips_forbidden_and_known_points():
    strategy = Designed(SMALL, seed=2)
    asked = strategy.ask(10)
    keys = [SMALL.key(p.config) for p in asked]
    assert len(set(keys)) == len(keys) == 7
    assert not any(SMALL.is_forbidden(p.config) for p in asked)


# -- duplicates, fallbacks, exhaustion -------------------------------------------------------------


def test_a_duplicate_is_asked_again_then_replaced_by_a_neighbour_and_counted():
    strategy = Scripted(SPACE, points=[point(0.5), point(0.5), point(0.25)])
    first, second = strategy.ask(2)
    assert (first.config, first.origin) == (point(0.5), "strategy")
    assert (second.config, second.origin) == (point(0.25), "strategy")  # the second try
    assert strategy.fallbacks == 0
    stuck = Scripted(SPACE, points=[point(0.5)])
    first, second, third = stuck.ask(3)
    assert [second.origin, third.origin] == ["fallback"] * 2
    assert stuck.fallbacks == 2
    for p in (second, third):
        changed = [
            k
            for k in p.config
            if (type(p.config[k]), p.config[k]) != (type(first.config[k]), first.config[k])
        ]
        assert len(changed) == 1  # a neighbour of the duplicate


def test_true_and_one_are_not_duplicates():
    points = [point(0.5, kind=True), point(0.5, kind=1)]
    asked = Scripted(SPACE, points=points).ask(2)
    assert [p.origin for p in asked] == ["strategy"] * 2
    assert [type(p.config["kind"]) for p in asked] == [bool, int]


def test_a_finite_space_is_proposed_once_completely_and_then_nothing():
    strategy = Scripted(SMALL, points=[{"n": 1, "kind": "p"}])
    strategy.observe({"n": 3, "kind": "q"}, 0.0)
    asked = strategy.ask(5) + strategy.ask(5)
    keys = {SMALL.key(p.config) for p in asked} | {SMALL.key({"n": 3, "kind": "q"})}
    assert len(asked) == 6 and keys == {SMALL.key(c) for c in SMALL.configurations()}
    before = json.dumps(strategy.state_dict())
    assert strategy.ask(3) == []
    assert strategy.ask() == []
    assert json.dumps(strategy.state_dict()) == before
    for p in asked:
        strategy.tell(p, 1.0)
    assert strategy.ask() == []


def test_a_forbidden_choice_is_replaced_by_an_allowed_one():
    (p,) = Scripted(SMALL, points=[{"n": 0, "kind": "p"}]).ask()
    assert p.origin == "fallback" and SMALL.contains(p.config)


def test_a_space_of_one_point_gives_one_proposal():
    strategy = Uniform(Space(c=Constant(1)))
    assert len(strategy.ask(5)) == 1 and strategy.ask() == []


@pytest.mark.parametrize("bad", [
    point(2.0), {"x": 0.5}, {**point(0.5), "extra": 1}, point(0.5, kind="z"), point(math.nan),
])  # fmt: skip
def test_a_proposal_outside_the_space_is_an_error_that_names_strategy_and_point(bad):
    with pytest.raises(StrategyError) as caught:
        Scripted(SPACE, points=[bad]).ask()
    assert "uniform" in str(caught.value) and repr(bad) in str(caught.value)


# -- tell, observe, enqueue ------------------------------------------------------------------------


def test_a_tell_reaches_the_strategy_with_its_own_note():
    strategy = Uniform(SPACE)
    asked = strategy.ask(2)
    assert [c for c, _ in strategy.pending()] == [p.config for p in asked]
    notes = [note for _, note in strategy.pending()]
    strategy.tell(asked[1], 3.0)
    strategy.tell(asked[0].number, Result(2.0, curve=[(1, 5.0)]))
    assert strategy.heard == [
        (asked[1].config, notes[1], 3.0, "complete", ()),
        (asked[0].config, notes[0], 2.0, "complete", ((1, 5.0),)),
    ]
    assert strategy.pending() == []
    assert strategy.best.number == 0 and strategy.best.value == 2.0


@pytest.mark.parametrize("number", [7, -1, "0", None, 1.5])
def test_an_unknown_proposal_is_refused_by_name(number):
    strategy = Uniform(SPACE)
    strategy.ask()
    before = json.dumps(strategy.state_dict())
    with pytest.raises(StrategyError, match=f"{number!r} was never asked"):
        strategy.tell(number, 1.0)
    with pytest.raises(StrategyError, match="proposal 9 was never asked"):
        strategy.tell(Proposal(9, point(0.5), 0), 1.0)
    assert json.dumps(strategy.state_dict()) == before and strategy.heard == []


def test_a_proposal_told_twice_is_refused_by_name():
    strategy = Uniform(SPACE)
    (p,) = strategy.ask()
    strategy.tell(p, 1.0)
    for again in (p, 0, np.int64(0)):
        with pytest.raises(StrategyError, match="proposal 0 was already told"):
            strategy.tell(again, 2.0)
    assert len(strategy.heard) == 1


def test_a_tell_that_is_not_a_number_changes_nothing():
    strategy = Uniform(SPACE)
    (p,) = strategy.ask()
    before = json.dumps(strategy.state_dict())
    with pytest.raises(ValueError, match="number or a Result"):
        strategy.tell(p, "good")
    assert json.dumps(strategy.state_dict()) == before
    strategy.tell(p, 1.0)


def test_an_observed_point_has_a_number_no_note_and_is_never_proposed():
    strategy = Scripted(SPACE, points=[point(0.5), point(0.25)])
    added = strategy.observe(point(0.5), 1.5)
    assert (added.number, added.origin) == (0, "added")
    assert strategy.heard == [(point(0.5), None, 1.5, "complete", ())]
    assert not strategy.is_new(point(0.5))
    (p,) = strategy.ask()
    assert p.number == 1 and p.config == point(0.25)
    with pytest.raises(StrategyError, match="already told"):
        strategy.tell(added, 1.0)


def test_points_outside_the_space_are_neither_observed_nor_enqueued():
    strategy = Uniform(SPACE)
    for call in (lambda: strategy.observe(point(2), 1.0), lambda: strategy.enqueue(point(2))):
        with pytest.raises(SpaceError, match="'x'"):
            call()
    with pytest.raises(ValueError, match="number or a Result"):
        strategy.observe(point(0.5), None)
    assert strategy.state_dict()["log"] == [] and strategy.ask()[0].number == 0


def test_enqueued_points_come_first_in_order_and_once():
    strategy = Designed(SPACE, seed=3)
    points = [point(0.5), point(0.25, kind=True), point(0.25, kind=1)]
    assert [strategy.enqueue(p) for p in points] == [True] * 3
    assert not strategy.enqueue(point(0.5))
    asked = strategy.ask(4)
    assert [p.origin for p in asked] == ["enqueued"] * 3 + ["initial"]
    assert [SPACE.key(p.config) for p in asked[:3]] == [SPACE.key(p) for p in points]
    assert not strategy.enqueue(points[0])  # already asked
    strategy.tell(asked[0], 1.0)
    assert strategy.heard[0][:2] == (points[0], None)


def test_an_enqueued_point_that_was_then_observed_is_not_proposed():
    strategy = Designed(SPACE, seed=3)
    strategy.enqueue(point(0.5))
    strategy.observe(point(0.5), 1.0)
    assert strategy.ask()[0].origin == "initial"
    again = Designed(SPACE, seed=3)
    again.load_state_dict(json.loads(json.dumps(strategy.state_dict())))
    assert again.ask(3) == strategy.ask(3)


# -- ranks -----------------------------------------------------------------------------------------

small = st.integers(-9, 9)
curves = st.lists(small.map(float) | st.sampled_from([math.nan, math.inf, -math.inf]), max_size=3)
outcomes = st.lists(
    st.tuples(st.just("complete"), small, curves)
    | st.tuples(st.sampled_from(["failed", "pruned"]), st.none(), curves),
    max_size=12,
)


def grown(v):
    """Strictly increasing, exact for small integers, and strongly nonlinear."""
    return v**3 * 7 + 5 if math.isfinite(v) else v


def told(sequence, transform):
    strategy = Uniform(SPACE, seed=1)
    for status, value, curve in sequence:
        (p,) = strategy.ask()
        strategy.tell(
            p,
            Result(
                None if value is None else float(transform(value)),
                status,
                curve=[(i, float(transform(v))) for i, v in enumerate(curve)],
            ),
        )
    return strategy


@laws
@given(outcomes)
def test_imputed_values_commute_with_monotone_transforms(sequence):
    plain, changed = told(sequence, lambda v: v), told(sequence, grown)
    if any(status == "complete" for status, _, _ in sequence):
        assert changed.imputed() == [grown(v) for v in plain.imputed()]
    else:
        assert plain.imputed() == changed.imputed() == [0.0] * len(sequence)
    for one, other in zip(plain.heard, changed.heard, strict=True):
        assert other[2] == grown(one[2])
    assert (plain.best is None) == (changed.best is None)
    assert plain.best is None or plain.best.number == changed.best.number


@laws
@given(outcomes)
def test_failed_ranks_worst_and_pruned_at_least_median(sequence):
    done = []
    for heard, (status, value, curve) in zip(told(sequence, float).heard, sequence, strict=True):
        if status == "complete":
            done.append(value)
            assert heard[2] == value
        elif not done:
            assert heard[2] == math.inf
        elif status == "failed" or not curve or not math.isfinite(curve[-1]):
            assert heard[2] == max(done)
        else:
            assert heard[2] == max(curve[-1], sorted(done)[len(done) // 2])


@laws
@given(st.lists(small, min_size=1, max_size=12))
def test_the_best_is_the_earliest_among_the_smallest(values):
    strategy = told([("complete", v, []) for v in values], float)
    assert strategy.best.number == values.index(min(values))
    assert [o.value for o in strategy.observations] == values


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_a_failure(value):
    strategy = Uniform(SPACE)
    first, second = strategy.ask(2)
    strategy.tell(first, 1.0)
    strategy.tell(second, value)
    assert strategy.heard[1][2:4] == (1.0, "failed")
    assert strategy.best.number == 0


# -- state -----------------------------------------------------------------------------------------


def act(strategy, script):
    """Ask, tell in another order, observe, enqueue and fail, as the numbers in `script` say."""
    asked, done = [], []
    for k in script:
        if k % 5 == 0:
            strategy.enqueue(point(round(k / 1000, 3)))
        elif k % 5 == 1 and asked:
            strategy.tell(asked.pop(k % len(asked)), math.nan if k % 2 else k / 7)
        elif k % 5 == 2:
            strategy.observe(SPACE.sample(stream(k, "foreign"))[0], Result(status="pruned"))
        else:
            new = strategy.ask(1 + k % 3)
            asked += new
            done += new
    return done


script = st.lists(st.integers(0, 999), max_size=15)


@laws
@given(st.sampled_from([Uniform, Designed]), script, script)
def test_a_loaded_strategy_continues_like_an_uninterrupted_one(cls, before, after):
    one, other = cls(SPACE, seed=6), cls(SPACE, seed=6)
    act(one, before)
    other.load_state_dict(json.loads(json.dumps(one.state_dict(), allow_nan=False)))
    assert repr(other.heard) == repr(one.heard)
    assert act(other, after) == act(one, after)
    assert json.dumps(other.state_dict()) == json.dumps(one.state_dict())
    assert other.fallbacks == one.fallbacks and other.pending() == one.pending()


def test_the_state_changed_by_ask_is_stored_with_every_ask():
    points = [point(i / 64) for i in range(64)]
    one = Scripted(SPACE, points=points)
    one.ask(3)
    one.ask(2)
    other = Scripted(SPACE, points=points)
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    assert other.next == 5 and other.ask() == one.ask()


def test_a_state_of_another_class_space_seed_budget_or_options_is_refused():
    state = Scripted(SPACE, 1, 10, points=[point(0.5)]).state_dict()

    class Other(Scripted):
        name = "other"

    for wrong, what in (
        (Scripted(SPACE, 2, 10, points=[point(0.5)]), "seed is 1 there and 2 here"),
        (Scripted(SPACE, 1, 11, points=[point(0.5)]), "budget is 10 there and 11 here"),
        (Scripted(SPACE, 1, 10, points=[point(0.25)]), "options"),
        (Scripted(SMALL, 1, 10, points=[point(0.5)]), "space"),
        (Other(SPACE, 1, 10, points=[point(0.5)]), "strategy is 'uniform' there"),
    ):
        with pytest.raises(StrategyError) as caught:
            wrong.load_state_dict(state)
        assert what in str(caught.value)
    used = Uniform(SPACE)
    used.ask()
    with pytest.raises(StrategyError, match="fresh"):
        used.load_state_dict(Uniform(SPACE).state_dict())


@pytest.mark.parametrize("state", [{}, {"log": []}, {"header": {}}, None, []], ids=repr)
def test_anything_but_a_state_is_refused(state):
    with pytest.raises(StrategyError):
        Uniform(SPACE).load_state_dict(state)


def test_notes_and_states_that_are_not_json_are_refused():
    class Secret(Uniform):
        def _ask(self, rng):
            return self.space.sample(rng)[0], object()

    class Hidden(Uniform):
        def _state(self):
            return {"rng": object()}

    with pytest.raises(ValueError, match="note must be JSON"):
        Secret(SPACE).ask()
    with pytest.raises(ValueError, match=r"_state\(\).*must be JSON"):
        Hidden(SPACE).ask()
    with pytest.raises(ValueError, match=r"options.*must be JSON"):
        Uniform(SPACE, thing=object())


FINAL = ["ask", "tell", "observe", "enqueue", "state_dict", "load_state_dict"]


@pytest.mark.parametrize("name", FINAL)
def test_final_methods_cannot_be_overridden(name):
    with pytest.raises(StrategyError, match=f"overrides {name}, which are final"):
        type("Bad", (Uniform,), {name: lambda self: None})


@pytest.mark.parametrize("name", FINAL)
def test_final_methods_cannot_be_overridden_by_a_mixin_either(name):
    mixin = type("Mixin", (), {name: lambda self: None})
    with pytest.raises(StrategyError, match=f"overrides {name}"):
        type("Sly", (mixin, Uniform), {})


def test_a_strategy_without_ask_cannot_be_made():
    with pytest.raises(TypeError, match="abstract"):
        type("Empty", (Strategy,), {})(SPACE)
