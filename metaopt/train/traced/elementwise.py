"""Batching rule for elementwise operations.

For functions that are not exactly rounded, the size of a member must be a multiple of the vector
width: PyTorch computes the last few numbers of a tensor with other code.
"""

from __future__ import annotations

from math import prod
from typing import Any

from torch import Tensor

from metaopt.train.population.ops import VECTORS
from metaopt.train.traced.site import Function, Site

# Exactly rounded by IEEE 754, or only copying and comparing.
EXACT = {
    "add", "sub", "rsub", "mul", "div", "neg", "abs", "relu", "threshold_backward", "maximum",
    "minimum", "clamp", "clamp_min", "clamp_max", "where", "eq", "ne", "lt", "le", "gt", "ge",
    "sqrt", "sign", "reciprocal", "clone", "_to_copy", "copy", "zeros_like", "ones_like",
    "empty_like", "full_like", "zero", "fill", "leaky_relu", "leaky_relu_backward", "hardtanh",
    "hardtanh_backward", "logical_not", "logical_and", "logical_or", "bitwise_not", "bitwise_and",
    "bitwise_or", "masked_fill", "floor", "ceil", "round", "tanh", "tanh_backward",
}  # fmt: skip
ROUNDED = {
    "exp", "exp2", "expm1", "log", "log1p", "log2", "sin", "cos", "atan", "erf", "sigmoid",
    "sigmoid_backward", "silu", "silu_backward", "gelu", "gelu_backward", "mish", "mish_backward",
    "softplus", "softplus_backward", "elu", "elu_backward", "hardswish", "hardswish_backward",
    "hardsigmoid", "hardsigmoid_backward", "pow", "rsqrt", "addcmul", "addcdiv", "lerp", "sinh",
    "cosh",
}  # fmt: skip


def elementwise(site: Site) -> Function | None:
    """Call the operation on stacked tensors, with new dimensions where broadcasting needs them."""
    rank, function = len(site.result), site.call.function
    exact = site.call.base in EXACT and site.call.kwargs.get("alpha", 1) == 1
    if not exact and prod(site.result) % VECTORS:
        return None
    if site.call.is_in_place and (not exact or not site.is_stacked(site.arg(0))):
        return None
    missing = [rank - len(site.shape(a)) if site.is_stacked(a) else 0 for a in site.call.args]
    if exact and not any(missing):
        return function  # type: ignore[no-any-return]

    def run(*args: Any, **kwargs: Any) -> Any:
        aligned = [
            a[(slice(None), *[None] * m)] if m else a for a, m in zip(args, missing, strict=True)
        ]
        if not exact:  # with other strides PyTorch uses other loops, which round differently
            aligned = [a.contiguous() if isinstance(a, Tensor) else a for a in aligned]
        return function(*aligned, **kwargs)

    return run
