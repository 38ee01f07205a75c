"""Storage of studies: an append-only list of events per study, in memory or in a database."""

from metaopt.storage.base import Store, StudyEvents, StudyHeader
from metaopt.storage.events import (
    Added,
    Asked,
    Enqueued,
    Event,
    Finished,
    Reported,
    Started,
    Told,
)
from metaopt.storage.memory import MemoryEvents
from metaopt.storage.replay import Replay
from metaopt.storage.sql import SqlEvents, SqlStore

__all__ = [
    "Added",
    "Asked",
    "Enqueued",
    "Event",
    "Finished",
    "MemoryEvents",
    "Replay",
    "Reported",
    "SqlEvents",
    "SqlStore",
    "Started",
    "Store",
    "StudyEvents",
    "StudyHeader",
    "Told",
]
