import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaopt.core.errors import TrainingError
from metaopt.train.settings.early_stopping import EarlyStopping, Tracker


def follow(values, direction="minimize", **options):
    """Return the epoch after which training stops (or None) and the tracker."""
    tracker = Tracker(EarlyStopping(**options), direction)
    for epoch, value in enumerate(values, 1):
        tracker.update(value, epoch)
        if tracker.exhausted:
            return epoch, tracker
    return None, tracker


def test_patience_counts_epochs_without_an_improvement():
    assert follow([3, 2, 2, 2, 1], patience=2)[0] == 4
    assert follow([3, 2, 2, 1, 1, 1], patience=3)[0] is None
    assert follow([1] * 50, patience=None)[0] is None


def test_a_value_worse_than_a_negative_best_is_no_improvement():
    # With a threshold best * (1 - delta), -9.9995 would count as better than -10.
    stop, tracker = follow([-10, -9.9995, -9.9999], patience=2, min_delta=1e-4)
    assert stop == 3
    assert (tracker.best, tracker.best_epoch) == (-10, 1)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_improvements_are_relative_to_the_absolute_best(direction):
    sign = 1 if direction == "minimize" else -1
    for scale in (100, -100):
        small, large = scale - sign * 0.5, scale - sign * 2
        assert follow([scale, small], direction, patience=1, min_delta=0.01)[0] == 2
        assert follow([scale, large], direction, patience=1, min_delta=0.01)[0] is None


def test_small_improvements_add_up():
    values = [1 - 0.006 * k for k in range(20)]
    assert follow(values, patience=2, min_delta=0.01)[0] is None
    assert follow(values, patience=1, min_delta=0.01)[0] == 2


def test_the_best_epoch_counts_improvements_below_min_delta():
    _, tracker = follow([1.0, 0.9999, 0.9999], patience=5, min_delta=0.1)
    assert (tracker.best, tracker.best_epoch) == (0.9999, 2)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.integers(1, 5), st.floats(0, 0.5))
def test_maximising_is_minimising_the_negative(values, patience, delta):
    a, low = follow(values, "minimize", patience=patience, min_delta=delta)
    b, high = follow([-v for v in values], "maximize", patience=patience, min_delta=delta)
    assert a == b
    assert (low.best, low.best_epoch) == (-high.best, high.best_epoch)
    assert low.best == min(values[: a or len(values)])


@pytest.mark.parametrize("options", [{"patience": 0}, {"patience": 1.5}, {"min_delta": -1}])
def test_wrong_options_are_refused(options):
    with pytest.raises(TrainingError, match=next(iter(options))):
        EarlyStopping(**options)
