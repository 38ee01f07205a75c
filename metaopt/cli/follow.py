"""What there is to see of running studies: counts, best, rate and time left.

A follower reads the events that came since it last looked, and folds them into what it knows.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from metaopt.comparison.strategies import NOTE
from metaopt.core.errors import unknown_name
from metaopt.space import Space
from metaopt.storage import Replay, SqlStore, StudyHeader
from metaopt.trials.records import TrialRecord, best_first

RECENT = 30  # finished trials that the rate is taken from
PAUSE = 10.0  # a gap of so many times the longest trial, and more than PAUSE_SECONDS, is a pause
PAUSE_SECONDS = 60.0


@dataclass(frozen=True)
class View:
    """One study at one moment; values are in the user's own sign.

    Attributes:
        name: of the study.
        strategy: its name.
        direction: "minimize" or "maximize".
        total: how many trials it shall hold; None if that is not known.
        trials: by number, unfinished ones too.
        size: how many configurations there are; None for more than can be counted.
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
        """How many trials have ended, well or badly."""
        return sum(t.result is not None for t in self.trials)

    @property
    def complete(self) -> bool:
        """Whether nothing more is to come."""
        ends = [n for n in (self.total, self.size) if n is not None]
        return bool(ends) and self.done >= min(ends)

    @property
    def left(self) -> int | None:
        """How many trials are to come."""
        if self.total is None:
            return None
        return 0 if self.complete else self.total - self.done

    @property
    def best(self) -> TrialRecord | None:
        return next(iter(best_first(self.trials, self.direction)), None)

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
    """All that is watched, at one moment."""

    views: Sequence[View]
    expected: int  # studies, also those that have not begun
    missing: int  # trials of those

    @property
    def complete(self) -> bool:
        return len(self.views) >= self.expected and all(v.complete for v in self.views)

    @property
    def done(self) -> int:
        return sum(v.done for v in self.views)

    @property
    def left(self) -> int | None:
        """Trials to come; None if a total is not known."""
        left = [v.left for v in self.views]
        known = [n for n in left if n is not None]
        return sum(known) + self.missing if len(known) == len(left) else None

    @property
    def rate(self) -> float | None:
        """Finished trials a second of late, pauses left out; None while nothing can be said."""
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
        """When something last happened, in seconds since 1970."""
        times = [
            at
            for v in self.views
            for t in v.trials
            for at in (t.asked, t.started, t.finished)
            if at
        ]
        return max(times, default=None)


class Follower:
    """Follows the studies in a file or database, or one of them.

    Args:
        storage: a path or a database URL.
        study: the name of one; None follows all.
        total: how many trials each shall hold; None takes what the store tells of it.

    Raises:
        StoreError: there is no such file, or it is no study file.
        UnknownNameError: no study has that name.
    """

    def __init__(
        self, storage: str | Path, study: str | None = None, total: int | None = None
    ) -> None:
        self._store = SqlStore(storage, create=False)
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
        """Let go of the database."""
        self._store.close()

    def look(self) -> Overview:
        """Read what is new, and return how things stand."""
        headers = [h for h in self._store.studies() if self._study in (None, h.name)]
        notes = [] if self._study is not None else self._store.notes(NOTE)
        design = notes[-1] if notes else None
        total = self._total or (design["n_trials"] if design else None)
        planned = [] if design is None else _planned(design)
        if design is not None:
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
            total = made["budget"]  # a study that went beyond it ends who knows when
        if header.name not in self._sizes:
            counted = Space.from_json(made["space"]).size
            self._sizes[header.name] = counted.count if counted.exact else None
        size = self._sizes[header.name]
        return View(header.name, made["strategy"], made["direction"], total, trials, size)


def _planned(design: dict[str, object]) -> list[str]:
    problems, strategies, repeats = (design[k] for k in ("problems", "strategies", "repeats"))
    assert isinstance(problems, list) and isinstance(strategies, list) and isinstance(repeats, int)
    return [f"{p['name']}/{s}/{r}" for r in range(repeats) for p in problems for s in strategies]


def age(since: float | None) -> float | None:
    """Seconds since a point in time."""
    return None if since is None else max(0.0, time.time() - since)
