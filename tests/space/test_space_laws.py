import copy
import json
import math
import pickle

import numpy as np
import pytest
from arbitrary import (
    SCALARS,
    active_names,
    brute_force,
    identity,
    laws,
    seeds,
    spaces,
    stepped_floats,
    typed,
    values_of,
)
from hypothesis import assume, given
from hypothesis import strategies as st

from metaopt.core.errors import SpaceError
from metaopt.space import Categorical, Constant, Float, Int, Ordinal, Size, Space

NATIVE = (bool, int, float, str, type(None))


def rng(seed):
    return np.random.default_rng(seed)


# -- JSON, pickling, equality ----------------------------------------------------------------------


@laws
@given(spaces())
def test_a_space_survives_json_text_exactly(space):
    text = json.dumps(space.to_json(), allow_nan=False)
    again = Space.from_json(json.loads(text))
    assert again == space and hash(again) == hash(space)
    assert json.dumps(again.to_json()) == text
    assert Space.from_json(text) == space
    assert again.names == space.names
    for name, p in space.parameters.items():
        assert type(again.parameters[name]) is type(p)
        if p.count is not None:
            assert identity_of_values(again.parameters[name]) == identity_of_values(p)


def identity_of_values(parameter):
    return [typed(v) for v in values_of(parameter)] if parameter.count < 1000 else parameter.count


@laws
@given(spaces())
def test_a_space_survives_pickling_and_copying(space):
    assert pickle.loads(pickle.dumps(space)) == space
    assert copy.deepcopy(space) == space


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Categorical([True]), Categorical([1])),
        (Categorical([1]), Categorical([1.0])),
        (Categorical(["1"]), Categorical([1])),
        (Categorical([None]), Categorical(["None"])),
        (Constant(False), Constant(0)),
        (Ordinal([1, 2]), Ordinal([2, 1])),
        (Ordinal([1, 2]), Categorical([1, 2])),
        (Int(0, 1), Float(0, 1)),
        (Float(1, 2), Float(1, 2, log=True)),
        (Int(1, 3), Int(1, 3, step=1)),
    ],
    ids=str,
)
def test_spaces_are_equal_only_if_types_and_kinds_are(one, other):
    assert Space(x=one) == Space(x=one)
    assert Space(x=one) != Space(x=other)


def test_the_order_of_parameters_is_part_of_a_space():
    a, b = Int(0, 1), Int(0, 2)
    assert Space(a=a, b=b) != Space(b=b, a=a)
    assert Space({"a": a}, b=b) == Space(a=a, b=b)
    assert Space(a=Int(0, 1)) != "a space"


def test_numpy_numbers_in_a_definition_become_native():
    space = Space(
        a=Int(np.int64(1), np.int32(4)),
        b=Float(np.float32(0), np.float64(1)),
        c=Ordinal(np.array([1, 2])),
        d=Categorical([np.str_("p"), np.bool_(True)]),
        e=Constant(np.float64(2)),
        forbid=[{"c": np.int64(1), "d": [np.bool_(True)]}],
    )
    assert Space.from_json(json.dumps(space.to_json())) == space
    assert all(type(v) in NATIVE for c in space.sample(rng(0), 50) for v in c.values())


# -- sampling and validation -----------------------------------------------------------------------


@laws
@given(spaces(), seeds)
def test_every_sample_validates_and_has_exactly_the_active_parameters_in_order(space, seed):
    for config in space.sample(rng(seed), 20):
        assert identity(space.validate(config)) == identity(config)
        assert set(config) == active_names(space, config)
        assert list(config) == [n for n in space.names if n in config]
        assert all(type(v) in NATIVE for v in config.values())
        assert not space.is_forbidden(config)
        for name, value in config.items():
            p = space.parameters[name]
            if isinstance(p, Int | Float):
                assert type(value) is (int if isinstance(p, Int) else float)
                assert p.low <= value <= p.high
            if p.count is not None and p.count <= 100:
                assert typed(value) in [typed(v) for v in values_of(p)]


@laws
@given(spaces(), seeds, st.integers(0, 7))
def test_sampling_depends_only_on_the_generator(space, seed, n):
    assert space.sample(rng(seed), n) == space.sample(rng(seed), n)
    assert len(space.sample(rng(seed), n)) == n


@laws
@given(spaces(), seeds)
def test_validation_accepts_any_order_and_numpy_scalars(space, seed):
    (config,) = space.sample(rng(seed))
    foreign = {
        k: np.array([v])[0] if isinstance(v, (bool, int, float)) else v
        for k, v in reversed(config.items())
    }
    assert identity(space.validate(foreign)) == identity(config)


