import dataclasses
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaopt.core.errors import StoreError
from metaopt.storage import (
    Added,
    Asked,
    Enqueued,
    Finished,
    MemoryEvents,
    Replay,
    Reported,
    Started,
    Told,
)
from metaopt.storage.events import KINDS, event_from_text, event_to_text
from metaopt.trials.records import Proposal, Result

laws = settings(derandomize=True, deadline=None, max_examples=150)
number = st.integers(0, 10**6)
any_float = st.floats()
time = st.floats(0, 4e9)
configs = st.dictionaries(
    st.text(max_size=4),
    st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e9) | st.text(max_size=4),
    max_size=3,
)
proposals = st.builds(
    Proposal, number, configs, st.integers(0, 2**31 - 1), st.sampled_from(["initial", "fallback"])
)
results = st.builds(
    Result,
    any_float,
    curve=st.lists(st.tuples(number, any_float), max_size=3),
    metrics=st.dictionaries(st.text(max_size=3), any_float, max_size=2),
) | st.builds(lambda m: Result.failed("timeout", m), st.text(max_size=9))
entries = st.lists(proposals, max_size=3).map(
    lambda ps: {
        "proposals": [p.to_json() for p in ps],
        "notes": [None] * len(ps),
        "base": [0, 0],
        "own": {"k": [1, 0.5, None, "x"]},
    }
)
events = st.one_of(
    st.builds(Enqueued, time, configs),
    st.builds(Asked, time, entries, st.booleans()),
    st.builds(Started, time, number, number, st.text(max_size=5)),
    st.builds(Reported, time, number, number, number | any_float, any_float),
    st.builds(Finished, time, number, number, results),
    st.builds(Told, time, number),
    st.builds(Added, time, proposals, results),
)


@laws
@given(events)
def test_an_event_is_unchanged_by_a_round_trip_through_text(event):
    text = event_to_text(event)
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    again = event_from_text(event.kind, event.time, text)
    assert type(again) is type(event) and repr(again) == repr(event)


def test_all_kinds_are_registered_and_immutable():
    assert set(KINDS) == {"enqueued", "asked", "started", "reported", "finished", "told", "added"}
    with pytest.raises(dataclasses.FrozenInstanceError):
        Told(0.0, 1).number = 2


@pytest.mark.parametrize(("kind", "text"), [
    ("told", "{"), ("told", "[]"), ("told", "{}"), ("told", '{"number": 1, "more": 2}'),
    ("finished", '{"number": 1}'), ("finished", '{"number": 1, "attempt": 1, "result": 7}'),
    ("finished", '{"number": 1, "attempt": 1, "result": {"status": "odd"}}'),
    ("reported", '{"number": 1, "attempt": 1, "step": "x", "value": 1}'), ("added", "null"),
])  # fmt: skip
def test_damaged_text_is_a_store_error_that_names_the_event(kind, text):
    with pytest.raises(StoreError, match=f"stored event '{kind}' is damaged"):
        event_from_text(kind, 0.0, text)


def test_an_unknown_kind_is_an_error_that_names_a_later_version():
    with pytest.raises(StoreError, match=r"'split'.*later metaopt"):
        event_from_text("split", 0.0, "{}")


# -- Replay: the state of a study from its events --------------------------------------------------


def asked(*numbers, batch=False, time=1.0):
    entry = {
        "proposals": [Proposal(n, {"x": n}, n).to_json() for n in numbers],
        "notes": [],
        "base": [0, 0],
        "own": None,
    }
    return Asked(time, entry, batch)


def test_replay_keeps_attempts_times_and_results():
    (record,) = Replay([
        asked(0), Started(2.0, 0, 1, "a"), Started(5.0, 0, 2, "b"),
        Finished(7.0, 0, 2, Result(1.5)), Told(8.0, 0),
    ]).trials  # fmt: skip
    assert (record.asked, record.started, record.finished) == (1.0, 5.0, 7.0)
    assert (record.attempts, record.worker, record.value) == (2, "b", 1.5)


def test_batches_are_groups_and_other_trials_are_groups_of_one():
    state = Replay([asked(0, 1, 2, batch=True), asked(3), asked(4, 5)])
    assert [state.group(n) for n in range(6)] == [[0, 1, 2]] * 3 + [[3], [4], [5]]


def test_told_keeps_the_order_of_telling_and_untold_holds_the_rest():
    added = Added(0, Proposal(3, {"x": 3}, 3, "added"), Result(0.5))
    state = Replay([asked(0, 1, 2), Told(0, 2), added, Told(0, 0)])
    assert state.told_numbers == [2, 3, 0] and list(state.untold) == [1]
    assert state.by_number[3].value == 0.5 and state.by_number[3].origin == "added"


@laws
@given(st.integers(0, 12))
def test_replaying_a_prefix_and_then_the_rest_equals_replaying_all(cut):
    events = [
        Enqueued(0, {"x": 1}), asked(0, 1, batch=True), Started(1, 0, 1, "w"),
        Reported(2, 0, 1, 1, math.nan), Started(3, 1, 1, "w"),
        Finished(4, 1, 1, Result.failed("timeout", "slow")), Started(5, 0, 2, "w"),
        Finished(6, 0, 2, Result(status="pruned")), Told(7, 0), Told(8, 1), asked(2),
        Added(9, Proposal(3, {"x": 3}, 3, "added"), Result(1.0)),
    ]  # fmt: skip
    part = Replay(events[:cut])
    for event in events[cut:]:
        part.apply(event)
    whole = Replay(events)
    assert (part.by_number, part.told_numbers, part.untold) == (
        whole.by_number,
        whole.told_numbers,
        whole.untold,
    )
    assert Replay(events).trials == [whole.by_number[n] for n in range(4)]


def test_events_in_memory_keep_their_order_and_iterate_over_a_copy():
    log = MemoryEvents()
    log.append(Told(0, 1), Told(0, 2), durable=False)
    seen = iter(log)
    log.append(Told(0, 3))
    assert [e.number for e in seen] == [1, 2]
    assert [e.number for e in log] == [1, 2, 3]
