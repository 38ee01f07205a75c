"""The result of `parameter_importance`: a mapping that says what is left over."""

import copy
import dataclasses
import json
import pickle
from collections.abc import Mapping

import numpy as np
import pytest

from metaopt import Float, Result, Space, Study, parameter_importance
from metaopt.importance import Importance
from metaopt.importance.words import alternative, caption

SPACE = Space(x=Float(0, 1), y=Float(0, 1), z=Float(0, 1))


def study_of(function, n=60, direction="minimize"):
    """A study in which trials 3, 13, ... were pruned and 5, 15, ... failed."""
    study, rng = Study(SPACE, "random", direction, seed=0), np.random.default_rng(0)
    for i in range(n):
        trial = study.ask()
        if i % 10 == 3:
            study.tell(trial, Result(None, "pruned"))
        elif i % 10 == 5:
            study.tell(trial, Result.failed("exception", "boom"))
        else:
            study.tell(trial, function(trial.params, rng))
    study.ask()  # a trial that is still running counts nowhere
    return study


STRONG = study_of(lambda c, rng: c["x"] + 0.3 * rng.normal() / 3.5)
NOISE = study_of(lambda c, rng: rng.normal())


@pytest.fixture(scope="module", params=["fanova", "ped-anova"])
def found(request):
    return parameter_importance(STRONG, request.param)


def test_it_is_a_mapping_as_before(found):
    assert isinstance(found, Mapping) and set(found) == {"x", "y", "z"} and len(found) == 3
    assert found["x"] == max(found.values()) and dict(found) == found == found.shares
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert json.loads(json.dumps(found)) == dict(found)
    assert sorted(found.items()) == sorted(dict(found).items())
    assert all(type(share) is float for share in found.values())


def test_it_does_not_change(found):
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.r2 = 0.5
    for change in (
        lambda: found.update(x=1.0),
        lambda: found.pop("x"),
        lambda: found.__setitem__("x", 1.0),
        found.clear,
    ):
        with pytest.raises(TypeError, match="does not change"):
            change()


def test_copies_and_pickles_keep_everything(found):
    for other in (copy.copy(found), copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert type(other) is Importance and other == found and repr(other) == repr(found)
        assert other.intervals == found.intervals and other.r2 == found.r2


def test_trials_without_a_value_are_counted():
    fanova, ped = (parameter_importance(STRONG, m) for m in ("fanova", "ped-anova"))
    assert (fanova.used, fanova.pruned, fanova.failed) == (48, 6, 6)
    assert (ped.used, ped.pruned, ped.failed) == (60, 6, 6)
    assert "48 trials (6 pruned and 6 failed trials left out), 95 % intervals: x 0." in repr(fanova)
    assert "60 trials (6 pruned and 6 failed trials not among the best): x 1.00" in repr(ped)
    text = caption({"fanova": fanova, "ped-anova": ped})
    assert "Left out, because they have no value: 6 pruned and 6 failed trials." in text
    assert "Counted as not among the best: 6 pruned and 6 failed trials." in text


def test_the_words_follow_the_numbers_of_a_strong_effect():
    both = {m: parameter_importance(STRONG, m) for m in ("fanova", "ped-anova")}
    left, right = both.values()
    assert left.beyond_chance == ("x",) and left.intervals["x"][0] > 0
    assert left.conclusion.startswith("x has an effect; whether ")
    assert right.conclusion == "x separates the best trials."
    assert f"Out-of-bag R2: {left.r2:.2f}." in caption(both)
    low, high = left.intervals["x"]
    assert f"fanova: x {left['x']:.2f} [{low:.2f}, {high:.2f}], " in alternative(both)
    assert f"not explained {left.unexplained:.2f}. ped-anova: x 1.00, " in alternative(both)
    total = sum(left.values()) + left.interactions + left.unexplained
    assert total == pytest.approx(1)


def test_noise_is_called_noise():
    both = {m: parameter_importance(NOISE, m) for m in ("fanova", "ped-anova")}
    left, right = both.values()
    assert left.beyond_chance == right.beyond_chance == () and not left.explains
    assert "These trials do not show that any parameter matters." in caption(both)
    assert "No parameter separates the best trials" in caption(both)
    assert "A parameter can matter on the left" not in caption(both)


def made(r2, low=0.0, names="xyz"):
    shares = dict.fromkeys(names, r2 / 10)
    ends = dict.fromkeys(names, (low, 0.9))
    parts = {"r2": r2, "interactions": 0.7 * r2, "unexplained": 1 - r2}
    return Importance(shares, "fanova", 100, intervals=ends, level=0.95, **parts)


def test_parameters_that_explain_only_together_are_not_called_noise():
    assert made(0.6).conclusion == (
        "No parameter is shown to have an effect alone; together they explain 0.60 of the variance."
    )
    assert made(0.02).conclusion == "These trials do not show that any parameter matters."
    assert made(1.0).explains and not made(0.0).explains
    assert made(0.6, low=0.01).conclusion == "x, y and z have an effect."
    assert made(0.03, low=0.01).conclusion == (
        "x, y and z may have an effect, but the forest explains 0.03 of the variance, no more than"
        " it would by chance."
    )
