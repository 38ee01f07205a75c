"""Batching rule for matrix products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from metaopt.train.population.ops import multiply
from metaopt.train.traced.site import Function, Site
from metaopt.train.traced.tape import Slot


def product(site: Site) -> Function | None:
    """Batching rule for `mm`, `bmm`, `addmm` and `baddbmm`."""
    *bias, a, b = site.call.args[:3] if "add" in site.call.base else site.call.args[:2]
    own_a, own_b = site.is_stacked(a), site.is_stacked(b)
    sides = {*site.shape(a)[-2:], site.shape(b)[-1]}
    # bmm sums in another order for K = 1 than for K > 1 if a side is 1.
    if 1 in sides or site.call.kwargs or not (own_a or own_b):
        return None
    left, right, result = _factor(site, a), _factor(site, b), site.result
    start = _start(site, bias[0]) if bias else None

    def run(*args: Any) -> Tensor:
        a, b = args[-2:]
        k = len(a) if own_a else len(b)
        first = None if start is None else start(args[0], k)
        return multiply(left(a, k), right(b, k), first).reshape(k, *result)

    return run


def _factor(site: Site, slot: Slot) -> Callable[[Tensor, int], Tensor]:
    """Return the function that turns a factor, stacked or shared, into (K n, rows, columns)."""
    shape = site.shape(slot)
    if site.is_stacked(slot):
        return lambda x, k: x.reshape(-1, *shape[-2:])
    return lambda x, k: x.expand(k, *shape).reshape(-1, *shape[-2:])


def _start(site: Site, slot: Slot) -> Callable[[Tensor, int], Tensor]:
    """Return the function that turns the added term into (K n, rows or 1, columns)."""
    shape, own, result = site.shape(slot), site.is_stacked(slot), site.result
    ones = [1] * (len(result) - len(shape))

    def start(x: Tensor, k: int) -> Tensor:
        x = x.reshape(k if own else 1, *ones, *shape)
        if len(result) == 3:
            return x.expand(k, *result).reshape(-1, *result[1:])
        return x.expand(k, *x.shape[1:])

    return start
