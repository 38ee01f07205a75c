"""Gradient steps on K networks at once, each with its own optimizer and hyper-parameters.

Notation as in `metaopt.train.engines.optimizers` and `stack`: w parameters, g gradient, a first
state (momentum, first moment), v second state (second moment), eta the learning rate, t = 1, 2, ...
the step count of each member. Members whose updates have the same form are neighbours and make a
segment; hyper-parameters are columns (k, 1) that go with the segment's rows (k, P_r) of region r.

The formulas are those of `metaopt.train.engines.optimizers` up to rounding. The path that computes
them depends on the device and the build of PyTorch only, never on the number of members, and no
operation sums over members: a row has the same result whether it is alone or in a batch.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cache
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from metaopt.core.errors import TrainingError
from metaopt.train.population.stack import Stack
from metaopt.train.settings.hyperparameters import Recipe

Column = Callable[[Sequence[float]], Tensor]


def _by_momentum(recipe: Recipe) -> str:
    return f"{recipe.optimizer} with momentum" if recipe.momentum else recipe.optimizer


# Optimizers with a batched form, and which one a recipe needs: a key of SEGMENTS.
FORMS: dict[str, Callable[[Recipe], str]] = {
    "gd": lambda recipe: "sgd",
    "sgd": _by_momentum,
    "adam": lambda recipe: "adam",
    "adamw": lambda recipe: "adam",
    "rmsprop": _by_momentum,
}


def update_form(recipe: Recipe) -> str:
    """Return the form of a recipe's update; members of one form are updated together.

    Raises:
        TrainingError: the optimizer has no batched form, so that its network must train alone.
    """
    if recipe.optimizer not in FORMS:
        raise TrainingError(
            f"the optimizer {recipe.optimizer!r} has no batched form (known: {', '.join(FORMS)});"
            f" networks with it train one by one, with the engine 'single'"
        )
    return FORMS[recipe.optimizer](recipe)


class Segment(ABC):
    """Rows `start` to `stop` of a stack, updated by one formula."""

    def __init__(self, stack: Stack, start: int, stop: int, recipes: Sequence[Recipe]) -> None:
        def rows(regions: Sequence[Tensor]) -> list[Tensor]:
            return [region[start:stop].view(stop - start, -1) for region in regions]

        self.w, self.g, self.a, self.v = map(rows, (stack.w, stack.g, stack.a, stack.v))
        self.recipes = recipes
        self.n_weights = stack.n_weights
        self.lr: list[float] = []

    def column(self, values: Sequence[float]) -> Tensor:
        """Numbers of double precision as a column (k, 1) of the parameters' type."""
        return torch.tensor(values, dtype=self.w[0].dtype, device=self.w[0].device).unsqueeze(1)

    def of(self, name: str) -> Tensor:
        """Return the column of a hyper-parameter."""
        return self.column([getattr(r, name) for r in self.recipes])

    def set_rates(self, lr: Sequence[float]) -> None:
        """Use these learning rates from now on."""
        self.lr = list(lr)

    @abstractmethod
    def step(self, t: Sequence[int]) -> None:
        """Move w once; `t` is the step count of each row."""


class SGDSegment(Segment):
    """a <- momentum a + g; w <- w - eta a. Also full-batch descent, whose momentum is 0."""

    def __init__(self, stack: Stack, start: int, stop: int, recipes: Sequence[Recipe]) -> None:
        super().__init__(stack, start, stop, recipes)
        moving = update_form(recipes[0]) == "sgd with momentum"
        self._momentum = self.of("momentum") if moving else None

    def set_rates(self, lr: Sequence[float]) -> None:
        self._rate = self.column(lr)

    def step(self, t: Sequence[int]) -> None:
        for w, g, a in zip(self.w, self.g, self.a, strict=True):
            if self._momentum is not None:
                g = a.mul_(self._momentum).add_(g)
            w.addcmul_(g, self._rate, value=-1)


