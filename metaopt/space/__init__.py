"""Search spaces: parameters, configurations and their coordinates in the unit cube."""

from metaopt.space.choices import Categorical, Constant, Ordinal
from metaopt.space.definition import Size
from metaopt.space.numbers import Float, Int
from metaopt.space.parameter import Parameter
from metaopt.space.space import Space
from metaopt.space.values import Config, Scalar

__all__ = [
    "Categorical",
    "Config",
    "Constant",
    "Float",
    "Int",
    "Ordinal",
    "Parameter",
    "Scalar",
    "Size",
    "Space",
]
