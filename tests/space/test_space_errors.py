"""Errors for wrong definitions and configurations: the name, what was expected and given."""

import math

import numpy as np
import pytest

from metaopt.core.errors import MetaoptError, SpaceError
from metaopt.space import Categorical, Constant, Float, Int, Ordinal, Space

OBJECT = object()

# definition of 'lr' -> what the message must contain besides the name
DEFINITIONS = [
    (lambda: Float(0.1, 0.01), ["low must be below high", "0.1", "0.01"]),
    (lambda: Float(1, 1), ["low must be below high", "Constant(1.0)"]),
    (lambda: Float(math.nan, 1), ["low", "finite", "nan"]),
    (lambda: Float(0, math.inf), ["high", "finite", "inf"]),
    (lambda: Float("0", 1), ["low", "number", "'0'"]),
    (lambda: Float(None, 1), ["low", "number", "None"]),
    (lambda: Float(True, 2), ["low", "number", "True"]),
    (lambda: Float(0, 10**400), ["high", "finite"]),
    (lambda: Float(0, 1, log=True), ["log=True", "low above 0", "0"]),
    (lambda: Float(-1, 1, log=True), ["log=True", "low above 0", "-1"]),
    (lambda: Float(1, 2, log="yes"), ["log", "True or False", "'yes'"]),
    (lambda: Float(0, 1, step=0), ["step", "above 0", "0"]),
    (lambda: Float(0, 1, step=-0.1), ["step", "above 0", "-0.1"]),
    (lambda: Float(0, 1, step=2), ["step", "high - low", "2"]),
    (lambda: Float(0, 1, step=math.nan), ["step", "finite", "nan"]),
    (lambda: Float(0, 1e20, step=1e-3), ["step"]),
    (lambda: Int(4, 1), ["low must be below high", "4", "1"]),
    (lambda: Int(3, 3), ["low must be below high", "Constant(3)"]),
    (lambda: Int(1.0, 4), ["low", "integer", "1.0"]),
    (lambda: Int(0, 4.5), ["high", "integer", "4.5"]),
    (lambda: Int(False, 4), ["low", "integer", "False"]),
    (lambda: Int(0, 4, log=True), ["log=True", "low above 0"]),
    (lambda: Int(0, 4, step=0.5), ["step", "integer", "0.5"]),
    (lambda: Int(0, 4, step=0), ["step", "above 0"]),
    (lambda: Int(0, 4, step=9), ["step", "high - low"]),
    (lambda: Int(0, 2**60), ["high", "2^53", str(2**60)]),
    (lambda: Ordinal([]), ["values", "at least one"]),
    (lambda: Categorical([]), ["choices", "at least one"]),
    (lambda: Ordinal("abc"), ["values", "list", "'abc'"]),
    (lambda: Categorical({"a": 1}), ["choices", "list"]),
    (lambda: Categorical(5), ["choices", "list", "5"]),
    (lambda: Categorical(["a", "b", "a"]), ["choices", "differ", "'a'"]),
    (lambda: Ordinal([1, 2, 1]), ["values", "differ", "1"]),
    (lambda: Categorical([1, [2]]), ["choices", "JSON", "[2]"]),
    (lambda: Categorical([OBJECT]), ["choices", "JSON", "object"]),
    (lambda: Categorical([math.nan]), ["choices", "finite", "nan"]),
    (lambda: Ordinal([1, math.inf]), ["values", "finite", "inf"]),
    (lambda: Constant([1]), ["value", "JSON", "[1]"]),
    (lambda: Constant(math.nan), ["value", "finite", "nan"]),
    (lambda: (0, 1), ["Float", "(0, 1)", "tuple"]),
    (lambda: Float, ["expected", "Float"]),
    (lambda: None, ["expected", "None"]),
    (lambda: Int(0, 1, when={"nobody": [1]}), ["when", "unknown", "'nobody'"]),
    (lambda: Int(0, 1, when={"kinds": ["a"]}), ["when", "unknown", "did you mean 'kind'"]),
    (lambda: Int(0, 1, when={"kind": ["z"]}), ["when", "'kind'", "'a'", "'z'"]),
    (lambda: Int(0, 1, when={"kind": []}), ["when", "'kind'", "at least one"]),
    (lambda: Int(0, 1, when={"rate": [0.5]}), ["when", "continuous", "'rate'"]),
    (lambda: Int(0, 1, when=["kind"]), ["when", "{parent: [values]}", "['kind']"]),
    (lambda: Int(0, 1, when={"lr": [1]}), ["cycle"]),
]