class AdamSegment(Segment):
    """Adam and, with a decay above 0, AdamW; see `optimizers.Adam` for the sources."""

    def __init__(self, stack: Stack, start: int, stop: int, recipes: Sequence[Recipe]) -> None:
        super().__init__(stack, start, stop, recipes)
        self._decay = [r.weight_decay if r.optimizer == "adamw" else 0.0 for r in recipes]
        self._fused = self.w[0].device.type == "cpu" and has_fused_adam(self.w[0].dtype)
        if self._fused:
            parts = (self.w, self.g, self.a, self.v)
            self._rows = [[[x[k] for x in part] for part in parts] for k in range(len(recipes))]
            self._t, self._stale = torch.zeros(len(recipes)), True
            self._times = [[t] * len(self.w) for t in self._t]
        else:
            self._beta2 = self.of("beta2")
            self._gain1 = self.column([1 - r.beta1 for r in recipes])
            self._root = [torch.empty_like(w) for w in self.w]

    def set_rates(self, lr: Sequence[float]) -> None:
        super().set_rates(lr)
        self._stale = True
        shrunk = [1 - eta * decay for eta, decay in zip(lr, self._decay, strict=True)]
        self._shrink = self.column(shrunk) if any(self._decay) else None

    def step(self, t: Sequence[int]) -> None:
        if self._shrink is not None:
            for w in self.w[: self.n_weights]:
                w.mul_(self._shrink)
        if self._fused:
            self._step_rows(t)
        else:
            self._step_columns(t)

    def _step_rows(self, t: Sequence[int]) -> None:
        # One pass over memory per member, by the kernel of torch.optim.Adam(fused=True).
        if self._stale:
            self._t.copy_(torch.tensor(t))
            self._stale = False
        else:
            self._t.add_(1)
        rows = zip(self._rows, self._times, self.lr, self.recipes, strict=True)
        for (w, g, m, v), times, lr, r in rows:
            _fused_adam(w, g, m, v, times, lr, r.beta1, r.beta2, r.eps)

    def _step_columns(self, t: Sequence[int]) -> None:
        rows = list(zip(self.lr, self.recipes, t, strict=True))
        sizes = [lr / (1 - r.beta1**n) for lr, r, n in rows]
        # w - s m / (sqrt(v) / c + eps) = w - m / (sqrt(v) / (s c) + eps / s): one pass fewer.
        pairs = zip(sizes, rows, strict=True)
        scale = self.column([1 / (s * math.sqrt(1 - r.beta2**n)) for s, (_, r, n) in pairs])
        shift = self.column([r.eps / s for s, r in zip(sizes, self.recipes, strict=True)])
        gain2 = self.column([1 - r.beta2 for r in self.recipes])
        for w, g, m, v, root in zip(self.w, self.g, self.a, self.v, self._root, strict=True):
            m.lerp_(g, self._gain1)
            v.mul_(self._beta2).addcmul_(g * gain2, g)
            torch.sqrt(v, out=root)
            w.addcdiv_(m, root.mul_(scale).add_(shift), value=-1)


class RMSpropSegment(Segment):
    """See `optimizers.RMSprop`; v holds the mean square over 1 - alpha, to save a pass."""

    def __init__(self, stack: Stack, start: int, stop: int, recipes: Sequence[Recipe]) -> None:
        super().__init__(stack, start, stop, recipes)
        self._alpha = self.of("alpha")
        self._scale = self.column([math.sqrt(1 - r.alpha) for r in recipes])
        self._eps = self.of("eps")
        self._momentum = self.of("momentum") if "momentum" in update_form(recipes[0]) else None
        self._root = [torch.empty_like(w) for w in self.w]

    def set_rates(self, lr: Sequence[float]) -> None:
        self._rate = self.column(lr)

    def step(self, t: Sequence[int]) -> None:
        for w, g, b, v, root in zip(self.w, self.g, self.a, self.v, self._root, strict=True):
            v.mul_(self._alpha).addcmul_(g, g)
            torch.sqrt(v, out=root).mul_(self._scale).add_(self._eps)
            if self._momentum is None:
                w.addcmul_(torch.div(g, root, out=root), self._rate, value=-1)
            else:
                b.mul_(self._momentum).addcdiv_(g, root)
                w.addcmul_(b, self._rate, value=-1)


