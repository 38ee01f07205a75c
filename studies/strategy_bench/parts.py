"""The measurements: each is a function of (contestant, task, seed) that returns a JSON record.

A contestant's seed depends on the task's name, too, so that tasks do not share a Sobol sequence.
"""

from __future__ import annotations

import resource
import time
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from metaopt.space import Config
from strategy_bench import peers
from strategy_bench.tasks import Task

Record = dict[str, Any]
TRIALS = 100
CLAMP = 1e300  # stands for infinity, which JSON does not have


def seed_of(task: Task, seed: int) -> int:
    return (zlib.crc32(task.name.encode()) + 7919 * seed) % (2**31 - 1)


def search(name: str, task: Task, seed: int, trials: int = TRIALS, batch: int = 1) -> Record:
    """Return the values in the order of the trials, and the CPU seconds spent in ask and tell."""
    contestant = peers.make(name, task.space, trials, seed_of(task, seed))
    values: list[float] = []
    spent = 0.0
    while len(values) < trials:
        start = time.process_time()
        asked = contestant.ask(min(batch, trials - len(values)))
        spent += time.process_time() - start
        for config in asked:
            value = min(task.value(config), CLAMP)
            start = time.process_time()
            contestant.tell(value)
            spent += time.process_time() - start
            values.append(value)
    return {"values": values, "cpu": spent}


def noisy(name: str, task: Task, seed: int) -> Record:
    """Return the true regret of the recommended configuration after 50 and 100 noisy trials.

    The noise is Gaussian, 5 % of the interquartile range of the function's values.
    """
    sample = [task.value(c) for c in task.space.sample(np.random.default_rng(0), 500)]
    low, high = np.percentile(sample, [25, 75])
    noise = np.random.default_rng([seed, 1])
    contestant = peers.make(name, task.space, TRIALS, seed_of(task, seed))
    found = {}
    for trial in range(1, TRIALS + 1):
        (config,) = contestant.ask()
        contestant.tell(task.value(config) + 0.05 * (high - low) * noise.standard_normal())
        if trial in (50, 100):
            assert task.optimum is not None
            found[str(trial)] = task.value(contestant.recommend()) - task.optimum
    return {"regret": found}


def failing(name: str, task: Task, seed: int) -> Record:
    """Return the values where a third of the space fails, and how many proposals fail.

    The region is the third opposite to the optimum, on the axis where the optimum is farthest from
    the centre. `inside` is the fraction of the proposals after the first 30 that are in the region.
    """
    assert task.best is not None
    axis = max(task.best, key=lambda k: abs(task.best[k]))  # type: ignore[index]
    side = -np.sign(task.best[axis])

    def fails(config: Config) -> bool:
        return bool(side * config[axis] > 5.0 / 3.0)

    contestant = peers.make(name, task.space, TRIALS, seed_of(task, seed))
    values, inside = [], []
    for _ in range(TRIALS):
        (config,) = contestant.ask()
        inside.append(fails(config))
        value = None if inside[-1] else task.value(config)
        contestant.tell(value)
        values.append(CLAMP if value is None else value)
    return {"values": values, "inside": float(np.mean(inside[30:]))}


def suggestions(name: str, n: int, d: int, count: int, seed: int) -> tuple[float, float]:
    """Return CPU milliseconds per suggestion after n random points, and the peak memory in MB.

    A suggestion is ask and tell, including refits. The first one is not counted (warm-up).
    """
    from metaopt import problems

    space = problems.get(f"rosenbrock-{d}").space
    value = lambda c: float(problems.get(f"rosenbrock-{d}").objective(c))  # type: ignore  # noqa
    points = space.sample(np.random.default_rng([seed, n, d]), n)
    contestant = peers.make(name, space, None, seed)
    contestant.observe(points, [value(c) for c in points])
    spent = 0.0
    for turn in range(count + 1):
        start = time.process_time()
        (config,) = contestant.ask()
        middle = time.process_time()
        y = value(config)
        again = time.process_time()
        contestant.tell(y)
        if turn:
            spent += middle - start + time.process_time() - again
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return 1000.0 * spent / count, peak


def speed(n: int, d: int, count: int, against: str | None, repeats: int) -> Record:
    """Return the medians over repeats in which both contestants alternate."""
    ours: list[float] = []
    theirs: list[float] = []
    peak = 0.0
    for seed in range(repeats):
        ms, peak = suggestions("bayes", n, d, 20, seed)
        ours.append(ms)
        if against is not None:
            theirs.append(suggestions(against, n, d, count, seed)[0])
    record = {"n": n, "d": d, "ours": float(np.median(ours)), "peak": peak}
    if theirs:
        record |= {"theirs": float(np.median(theirs))}
    return record


def best_so_far(records: Sequence[Record], at: int) -> np.ndarray[Any, Any]:
    """Return the best of the first `at` values of each record."""
    return np.array([min(r["values"][:at]) for r in records])


def subset(held: int, task: Task, seed: int, observed: int = 2000, trials: int = 40) -> Record:
    """Search after `observed` random points, with a posterior of at most `held` points."""
    from metaopt_strategies.bayes import model

    usual = model.HELD
    model.HELD = held
    try:
        contestant = peers.make("bayes", task.space, None, seed_of(task, seed))
        points = task.space.sample(np.random.default_rng([seed, 2]), observed)
        values = [task.value(c) for c in points]
        contestant.observe(points, values)
        start = time.process_time()
        for _ in range(trials):
            (config,) = contestant.ask()
            values.append(task.value(config))
            contestant.tell(values[-1])
        return {"values": values, "cpu": (time.process_time() - start) / trials}
    finally:
        model.HELD = usual
