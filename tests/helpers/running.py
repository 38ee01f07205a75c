"""Objectives and summaries of studies that several tests use."""

import math
import sys
import time

from metaopt import Categorical, Float, Int, MedianPruner, Space, TrialPruned
from metaopt.study import Study
from metaopt.trials.records import Result

SPACE = Space(
    x=Float(-2, 2),
    rate=Float(1e-4, 1.0, log=True),
    n=Int(1, 9),
    kind=Categorical(["plain", "deep", True, 1]),
    depth=Int(1, 4, when={"kind": ["deep"]}),
    forbid=[{"kind": "plain", "n": [8, 9]}],
)


def cheap(trial):
    """Deterministic objective with all outcomes: value, NaN, exception, Result and pruning."""
    x, n = trial["x"], trial["n"]
    for step in range(1, 4):
        trial.report(x**2 + n / 10 + 1 / step, step)
        if trial.should_stop():
            if n % 2:
                raise TrialPruned
            return 0.0
    if trial.number % 7 == 3:
        return math.nan
    if trial.number % 7 == 5:
        raise ArithmeticError(f"x is {x:.3f}")
    value = x**2 + abs(math.log10(trial["rate"]) + 2) + n / 10 + trial.get("depth", 0)
    if n % 3 == 0:
        return Result(value, metrics={"test": value + 1}, data={"seed": trial.seed})
    return value


def pruner():
    return MedianPruner(min_trials=2)


def seen(study):
    """Return all that a resumed study must reproduce: proposals and results, without times."""
    return [
        (
            r.number,
            list(r.params.items()),
            [type(v) for v in r.params.values()],
            r.seed,
            r.origin,
            r.status,
            repr(r.value),
            repr(r.metrics),
            repr(r.curve),
            None
            if r.result is None or r.result.error is None
            else (r.result.error.kind, r.result.error.message),
        )
        for r in study.trials
    ]


def learnt(strategy):
    """Return all that the strategy was told, and its proposals."""
    told = [
        (o.number, o.note, repr(o.value), o.status, repr(o.curve)) for o in strategy.observations
    ]
    return (
        told,
        strategy.pending(),
        strategy.fallbacks,
        [entry["ask"] for entry in strategy.log if "ask" in entry],
    )


def main(path, strategy, n_trials, batch_size, with_pruner):
    """Run in a process that may be killed at any time."""

    def slow(trial):
        print("begins", trial.number, flush=True)
        time.sleep(0.002)
        return cheap(trial)

    Study(SPACE, strategy, seed=4).optimize(cheap, 4)  # import all modules that are loaded lazily
    study = Study(SPACE, strategy, storage=path, seed=3, pruner=pruner() if with_pruner else None)
    print("ready", flush=True)
    study.optimize(
        slow,
        n_trials,
        batch_size=batch_size,
        callbacks=[lambda s, r: print(r.number, flush=True)],
    )
    study.close()
    print("done", flush=True)


if __name__ == "__main__":
    _, path, strategy, n_trials, batch_size, with_pruner = sys.argv
    main(path, strategy, int(n_trials), int(batch_size) or None, with_pruner == "True")