@laws
@given(spaces(), seeds, st.data())
def test_missing_inactive_and_unknown_parameters_are_refused_by_name(space, seed, data):
    (config,) = space.sample(rng(seed))
    name = data.draw(st.sampled_from(space.names))
    wrong = dict(config)
    if name in config:
        del wrong[name]
    else:
        wrong[name] = space.parameters[name].from_unit(np.array([0.5]))[0]
    assert not space.contains(wrong)
    with pytest.raises(SpaceError, match="parameter"):
        space.validate(wrong)
    with pytest.raises(SpaceError, match="unknown parameter 'nobody'"):
        space.validate({**config, "nobody": 1})
    assert space.contains(config)


# -- coordinates -----------------------------------------------------------------------------------


@laws
@given(spaces(), seeds)
def test_decoding_is_the_inverse_of_encoding(space, seed):
    configs = space.sample(rng(seed), 12)
    U, A = space.encode(configs)
    assert U.shape == A.shape == (12, len(space))
    assert A.dtype == bool and np.all((U >= 0) & (U <= 1))
    for config, u, active in zip(configs, U, A, strict=True):
        assert [n in config for n in space.names] == active.tolist()
        assert np.all(u[~active] == 0.5)
    for config, again in zip(configs, space.decode(U), strict=True):
        assert list(again) == list(config)
        for name, value in config.items():
            p = space.parameters[name]
            if p.count is not None:
                assert typed(again[name]) == typed(value)
            else:
                scale = abs(value) if p.log else max(abs(p.low), abs(p.high))
                assert abs(again[name] - value) <= 1e-12 * scale


@laws
@given(spaces(), seeds)
def test_the_coordinates_of_inactive_columns_are_not_used(space, seed):
    configs = space.sample(rng(seed), 8)
    U, A = space.encode(configs)
    noise = np.where(A, U, rng(seed + 1).random(U.shape))
    assert space.decode(noise) == space.decode(U)


@laws
@given(spaces(), st.data())
def test_any_point_of_the_closed_cube_decodes_to_a_configuration(space, data):
    corner = st.sampled_from([0.0, 1.0, 0.5, np.nextafter(0, 1), np.nextafter(1, 0)])
    rows = st.lists(corner | st.floats(0, 1), min_size=len(space), max_size=len(space))
    U = np.array(data.draw(st.lists(rows, min_size=1, max_size=5)))
    for config in space.decode(U):
        assert set(config) == active_names(space, config)
        assert space.is_forbidden(config) or space.contains(config)


@pytest.mark.parametrize("p", [
    Float(-2, 3), Float(1e-5, 1e-1, log=True), Int(1, 9), Int(1, 4096, log=True),
    Float(0, 1, step=0.05), Ordinal([3, 1, "x", None]),
], ids=str)  # fmt: skip
def test_coordinates_keep_the_order_of_values(p):
    space = Space(x=p)
    u = np.linspace(0, 1, 5001)
    values = [c["x"] for c in space.decode(u[:, None])]
    rank = values_of(p).index if p.count else float
    ranks = [rank(v) for v in values]
    assert ranks == sorted(ranks)
    assert rank(values[0]) == (0 if p.count else p.low)
    assert rank(values[-1]) == (p.count - 1 if p.count else p.high)


@pytest.mark.parametrize("shape", [(3,), (2, 1), (2, 3), (1, 2, 1)])
def test_a_matrix_of_another_shape_is_refused(shape):
    space = Space(a=Int(0, 1), b=Int(0, 1))
    with pytest.raises(SpaceError, match=r"\(n, 2\)"):
        space.decode(np.zeros(shape))
    with pytest.raises(SpaceError, match="NaN"):
        space.decode(np.array([[0.0, math.nan]]))


# -- exact decimals --------------------------------------------------------------------------------


@laws
@given(stepped_floats())
def test_stepped_floats_are_the_exact_decimals(p):
    space = Space(x=p)
    expected = values_of(p)
    n = len(expected)
    assert p.count == n
    found = sorted({c["x"] for c in space.configurations()})
    assert found == expected  # exactly equal: the float nearest to the decimal sum
    U, _ = space.encode([{"x": v} for v in expected])
    assert [c["x"] for c in space.decode(U)] == expected


def test_three_steps_of_a_tenth_give_exactly_0_3():
    space = Space(x=Float(0, 1, step=0.1))
    values = [c["x"] for c in space.configurations()]
    assert values == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert space.validate({"x": 0.1 + 0.2}) == {"x": 0.3}
    with pytest.raises(SpaceError, match=r"'x'.*multiple of 0.1, got 0.35"):
        space.validate({"x": 0.35})


