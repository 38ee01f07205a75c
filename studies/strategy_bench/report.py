"""Tables of the records, as Markdown.

Each task counts once, with its median over seeds. Regrets are divided by the median regret of
random search after the same number of trials, and are at least 0.01. If the optimum is not known,
the best value of any run is used instead.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from metaopt import stats
from strategy_bench.parts import Record, best_so_far

AT = (25, 50, 100)
FLOOR = 0.01
Runs = Mapping[tuple[str, str], Sequence[Record]]  # by contestant and task


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def geometric(x: Any) -> float:
    return float(np.exp(np.log(np.maximum(x, 1e-12)).mean()))


def ratios(runs: Runs, at: int, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return regret ratios, at least FLOOR, by task and contestant, for tasks that all have run."""
    tasks = sorted({task for _, task in runs})
    out: dict[str, dict[str, float]] = {}
    for task in tasks:
        if not all((name, task) in runs for name in names):
            continue
        optimum = runs[names[0], task][0]["optimum"]
        if optimum is None:
            optimum = min(best_so_far(runs[name, task], 10**9).min() for name in names)
        random = max(float(np.median(best_so_far(runs["random", task], at))) - optimum, 1e-12)
        out[task] = {
            name: float(
                np.median(
                    np.clip((best_so_far(runs[name, task], at) - optimum) / random, FLOOR, 100.0)
                )
            )
            for name in names
        }
    return out


def quality(runs: Runs) -> str:
    """Return mean ranks, regret ratios, and bayes compared with each other contestant."""
    names = sorted({name for name, _ in runs})
    group = {task: records[0]["group"] for (_, task), records in runs.items()}
    groups = sorted(set(group.values()))
    cells: dict[str, list[str]] = defaultdict(list)
    last: Any = None
    tasks: list[str] = []
    for at in AT:
        found = ratios(runs, at, names)
        tasks = sorted(found)
        last = np.array([[found[t][name] for name in names] for t in tasks])
        ranks = stats.mean_ranks(last)
        for j, name in enumerate(names):
            of = [last[[group[t] == g for t in tasks], j] for g in groups]
            ratio = " / ".join(f"{geometric(x):.3f}" if len(x) else "-" for x in of)
            cells[name] += [f"{ranks[j]:.2f}", ratio]
    ours = names.index("bayes")
    others = [j for j in range(len(names)) if j != ours]
    logs = np.log(last)
    ps = [stats.wilcoxon(logs[:, ours], logs[:, j]).p for j in others]
    adjusted = dict(zip(others, stats.holm(ps).tolist(), strict=True))
    rows = []
    for j in np.argsort([float(cells[name][-2]) for name in names], kind="stable").tolist():
        name, difference = names[j], logs[:, j] - logs[:, ours]
        won = f"{(difference > 1e-9).sum()}-{(difference < -1e-9).sum()}"
        mean = np.mean([r["cpu"] / len(r["values"]) for t in tasks for r in runs[name, t]])
        verdict = "" if j == ours else f"{won}, p = {adjusted[j]:.3g}"
        rows.append([name, *cells[name], verdict, f"{1000 * mean:.1f}"])
    head = ["contestant"]
    for at in AT:
        head += [f"rank@{at}", f"ratio@{at}"]
    text = (
        f"{len(tasks)} tasks. `rank` is the mean rank, `ratio` the regret divided by that of "
        f"random search (geometric means: {' / '.join(groups)}), each after so many trials. "
        f"`bayes better-worse`: number of tasks on which bayes was better and worse after {AT[-1]} "
        "trials, with the p-value of Wilcoxon's signed-rank test, adjusted by Holm's method. `ms`: "
        "CPU milliseconds per trial.\n\n"
    )
    return text + table([*head, "bayes better-worse", "ms"], rows)


def speed(records: Sequence[Record]) -> str:
    """Return the times per suggestion and their ratios."""
    rows = []
    for r in sorted(records, key=lambda r: (r["n"], r["d"])):
        theirs = r.get("theirs")
        rows.append(
            [f"{r['n']}, {r['d']}-d", f"{r['ours']:.1f}"]
            + ([f"{theirs:.0f}", f"1/{theirs / r['ours']:.1f}"] if theirs else ["", ""])
            + [f"{r['peak']:.0f}"]
        )
    head = [
        "observed",
        "bayes, ms",
        "Optuna's GPSampler, ms",
        "ratio",
        "peak MB",
    ]
    return (
        "CPU time per suggestion (ask and tell, including refits) after so many random points of "
        "Rosenbrock's function; medians over repeats in which both alternate. Peak memory is that "
        "of the whole process, which includes torch and, if it was run, GPSampler.\n\n"
    ) + table(head, rows)


