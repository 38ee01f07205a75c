"""The history of a study: curves of running, finished and interrupted trials."""

import pytest

from metaopt import Float, Result, Space, make_strategy
from metaopt.execution.history import History
from metaopt.storage import MemoryEvents

SPACE = Space(x=Float(0, 1))


def history(events, maximise):
    return History(make_strategy("random", SPACE), events, maximise=maximise)


@pytest.mark.parametrize("maximise", [False, True])
def test_curves_are_minimised_and_those_of_an_interrupted_attempt_are_discarded(maximise):
    sign, events = (-1 if maximise else 1), MemoryEvents()
    first = history(events, maximise)
    (number,) = first.ask(1, batch=False)
    first.start(number, "a")
    first.report(number, 9.0, 1)
    first.report(number, 8.0, 2)
    assert list(first.curve(number)) == [(1, sign * 9.0), (2, sign * 8.0)]

    again = history(events, maximise)  # as after a crash
    assert again.waiting(held=()) == [number]
    assert list(again.curve(number)) == []
    again.start(number, "b")
    assert list(again.curve(number)) == []
    again.report(number, 7.0, 1)
    assert list(again.curve(number)) == [(1, sign * 7.0)]
    again.finish(number, Result(1.0, curve=((1, 7.0), (2, 6.0))))
    assert list(again.curve(number)) == [(1, sign * 7.0), (2, sign * 6.0)]
    again.report(number, 5.0, 3)  # too late: the result stands
    assert list(again.curve(number)) == [(1, sign * 7.0), (2, sign * 6.0)]
    again.tell_ready(lambda record: None)
    assert again.told_curves[number] == again.curve(number)
    assert history(events, maximise).told_curves == again.told_curves


def test_a_pruner_reads_curves_without_copying_them():
    study = history(MemoryEvents(), maximise=True)
    (number,) = study.ask(1, batch=False)
    study.start(number, "a")
    study.report(number, 1.0, 1)
    assert study.curve(number) is study.curve(number)
