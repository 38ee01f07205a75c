"""Trials that report, for tests of pruners."""

import random

from metaopt.pruning import ReportTracker

INF = float("inf")


def play(pruner, curves, *, lockstep=False, told=(), seed=0, direction="minimize", ask_every=1):
    """Run trials with these curves and a pruner; return the reports of each until it ended.

    One after the other in the given order, or all in lockstep, round by round.
    """
    tracker = ReportTracker(pruner, seed, direction)
    earlier = dict(told)
    if not lockstep:
        for number, curve in curves.items():
            earlier[number] = _alone(tracker, number, curve, dict(earlier), ask_every)
        return {n: earlier[n] for n in curves}
    shown = dict.fromkeys(curves, ())
    running = list(curves)
    for k in range(max(map(len, curves.values()))):
        running = [n for n in running if k < len(curves[n])]
        for n in running:
            shown[n] = tuple(curves[n][: k + 1])
        random.Random(k).shuffle(running)
        cohorts = {n: {m: c for m, c in shown.items() if m != n} for n in running}
        running = [n for n in running if not tracker.stops(n, shown[n], earlier, cohorts[n])]
    return shown


def _alone(tracker, number, curve, told, ask_every):
    for k in range(1, len(curve) + 1):
        shown = tuple(curve[:k])
        if k % ask_every == 0 and tracker.stops(number, shown, told, {}):
            return shown
    return tuple(curve)


def levels(n, steps, seed=0):
    """Curves that never cross: number -> ((1, v), (2, v), ...) with v a permutation of 0..n-1."""
    order = list(range(n))
    random.Random(seed).shuffle(order)
    return {i: tuple((s, float(v)) for s in range(1, steps + 1)) for i, v in enumerate(order)}


def noisy(n, steps, seed=0):
    """Noisy curves that decrease at different rates."""
    rng = random.Random(seed)
    out = {}
    for i in range(n):
        end, fall, rate = rng.random(), rng.random() * 3, rng.uniform(0.1, 1)
        out[i] = tuple((s, end + fall * s**-rate + rng.gauss(0, 0.02)) for s in range(1, steps + 1))
    return out


def reached(shown, level):
    """Numbers of the trials that continued beyond `level`."""
    return {n for n, curve in shown.items() if curve and curve[-1][0] > level}