def regrets(records: Sequence[Record], at: int) -> float:
    """Return the median regret after `at` trials."""
    return float(np.median(best_so_far(records, at))) - records[0]["optimum"]


def batch(single: Runs, eight: Runs, random: Runs) -> str:
    """Return the regret of batches of 8 relative to single asks."""
    rows, every = [], []
    for (_, task), records in sorted(eight.items()):
        cells = []
        for at in (48, 96):
            floor = FLOOR * regrets(random["random", task], at)
            mine = max(regrets(records, at), floor)
            cells.append(mine / max(regrets(single["bayes", task], at), floor))
        every.append(cells)
        rows.append([task, *(f"{x:.2f}" for x in cells)])
    means = [f"{geometric([c[i] for c in every]):.2f}" for i in range(2)]
    text = "Median regret of 12 batches of 8 trials, divided by that of 96 single trials.\n\n"
    return text + table(["task", "ratio@48", "ratio@96"], [*rows, ["**geometric mean**", *means]])


def noise(runs: Runs) -> str:
    """Return the true regret under noise, by task and relative to that of bayes."""
    names, tasks = sorted({n for n, _ in runs}), sorted({t for _, t in runs})
    median = {k: {at: np.median([r["regret"][at] for r in v]) for at in ("50", "100")}
              for k, v in runs.items()}  # fmt: skip
    rows = [[task, *(f"{median[name, task]['100']:.3g}" for name in names)] for task in tasks]
    for at in ("50", "100"):
        relative = [
            geometric([median[n, t][at] / median["bayes", t][at] for t in tasks]) for n in names
        ]
        rows.append([f"**relative to bayes@{at}**", *(f"{x:.2f}" for x in relative)])
    text = (
        "Gaussian noise, 5 % of the interquartile range of the function's values. Median over "
        "seeds of the true regret of the recommended configuration; the other optimizers recommend "
        "the best observed trial. The last rows are geometric means.\n\n"
    )
    return text + table(["true regret@100", *names], rows)


def late(runs: Runs) -> str:
    """Return the median regrets after 300 trials."""
    names, tasks = sorted({n for n, _ in runs}), sorted({t for _, t in runs})
    rows = [[t, *(f"{regrets(runs[n, t], 300):.3g}" for n in names)] for t in tasks]
    return table(["regret@300", *names], rows)


def failing(runs: Runs, plain: Runs) -> str:
    """Return the regret with a failing region relative to without, and the share of failures."""
    rows, every = [], []
    for (name, task), records in sorted(runs.items()):
        ratio = regrets(records, 100) / max(regrets(plain[name, task], 100), 1e-12)
        inside = float(np.mean([r["inside"] for r in records]))
        every.append((ratio, inside))
        rows.append([task, f"{ratio:.2f}", f"{100 * inside:.1f} %"])
    ratio, inside = np.median([e[0] for e in every]), np.mean([e[1] for e in every])
    rows.append(["**median, mean**", f"{ratio:.2f}", f"{100 * inside:.1f} %"])
    return "A third of the space, opposite to the optimum along one axis, fails.\n\n" + table(
        ["task", "regret@100, ratio to no failures", "asks after 30 inside"], rows
    )


def subset(runs: Runs) -> str:
    """Return the regret with smaller posteriors, relative to the largest one, and the time."""
    sizes = sorted({n for n, _ in runs}, key=int)
    tasks = sorted({t for _, t in runs})
    best = {k: max(regrets(v, 10**9), 1e-9) for k, v in runs.items()}
    rows = []
    for size in sizes:
        relative = [best[size, t] / best[sizes[-1], t] for t in tasks]
        ms = 1000.0 * float(np.mean([r["cpu"] for t in tasks for r in runs[size, t]]))
        cells = [f"{x:.2f}" for x in [*relative, geometric(relative)]]
        rows.append([size, *cells, f"{ms:.0f}"])
    text = (
        "Median regret after 2000 random points and 40 asks, relative to a posterior of all "
        "points; CPU milliseconds per trial.\n\n"
    )
    return text + table(["points held", *tasks, "geometric mean", "ms"], rows)
