"""How good and how fast is `bayes`, compared with widely used optimizers?

Parts, each of which can be run separately:
    quality  regret after 25, 50 and 100 trials on many problems, for all contestants
    speed    CPU time per suggestion, compared with Optuna's GPSampler
    batch    batches of 8 trials compared with one trial at a time
    noise    the true value of the recommended configuration under noise
    late     300 trials in 10 dimensions, compared with CMA-ES
    failing  a third of the space fails
    subset   the cost of limiting the posterior to 1,000 points

    pip install -e '.[bench]'
    python studies/benchmark_strategies.py [PART ...] [--full] [--seeds 0:5] [--out DIR]

Without --full it takes some minutes: one seed, fast contestants, and tables on the terminal. With
--full it takes hours and writes benchmark_strategies.md next to this file. A run that is recorded
in DIR is not repeated; the tables are computed from all records there.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

from strategy_bench import parts, peers, report, tasks
from strategy_bench.tasks import Task

Runs = dict[tuple[str, str], list[parts.Record]]
HERE = Path(__file__).parent
SEEDS = "The number of seeds is given below each table."
QUICK = ("bayes", "random", "optuna-tpe", "cmaes", "optuna-gp")
SLOW = ("skopt",)
LACKING = "Left out: its tasks need the package ioh."
SHOWN = ("seeds", "contestants")
HELD = ("250", "500", "1000", "2000")


class Bench:
    """The recorded runs of a folder; runs that are missing are made.

    Args:
        folder: folder of the records.
        seeds: seeds to run.
        full: whether to run the slow tasks and cases, too.
    """

    def __init__(self, folder: Path, seeds: Sequence[int], full: bool) -> None:
        self.folder, self.seeds, self.full = folder, seeds, full
        self.counts: dict[str, int] = {}  # fewest seeds of any task, by contestant

    def record(self, name: str, make: Callable[[], parts.Record]) -> parts.Record:
        """Return the record with this name; call `make` if there is none."""
        file = self.folder / f"{name}.json"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            found = make()
            draft = file.with_suffix(".part")
            draft.write_text(json.dumps(found), encoding="utf-8")
            draft.replace(file)  # atomic: an interrupted run leaves no partial record
            print(name, flush=True)
        loaded: parts.Record = json.loads(file.read_text(encoding="utf-8"))
        return loaded

    def runs(
        self,
        part: str,
        names: Sequence[str],
        makers: Sequence[Callable[[], Task]],
        run: Callable[[str, Task, int], parts.Record],
    ) -> Runs:
        """Return all runs by contestant and task, also recorded ones with other seeds."""
        runs: Runs = defaultdict(list)
        for make in makers:
            task = make()
            about = {"group": task.group, "optimum": task.optimum}
            for name in names:
                stem = f"{part}/{name}__{task.name}__"
                for seed in self.seeds:
                    self.record(
                        f"{stem}{seed}",
                        lambda name=name, task=task, seed=seed: run(name, task, seed),  # type: ignore[misc]
                    )
                for file in sorted(self.folder.glob(f"{stem}*.json")):
                    found = json.loads(file.read_text(encoding="utf-8"))
                    runs[name, task.name].append(found | about)
                least = len(runs[name, task.name])
                self.counts[name] = min(least, self.counts.get(name, least))
        return runs

    def table(self, part: str, names: Sequence[str]) -> str:
        """Run a part and return its section of the report."""
        self.counts = {}
        text = getattr(self, part)(names)
        seeds = ", ".join(f"{name} {count}" for name, count in sorted(self.counts.items()))
        return f"\n## {part}\n\n{text}" + (f"\n\nSeeds recorded: {seeds}." if seeds else "")

    # -- the parts -------------------------------------------------------------------------------

    def quality(self, names: Sequence[str]) -> str:
        return report.quality(self.runs("quality", names, tasks.quality(self.full), parts.search))

    def speed(self, names: Sequence[str]) -> str:
        against = "optuna-gp" if "optuna-gp" in names else None
        repeats = 5 if self.full else 1
        cases = [(100, 5, 20, repeats), (100, 10, 20, repeats)]
        if self.full:  # 5000 comes first, so that its peak memory does not include GPSampler's
            cases = [(5000, 10, 0, 1), *cases, (100, 7, 20, repeats), (1000, 10, 3, 3)]
        records = [
            self.record(
                f"speed/{n}-{d}",
                lambda n=n, d=d, k=k, r=r: parts.speed(n, d, k, against if k else None, r),
            )  # type: ignore[misc]
            for n, d, k, r in cases
        ]
        return report.speed(records)

    def batch(self, names: Sequence[str]) -> str:
        makers = tasks.functions([*tasks.ROUGH[1:], (12, 5), (17, 5)])
        if not makers:
            return LACKING
        one = self.runs("single", ["bayes"], makers, lambda *a: parts.search(*a, trials=96))
        eight = self.runs(
            "eight", ["bayes"], makers, lambda *a: parts.search(*a, trials=96, batch=8)
        )
        random = self.runs("quality", ["random"], makers, parts.search)
        return report.batch(one, eight, random)

    def noise(self, names: Sequence[str]) -> str:
        chosen = [n for n in names if n in ("bayes", "optuna-gp", "optuna-tpe")]
        makers = tasks.functions(tasks.ROUGH)
        return report.noise(self.runs("noise", chosen, makers, parts.noisy)) if makers else LACKING

    def late(self, names: Sequence[str]) -> str:
        chosen = [n for n in names if n in ("bayes", "cmaes")]
        makers = tasks.functions(tasks.LATE)
        if not makers:
            return LACKING
        return report.late(
            self.runs("late", chosen, makers, lambda *a: parts.search(*a, trials=300))
        )

    def failing(self, names: Sequence[str]) -> str:
        makers = tasks.functions(tasks.ROUGH)
        if not makers:
            return LACKING
        plain = self.runs("quality", ["bayes"], makers, parts.search)
        return report.failing(self.runs("failing", ["bayes"], makers, parts.failing), plain)

    def subset(self, names: Sequence[str]) -> str:
        makers = [lambda n=n: tasks.own(n) for n in ("rosenbrock-10", "ackley-10", "hartmann6")]
        return report.subset(
            self.runs("subset", HELD, makers, lambda h, *a: parts.subset(int(h), *a))
        )


PARTS = ("quality", "speed", "batch", "noise", "late", "failing", "subset")


def present(names: Sequence[str]) -> list[str]:
    """Return the contestants that are installed; print which packages the others need."""
    for name in names:
        package = peers.missing(name)
        if package:
            print(f"{name} is left out; it needs {package}: pip install metaopt-engine[bench]")
    return [name for name in names if peers.missing(name) is None]


def versions() -> str:
    found = []
    for package in ("numpy", "scipy", "optuna", "cmaes", "scikit-optimize", "ioh"):
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"no {package}")
    return f"Python {platform.python_version()}, {', '.join(found)}; one thread."


def main() -> int:
    import torch

    torch.set_num_threads(1)  # Optuna's GPSampler uses torch
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of {', '.join(PARTS)}")
    parser.add_argument("--full", action="store_true", help="run everything and write the report")
    parser.add_argument("--seeds", help="FIRST:END (default 0:1, with --full 0:5)")
    parser.add_argument("--contestants", help="comma-separated; with bayes and random")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "strategies")
    given = parser.parse_args()
    unknown = sorted(set(given.parts) - set(PARTS))
    if unknown:
        parser.error(f"unknown part: {', '.join(unknown)}; choose from {', '.join(PARTS)}")
    first, end = map(int, (given.seeds or ("0:5" if given.full else "0:1")).split(":"))
    names: Any = given.contestants.split(",") if given.contestants else QUICK
    if given.full and not given.contestants:
        names = [*QUICK, *SLOW]
    if not {"bayes", "random"} <= set(names):
        parser.error("contestants must include bayes and random: regrets are relative to them")
    bench, names = Bench(given.out, range(first, end), given.full), present(names)
    options = "".join(f" --{k} {v}" for k, v in vars(given).items() if v and k in SHOWN)
    command = f"python studies/benchmark_strategies.py --full{options}"
    title = f"# {__doc__.splitlines()[0]}"
    text = [
        f"{title}\n\nMade by `{command}` from all records in its folder; {versions()} {SEEDS}\n"
    ]
    for part in given.parts or PARTS:
        text.append(bench.table(part, names))
        print(text[-1], flush=True)
    if given.full:
        (HERE / "benchmark_strategies.md").write_text("\n".join(text) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
