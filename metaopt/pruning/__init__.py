"""Pruners decide from a trial's reports, beside those of others, whether it goes on.

A decision is a pure function of its arguments: of the trial's own curve, its number, the study's
seed and the curves of others. Nothing is remembered and nothing drawn, so a resumed study decides
as an uninterrupted one.
"""

from metaopt.core.types import Curve
from metaopt.pruning.base import Candidate, Pruner, TrialPruner
from metaopt.pruning.hyperband import HyperbandPruner
from metaopt.pruning.learning_curve import CurvePruner
from metaopt.pruning.percentile import MedianPruner, PercentilePruner
from metaopt.pruning.registry import PRUNERS, find_pruner, make_pruner, pruner_from_json
from metaopt.pruning.successive_halving import SuccessiveHalvingPruner
from metaopt.pruning.threshold import PatientPruner, ThresholdPruner
from metaopt.pruning.tracker import Tracker

__all__ = [
    "PRUNERS",
    "Candidate",
    "Curve",
    "CurvePruner",
    "HyperbandPruner",
    "MedianPruner",
    "PatientPruner",
    "PercentilePruner",
    "Pruner",
    "SuccessiveHalvingPruner",
    "ThresholdPruner",
    "Tracker",
    "TrialPruner",
    "find_pruner",
    "make_pruner",
    "pruner_from_json",
]
