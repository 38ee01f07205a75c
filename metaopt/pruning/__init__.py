"""Pruners: stop a trial early, based on its reports and those of other trials.

A decision is a pure function of the trial's curve, its number, the study's seed and the curves of
the other trials. A pruner has no state and draws no random numbers, so a resumed study makes the
same decisions as an uninterrupted one.
"""

from metaopt.core.types import Curve
from metaopt.pruning.base import Candidate, Pruner, TrialPruner
from metaopt.pruning.hyperband import HyperbandPruner
from metaopt.pruning.learning_curve import CurvePruner
from metaopt.pruning.percentile import MedianPruner, PercentilePruner
from metaopt.pruning.registry import PRUNERS, find_pruner, make_pruner, pruner_from_json
from metaopt.pruning.successive_halving import SuccessiveHalvingPruner
from metaopt.pruning.threshold import PatientPruner, ThresholdPruner
from metaopt.pruning.tracker import ReportTracker

Judge = ReportTracker  # its name in earlier versions

__all__ = [
    "PRUNERS",
    "Candidate",
    "Curve",
    "CurvePruner",
    "HyperbandPruner",
    "Judge",
    "MedianPruner",
    "PatientPruner",
    "PercentilePruner",
    "Pruner",
    "ReportTracker",
    "SuccessiveHalvingPruner",
    "ThresholdPruner",
    "TrialPruner",
    "find_pruner",
    "make_pruner",
    "pruner_from_json",
]
