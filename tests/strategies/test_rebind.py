"""Rebound functions equal the originals, but draw from a private random generator."""

from __future__ import annotations

import random
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
from deap import tools

from metaopt.core.errors import StrategyError
from metaopt.core.seeds import stream
from metaopt_strategies.rebind import PrivateNumpy, numpy_state, python_random, rebind


def parents() -> tuple[list[float], list[float]]:
    return [0.1, 0.5, 0.9, 0.3], [0.8, 0.2, 0.4, 0.35]


def test_a_rebound_operator_equals_the_original_under_the_same_seed() -> None:
    state = random.getstate()
    try:
        random.seed(5)
        expected = tools.cxSimulatedBinaryBounded(*parents(), 10.0, 0.0, 1.0)
    finally:
        random.setstate(state)
    ours = rebind(tools.cxSimulatedBinaryBounded, random=random.Random(5))
    assert ours(*parents(), 10.0, 0.0, 1.0) == expected


def test_the_global_generator_is_not_touched() -> None:
    before, numpy_before = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    rng = stream(1, "test")
    own = python_random(rng)
    rebind(tools.mutPolynomialBounded, random=own)(parents()[0], 5.0, 0.0, 1.0, 1.0)
    PrivateNumpy(numpy_state(rng)).random.uniform()
    assert random.getstate() == before
    assert (np.random.get_state()[1] == numpy_before).all()  # noqa: NPY002


def test_threads_do_not_disturb_each_other() -> None:
    def mutate(seed: int) -> list[float]:
        mutation = rebind(tools.mutPolynomialBounded, random=random.Random(seed))
        genes = [0.5] * 10
        for _ in range(200):
            mutation(genes, 5.0, 0.0, 1.0, 0.5)
        return genes

    alone = [mutate(seed) for seed in range(4)]
    found: dict[int, list[float]] = {}
    threads = [
        threading.Thread(target=lambda s=seed: found.update({s: mutate(s)})) for seed in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[seed] for seed in range(4)] == alone


def test_names_inside_comprehensions_are_replaced_too() -> None:
    draw = rebind(tools.selection.selRandom, random=random.Random(3))
    own = random.Random(3)
    assert draw(range(10**9), 4) == [own.choice(range(10**9)) for _ in range(4)]


def test_a_name_that_the_function_does_not_use_is_rejected() -> None:
    with pytest.raises(StrategyError, match="no global 'numpy_random' to replace"):
        rebind(tools.cxUniform, numpy_random=None)
    with pytest.raises(StrategyError, match="Python function"):
        rebind(len)


@pytest.mark.parametrize("code", [
    "from metaopt_strategies.rebind import pyswarms_parts; pyswarms_parts()",
    """
    from threading import Thread
    from metaopt_strategies.rebind import pyswarms_parts
    threads = [Thread(target=pyswarms_parts) for _ in range(4)]
    [t.start() for t in threads]; [t.join() for t in threads]
    """,
    """
    from metaopt import Float, Space
    from metaopt_strategies.swarm import ParticleSwarm
    for topology in ("star", "ring"):
        strategy = ParticleSwarm(Space(x=Float(0, 1)), particles=3, topology=topology)
        for i in range(6):
            strategy.tell(strategy.ask()[0], float(i))
    """,
    """
    from metaopt import Categorical, Float, Space
    from metaopt_strategies.hosted_skopt import HostedSkopt
    strategy = HostedSkopt(Space(x=Float(0, 1), c=Categorical([1, 2])), n_initial_points=2)
    for i in range(4):
        strategy.tell(strategy.ask()[0], float(i))
    """,
    """
    from metaopt import Float, Space
    from metaopt_strategies.genetic import Genetic
    strategy = Genetic(Space(x=Float(0, 1)), population=2)
    for i in range(6):
        strategy.tell(strategy.ask()[0], float(i))
    """,
])  # fmt: skip
def test_global_state_of_the_process_is_unchanged(code: str, tmp_path) -> None:
    head = """
    import logging, os, random, numpy as np
    np.random.seed(1)
    def state():
        root = logging.getLogger()
        return (list(root.handlers), root.level, os.getcwd(), os.listdir("."), random.getstate(),
                np.random.get_state()[1].tolist(), np.random.get_state()[2])
    before = state()
    """
    program = textwrap.dedent(head) + textwrap.dedent(code) + "\nassert state() == before\n"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
