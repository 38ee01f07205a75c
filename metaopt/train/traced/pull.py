"""Compute the losses of K members and their gradients with respect to the outputs."""

from __future__ import annotations

import torch
from torch import Tensor

from metaopt.train.engines.base import own_loss
from metaopt.train.population.ops import CrossEntropy
from metaopt.train.settings.history import Task


class Pull:
    """The loss of a task for K members at once.

    Args:
        task: has the loss; the same for all members.
        like: a tensor with the dtype and device of the outputs.

    """

    def __init__(self, task: Task, like: Tensor) -> None:
        self._task, self._like = task, like
        self._cross_entropy: CrossEntropy | None = None

    def __call__(
        self,
        outputs: Tensor,
        y: Tensor,
        shared: bool,
        losses: Tensor,
        errors: dict[int, Exception],
    ) -> Tensor:
        """Write the losses and return the gradients with respect to the outputs.

        Args:
            outputs: (K, B, ...).
            y: targets, (B, ...) if `shared`, else (K, B, ...).
            shared: whether all members have the same targets.
            losses: (K, B), overwritten; their mean over samples is the loss of a member.
            errors: gets the exceptions that a user-defined loss raises, by row.

        Returns:
            The gradients, (K, B, ...).

        """
        k, n = losses.shape
        if self._task.loss == "cross_entropy" and outputs.ndim == 3:
            if self._cross_entropy is None:
                function, classes = self._task.loss_function, outputs.shape[2]
                self._cross_entropy = CrossEntropy(function, classes, self._like)
            z = outputs.transpose(1, 2).contiguous()
            return self._cross_entropy.pull(z, y, losses).transpose(1, 2).contiguous()
        if self._task.loss == "mse":
            gap = outputs.reshape(k, n, -1) - y.reshape(*losses.shape[shared:], -1)
            torch.mean(gap.square(), dim=2, out=losses)
            return gap.mul_(2 / gap[0].numel()).view(outputs.shape)
        targets = y.expand(k, *y.shape) if shared else y
        values, gradients = own_loss(self._task.loss_function, outputs, targets, errors)
        losses.copy_(values.unsqueeze(1))  # the mean over the batch, for each sample
        return gradients
