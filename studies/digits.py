"""Which strategy tunes a small PyTorch network on handwritten digits best?

Tunes a multi-layer perceptron (optimizer, learning rate, schedule, batch size, penalties, dropout,
depth, width, activation: a mixed, conditional space) with random search and four strategies that
learn, in paired repeats, and reports which are better than random search. You can stop it at any
time: the same command resumes it.

    python studies/digits.py [--trials 25] [--repeats 36] [--workers 2] [--folder results/digits]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import metaopt

STRATEGIES = ("random", "bayes", "genetic", "pso", "tabu")
EFFECTS = (0.6, 0.8)  # differences from random search, in standard deviations of the differences


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=25, help="trials per run")
    parser.add_argument("--repeats", type=int, default=36, help="paired runs per strategy")
    parser.add_argument("--workers", type=int, default=2, help="number of worker processes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("results/digits"))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    runs = len(STRATEGIES) * given.repeats
    print(
        f"Tuning a network on digits: {len(STRATEGIES)} strategies x {given.repeats} repeats"
        f" x {given.trials} trainings, {given.workers} at a time ({runs} studies in"
        f" {given.folder / 'studies.db'}; the same command resumes).",
        flush=True,
    )
    print(_power(given.repeats), flush=True)
    try:
        comparison = metaopt.compare(
            STRATEGIES, "digits", n_trials=given.trials, repeats=given.repeats, seed=given.seed,
            storage=given.folder / "studies.db", workers=given.workers, progress=True,
        )  # fmt: skip
    except KeyboardInterrupt:
        print("\nInterrupted; finished trainings are stored. The same command resumes.")
        return 130
    except metaopt.MetaoptError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    comparison.print()
    print(f"Report: {comparison.report(given.folder / 'report')}")
    return 0


def _power(repeats: int) -> str:
    """What the design can show, before any run."""
    tests = len(STRATEGIES) - 1
    found = [
        metaopt.stats.power("wilcoxon", effect, repeats, comparisons=tests) for effect in EFFECTS
    ]
    told = " and ".join(
        f"{p.effect:g} standard deviations with probability {p.power:.2f}" for p in found
    )
    return (
        f"Power: with {repeats} repeats and {tests} tests against random, a strategy is found to"
        f" differ by {told} (stats.power)."
    )


if __name__ == "__main__":
    sys.exit(main())
