"""Batching rules for reshaping, reductions and softmax: dimensions are shifted by one for K."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from metaopt.train.traced.site import Function, Rule, Site

aten = torch.ops.aten


def alias(site: Site) -> Function:
    """Return the argument itself."""
    return lambda x: x


def reshaped(site: Site) -> Function:
    """Reshape to (K, *shape of the result)."""
    shape = site.result
    return lambda x, *_, **__: x.reshape(len(x), *shape)


def expanded(site: Site) -> Function:
    """Insert dimensions of 1 after K, then expand."""
    shape = site.result
    ones = [1] * (len(shape) - len(site.shape(site.arg(0))))

    def run(x: Tensor, *_: Any, **__: Any) -> Tensor:
        return x.reshape(len(x), *ones, *x.shape[1:]).expand(len(x), *shape)

    return run


def turned(site: Site) -> Function:
    """Transpose a matrix; a vector stays as it is."""
    return alias(site) if len(site.result) < 2 else lambda x: x.transpose(1, 2)


def along(*places: int, default: int | None = None) -> Rule:
    """Return the rule for an operation on one stacked tensor along some dimensions.

    Args:
        places: positions of the arguments that name dimensions; the tensor is argument 0.
        default: dimension used if the last of these arguments is missing.

    """

    def rule(site: Site) -> Function | None:
        first, function = site.arg(0), site.call.function
        rank = len(site.shape(first))
        if not (site.all_stacked and rank):
            return None
        args = list(site.call.args)
        for place in places:
            if place < len(args):
                args[place] = _moved(args[place], rank)
            elif default is None:
                return None
            else:  # only the last one may be missing
                args.append(_moved(default, rank))
        tail = args[1:]
        return lambda x, *_, **kwargs: function(x, *tail, **kwargs)

    return rule


def _moved(dim: Any, rank: int) -> Any:
    """Return dimensions shifted by one, for tensors with a new first dimension."""
    if isinstance(dim, (list, tuple)):
        return [_moved(one, rank) for one in dim]
    return dim % rank + 1


def summed(site: Site) -> Function | None:
    """Reductions over some dimensions; without any, over all dimensions of a member."""
    rank = len(site.shape(site.arg(0)))
    dims = site.arg(1)
    dims = list(range(rank)) if dims is None or dims == [] else dims
    if rank == 0 or not isinstance(dims, (list, tuple)):
        return None
    moved, rest, name = _moved(dims, rank), site.call.args[2:], site.call.base
    function = {"sum": aten.sum.dim_IntList, "mean": aten.mean.dim}.get(name, site.call.function)
    return lambda x, *_, **kwargs: function(x, moved, *rest, **kwargs)


def joined(site: Site) -> Function:
    """`cat` and `stack`; shared tensors are expanded to (K, ...)."""
    function, tensors = site.call.function, site.arg(0)
    rank = len(site.shape(tensors[0])) + (site.call.base == "stack")
    dim = _moved(site.arg(1, 0), rank)
    is_stacked = [site.is_stacked(t) for t in tensors]

    def run(given: Sequence[Tensor], *_: Any) -> Any:
        k = next(len(t) for t, own in zip(given, is_stacked, strict=True) if own)
        pairs = zip(given, is_stacked, strict=True)
        return function([t if own else t.expand(k, *t.shape) for t, own in pairs], dim)

    return run


def unselected(site: Site) -> Function:
    """Backward pass of `select` and `slice`: write the gradient into zeros (K, *sizes)."""
    function, sizes = site.call.function, list(site.arg(1))
    dim, rest = _moved(site.arg(2), len(sizes)), site.call.args[3:]
    return lambda g, *_: function(g, [len(g), *sizes], dim, *rest)


def new(site: Site) -> Function:
    """`new_zeros` and similar operations, for a stacked tensor."""
    function, rest = site.call.function, site.call.args[2:]
    return lambda x, size, *_, **kwargs: function(x, [len(x), *size], *rest, **kwargs)


def permuted(site: Site) -> Function:
    """Permute the dimensions behind the first one."""
    rank = len(site.result)
    order = [0, *(_moved(d, rank) for d in site.arg(1))]
    return lambda x, *_: x.permute(order)


def softmax_backward(site: Site) -> Function | None:
    """Backward pass of `_softmax` and `_log_softmax`."""
    if not site.all_stacked or not site.result:
        return None
    function, dim = site.call.function, _moved(site.arg(2), len(site.result))
    return lambda g, y, _, dtype: function(g, y, dim, dtype)
