"""Search spaces: parameters, configurations and their coordinates in the unit cube."""

from metaopt.space.listed import Categorical, Constant, Ordinal
from metaopt.space.parameter import Parameter
from metaopt.space.ranges import Float, Int
from metaopt.space.space import Config, Size, Space
from metaopt.space.values import Scalar

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