@pytest.mark.parametrize(("low", "high", "step", "count"), [
    (-0.3, -0.2, 0.1, 2), (0.2, 0.3, 0.1, 2), (0, 0.3, 0.1, 4), (0.1, 0.7, 0.2, 4),
    (0, 1, 0.3, 4), (-1.1, 2.2, 1.1, 4),
])  # fmt: skip
def test_rounding_neither_adds_nor_removes_a_step(low, high, step, count):
    p = Float(low, high, step=step)
    assert Space(x=p).size == Size(count, True)
    assert [c["x"] for c in Space(x=p).configurations()] == values_of(p)


@pytest.mark.parametrize(("low", "step"), [(0.0, 1e-20), (1e-17, 1e-17), (0.0, 3e-16)])
def test_steps_of_many_decimals_are_exact_too(low, step):
    p = Float(low, low + 20 * step, step=step)
    assert [c["x"] for c in Space(x=p).configurations()][:20] == values_of(p)[:20]


@laws
@given(st.integers(-(10**7), 10**7), st.integers(1, 9), st.integers(1, 9), seeds)
def test_fine_steps_far_from_zero_are_members_of_their_own_space(low, digits, step, seed):
    space = Space(x=Float(low, low + 1, step=step * 10.0**-digits))
    for config in space.sample(rng(seed), 50):
        assert space.validate(config) == config


# -- conditions, forbidden entries, size -----------------------------------------------------------


@laws
@given(spaces(finite=True, most=4))
def test_size_and_configurations_equal_brute_force(space):
    assume(math.prod(len(values_of(p)) + 1 for p in space.parameters.values()) < 3000)
    expected = {identity(c) for c in brute_force(space)}
    listed = [identity(c) for c in space.configurations()]
    assert len(listed) == len(set(listed))
    assert set(listed) == expected
    assert space.size == Size(len(expected), True)


@laws
@given(spaces(finite=True, most=4), seeds)
def test_sampling_reaches_only_what_brute_force_allows(space, seed):
    assume(math.prod(len(values_of(p)) + 1 for p in space.parameters.values()) < 500)
    allowed = {identity(c) for c in brute_force(space)}
    assert {identity(c) for c in space.sample(rng(seed), 100)} <= allowed
    assert all(space.contains(dict(c)) for c in ({n: v[1] for n, v in i} for i in allowed))


def test_the_size_above_a_million_is_an_upper_bound():
    free = {f"x{i}": Int(0, 9) for i in range(6)}
    assert Space(free).size == Size(10**6, True)
    conditional = Space(**free, extra=Int(0, 1, when={"x0": [0]}))
    count, exact = conditional.size.count, conditional.size.exact
    assert not exact and count >= 9 * 10**5 + 2 * 10**5
    small = Space(a=Int(0, 1), b=Int(0, 4, when={"a": [1]}))
    assert small.size == Size(6, True)


def test_a_continuous_space_is_infinite_and_cannot_be_listed():
    space = Space(a=Int(0, 1), x=Float(0, 1, when={"a": [1]}))
    assert space.size == Size(math.inf, True)
    with pytest.raises(SpaceError, match="'x' is continuous"):
        list(space.configurations())


def test_nested_conditions_deactivate_grandchildren_with_their_parents():
    space = Space(
        leaf=Float(0, 1, when={"twig": [False]}),  # declared before its parents
        branch=Categorical(["on", "off"]),
        twig=Categorical([True, False], when={"branch": ["on"]}),
    )
    assert space.validate({"branch": "off"}) == {"branch": "off"}
    assert list(space.validate({"twig": False, "branch": "on", "leaf": 0.5})) == [
        "leaf",
        "branch",
        "twig",
    ]
    with pytest.raises(SpaceError, match=r"'leaf' is inactive here \(it needs twig in \[False\]\)"):
        space.validate({"branch": "off", "leaf": 0.5})
    with pytest.raises(SpaceError, match="'leaf' is missing"):
        space.validate({"branch": "on", "twig": False})


def test_true_and_one_are_different_conditions():
    space = Space(a=Categorical([True, 1, "1"]), b=Int(0, 1, when={"a": [1]}))
    present = {typed(c["a"]): "b" in c for c in space.sample(rng(0), 100)}
    assert present == {(bool, True): False, (int, 1): True, (str, "1"): False}


def test_an_integer_in_a_condition_matches_the_equal_value_of_a_stepped_float():
    space = Space(f=Float(0, 2, step=1), x=Int(0, 1, when={"f": [1]}), forbid=[{"f": 2}])
    for config in space.sample(rng(0), 50):
        assert space.validate(config) == config
        assert ("x" in config) == (config["f"] == 1.0)
    assert Space.from_json(json.dumps(space.to_json())) == space


def test_sampling_finds_the_one_allowed_combination_among_a_million():
    names = [f"x{i}" for i in range(6)]
    space = Space(
        {n: Int(0, 9) for n in names} | {"free": Float(0, 1)},
        forbid=[{n: list(range(1, 10))} for n in names],
    )
    configs = space.sample(rng(3), 5)
    assert all(c[n] == 0 for c in configs for n in names)
    assert len({c["free"] for c in configs}) == 5


