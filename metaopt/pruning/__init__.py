"""Pruners decide from a trial's reports, beside those of others, whether it goes on.

A decision is a pure function of its arguments: of the trial's own curve, its number, the study's
seed and the curves of others. Nothing is remembered and nothing drawn, so a resumed study decides
as an uninterrupted one.
"""

from metaopt.pruning.extrapolation import CurvePruner
from metaopt.pruning.halving import SuccessiveHalvingPruner
from metaopt.pruning.hyperband import HyperbandPruner
from metaopt.pruning.judge import Judge
from metaopt.pruning.kinds import PRUNERS, find_pruner, make_pruner, pruner_from_json
from metaopt.pruning.limits import PatientPruner, ThresholdPruner
from metaopt.pruning.percentile import MedianPruner, PercentilePruner
from metaopt.pruning.pruner import Candidate, Curve, Pruner, TrialPruner

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
    "SuccessiveHalvingPruner",
    "ThresholdPruner",
    "TrialPruner",
    "find_pruner",
    "make_pruner",
    "pruner_from_json",
]
