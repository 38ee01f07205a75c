"""Rules of operations that move numbers about or go along dimensions, one place later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from metaopt.train.traced.site import Function, Rule, Site

aten = torch.ops.aten


def alias(site: Site) -> Function:
    return lambda x: x


def reshaped(site: Site) -> Function:
    shape = site.result
    return lambda x, *_, **__: x.reshape(len(x), *shape)


def expanded(site: Site) -> Function:
    shape = site.result
    ones = [1] * (len(shape) - len(site.shape(site.arg(0))))

    def run(x: Tensor, *_: Any, **__: Any) -> Tensor:
        return x.reshape(len(x), *ones, *x.shape[1:]).expand(len(x), *shape)

    return run


def turned(site: Site) -> Function:
    """The transposed of a matrix; a vector is its own."""
    return alias(site) if len(site.result) < 2 else lambda x: x.transpose(1, 2)


def along(*places: int, default: int | None = None) -> Rule:
    """Return the rule of an operation on one stacked tensor, its first argument, along dimensions
    that stand at `places` of its arguments.
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
            else:  # only the last of them may be left out
                args.append(_moved(default, rank))
        tail = args[1:]
        return lambda x, *_, **kwargs: function(x, *tail, **kwargs)

    return rule


def _moved(dim: Any, rank: int) -> Any:
    """Numbers of dimensions behind a new first one."""
    if isinstance(dim, (list, tuple)):
        return [_moved(one, rank) for one in dim]
    return dim % rank + 1


def summed(site: Site) -> Function | None:
    """Reductions whose dimensions may be left out: all of them."""
    rank = len(site.shape(site.arg(0)))
    dims = site.arg(1)
    dims = list(range(rank)) if dims is None or dims == [] else dims
    if rank == 0 or not isinstance(dims, (list, tuple)):
        return None
    moved, rest, name = _moved(dims, rank), site.call.args[2:], site.call.base
    function = {"sum": aten.sum.dim_IntList, "mean": aten.mean.dim}.get(name, site.call.function)
    return lambda x, *_, **kwargs: function(x, moved, *rest, **kwargs)


def joined(site: Site) -> Function:
    """`cat` and `stack`; what is shared is repeated."""
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
    """Backward of `select` and `slice`: zeros (K, *sizes) around the gradient."""
    function, sizes = site.call.function, list(site.arg(1))
    dim, rest = _moved(site.arg(2), len(sizes)), site.call.args[3:]
    return lambda g, *_: function(g, [len(g), *sizes], dim, *rest)


def new(site: Site) -> Function:
    """`new_zeros` and its like, of a stacked tensor."""
    function, rest = site.call.function, site.call.args[2:]
    return lambda x, size, *_, **kwargs: function(x, [len(x), *size], *rest, **kwargs)


def permuted(site: Site) -> Function:
    rank = len(site.result)
    order = [0, *(_moved(d, rank) for d in site.arg(1))]
    return lambda x, *_: x.permute(order)


def softmax_backward(site: Site) -> Function | None:
    if not site.all_stacked or not site.result:
        return None
    function, dim = site.call.function, _moved(site.arg(2), len(site.result))
    return lambda g, y, _, dtype: function(g, y, dim, dtype)
