"""The errors that metaopt raises, to be caught by name: ``except metaopt.errors.StudyError``."""

from metaopt.core.errors import (
    MetaoptError,
    MissingExtraError,
    SpaceError,
    StatisticsError,
    StoreError,
    StrategyError,
    StudyError,
    TrainingError,
    UnknownNameError,
)

__all__ = [
    "MetaoptError",
    "MissingExtraError",
    "SpaceError",
    "StatisticsError",
    "StoreError",
    "StrategyError",
    "StudyError",
    "TrainingError",
    "UnknownNameError",
]
