"""Fallback engine: trains one network with plain PyTorch (the network's own code and autograd).

It takes the networks that no other engine supports. Nothing is read back from the device within an
epoch: losses stay tensors until the epoch ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from metaopt.train.engines.base import Engine, Member, mean_losses
from metaopt.train.engines.loss_scale import LossScale
from metaopt.train.engines.optimizers import FlatParameters, Snapshot, make_optimizer
from metaopt.train.runtime.checkpoint import State, copy_all, listed, numbered
from metaopt.train.runtime.rng import KeyedDropout, keyed_dropout
from metaopt.train.settings.history import Precision
from metaopt.train.settings.metrics import check_loss, check_outputs, check_untouched


class Single(Engine):
    """Trains the network of one member in place."""

    name = "single"
    dropout: ClassVar[type[KeyedDropout]] = KeyedDropout

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__(members)
        (self._member,) = self.members
        member, self._network = self._member, self._member.network
        self._flat = FlatParameters(self._network)
        self._optimizer = make_optimizer(self._flat, member.recipe)
        scaled = member.task.precision == "fp16"
        self._scale = LossScale(self._network, member.device) if scaled else None
        self._best: Snapshot | None = None
        self._open = ExitStack()
        keyed = keyed_dropout(self._network, member.seed, member.device, self.dropout)
        self._bits = self._open.enter_context(keyed)

    def train(self, epoch: int) -> list[float]:
        member = self._member
        self._network.train()
        lr = member.recipe.lr_at(epoch)
        losses: list[Tensor] = []
        with torch.enable_grad():
            pairs = self.feed.epoch(epoch)
            if epoch == 1:
                with member.noise:  # the first step shows whether it draws random numbers
                    losses.append(self._step(*next(pairs), lr, check=True))
            with noise_of(member):
                losses += [self._step(X, y, lr) for X, y in pairs]
        together, sizes = torch.stack(losses), self.feed.sizes
        if self._scale is not None:
            return [self._scale.mean(together, sizes)]
        return mean_losses(together.unsqueeze(1), sizes)

    def _step(self, X: Tensor, y: Tensor, lr: float, check: bool = False) -> Tensor:
        task = self._member.task
        self._flat.gradient.zero_()
        versions = X._version, y._version
        if self._scale is not None:
            self._scale.begin()
        with half_precision(task.precision, X.device):
            outputs = self._apply(X)
        if task.half and isinstance(outputs, Tensor):
            outputs = outputs.to(self._flat.vector.dtype)
        if check:
            check_outputs(outputs, y, task.loss, task.n_classes)
        loss = task.loss_function(outputs, y)
        if check:
            check_loss(loss)
            check_untouched(versions, X, y)
        self._descend(loss, lr)
        return loss.detach()

    def _apply(self, X: Tensor) -> Any:
        return self._network(X)

    def _descend(self, loss: Tensor, lr: float) -> None:
        flat, recipe, scale = self._flat, self._member.recipe, self._scale
        if scale is None:
            loss.backward()  # type: ignore[no-untyped-call]
            flat.penalise(recipe.l1, recipe.l2)
            self._optimizer.step(lr)
            return
        scale(loss).backward()  # type: ignore[no-untyped-call]
        finite = scale.unscale(flat.gradient)
        flat.penalise(recipe.l1, recipe.l2)
        self._optimizer.step_where(finite, lr)

    def outputs(self) -> list[Tensor]:
        return [outputs_of(self._member, self.feed.validation().X)]

    def keep(self, rows: Sequence[int]) -> None:
        if rows:
            self._best = self._flat.snapshot()

    def settle(self, row: int, kept: bool) -> None:
        if kept and self._best is not None:
            self._flat.restore(self._best)

    def select(self, rows: Sequence[int]) -> None:
        pass  # with a single member there is nothing to drop

    def state(self, row: int) -> dict[str, Tensor]:
        now, best = self._flat.snapshot(), self._best
        return {
            **numbered("w", [now.vector, *now.buffers]),
            **numbered("kept", [] if best is None else [best.vector, *best.buffers]),
            **numbered("moments", self._optimizer.moments),
            **numbered("bits", [bits.state() for bits in self._bits]),
            **({} if self._scale is None else self._scale.state()),
            "t": torch.as_tensor(self._optimizer.t),
        }

    @torch.no_grad()
    def load(self, states: Sequence[State]) -> None:
        (state,) = states
        now, best = self._flat.snapshot(), self._flat.snapshot()
        copy_all("w", state, [now.vector, *now.buffers])
        if listed("kept", state):
            copy_all("kept", state, [best.vector, *best.buffers])
            self._best = best
        copy_all("moments", state, self._optimizer.moments)
        for bits, stream in zip(self._bits, listed("bits", state), strict=True):
            bits.load(stream)
        if self._scale is not None:
            self._scale.load(state)
        self._optimizer.t = int(state["t"])
        self._flat.restore(now)  # last, so that a failure above leaves the initial weights

    def close(self) -> None:
        self._open.close()
        self._flat.release()
        self._network.eval()


def noise_of(member: Member) -> AbstractContextManager[object]:
    """Return the context with the member's generator state, if its network draws numbers itself."""
    # A network that uses the default generator must not affect other code, nor be affected.
    return member.noise if member.noise.used else nullcontext()


def outputs_of(member: Member, X: Tensor, apply: Callable[[Tensor], Any] | None = None) -> Tensor:
    """Return the outputs (n, ...) of a member's network for all of `X`, in evaluation mode.

    Args:
        member: has the network.
        X: inputs, (n, ...).
        apply: function that computes the outputs; None calls the network itself.

    """
    with half_precision(member.task.precision, X.device):
        rows, noise = member.task.evaluation_rows, noise_of(member)
        outputs = evaluate(member.network, X, rows, noise, apply)
    return outputs.to(next(member.network.parameters()).dtype) if member.task.half else outputs


def half_precision(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Return the autocast context for a precision; one without effect for "full"."""
    if precision == "full":
        return nullcontext()
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    # No cache of cast weights: it would keep old weights after an optimizer step.
    return torch.autocast(device.type, dtype, cache_enabled=False)


def evaluate(
    network: nn.Module,
    X: Tensor,
    rows: int,
    context: AbstractContextManager[object] | None = None,
    apply: Callable[[Tensor], Any] | None = None,
) -> Tensor:
    """Return the outputs of `network` for `X` in evaluation mode, `rows` samples at a time."""
    apply = apply or network
    network.eval()
    with torch.no_grad(), context or nullcontext():
        pieces = [apply(piece) for piece in torch.split(X, rows)]
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces)
