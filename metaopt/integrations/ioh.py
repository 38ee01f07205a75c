"""Export comparisons to IOHanalyzer and IOHinspector, in the data format of IOHprofiler.

    ioh.export(comparison, "branin-ioh")

Upload a zip file of the folder to IOHanalyzer, or read the folder with the Python package
iohinspector. Neither is needed for the export.

One folder per strategy holds, for each problem, ``IOHprofiler_f<id>_<name>.json`` and
``data_f<id>_<name>/IOHprofiler_f<id>_DIM<d>.dat``. Function ids count the problems from 1, the
dimension is the number of parameters, and the instance is the repeat, counted from 0. The suite is
"metaopt". As the point of the best value, the coordinates of the configuration in the unit cube are
written (see `Space.encode`).

Source: Wang et al. (2022); the files of IOHexperimenter 0.4.2.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from metaopt.analysis.comparison import ComparisonData, Run
from metaopt.core.errors import StudyError, did_you_mean
from metaopt.core.version import __version__
from metaopt.problems.problem import Problem
from metaopt.trials.records import Json

FORMAT = "0.4.2"  # version of IOHexperimenter that writes the same files; the readers look at it
SUITE = "metaopt"
HEADER = ("evaluations", "raw_y")
EVENTS = ("all", "improvements")
INFO = "a failed or pruned trial has the worst value of its problem in the comparison"
LONGEST = 60  # characters of a file name, so that the full path is not too long


def export(comparison: ComparisonData, folder: str | Path, events: str = "all") -> Path:
    """Write a comparison in the data format of IOHprofiler.

    Values keep their sign, and the files say whether a problem is maximised. The format has no
    entry for a trial without a value, and its readers cannot plot infinities. So a failed or pruned
    trial gets the worst value of any complete trial on its problem; each run states their number as
    ``without_value``.

    Args:
        comparison: result of `metaopt.compare` or `metaopt.load_comparison`.
        folder: a new or empty folder; created if necessary.
        events: "all" writes every trial; "improvements" writes the first and the last trial of each
            run and those that were better than all before, as IOHexperimenter does.

    Returns:
        The folder.

    Raises:
        StudyError: an argument is wrong, the folder holds files, or no trial of a problem is
            complete.

    Source: Wang et al. (2022).
    """
    if not isinstance(comparison, ComparisonData):
        raise StudyError(
            f"export needs the result of metaopt.compare, got {type(comparison).__name__}"
        )
    if events not in EVENTS:
        known = " or ".join(map(repr, EVENTS))
        raise StudyError(f"events must be {known}, got {events!r}{did_you_mean(events, EVENTS)}")
    if not isinstance(folder, (str, Path)):
        raise StudyError(f"folder must be a path, got {type(folder).__name__}")
    worst = [_worst(comparison, p) for p in comparison.problems]
    target = _empty(Path(folder))
    places = _file_names(comparison.strategies)
    names = _file_names(p.name for p in comparison.problems)
    for label, place in zip(comparison.strategies, places, strict=True):
        for i, (p, name) in enumerate(zip(comparison.problems, names, strict=True)):
            runs = [r for r in comparison.runs if (r.problem, r.strategy) == (p.name, label)]
            runs.sort(key=lambda r: r.repeat)
            found = [_filled(r, worst[i]) for r in runs]
            _write(target / place, f"f{i + 1}_{name}", i + 1, label, p, runs, found, events)
    return target


def _worst(c: ComparisonData, p: Problem) -> float:
    values = [t.value for r in c.runs if r.problem == p.name for t in r.trials]
    known = [v for v in values if v is not None]
    if not known:
        raise StudyError(f"no trial on {p.name!r} is complete, so there is nothing to export")
    return max(known, key=lambda v: p.sign * v)


def _empty(folder: Path) -> Path:
    if folder.is_dir() and any(folder.iterdir()):
        raise StudyError(
            f"{folder} holds files, which a reader would take for a part of this comparison; name a"
            f" new or empty folder"
        )
    if folder.exists() and not folder.is_dir():
        raise StudyError(f"{folder} is a file; name a new or empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _filled(run: Run, worst: float) -> list[float]:
    """Values of the trials in their order, with `worst` for a trial without one."""
    return [worst if t.value is None else t.value for t in run.trials]


def _write(
    folder: Path,
    key: str,
    number: int,
    label: str,
    p: Problem,
    runs: Sequence[Run],
    found: Sequence[list[float]],
    events: str,
) -> None:
    """Write the two files of one strategy on one problem."""
    data = f"data_{key}/IOHprofiler_f{number}_DIM{len(p.space)}.dat"
    described = {
        "version": FORMAT,
        "suite": SUITE,
        "function_id": number,
        "function_name": p.name,
        "maximization": p.direction == "maximize",
        "algorithm": {"name": label, "info": f"metaopt {__version__}; {INFO}"},
        "run_attributes": ["seed", "without_value"],
        "attributes": list(HEADER),
        "scenarios": [
            {
                "dimension": len(p.space),
                "path": data,
                "runs": [_run(r, v, p) for r, v in zip(runs, found, strict=True)],
            }
        ],
    }
    text = "".join(line for values in found for line in _lines(values, p.sign, events))
    _put(folder / f"IOHprofiler_{key}.json", json.dumps(described, indent=1, allow_nan=False))
    _put(folder / data, text)


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def _run(run: Run, values: Sequence[float], p: Problem) -> dict[str, Json]:
    best = min(range(len(values)), key=lambda i: p.sign * values[i])
    point: Any = p.space.encode([run.trials[best].config])[0][0]
    return {
        "instance": run.repeat,
        "evals": len(values),
        "best": {"evals": best + 1, "y": values[best], "x": point.tolist()},
        "seed": run.seed,
        "without_value": sum(t.value is None for t in run.trials),
    }


def _lines(values: Sequence[float], sign: int, events: str) -> Iterator[str]:
    """The header, which separates runs, and one line per event; the first trial is always one."""
    yield " ".join(HEADER) + "\n"
    before = [float("inf"), *accumulate((sign * v for v in values), min)]
    for i, value in enumerate(values):
        last = i + 1 == len(values)
        if events == "all" or i == 0 or last or sign * value < before[i]:
            yield f"{i + 1} {float(value)!r}\n"


def _file_names(given: Iterable[str]) -> list[str]:
    """A different name for each text, of letters, digits, underscores and hyphens."""
    out: list[str] = []
    for text in given:
        plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
        stem = re.sub(r"[^A-Za-z0-9_]+", "-", plain).strip("-")[:LONGEST] or "unnamed"
        chosen, i = stem, 2
        while chosen.casefold() in map(str.casefold, out):  # some file systems ignore case
            chosen, i = f"{stem}-{i}", i + 1
        out.append(chosen)
    return out
