"""Search spaces: parameters, configurations and their coordinates in the unit cube."""

from metaopt.space.parameters import (
    Categorical,
    Constant,
    Float,
    Int,
    Ordinal,
    Parameter,
    Scalar,
)
from metaopt.space.space import Config, Size, Space

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
