"""Batching rules for layers: pooling, padding, attention, normalisation, embeddings."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from metaopt.train.traced.site import Function, Site
from metaopt.train.traced.tape import leaves, swap

aten = torch.ops.aten


def by_sample(site: Site) -> Function | None:
    """Operations on (n, c, h, w) that treat each sample separately: K n samples instead of n."""
    slots = list(leaves(site.call.args))
    if not site.all_stacked or len(site.shape(slots[0])) != 4:
        return None
    function, n = site.call.function, site.shape(slots[0])[0]
    if any(site.shape(s)[:1] != (n,) for s in (*slots, *leaves(site.call.results))):
        return None

    def run(*args: Any, **kwargs: Any) -> Any:
        results = function(*swap(args, lambda x: x.flatten(0, 1)), **kwargs)
        return swap(results, lambda y: y.unflatten(0, (-1, n)))

    return run


def layer_norm(site: Site) -> Function | None:
    """Normalise all members at once, then apply each member's scale and shift."""
    x, _, *affine, _ = site.call.args
    if not site.is_stacked(x) or any(w is not None and not site.is_stacked(w) for w in affine):
        return None
    ones = [1] * (len(site.shape(x)) - len(site.call.args[1]))

    def run(x: Tensor, shape: list[int], w: Tensor | None, b: Tensor | None, eps: float) -> Any:
        y, mean, rstd = aten.native_layer_norm(x, shape, None, None, eps)
        if w is not None:
            y = y * w.reshape(len(x), *ones, *shape)
        if b is not None:
            y = y + b.reshape(len(x), *ones, *shape)
        return y, mean, rstd

    return run


def layer_norm_backward(site: Site) -> Function | None:
    """Backward pass: for x that of a normalisation without scale, from d w; for w and b sums."""
    if not site.is_stacked(site.arg(1)) or not site.is_stacked(site.arg(0)):
        return None
    weight, wanted = site.arg(5), site.arg(7)
    if weight is not None and not site.is_stacked(weight):
        return None
    lead = len(site.shape(site.arg(1))) - len(site.arg(2))
    rows = list(range(1, 1 + lead))

    def run(d: Tensor, x: Tensor, shape: list[int], mean: Tensor, rstd: Tensor,
            w: Tensor | None, b: Tensor | None, *_: Any) -> Any:  # fmt: skip
        by_w = (d * ((x - mean) * rstd)).sum(rows) if w is not None and wanted[1] else None
        by_b = d.sum(rows) if b is not None and wanted[2] else None
        if not wanted[0]:
            return None, by_w, by_b
        through = d if w is None else d * w.reshape(len(x), *[1] * lead, *shape)
        by_x, _, _ = aten.native_layer_norm_backward(
            through, x, shape, mean, rstd, None, None, [True, False, False]
        )
        return by_x, by_w, by_b

    return run


def _by_channel(x: Tensor) -> Tensor:
    """Return (K, n, c, ...) as (n, K c, ...), with the members' channels next to each other."""
    return x.transpose(0, 1).reshape(x.shape[1], -1, *x.shape[3:])


def _by_member(x: Tensor, k: int) -> Tensor:
    """Return (n, K c, ...) as (K, n, c, ...)."""
    return x.view(len(x), k, -1, *x.shape[2:]).transpose(0, 1).contiguous()


def batch_norm(site: Site) -> Function | None:
    """Treat the channels of all members as K c channels, since each has its own statistics."""
    function = site.call.function
    if not all(site.is_stacked(a) for a in site.call.args[:5] if a is not None):
        return None

    def run(x: Tensor, *args: Any) -> Any:
        k = len(x)
        affine = [None if a is None else a.reshape(-1) for a in args[:2]]
        # Views of contiguous tensors: running statistics are written through them.
        running = [None if a is None else a.view(-1) for a in args[2:4]]
        y, mean, rstd = function(_by_channel(x), *affine, *running, *args[4:])
        return _by_member(y, k), mean.view(k, -1), rstd.view(k, -1)

    return run


def batch_norm_backward(site: Site) -> Function | None:
    """Backward pass, with K c channels as in `batch_norm`."""
    function = site.call.function
    if not all(site.is_stacked(a) for a in site.call.args[:7] if a is not None):
        return None

    def run(d: Tensor, x: Tensor, *args: Any) -> Any:
        k = len(x)
        columns = [None if a is None else a.reshape(-1) for a in args[:5]]
        by_x, by_w, by_b = function(_by_channel(d), _by_channel(x), *columns, *args[5:])
        rows = [None if g is None else g.view(k, -1) for g in (by_w, by_b)]
        return (None if by_x is None else _by_member(by_x, k)), *rows

    return run


def embedding(site: Site) -> Function | None:
    """Look up shared indices in the table of every member."""
    if site.is_stacked(site.arg(1)):
        return None
    shape = site.result
    return lambda w, index, *_: w.index_select(1, index.reshape(-1)).view(len(w), *shape)
