"""Parts that are common to the reports of studies and of comparisons."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from metaopt.core.text import counted
from metaopt.core.version import __version__
from metaopt.pruning import Pruner
from metaopt.report.document import Facts, Table, cell
from metaopt.trials.records import TrialRecord

PACKAGES = (
    "numpy", "scipy", "torch", "scikit-learn", "scikit-optimize", "deap", "pyswarms", "SQLAlchemy",
    "matplotlib",
)  # fmt: skip
MANY = 40  # largest number of rows in the table of failures, on the page and in the files


def environment() -> dict[str, str]:
    """Versions of packages and the system; reads metadata, imports none of the packages."""
    found = {"metaopt": __version__, "Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {**found, "system": f"{platform.system()} {platform.machine()}"}


def facts(pairs: Mapping[str, Any]) -> Facts:
    """Make a key-value list of a mapping, without empty values."""
    return Facts(tuple((k, str(v)) for k, v in pairs.items() if v not in (None, "")))


def settings(pruner: Pruner | None) -> str:
    """The name and the settings of a pruner; empty without one."""
    return "" if pruner is None else _settings(pruner.to_json())


def _settings(given: Mapping[str, Any]) -> str:
    shown = ", ".join(
        f"{k}={_settings(v) if isinstance(v, Mapping) else v}"
        for k, v in given.items()
        if k != "name" and v is not None
    )
    return f"{given['name']} ({shown})" if shown else str(given["name"])


def day(seconds: float | None) -> str:
    """A time stamp for people; in UTC, so that it does not depend on the local time zone."""
    if seconds is None:
        return ""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def period(trials: Iterable[TrialRecord]) -> str:
    """The time from the first to the last event of the trials; empty if unknown."""
    known = [t for r in trials for t in (r.asked, r.started, r.finished) if t is not None]
    if not known:
        return ""
    first, last = day(min(known)), day(max(known))
    return first if first == last else f"{first} to {last}"


def duration(seconds: float) -> str:
    """A duration for people: "0.31 s", "12 s", "4 min 10 s", "3 h 5 min"."""
    if seconds < 9.95:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def number(value: float | None) -> str:
    """A number with 6 digits, for people; empty for None."""
    return "" if value is None else f"{value:.6g}"


def counts(trials: Sequence[TrialRecord]) -> str:
    """The number of trials, in total and by status."""
    by = {s: sum(t.status == s for t in trials) for s in dict.fromkeys(t.status for t in trials)}
    order = ("complete", "pruned", "failed", "running", "waiting")
    parts = [f"{by[s]} {s}" for s in order if by.get(s)]
    return counted(len(trials), "trial") + (f" ({', '.join(parts)})" if parts else "")


def failures(named: Iterable[tuple[str, TrialRecord]], what: str) -> Table | None:
    """Table of failed trials by place (column `what`) and error; None if no trial failed."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for where, t in named:
        if t.result is not None and t.result.error is not None:
            error = t.result.error
            groups.setdefault((where, error.kind, error.message), []).append(t.number)
    if not groups:
        return None
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    header = ((what,) if what else ()) + ("kind", "message", "trials", "first in trial")
    rows = tuple(
        ((cell(where),) if what else ())
        + (cell(kind), cell(message or "(none)"), cell(len(numbers)), cell(numbers[0]))
        for (where, kind, message), numbers in ordered[:MANY]
    )
    more = len(ordered) - MANY
    rest = f" The {MANY} most frequent of {len(ordered)} reasons are shown." if more > 0 else ""
    caption = f"Trials that failed, by reason. A failed trial has no value.{rest}"
    return Table("failures", caption, header, rows)
