import subprocess
import sys

import cloudpickle
import numpy as np
import pytest

from metaopt.core.errors import MetaoptError
from metaopt.problems.problem import LazyObjective, Problem
from metaopt.problems.training import TRAINING
from metaopt.space import Float, Space
from metaopt.trials.trial import fixed_trial


@pytest.mark.parametrize("name", TRAINING)
def test_every_configuration_of_a_training_problem_can_be_trained(name):
    problem = TRAINING[name](epochs=2)
    objective = problem.objective
    sent = cloudpickle.loads(cloudpickle.dumps(objective))
    for number, config in enumerate(problem.space.sample(np.random.default_rng(1), 12)):
        result = objective(fixed_trial(config, seed=number, data_seed=0))
        assert result.status == "complete", result.error
        assert "test" in result.metrics
        assert name == "diabetes" or 0 <= result.metrics["test_accuracy"] <= 1
    again = sent(fixed_trial(config, seed=number, data_seed=0))
    assert (again.value, again.curve) == (result.value, result.curve)
    assert objective.made.direction == problem.direction


@pytest.mark.parametrize("name", TRAINING)
def test_a_sensible_configuration_beats_the_constant_prediction(name):
    config = {
        "optimizer": "adam", "lr": 0.01, "schedule": "cosine", "batch_size": 32, "l1": 1e-6,
        "l2": 1e-5, "dropout": 0.1, "depth": 1, "width": 64, "activation": "relu",
    }  # fmt: skip
    problem = TRAINING[name]()
    problem.space.validate(config)
    constant = {"digits": np.log(10), "breast_cancer": 0.66, "diabetes": 1.0}[name]
    assert problem.objective(fixed_trial(config)).value < 0.7 * constant


def test_listing_loads_neither_torch_nor_data():
    code = """
import sys
from metaopt.problems.training import TRAINING
problems = [make() for make in TRAINING.values()]
assert [p.name for p in problems] == list(TRAINING)
assert all(p.description for p in problems)
assert not {"torch", "sklearn"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_lazy_objective_is_made_once_and_not_pickled():
    made = []

    def make():
        made.append(1)
        return lambda trial: trial["x"] ** 2

    lazy = LazyObjective(make)
    assert not made
    assert [lazy(fixed_trial({"x": x})) for x in (2.0, 3.0)] == [4.0, 9.0]
    assert made == [1]
    assert cloudpickle.loads(cloudpickle.dumps(lazy))(fixed_trial({"x": 5.0})) == 25.0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"space": {"x": 1}}, "problem 'p': space must be a Space"),
        ({"objective": 3}, "problem 'p': objective must be callable, got 3"),
        ({"direction": "down"}, "problem 'p': direction must be 'minimize' or 'maximize'"),
    ],
)
def test_a_problem_checks_its_fields(fields, message):
    good = {"name": "p", "space": Space(x=Float(0, 1)), "objective": len}
    with pytest.raises(MetaoptError, match=message):
        Problem(**{**good, **fields})
