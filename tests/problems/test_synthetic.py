import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import qmc

from metaopt import problems
from metaopt.core import seeds
from metaopt.core.errors import UnknownNameError
from metaopt.problems import synthetic
from metaopt.space import Categorical, Float
from metaopt.trials.trial import fixed_trial

CONTINUOUS = ["sphere", "rosenbrock", "rastrigin", "ackley", "branin", "hartmann6"]
SIZED = ["sphere-2", "rosenbrock-3", "rastrigin-10", "ackley-1"]
NOISY = "noisy-hartmann6"
SHIFTED = ["sphere", "rastrigin", "ackley", "sphere-1000"]


def noise_free(problem):
    return getattr(problem.objective, "exact", problem.objective)


@pytest.mark.parametrize("name", [*synthetic.NAMES, *SIZED])
def test_the_recorded_optimiser_gives_the_recorded_optimum(name):
    known = synthetic.known(name)
    space, optimum = known.problem.space, known.problem.optimum
    assert space.validate(known.optimiser) == known.optimiser
    assert noise_free(known.problem)(known.optimiser) == pytest.approx(optimum, abs=1e-9)
    assert known.problem.name == name and known.problem.direction == "minimize"


@pytest.mark.parametrize("name", [*CONTINUOUS, *SIZED])
def test_none_of_100000_points_lies_below_the_recorded_minimum(name):
    known = synthetic.known(name)
    box = list(known.problem.space.parameters.values())
    low, high = np.array([p.low for p in box]), np.array([p.high for p in box])
    at = known.problem.objective.at
    sobol = qmc.Sobol(len(box), rng=np.random.default_rng(0)).random_base2(17)[:100_000]
    near = np.array(list(known.optimiser.values())) + 1e-3 * (sobol - 0.5) * (high - low)
    for X in (low + (high - low) * sobol, np.clip(near, low, high)):
        assert at(X).min() >= known.problem.optimum - 1e-12


@pytest.mark.parametrize("name", ["mixed", "conditional"])
def test_none_of_100000_random_configurations_lies_below_the_recorded_minimum(name):
    problem = problems.get(name)
    configs = problem.space.sample(seeds.stream(0, name), 100_000)
    assert min(map(problem.objective, configs)) >= problem.optimum
    near = problem.space.neighbours(synthetic.known(name).optimiser, seeds.stream(1), 0.01)
    assert all(problem.objective(c) > problem.optimum for c in near)


def test_published_values_of_the_formulas():
    # Surjanovic and Bingham, Virtual Library of Simulation Experiments; hand computation.
    at = {name: synthetic.known(name).problem.objective.formula for name in CONTINUOUS}
    assert at["branin"](np.array([[-math.pi, 12.275], [9.42478, 2.475]])) == pytest.approx(0.397887)
    assert at["hartmann6"](np.array([synthetic.HARTMANN_P[2]])) < -2.9
    assert at["rosenbrock"](np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 4.0]])).tolist() == [2.0, 101.0]
    assert at["rastrigin"](np.array([[0.5, 1.0]])) == pytest.approx(0.25 + 20 + 1)
    assert at["sphere"](np.array([[3.0, 4.0]])) == 25
    value = 20 - 20 * math.exp(-0.2) + math.e - math.exp(1.0)
    assert at["ackley"](np.array([[1.0, -1.0]])) == pytest.approx(value)


@pytest.mark.parametrize("name", SHIFTED)
def test_shifted_optima_are_far_from_centre_borders_and_each_other(name):
    known = synthetic.known(name)
    unit, _ = known.problem.space.encode([known.optimiser])
    away = np.abs(unit - 0.5)
    assert away.min() >= 0.149 and away.max() <= 0.351
    assert len(set(known.optimiser.values())) == len(known.optimiser)