SEGMENTS: dict[str, type[Segment]] = {
    "adam": AdamSegment,
    "sgd": SGDSegment,
    "sgd with momentum": SGDSegment,
    "rmsprop": RMSpropSegment,
    "rmsprop with momentum": RMSpropSegment,
}


class StackedOptimizer:
    """Penalties and steps for all rows of a stack, whose recipes are sorted by `update_form`.

    Args:
        stack: the rows.
        recipes: of each.
        times: steps that each has taken.

    """

    def __init__(self, stack: Stack, recipes: Sequence[Recipe], times: Sequence[int]) -> None:
        self._t = list(times)
        self._recipes = list(recipes)
        self._segments: list[tuple[int, int, Segment]] = []
        start = 0
        for form, group in groupby(self._recipes, update_form):
            members = list(group)
            stop = start + len(members)
            segment = SEGMENTS[form](stack, start, stop, members)
            self._segments.append((start, stop, segment))
            start = stop
        n = stack.n_weights
        self._w = [w.view(len(recipes), -1) for w in stack.w[:n]]
        self._g = [g.view(len(recipes), -1) for g in stack.g[:n]]
        self._l1 = self._penalty("l1")
        self._l2 = self._penalty("l2")

    @property
    def times(self) -> list[int]:
        """Steps that each row has taken."""
        return list(self._t)

    def _penalty(self, name: str) -> Tensor | None:
        values = [getattr(r, name) for r in self._recipes]
        if not any(values) or not self._w:
            return None
        first = self._w[0]
        return torch.tensor(values, dtype=first.dtype, device=first.device).unsqueeze(1)

    def start_epoch(self, epochs: Sequence[int]) -> None:
        """Set the learning rates of each row's own epoch, counted from 1."""
        rates = [r.lr_at(e) for r, e in zip(self._recipes, epochs, strict=True)]
        for start, stop, segment in self._segments:
            segment.set_rates(rates[start:stop])

    def step(self) -> None:
        """Add the penalties' gradients, and move every member once."""
        self._t = [t + 1 for t in self._t]
        for w, g in zip(self._w, self._g, strict=True):
            if self._l2 is not None:
                g.addcmul_(w, self._l2)
            if self._l1 is not None:
                g.addcmul_(w.sign(), self._l1)
        for start, stop, segment in self._segments:
            segment.step(self._t[start:stop])


def _fused_adam(
    w: list[Tensor], g: list[Tensor], m: list[Tensor], v: list[Tensor], times: list[Tensor],
    lr: float, beta1: float, beta2: float, eps: float,
) -> None:  # fmt: skip
    kernel: Any = torch._fused_adam_
    kernel(
        w, g, m, v, [], times, lr=lr, beta1=beta1, beta2=beta2, weight_decay=0.0, eps=eps,
        amsgrad=False, maximize=False,
    )  # fmt: skip


@cache
def has_fused_adam(dtype: torch.dtype) -> bool:
    """Whether PyTorch's private kernel is there and does what it did when this was written."""
    if dtype not in (torch.float32, torch.float64):
        return False
    w, g = torch.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=dtype)
    m, v = torch.zeros_like(w), torch.zeros_like(w)
    try:
        _fused_adam([w], [g], [m], [v], [torch.ones(())], 0.1, 0.5, 0.75, 0.1)
    except (AttributeError, TypeError, RuntimeError):
        return False
    # After the first step both moments' corrections leave g itself: w - lr g / (|g| + eps).
    expected = torch.tensor([1 - 0.05 / 0.6, -2 - 0.3 / 3.1], dtype=dtype)
    return torch.allclose(w, expected, rtol=1e-6)
