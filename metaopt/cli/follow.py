"""The progress of running studies: counts, best value, rate and remaining time.

A `Follower` reads only the events that were added since its last update.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from metaopt.analysis.setup import NOTE, ComparisonSetup
from metaopt.core.errors import unknown_name
from metaopt.space import Space
from metaopt.storage import Replay, StudyHeader
from metaopt.storage.opening import open_store
from metaopt.trials.records import TrialRecord, best_of

RECENT = 30  # number of finished trials from which the rate is computed
PAUSE = 10.0  # a gap above PAUSE times the longest trial and above PAUSE_SECONDS is a pause
PAUSE_SECONDS = 60.0


@dataclass(frozen=True)
class View:
    """One study at one moment; values are in the user's own sign.

    Attributes:
        name: of the study.
        strategy: its name.
        direction: "minimize" or "maximize".
        total: planned number of trials; None if it is not known.
        trials: by number, including unfinished ones.
        size: number of configurations in the space; None if it is infinite or not known exactly.
    """

    name: str
    strategy: str
    direction: str
    total: int | None
    trials: Sequence[TrialRecord]
    size: float | None

    @property
    def counts(self) -> Counter[str]:
        return Counter(t.status for t in self.trials)

    @property
    def done(self) -> int:
        """Number of trials that have ended, including failed and pruned ones."""
        return sum(t.result is not None for t in self.trials)

    @property
    def complete(self) -> bool:
        """Whether no more trials will follow."""
        ends = [n for n in (self.total, self.size) if n is not None]
        return bool(ends) and self.done >= min(ends)

    @property
    def left(self) -> int | None:
        """Number of trials that will follow; None if it is not known."""
        if self.total is None:
            return None
        return 0 if self.complete else self.total - self.done

    @property
    def best(self) -> TrialRecord | None:
        return best_of(self.trials, self.direction)

    @property
    def curve(self) -> list[float]:
        """The best value so far after each complete trial."""
        better = min if self.direction == "minimize" else max
        out: list[float] = []
        for t in self.trials:
            if t.value is not None:
                out.append(t.value if not out else better(out[-1], t.value))
        return out


@dataclass(frozen=True)
class Overview:
    """The state of all watched studies at one moment.

    Attributes:
        views: the studies that have begun.
        expected: number of studies, including those that have not begun.
        missing: number of trials of the studies that have not begun.
    """

    views: Sequence[View]
    expected: int
    missing: int

    @property
    def complete(self) -> bool:
        return len(self.views) >= self.expected and all(v.complete for v in self.views)

    @property
    def done(self) -> int:
        return sum(v.done for v in self.views)

    @property
    def left(self) -> int | None:
        """Number of trials that will follow; None if a total is not known."""
        left = [v.left for v in self.views]
        known = [n for n in left if n is not None]
        return sum(known) + self.missing if len(known) == len(left) else None

    @property
    def rate(self) -> float | None:
        """Recent number of finished trials per second, without pauses; None if not known yet."""
        ended = sorted(
            ((t.finished, t.seconds or 0.0) for v in self.views for t in v.trials if t.finished),
        )[-RECENT:]
        longest = max((seconds for _, seconds in ended), default=0.0)
        times = [at for at, _ in ended]
        gaps = [b - a for a, b in pairwise(times)]
        kept = [g for g in gaps if g <= max(PAUSE * longest, PAUSE_SECONDS)]
        return len(kept) / sum(kept) if sum(kept) > 0 else None

    @property
    def seconds_left(self) -> float | None:
        rate, left = self.rate, self.left
        return None if rate is None or left is None else left / rate

    @property
    def last(self) -> float | None:
        """Time of the last event, in seconds since 1970 (UTC)."""
        times = [
            at
            for v in self.views
            for t in v.trials
            for at in (t.asked, t.started, t.finished)
            if at
        ]
        return max(times, default=None)


class Follower:
    """Reads the progress of the studies in a file or database, or of one of them.

    Args:
        storage: a path or a database URL.
        study: name of one study; None for all.
        total: planned number of trials per study; None for the stored number, if there is one.

    Raises:
        StoreError: there is no such file, or it is not a study file.
        UnknownNameError: there is no study of this name.
    """

    def __init__(
        self, storage: str | Path, study: str | None = None, total: int | None = None
    ) -> None:
        self._store = open_store(storage, create=False)
        self._study = study
        self._total = total
        self._states: dict[str, Replay] = {}
        self._seen: dict[str, int] = {}
        self._sizes: dict[str, float | None] = {}
        if study is not None:
            names = [h.name for h in self._store.studies()]
            if study not in names:
                self._store.close()
                raise unknown_name("study", study, names)

    def close(self) -> None:
        """Close the database."""
        self._store.close()

    def look(self) -> Overview:
        """Read new events and return the current state."""
        headers = [h for h in self._store.studies() if self._study in (None, h.name)]
        notes = [] if self._study is not None else self._store.notes(NOTE)
        setup = ComparisonSetup.from_json(notes[-1]) if notes else None
        total = self._total or (setup.n_trials if setup else None)
        planned = [] if setup is None else setup.study_names()
        if setup is not None:
            headers = [h for h in headers if h.name in planned]
        views = [self._view(h, total) for h in headers]
        begun = {v.name for v in views}
        waiting = sum(name not in begun for name in planned)
        return Overview(views, len(planned) or len(views), waiting * (total or 0))

    def _view(self, header: StudyHeader, total: int | None) -> View:
        state = self._states.setdefault(header.name, Replay())
        start = self._seen.get(header.name, 0)
        for event in self._store.events(header.name, start):
            state.apply(event)
            start += 1
        self._seen[header.name] = start
        made = header.header
        trials = state.trials
        if total is None and len(trials) <= (made["budget"] or 0):
            total = made["budget"]  # beyond its budget, the end of a study is not known
        if header.name not in self._sizes:
            counted = Space.from_json(made["space"]).size
            self._sizes[header.name] = counted.count if counted.exact else None
        size = self._sizes[header.name]
        return View(header.name, made["strategy"], made["direction"], total, trials, size)


def age(since: float | None) -> float | None:
    """Return the seconds since a point in time; None for None."""
    return None if since is None else max(0.0, time.time() - since)