def test_a_family_reads_its_dimension_from_the_name():
    assert len(problems.get("sphere").space) == synthetic.DEFAULT_DIM == 5
    assert len(problems.get("rastrigin-12").space) == 12
    assert problems.get("ackley-2").name == "ackley-2"
    # The first coordinates do not depend on the dimension.
    small, large = synthetic.known("sphere-2").optimiser, synthetic.known("sphere-7").optimiser
    assert small.items() <= large.items()


@pytest.mark.parametrize("name", synthetic.NAMES)
def test_problems_survive_pickling_and_return_native_floats(name):
    problem = problems.get(name)
    objective = pickle.loads(pickle.dumps(problem.objective))
    for config in problem.space.sample(seeds.stream(2), 20):
        value = problem.objective(fixed_trial(config))
        assert type(value) is float and math.isfinite(value)
        assert objective(fixed_trial(config)) == value


def test_in_the_mixed_problem_the_best_rate_depends_on_the_optimizer():
    objective = problems.get("mixed").objective
    base = {"depth": 3, "width": 64}

    def loss(optimizer, lr):
        return objective({**base, "optimizer": optimizer, "lr": lr})

    for optimizer, rate in synthetic.MIXED_RATE.items():
        others = [r for r in synthetic.MIXED_RATE.values() if r != rate]
        assert all(loss(optimizer, rate) < loss(optimizer, r) for r in others)
    # A wide net wants fewer layers than a narrow one.
    adam = {"optimizer": "adam", "lr": synthetic.MIXED_RATE["adam"]}
    best = {
        width: min(range(1, 7), key=lambda d: objective({**adam, "width": width, "depth": d}))
        for width in (16, 256)
    }
    assert best == {16: 5, 256: 1}


def test_the_conditional_problem_nests_conditions_and_uses_every_parameter():
    problem = problems.get("conditional")
    space = problem.space
    assert space["momentum"].when == {"optimizer": ("sgd",)}
    assert space["optimizer"].when == {"model": ("net",)}
    configs = space.sample(seeds.stream(3), 300)
    for name in space.names:
        config = next(c for c in configs if name in c)
        parameter = space[name]
        if isinstance(parameter, (Float, Categorical)) and name not in ("model", "optimizer"):
            changed = {**config, name: parameter.from_unit(np.array([0.123]))[0]}
            assert problem.objective(changed) != problem.objective(config)
    assert {"linear", "tree", "net"} == {c["model"] for c in configs}


def test_the_noise_is_a_function_of_the_trials_seed_and_averages_out():
    problem, known = problems.get(NOISY), synthetic.known(NOISY)
    draws = [problem.objective(fixed_trial(known.optimiser, seed=s)) for s in range(2000)]
    assert problem.objective(fixed_trial(known.optimiser, seed=7)) == draws[7]
    assert len(set(draws)) == 2000
    deviation = problem.objective.deviation
    assert np.mean(draws) == pytest.approx(problem.optimum, abs=4 * deviation / math.sqrt(2000))
    assert np.std(draws) == pytest.approx(deviation, rel=0.1)


@pytest.mark.parametrize(
    "name",
    ["spere", "branin-3", "sphere-0", "sphere-", "sphere-1001", "rosenbrock-1", "", None, []],
)
def test_an_unknown_name_is_refused_with_those_that_exist(name):
    with pytest.raises(UnknownNameError, match=r"unknown problem .*known: .*branin.*sphere"):
        problems.get(name)


def test_every_problem_is_listed_once_and_described_in_one_line():
    names, lines = problems.names(), problems.describe()
    assert set(synthetic.NAMES) <= set(names) and len(set(names)) == len(names)
    assert list(lines) == names
    assert all(text and "\n" not in text for text in lines.values())


def test_listing_problems_loads_neither_torch_nor_sklearn():
    code = (
        "import sys; from metaopt import problems\n"
        "problems.names(), problems.describe(), problems.get('sphere')\n"
        "late = {m.split('.')[0] for m in sys.modules} & {'torch', 'sklearn', 'pandas'}\n"
        "assert not late, late\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
