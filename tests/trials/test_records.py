import contextlib
import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaopt.core.errors import StudyError
from metaopt.trials.records import (
    Failure,
    Proposal,
    Result,
    TrialRecord,
    completed,
    number_from_json,
    number_to_json,
    plain,
    same_json,
    settle,
)

laws = settings(derandomize=True, deadline=None, max_examples=150)
any_float = st.floats(allow_nan=True, allow_infinity=True)
finite = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers() | finite | st.text(max_size=6)
trees = st.recursive(
    scalars | any_float,
    lambda t: st.lists(t, max_size=3) | st.dictionaries(st.text(max_size=4), t, max_size=3),
    max_leaves=8,
)
kinds = st.sampled_from(
    ["exception", "not_finite", "timeout", "out_of_memory", "worker_died", "abandoned"]
)


@st.composite
def results(draw):
    status = draw(st.sampled_from(["complete", "pruned", "failed"]))
    return Result(
        value=draw(any_float) if status == "complete" else None,
        status=status,
        metrics=draw(st.dictionaries(st.text(max_size=5), any_float, max_size=3)),
        curve=draw(st.lists(st.tuples(st.integers(0, 99) | finite, any_float), max_size=4)),
        seconds=draw(st.none() | st.floats(0, 1e9)),
        error=draw(st.builds(Failure, kinds, st.text(max_size=9))) if status == "failed" else None,
        data=draw(st.dictionaries(st.text(max_size=4), trees, max_size=3)),
    )


proposals = st.builds(
    Proposal,
    st.integers(0, 10**9),
    st.dictionaries(st.text(max_size=5), scalars, max_size=4),
    st.integers(0, 2**31 - 1),
    st.sampled_from(["initial", "strategy", "enqueued", "added", "fallback"]),
)


def exact(value):
    """A value as a text in which 1, 1.0 and True, and also NaN and None, are different."""
    return repr(value)


@laws
@given(results())
def test_a_result_survives_json_text_exactly(result):
    text = json.dumps(result.to_json(), allow_nan=False)
    again = Result.from_json(json.loads(text))
    assert exact(again) == exact(result)
    assert json.dumps(again.to_json(), allow_nan=False) == text


@laws
@given(proposals)
def test_a_proposal_survives_json_text_exactly(proposal):
    text = json.dumps(proposal.to_json(), allow_nan=False)
    again = Proposal.from_json(json.loads(text))
    assert again == proposal and exact(again) == exact(proposal)


@laws
@given(any_float)
def test_every_number_survives_json(x):
    again = number_from_json(json.loads(json.dumps(number_to_json(x), allow_nan=False)))
    assert exact(again) == exact(x)


def test_nan_and_infinities_are_kept_in_metrics_curve_and_data():
    result = Result(
        1.0,
        metrics={"a": math.nan, "b": -math.inf},
        curve=[(1, math.inf), (2, math.nan)],
        data={"folds": [math.nan, 1]},
    )
    again = Result.from_json(json.loads(json.dumps(result.to_json(), allow_nan=False)))
    assert math.isnan(again.metrics["a"]) and again.metrics["b"] == -math.inf
    assert again.curve[0] == (1, math.inf) and math.isnan(again.curve[1][1])
    assert again.data == {"folds": ["nan", 1]}


@laws
@given(results())
def test_negation_is_its_own_inverse_and_touches_values_only(result):
    there = result.negated()
    assert exact(there.negated()) == exact(result)
    assert there.metrics is not None and exact(there.metrics) == exact(result.metrics)
    assert there.status == result.status and there.error == result.error
    assert [s for s, _ in there.curve] == [s for s, _ in result.curve]


# -- reading outcomes ------------------------------------------------------------------------------


@laws
@given(any_float)
def test_a_number_settles_as_complete_if_finite_else_as_failed(x):
    result = settle(x)
    if math.isfinite(x):
        assert (result.status, result.value, result.error) == ("complete", x, None)
    else:
        assert (result.status, result.value) == ("failed", None)
        assert result.error.kind == "not_finite" and str(x) in result.error.message


@laws
@given(results())
def test_settling_is_idempotent_and_leaves_no_complete_result_without_a_number(result):
    settled = settle(result)
    assert exact(settle(settled)) == exact(settled)
    assert settled.value is None or math.isfinite(settled.value)
    assert (settled.status == "complete") == (settled.value is not None)
    assert settled.curve == result.curve and settled.metrics == result.metrics


@pytest.mark.parametrize("outcome", [
    None, "0.5", True, [1.0], {"value": 1}, 1j, object(), np.array([1.0, 2.0]), (1.0, 2.0),
], ids=lambda v: type(v).__name__)  # fmt: skip
def test_an_outcome_that_is_not_a_number_is_refused(outcome):
    with pytest.raises(StudyError, match="an objective returns a number or a Result, got"):
        settle(outcome)


def test_a_number_too_large_for_a_float_is_an_error():
    with contextlib.suppress(StudyError):
        assert settle(10**400).status == "failed"


