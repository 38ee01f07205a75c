"""Do the conclusions of a comparison hold what they promise?

    python studies/benchmark_statistics.py [--runs 1000]

Prints, from simulations through the code that `metaopt.compare` uses: how often a comparison of
equal strategies claims a difference, how often a claim points in the wrong direction, the power for
few problems, and how often each confidence interval holds the true value. It takes less than five
minutes on one core; the last column says what is required, and the exit code is 1 where it fails.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable

from statistics_bench import claims, coverage, effects

POWER = 0.85
WRONG = 0.005
COVERED = 0.94


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=1000, help="simulations per row")
    runs = parser.parse_args().runs
    return int(not all([_nulls(runs), _directions(runs), _power(runs), _coverage(runs)]))


def _print(title: str, header: str, lines: Iterable[str], verdict: str) -> None:
    print(f"\n{title}\n{header}")
    for line in lines:
        print(line)
    print(verdict, flush=True)


def _nulls(runs: int) -> bool:
    rows = list(claims.nulls(runs))
    most = claims.limit(runs)
    bad = [r for r in rows if r.any_claim > most]
    mean = sum(r.any_claim for r in rows) / len(rows)
    _print(
        "False claims: share of comparisons of equal strategies with any claim",
        f"{'values':<20}{'problems x repeats':<28}{'any claim':>10}",
        (f"{r.values:<20}{r.design!s:<28}{r.any_claim:>10.3f}" for r in rows),
        f"largest {max(r.any_claim for r in rows):.3f}, mean {mean:.3f}; required: at most 0.05"
        f" within the error of {runs} simulations ({most:.3f}): {_word(not bad)}",
    )
    return not bad


def _directions(runs: int) -> bool:
    rows = list(claims.differences(max(50, runs // 4)))
    made = sum(r.any_claim * r.runs for r in rows)
    wrong = sum(r.wrong * r.any_claim * r.runs for r in rows) / made
    worst = max(rows, key=lambda r: r.wrong * r.any_claim)
    good = wrong <= WRONG
    _print(
        "Directions: comparisons of strategies that differ by 0.7 or 1.5 standard deviations",
        f"{'values':<20}{'problems x repeats':<28}{'effect':>7}{'found':>8}{'wrong':>8}",
        (
            f"{r.values:<20}{r.design!s:<28}{r.effect:>7.1f}{r.power:>8.3f}{r.wrong:>8.4f}"
            for r in rows
        ),
        f"claims in the wrong direction: {wrong:.4f} of all (most: {worst.values},"
        f" {worst.design}); required: below {WRONG}: {_word(good)}",
    )
    return good


def _power(runs: int) -> bool:
    row = claims.power_of_strata(runs)
    good = row.power >= POWER
    _print(
        "Power at 5 problems x 10 repeats, 2 strategies, a difference of 0.7",
        "",
        [f"{row.power:.3f}"],
        f"required: at least {POWER}: {_word(good)}",
    )
    return good


def _coverage(runs: int) -> bool:
    runs = max(runs, 200)
    rows = [*coverage.table(runs), *effects.table(runs)]
    samples = {"importance": min(runs, effects.FORESTS), "hierarchical": runs // 4}

    def least(row: coverage.Row) -> float:
        error = 2.5 * (COVERED * (1 - COVERED) / samples.get(row.interval, runs)) ** 0.5
        return min(COVERED, row.level - error)

    # A stated level below the required one is honest; then the coverage must reach it.
    # "a12_interval, newcombe" is an option that is known not to keep its level near 0 and 1.
    judged = [r for r in rows if ", " not in r.interval]
    bad = [r for r in judged if r.covered < least(r)]
    named = sorted({f"{r.interval} ({r.values})" for r in bad})
    _print(
        "Coverage: share of intervals that hold the true value, beside the level that they state",
        f"{'interval':<28}{'values':<30}{'n':>4}{'stated':>9}{'covered':>9}",
        (f"{r.interval:<28}{r.values:<30}{r.n:>4}{r.level:>9.3f}{r.covered:>9.3f}" for r in rows),
        f"required: {COVERED} or more, or the stated level, within the error of the simulation,"
        f" in {len(judged)} rows:"
        f" {_word(not bad)}{': ' if named else ''}{', '.join(named)}",
    )
    return not bad


def _word(good: bool) -> str:
    return "reached" if good else "NOT reached"


if __name__ == "__main__":
    sys.exit(main())
