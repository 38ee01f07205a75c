"""Objectives with `stream`, and summaries of studies, for the tests of slots."""

import math

from metaopt.trials.records import Result

LONGEST = 9


def falling(trial, step):
    """Return a report of a falling curve with bumps; its rate depends on the trial."""
    bump = 0.7 * math.sin(7 * step + trial.number)
    return trial["x"] ** 2 / 2 + trial["n"] / 9 + 8 / step ** (trial["rate"] + 0.5) + bump


def ends(trial, step):
    """Return the outcome of a trial that ends at this step, or None to continue."""
    if trial.number % 7 == 5 and step == 3:
        return Result.failed("exception", f"x is {trial['x']:.3f}")
    if trial.number % 5 == 4 and step == 2:
        return math.nan
    return falling(trial, step) if step == LONGEST - 2 * (trial["n"] % 4) else None


class Streaming:
    """Trials of different lengths; `passes` holds the running trials at each tick."""

    def __init__(self):
        self.passes, self.calls = [], 0

    def __call__(self, trial):
        for step in range(1, LONGEST + 1):
            trial.report(falling(trial, step), step)
            if trial.should_stop():
                return Result(status="pruned")
            ended = ends(trial, step)
            if ended is not None:
                return ended
        raise AssertionError("it should have ended")

    def stream(self, arrivals):
        self.calls += 1
        running, steps = {}, {}
        for starting in arrivals:
            running.update((trial.number, trial) for trial in starting)
            self.passes.append(sorted(running))
            for number, trial in running.items():
                steps[number] = steps.get(number, 0) + 1
                trial.report(falling(trial, steps[number]), steps[number])
            stopped = [number for number, trial in running.items() if trial.should_stop()]
            for number, trial in list(running.items()):
                ended = ends(trial, steps[number])
                if number in stopped:
                    ended = Result(status="pruned")
                if ended is not None:
                    del running[number]
                    yield number, ended


def told(study):
    """Return the order of telling, which a resumed study must also reproduce."""
    return [record.number for record in study.told]