@pytest.mark.parametrize(("make", "parts"), DEFINITIONS, ids=range(len(DEFINITIONS)))
def test_a_wrong_definition_is_refused_by_name(make, parts):
    with pytest.raises(SpaceError) as caught:
        Space(kind=Categorical(["a", "b"]), rate=Float(0, 1), lr=make())
    message = str(caught.value)
    assert "lr" in message
    for part in parts:
        assert part in message
    assert isinstance(caught.value, (MetaoptError, ValueError))


FORBIDS = [
    ({"kind": "a"}, ["forbid", "list", "mapping"]),
    ([{}], ["forbid", "{}"]),
    (["kind"], ["forbid", "'kind'"]),
    ([{"nobody": 1}], ["forbid", "unknown", "'nobody'"]),
    ([{"rate": 0.5}], ["forbid", "continuous", "'rate'"]),
    ([{"kind": "z"}], ["forbid", "'kind'", "'z'"]),
    ([{"kind": []}], ["forbid", "'kind'"]),
    ([{"kind": ["a", "b"]}], ["forbid leaves no configuration"]),
    (None, ["forbid"]),
    (5, ["forbid", "5"]),
]


@pytest.mark.parametrize(("forbid", "parts"), FORBIDS, ids=range(len(FORBIDS)))
def test_a_wrong_forbid_is_refused(forbid, parts):
    with pytest.raises(SpaceError) as caught:
        Space(kind=Categorical(["a", "b"]), rate=Float(0, 1), forbid=forbid)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(("call", "parts"), [
    (lambda: Space(), ["at least one parameter"]),
    (lambda: Space({}), ["at least one parameter"]),
    (lambda: Space({1: Int(0, 1)}), ["name", "string", "1"]),
    (lambda: Space({"": Int(0, 1)}), ["name", "non-empty"]),
    (lambda: Space({"a": Int(0, 1)}, a=Int(0, 1)), ["both", "mapping"]),
    (lambda: Space([Int(0, 1)]), ["mapping", "list"]),
    (lambda: Space(a=Int(0, 1, when={"b": [1]}), b=Int(0, 1, when={"a": [1]})), ["cycle", "a, b"]),
    (lambda: Space(a=Int(0, 1))["b"], ["unknown parameter 'b'"]),
    (lambda: Space(width=Int(0, 1))["with"], ["did you mean 'width'"]),
    (lambda: Space.from_json({}), ["JSON of a space"]),
    (lambda: Space.from_json([1]), ["JSON of a space"]),
    (lambda: Space.from_json("no json"), ["JSON of a space"]),
    (lambda: Space.from_json({"parameters": [{"name": "a", "kind": "zebra"}]}), ["zebra"]),
    (lambda: Space.from_json({"parameters": [{"name": "a", "kind": "int", "low": 3, "high": 1}]}),
     ["'a'", "low must be below high"]),
    (lambda: Space.from_json({"parameters": [{"name": "a", "kind": "int", "size": 3}]}), ["size"]),
])  # fmt: skip
def test_a_wrong_space_is_refused(call, parts):
    with pytest.raises(SpaceError) as caught:
        call()
    for part in parts:
        assert part in str(caught.value)


