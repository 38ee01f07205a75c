"""What is recorded of a comparison beside its trials, and of the machine that writes the page."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaopt.analysis.setup import NOTE, ComparisonSetup
from metaopt.core.errors import MetaoptError
from metaopt.storage.opening import open_store
from metaopt.strategy.registry import make_strategy

if TYPE_CHECKING:
    from metaopt.analysis.comparison import ComparisonData, Run
    from metaopt.space import Space
    from metaopt.trials.records import Json

CPU = Path("/proc/cpuinfo")  # on Linux
GPUS = Path("/proc/driver/nvidia/gpus")  # with NVIDIA's driver on Linux


@dataclass(frozen=True)
class Stored:
    """What the storage holds of a comparison beside its trials.

    Attributes:
        versions: of metaopt that made its runs, each once.
        planned: numbers of repeats that the calls asked for, in their order, each change once.
    """

    versions: tuple[str, ...]
    planned: tuple[str, ...]


def stored(c: ComparisonData) -> Stored | None:
    """Read what the storage holds; None for a comparison in memory, or if it cannot be read."""
    if c.storage is None:
        return None
    try:
        store = open_store(c.storage, create=False)
        try:
            setups = [ComparisonSetup.from_json(note) for note in store.notes(NOTE)]
            headers = {h.name: h.header for h in store.studies()}
        finally:
            store.close()
    except (MetaoptError, KeyError, TypeError):
        return None
    mine = [s for s in setups if _same(s, c)]
    names = mine[-1].study_names() if mine else []
    versions = [str(headers[n].get("version", "unknown")) for n in names if n in headers]
    planned = [f"up to {s.repeats}" if s.added else str(s.repeats) for s in mine]
    changes = [n for i, n in enumerate(planned) if i == 0 or n != planned[i - 1]]
    return Stored(tuple(dict.fromkeys(versions)), tuple(changes))


def _same(setup: ComparisonSetup, c: ComparisonData) -> bool:
    """Whether a setup is of this comparison, up to the number of repeats."""
    problems = tuple(p.name for p in c.problems)
    mine = (problems, tuple(c.strategies), c.n_trials, c.seed)
    theirs = tuple(p.name for p in setup.problems)
    return (theirs, setup.strategies, setup.n_trials, setup.seed) == mine


def settings_of(run: Run, space: Space) -> str:
    """Say how the strategy of a run was set, and which settings differ from the defaults."""
    name, options = run.settings.get("strategy"), run.settings.get("options")
    if name is None or options is None:
        return ""
    default = _defaults(str(name), space, run)
    if default is None:
        shown = _listed(options) or "it has no options"
        return f"{name} ({shown}); its defaults are not known here"
    changed = {k: v for k, v in options.items() if k not in default or default[k] != v}
    rest = {k: v for k, v in options.items() if k not in changed}
    if not changed:
        return f"{name} with its defaults ({_listed(rest) or 'it has no options'})"
    kept = f"; the others have their defaults ({_listed(rest)})" if rest else ""
    return f"{name} with {_listed(changed)}{kept}"


def _listed(options: Mapping[str, Json]) -> str:
    shown = (f"{k}={'automatic' if v is None else v}" for k, v in options.items())
    return ", ".join(shown)


def _defaults(name: str, space: Space, run: Run) -> Mapping[str, Any] | None:
    """Options of a strategy without any given; None if it cannot be made here."""
    try:
        return make_strategy(name, space, run.seed, run.settings.get("budget")).options
    except Exception:  # a third-party strategy may be missing, or need an option
        return None


def processor() -> str:
    """Name and number of the processor cores of this machine."""
    found = None
    if CPU.is_file():
        found = re.search(r"^model name\s*:\s*(.+)$", CPU.read_text(errors="replace"), re.MULTILINE)
    name = found[1].strip() if found else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count() or 'an unknown number of'} cores"


def gpus() -> str:
    """Names of NVIDIA's GPUs in this machine, or that none was found."""
    texts = [p.read_text(errors="replace") for p in sorted(GPUS.glob("*/information"))]
    names = [m[1].strip() for t in texts if (m := re.search(r"^Model:\s*(.+)$", t, re.MULTILINE))]
    return ", ".join(names) or "no GPU found"
