"""Fair comparisons: of strategies by `compare`, of machine-learning models by `compare_models`."""

from metaopt.comparison.load import has_comparison, load_comparison
from metaopt.comparison.models import ModelComparison, compare_models
from metaopt.comparison.strategies import Comparison, compare

__all__ = [
    "Comparison",
    "ModelComparison",
    "compare",
    "compare_models",
    "has_comparison",
    "load_comparison",
]
