"""Bayesian optimization with a Gaussian process."""

from metaopt_strategies.bayes.strategy import Bayes

__all__ = ["Bayes"]
