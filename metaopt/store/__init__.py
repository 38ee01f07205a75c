"""Where studies are kept: an append-only list of events a study, in memory or in a database."""

from metaopt.store.events import (
    Added,
    Asked,
    Enqueued,
    Event,
    Finished,
    Fold,
    Reported,
    Started,
    Told,
    fold,
)
from metaopt.store.memory import MemoryLog
from metaopt.store.sql import EventLog, SqlLog, Store, StudyHeader

__all__ = [
    "Added",
    "Asked",
    "Enqueued",
    "Event",
    "EventLog",
    "Finished",
    "Fold",
    "MemoryLog",
    "Reported",
    "SqlLog",
    "Started",
    "Store",
    "StudyHeader",
    "Told",
    "fold",
]