SPACE = Space(
    lr=Float(0.1, 1),
    n=Int(1, 9, step=2),
    kind=Categorical(["a", True, 1]),
    rate=Float(0, 1, step=0.25),
    deep=Int(0, 1, when={"kind": ["a"]}),
    one=Constant("x"),
    forbid=[{"kind": True, "rate": 0.5}],
)
GOOD = {"lr": 0.5, "n": 3, "kind": 1, "rate": 0.25, "one": "x"}

CONFIGS = [
    ({"lr": 2}, ["'lr'", "0.1", "1.0", "2"]),
    ({"lr": math.nan}, ["'lr'", "nan"]),
    ({"lr": "0.5"}, ["'lr'", "number", "'0.5'", "str"]),
    ({"lr": True}, ["'lr'", "number", "True", "bool"]),
    ({"lr": None}, ["'lr'", "number", "None"]),
    ({"n": 4}, ["'n'", "multiple of 2", "4"]),
    ({"n": 3.0}, ["'n'", "integer", "3.0", "float"]),
    ({"n": 11}, ["'n'", "1", "9", "11"]),
    ({"kind": "b"}, ["'kind'", "'a', True, 1", "'b'"]),
    ({"kind": 1.0}, ["'kind'", "1.0", "float"]),
    ({"rate": 0.3}, ["'rate'", "multiple of 0.25", "0.3"]),
    ({"one": "y"}, ["'one'", "'x'", "'y'"]),
    ({"deep": 1}, ["'deep'", "inactive", "kind in ['a']"]),
    ({"kind": "a"}, ["'deep'", "missing"]),
    ({"kind": True, "rate": 0.5}, ["forbidden", "0.5"]),
    ({"lrr": 1}, ["unknown", "'lrr'", "did you mean 'lr'"]),
]


@pytest.mark.parametrize(("change", "parts"), CONFIGS, ids=range(len(CONFIGS)))
def test_a_wrong_configuration_is_refused_by_name(change, parts):
    assert SPACE.contains(GOOD)
    wrong = {**GOOD, **change}
    assert not SPACE.contains(wrong)
    for call in (
        SPACE.validate,
        SPACE.key,
        lambda c: SPACE.encode([c]),
        lambda c: SPACE.neighbours(c, np.random.default_rng(0)),
    ):
        with pytest.raises(SpaceError) as caught:
            call(wrong)
        for part in parts:
            assert part in str(caught.value)


@pytest.mark.parametrize("thing", [[1], None, "lr", 3, [("lr", 1)]])
def test_a_configuration_must_be_a_dict(thing):
    with pytest.raises(SpaceError, match="must be a dict"):
        SPACE.validate(thing)


def test_a_set_of_values_is_sorted_or_refused():
    """The order of a set of strings differs between processes; that of a space must not."""
    import subprocess
    import sys

    code = (
        "from metaopt.space import *\n"
        "try: s = Space(k=Categorical(list('abcdef')),"
        " x=Int(0, 1, when={'k': {'a', 'b', 'c', 'd'}}), forbid=[{'k': {'e', 'f'}}])\n"
        "except Exception as e: print(type(e).__name__)\n"
        "else: print(hash(str(s.to_json())) * 0, s.to_json())\n"
        "try: print(Space(k=Categorical({'a', 'b', 'c', 'd'})).to_json())\n"
        "except Exception as e: print(type(e).__name__)\n"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(seen) == 1


# -- the range of exact integers -------------------------------------------------------------------


@pytest.mark.parametrize(("low", "high", "log"), [
    (0, 2**53, False), (-(2**53), 2**53, False), (0, 2**50, False),
    (1, 2**40, True), (1, 2**48, True), (1, 2**53, True),
])  # fmt: skip
def test_integers_that_coordinates_cannot_distinguish_are_refused(low, high, log):
    try:
        space = Space(x=Int(low, high, log=log))
    except SpaceError as error:
        assert "'x'" in str(error)
        return
    ends = [low + i for i in range(200)] + [high - i for i in range(200)]
    configs = [{"x": x} for x in ends] + space.sample(np.random.default_rng(0), 200)
    assert space.decode(space.encode(configs)[0]) == configs
