"""Trials: the object that an objective receives, and the records that a study stores."""

from metaopt.trials.records import Failure, Proposal, Result, TrialRecord
from metaopt.trials.trial import Trial, TrialPruned, fixed_trial

__all__ = [
    "Failure",
    "Proposal",
    "Result",
    "Trial",
    "TrialPruned",
    "TrialRecord",
    "fixed_trial",
]
