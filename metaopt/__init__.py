"""metaopt: good configurations for expensive objectives, and which strategy is really better.

Names are loaded when they are first used: `import metaopt` costs little more than numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from metaopt.version import __version__

if TYPE_CHECKING:
    from metaopt import importance, plots, problems, stats, testing
    from metaopt.comparison import Comparison, compare
    from metaopt.errors import MetaoptError
    from metaopt.importance import parameter_importance
    from metaopt.models import ModelComparison, compare_models
    from metaopt.opening import studies
    from metaopt.problems import Problem
    from metaopt.pruning import (
        Candidate,
        CurvePruner,
        HyperbandPruner,
        MedianPruner,
        PatientPruner,
        PercentilePruner,
        Pruner,
        SuccessiveHalvingPruner,
        ThresholdPruner,
        TrialPruner,
        make_pruner,
    )
    from metaopt.records import Failure, Proposal, Result, TrialRecord
    from metaopt.registry import make_strategy, strategies
    from metaopt.space import Categorical, Constant, Float, Int, Ordinal, Space
    from metaopt.stopping import Stall, Target
    from metaopt.stored import load_comparison
    from metaopt.strategy import Strategy
    from metaopt.study import Study, load
    from metaopt.train import Trainer
    from metaopt.trial import Trial, TrialPruned, fixed_trial

_HOMES = {
    "space": ("Categorical", "Constant", "Float", "Int", "Ordinal", "Space"),
    "records": ("Failure", "Proposal", "Result", "TrialRecord"),
    "trial": ("Trial", "TrialPruned", "fixed_trial"),
    "strategy": ("Strategy",),
    "registry": ("make_strategy", "strategies"),
    "pruning": (
        "Candidate",
        "CurvePruner",
        "HyperbandPruner",
        "MedianPruner",
        "PatientPruner",
        "PercentilePruner",
        "Pruner",
        "SuccessiveHalvingPruner",
        "ThresholdPruner",
        "TrialPruner",
        "make_pruner",
    ),
    "stopping": ("Stall", "Target"),
    "opening": ("studies",),
    "study": ("Study", "load"),
    "comparison": ("Comparison", "compare"),
    "importance": ("parameter_importance",),
    "stored": ("load_comparison",),
    "models": ("ModelComparison", "compare_models"),
    "problems": ("Problem",),
    "train": ("Trainer",),
    "errors": ("MetaoptError",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}
_ROOMS = ("importance", "plots", "problems", "stats", "testing")

__all__ = [
    "Candidate",
    "Categorical",
    "Comparison",
    "Constant",
    "CurvePruner",
    "Failure",
    "Float",
    "HyperbandPruner",
    "Int",
    "MedianPruner",
    "MetaoptError",
    "ModelComparison",
    "Ordinal",
    "PatientPruner",
    "PercentilePruner",
    "Problem",
    "Proposal",
    "Pruner",
    "Result",
    "Space",
    "Stall",
    "Strategy",
    "Study",
    "SuccessiveHalvingPruner",
    "Target",
    "ThresholdPruner",
    "Trainer",
    "Trial",
    "TrialPruned",
    "TrialPruner",
    "TrialRecord",
    "__version__",
    "compare",
    "compare_models",
    "fixed_trial",
    "importance",
    "load",
    "load_comparison",
    "make_pruner",
    "make_strategy",
    "parameter_importance",
    "plots",
    "problems",
    "stats",
    "strategies",
    "studies",
    "testing",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"metaopt.{name}")
    if name in _HOME:
        value = getattr(import_module(f"metaopt.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'metaopt' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