def test_scalars_of_numpy_and_torch_become_native():
    torch = pytest.importorskip("torch")
    for two in (
        np.float32(2),
        np.int64(2),
        np.array(2.0),
        np.array([2]),
        torch.tensor(2.0),
        torch.tensor([2]),
    ):
        value = settle(two).value
        assert type(value) is float and value == 2.0
    result = Result(
        np.float64(1),
        metrics={"m": torch.tensor(0.5), np.str_("n"): np.float32(0.25)},
        curve=[(np.int64(1), torch.tensor(3.0)), (np.float64(2.5), np.float64(4))],
        seconds=np.float32(1),
        data={"a": np.arange(3), "b": np.float64(1), "c": (np.bool_(True),)},
    )
    flat = [result.value, result.seconds, *result.metrics.values(), *sum(result.curve, ())]
    assert [type(v) for v in flat] == [float, float, float, float, int, float, float, float]
    assert result.data == {"a": [0, 1, 2], "b": 1.0, "c": [True]}
    assert [type(k) for k in result.metrics] == [str, str]
    json.dumps(result.to_json(), allow_nan=False)


@pytest.mark.parametrize(("value", "expected"), [
    (np.array(1.5), 1.5), (np.array([[1, 2]]), [[1, 2]]), ({1: 2}, {"1": 2}), ((1, (2,)), [1, [2]]),
    (math.nan, "nan"), (-math.inf, "-inf"), (None, None), (True, True),
], ids=lambda v: type(v).__name__)  # fmt: skip
def test_data_becomes_plain_json(value, expected):
    found = plain(value)
    assert exact(found) == exact(expected)


@pytest.mark.parametrize("thing", [object(), {1, 2}, b"x", 1j, len], ids=lambda v: type(v).__name__)
def test_data_that_is_not_json_is_refused_with_its_place(thing):
    with pytest.raises(StudyError, match=r"data\['a'\]\[1\] must be JSON"):
        Result(1.0, data={"a": [0, thing]})


def test_equality_of_json_distinguishes_types():
    assert same_json({"a": 1, "b": [None]}, {"b": [None], "a": 1})
    assert not same_json({"a": 1}, {"a": True})
    assert not same_json([1], [1.0])
    assert not same_json({}, {"a": None})


# -- definitions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "parts"), [
    (lambda: Result(None), ["complete result needs a value"]),
    (lambda: Result(1.0, "pruned"), ["pruned result has no value", "1.0"]),
    (lambda: Result(1.0, "failed"), ["failed result has no value", "1.0"]),
    (lambda: Result(1.0, "done"), ["status", "complete, pruned, failed", "'done'"]),
    (lambda: Result(1.0, error=Failure("timeout")), ["complete result has no error"]),
    (lambda: Result("1"), ["value must be a number", "'1'", "str"]),
    (lambda: Result(True), ["value must be a number", "True"]),
    (lambda: Result(1.0, metrics={"acc": "high"}), ["metric 'acc'", "number", "'high'"]),
    (lambda: Result(1.0, curve=[(1, None)]), ["report", "number", "None"]),
    (lambda: Result(1.0, curve=[("a", 1)]), ["step", "number", "'a'"]),
    (lambda: Result(1.0, seconds="long"), ["seconds", "number", "'long'"]),
    (lambda: Failure("boom"), ["kind", "exception", "'boom'"]),
])  # fmt: skip
def test_a_result_that_contradicts_itself_is_refused(make, parts):
    with pytest.raises(StudyError) as caught:
        make()
    for part in parts:
        assert part in str(caught.value)


def test_a_failed_result_always_has_an_error():
    assert Result(status="failed").error == Failure("exception", "")
    result = Result.failed("timeout", "too long", seconds=3)
    assert (result.status, result.error.kind, result.error.message) == (
        "failed",
        "timeout",
        "too long",
    )
    assert result.seconds == 3.0


def test_records_are_immutable_and_copy_their_arguments():
    metrics, data, curve, config = {"a": 1.0}, {"k": [1]}, [(1, 2.0)], {"x": 1}
    result = Result(1.0, metrics=metrics, data=data, curve=curve)
    proposal = Proposal(0, config, 5)
    record = TrialRecord(proposal, result)
    metrics["a"] = 9.0
    data["k"].append(2)
    curve.append((2, 3.0))
    assert (result.metrics, result.data, result.curve) == ({"a": 1.0}, {"k": [1]}, ((1, 2.0),))
    record.params["x"] = 9
    assert record.params == {"x": 1}
    for value, field in (
        (result, "value"),
        (proposal, "seed"),
        (record, "attempts"),
        (Failure("timeout"), "kind"),
    ):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field, 1)


def test_a_record_has_the_properties_of_its_proposal_and_result():
    waiting = TrialRecord(Proposal(3, {"x": 1}, 7, "initial"))
    assert (waiting.number, waiting.params, waiting.config, waiting.seed, waiting.origin) == (
        3,
        {"x": 1},
        {"x": 1},
        7,
        "initial",
    )
    assert (waiting.status, waiting.value, waiting.curve, waiting.metrics, waiting.seconds) == (
        "waiting",
        None,
        (),
        {},
        None,
    )
    assert dataclasses.replace(waiting, started=1.0).status == "running"
    done = dataclasses.replace(waiting, result=Result(2.0, metrics={"m": 1}, curve=[(1, 3)]))
    assert (done.status, done.value, done.metrics, done.curve) == (
        "complete",
        2.0,
        {"m": 1.0},
        ((1, 3.0),),
    )
    pruned = dataclasses.replace(waiting, result=Result(status="pruned"))
    assert completed([waiting, done, pruned]) == [done]
