"""The Gaussian-process engine."""

from metaopt_strategies.bayes.strategy import Bayes

__all__ = ["Bayes"]