# -- neighbours ------------------------------------------------------------------------------------


def descendants(space, name):
    below = {name}
    while True:
        more = {n for n, p in space.parameters.items() if below & set(p.when)} | below
        if more == below:
            return below - {name}
        below = more


@laws
@given(spaces(), seeds, st.sampled_from([0.0, 0.02, 0.1, 1.0, 5.0]))
def test_neighbours_are_distinct_valid_and_differ_in_one_active_parameter(space, seed, scale):
    (config,) = space.sample(rng(seed))
    found = space.neighbours(config, rng(seed + 1), scale)
    assert len({identity(c) for c in found}) == len(found)
    assert found == space.neighbours(config, rng(seed + 1), scale)
    for other in found:
        assert identity(space.validate(other)) == identity(other)
        moved = [n for n in config if n in other and typed(config[n]) != typed(other[n])]
        assert len(moved) == 1
        switched = set(config) ^ set(other)
        assert switched <= descendants(space, moved[0])


def test_parameters_that_do_not_move_keep_their_exact_value():
    scales = [Float(-3, 7), Float(1e-9, 1e9, log=True), Float(0.1, 0.7), Float(1e-3, 3, log=True)]
    space = Space({f"x{i}": p for i, p in enumerate(scales)} | {"k": Categorical(["a", "b"])})
    for config in space.sample(rng(0), 100):
        for other in space.neighbours(config, rng(1)):
            assert sum(config[n] != other[n] for n in space.names) == 1


@laws
@given(spaces(), seeds)
def test_every_other_choice_of_a_categorical_is_a_neighbour_unless_forbidden(space, seed):
    (config,) = space.sample(rng(seed))
    found = space.neighbours(config, rng(0))
    for name in config:
        p = space.parameters[name]
        if isinstance(p, Categorical) and not space.forbid:
            seen = {typed(c[name]) for c in found if name in c}
            assert seen == {typed(v) for v in p.choices}.difference(
                {typed(config[name])}
                if not any(typed(c[name]) == typed(config[name]) for c in found if name in c)
                else set()
            )


@laws
@given(spaces(finite=True, most=3))
def test_neighbourhood_moves_are_reversible(space):
    assume(space.size.count <= 24)
    configs = {identity(c): c for c in space.configurations()}
    step = {
        i: {identity(o) for s in range(24) for o in space.neighbours(c, rng(s), 0.5)}
        for i, c in configs.items()
    }
    assert set().union(*step.values()) <= set(configs)
    reach = {i: _closure(i, step) for i in step}
    assert all(i in reach[j] for i in reach for j in reach[i])
    if not space.forbid:  # without forbidden entries, every configuration is reached
        assert all(len(r | {i}) == len(configs) for i, r in reach.items())


def _closure(start, step):
    seen, todo = set(), [start]
    while todo:
        for other in step[todo.pop()] - seen:
            seen.add(other)
            todo.append(other)
    return seen


@pytest.mark.parametrize("scale", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("p", [Float(0, 1), Int(0, 10**6), Int(1, 10**6, log=True)], ids=str)
def test_the_distance_of_neighbours_is_half_normal_with_the_given_scale(p, scale):
    # From the middle, |N(0, scale)| has the median 0.6745 scale; reflection is negligible.
    space = Space(x=p)
    middle = space.decode(np.array([[0.5]]))[0]
    found = [c for s in range(400) for c in space.neighbours(middle, rng(s), scale)]
    distance = np.abs(space.encode(found)[0][:, 0] - 0.5)
    distance = np.array([d for d in distance if d < 1.5 * 0.5])
    below = int(np.sum(distance < 0.674490 * scale))
    n = len(distance)
    assert n >= 790
    assert abs(below - n / 2) < 3.3 * math.sqrt(n) / 2 + (n * 0.02 if scale == 0.3 else 0)


# -- identity --------------------------------------------------------------------------------------


@laws
@given(spaces(finite=True, most=3))
def test_keys_are_equal_only_for_equal_configurations(space):
    assume(space.size.count <= 300)
    configs = list(space.configurations())
    assert len({space.key(c) for c in configs}) == len(configs)
    for config in configs[:20]:
        assert space.key(dict(reversed(config.items()))) == space.key(config)
        assert identity(json.loads(space.key(config))) == identity(config)


def test_values_of_different_types_have_different_keys():
    space = Space(x=Categorical(list(SCALARS)))
    assert len({space.key({"x": v}) for v in SCALARS}) == len(SCALARS)
    floats = Space(x=Float(-1, 1))
    assert floats.key({"x": 0}) == floats.key({"x": -0.0}) == floats.key({"x": np.float32(0)})
