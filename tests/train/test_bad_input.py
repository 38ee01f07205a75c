"""Wrong input gives clear errors, alone and in a batch, without an effect on other trials."""

import numpy as np
import pytest
import torch
from populations import REAL, X, Y, outcome, trainer, trials
from torch import nn

from metaopt.core.errors import TrainingError

FLAT = {"y": REAL, "metrics": []}


def named(name):
    def metric(outputs, targets):
        return 1.0

    metric.__name__ = name
    return metric


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"X": np.ma.masked_greater(X, 2)}, "X is an array with masked values"),
        ({"y": np.ma.masked_equal(Y, 1)}, "y is an array with masked values"),
        (
            {"build": nn.Linear(7, 3)},
            "returns a new network for a configuration, got a network: Linear",
        ),
        ({"metrics": [named("a"), named("a")]}, "the metric name 'a' is used twice"),
        ({"metrics": [named("epochs")]}, "'epochs' is used twice or reserved"),
        (
            {"metrics": ["accuracy", named("test_accuracy")]},
            "'test_accuracy' is used twice or reserved",
        ),
        ({"evaluation_rows": True}, "evaluation_rows must be at least 1, got True"),
        ({"threads": True}, "threads must be 'auto', None or at least 1, got True"),
    ],
    ids=["masked X", "masked y", "network", "names", "reserved", "prefix", "rows", "threads"],
)
def test_wrong_arguments_are_refused_at_once(options, message):
    with pytest.raises(TrainingError, match=message):
        trainer(**options)


def test_bfloat16_inputs_keep_their_values():
    short = torch.tensor(X).bfloat16()
    expected = outcome(trainer(X=short.float())(trials([{}])[0]))
    assert outcome(trainer(X=short)(trials([{}])[0])) == expected


class Writes(nn.Module):
    """Doubles its inputs in place."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(7, 3)

    def forward(self, x):
        return self.dense(x.mul_(2))


def changes_targets(outputs, targets):
    return (outputs[:, 0] - targets.mul_(0.5)).square().mean()


def no_outputs(outputs, targets):
    return torch.zeros((), requires_grad=True).square()


def vector(outputs, targets):
    return outputs[:, 0]


def text(outputs, targets):
    return "good"


def raises(outputs, targets):
    raise ZeroDivisionError("in the metric")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"build": lambda c: Writes()}, "changes its inputs or targets in place"),
        ({"build": lambda c: Writes(), "engine": "traced"}, "changes its inputs or targets"),
        ({**FLAT, "loss": changes_targets}, "changes its inputs or targets in place"),
        ({**FLAT, "loss": changes_targets, "engine": "single"}, "changes its inputs or targets"),
        ({**FLAT, "loss": no_outputs}, "does not depend on the outputs"),
        ({"metric": vector}, "metric 'vector' must return one number, got tensor"),
        ({"metric": text}, "metric 'text' must return one number, got 'good'"),
        ({"metric": raises}, "in the metric"),
        ({"metrics": [raises]}, "in the metric"),
    ],
    ids=["network", "traced", "loss", "single loss", "constant", "vector", "text", "raises",
         "extra raises"],
)  # fmt: skip
def test_wrong_functions_fail_alone_and_in_a_batch(options, message):
    t = trainer(**options)
    (split,) = t._data.prepare(7, torch.device("cpu"))
    before = [x.clone() for part in (split.train, split.validation) for x in part]
    with pytest.raises((TrainingError, ZeroDivisionError), match=message):
        t(trials([{}])[0])
    found = dict(t.many(trials([{}, {"lr": 0.02}])))
    assert all(r.status == "failed" and message in r.error.message for r in found.values())
    after = [x for part in (split.train, split.validation) for x in part]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_metric_that_writes_does_not_change_shared_samples():
    def writes(outputs, targets):
        value = float((outputs.argmax(1) == targets).float().mean())
        outputs.zero_()
        targets.numpy()[:] = 0
        return value

    t = trainer(metric=writes, direction="maximize")
    expected = outcome(trainer(metric="accuracy")(trials([{}])[0]))
    assert outcome(t(trials([{}])[0])) == outcome(t(trials([{}])[0]))
    found = {k: outcome(r) for k, r in t.many(trials([{}, {}]))}
    assert found[0][1:3] == expected[1:3]
    assert found[0][3] == expected[3]
